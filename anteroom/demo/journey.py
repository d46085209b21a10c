"""The journey itself, as the people concerned make it: feed, sender, clerk; each over the real doors."""

import asyncio
import time
from typing import Any

from anteroom.client.api import Api, ApiError, ClientError
from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from anteroom.demo import study
from anteroom.demo.feed import announce
from anteroom.demo.telling import Teller

_PATIENCE = 90.0
CLINIC = "demo-clinic"
_ENDED = ("in-pacs", "failed")


class Journey:
    def __init__(self, url: str, admin_token: str, hl7_port: int, issuer: str, tell: Teller) -> None:
        self._url = url
        self._admin = Api(url, admin_token)
        self._hl7_port = hl7_port
        self._issuer = issuer
        self._tell = tell

    def travel(self) -> bool:
        """True once the study is proved in the PACS. Blocks; tells every stage as it happens."""
        try:
            self._feed()
            study_id = self._send()
            found = self._wait_for(study_id, _match_is_current, "to be matched")
            self._show_match(found)
            if found["state"] not in _ENDED:
                self._approve(found)
            proved = self._wait_for(study_id, lambda case: case["state"] in _ENDED, "to arrive")
            return self._show_end(proved)
        except ClientError as error:
            self._tell.failed(str(error))
        except TimeoutError as error:
            self._tell.failed(str(error))
        return False

    def _feed(self) -> None:
        patient = study.demographics(self._issuer)
        asyncio.run(announce("127.0.0.1", self._hl7_port, patient, study.order()))
        self._tell.stage("HL7", "the hospital's feed announced a patient and an order; both acknowledged")

    def _send(self) -> str:
        """The id of the study."""
        token = self._admin.post("/api/tokens", {"account": CLINIC, "label": "demo"})["secret"]
        selection = select(study.files())
        with Api(self._url, token) as clinic:
            sent = send(clinic, selection, Wishes(purpose="second opinion"), _Quiet())
            self._tell.stage("sent", f"{len(selection.files)} files, {selection.bytes / 1e6:.1f} MB, by HTTP")
            outcome = self._outcome(clinic, sent.submission_id)
        counts = ", ".join(f"{outcome[state]} {state}" for state in _STATES if outcome[state])
        self._tell.stage("validated", f"{outcome['sent']} sent = {counts}")
        for finding in outcome.get("findings", []):
            self._tell.stage("finding", finding["text"])
        study_id: str = outcome["studies"][0]
        return study_id

    def _outcome(self, clinic: Api, submission_id: str) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            outcome: dict[str, Any] = clinic.get(f"/api/submissions/{submission_id}/outcome")
            if outcome["state"] == "validated":
                return outcome
            time.sleep(0.05)
        raise TimeoutError("The study was not validated in time.")

    def _wait_for(self, study_id: str, condition: Any, what: str) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                case: dict[str, Any] = self._admin.get(f"/api/studies/{study_id}")
                if condition(case):
                    return case
            except ApiError as error:
                if error.status != 404:
                    raise
            time.sleep(0.1)
        raise TimeoutError(f"The study waited too long {what}.")

    def _show_match(self, case: dict[str, Any]) -> None:
        seen = case["study"]
        self._tell.stage(
            "viewable", f"{seen['description'] or 'study'}: {seen['instances']} images, not yet in any PACS"
        )
        match = case["match"] or {}
        chosen = match.get("chosen")
        if match.get("state") == "matched" and chosen:
            theirs, ours = seen["patient"], chosen["patient"]
            self._tell.stage(
                "matched",
                f"by {match['rule']}: patient {theirs['patient_id']} there is {ours['patient_id']} here",
            )

    def _approve(self, case: dict[str, Any]) -> None:
        body = {
            "action": "approve",
            "study_revision": case["study_revision"],
            "match_revision": case["match_revision"],
            "target": "match",
        }
        self._admin.post(f"/api/studies/{case['id']}/decision", body)
        self._tell.stage("approved", "a clerk looked at it and approved it for demo-pacs")

    def _show_end(self, case: dict[str, Any]) -> bool:
        for delivery in case["deliveries"]:
            if delivery["state"] == "proven":
                proof = {"storage-commitment": "storage commitment", "image-query": "a query for every image"}
                how = proof[delivery["proof"]["kind"]]
                self._tell.stage(
                    "in PACS", f"{delivery['instances']} images in {delivery['destination']}, proved by {how}"
                )
                return True
            self._tell.failed(delivery["reason"])
        return False


def _match_is_current(case: dict[str, Any]) -> bool:
    match = case["match"]
    return match is not None and bool(match["study_revision"] == case["study_revision"])


_STATES = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")


class _Quiet:
    """The demo's study is sent too quickly for a progress bar."""

    def sent(self, size: int) -> None: ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None: ...
