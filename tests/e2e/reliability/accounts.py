"""The reckoning: what became of everything that was promised. Each wait is bounded."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from anteroom.client.api import Api, ApiError, ClientError
from anteroom.settings import load
from kit.bus.kafka import KafkaBus
from kit.bus.kafka_settings import KafkaSettings
from kit.clock import utc_now
from kit.errors import PermanentError, TransientError
from schemas.upload import SubmissionOpened
from tests.e2e.people import local_id
from tests.e2e.reliability.catcher import Catcher
from tests.e2e.reliability.processes import Cluster, listed
from tests.e2e.reliability.traffic import Promised, Sent

PLANTED = "planted"
_PARTS = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")
_INTERRUPTED = "interrupted twice"
"""A notice whose sender was killed twice in the very middle is not sent a third time, and counts as
failed."""


def wait(what: str, condition: Callable[[], Any], seconds: float) -> float:
    """Until the condition holds; returns how long it took. An engine that is away answers no."""
    began = time.monotonic()
    last: Any = None
    while time.monotonic() < began + seconds:
        try:
            last = condition()
        except ClientError as error:
            last = [str(error)]
        if not last:
            return time.monotonic() - began
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come to rest within {seconds:g} s: {last}")


def tally(api: Api, submission: str) -> dict[str, int] | None:
    """What became of its files once that is final; the sums must agree at any moment."""
    try:
        outcome = api.get(f"/api/submissions/{submission}/outcome", limit=0)
    except ApiError as error:
        if error.code == "no-submission":
            return None
        raise
    assert sum(outcome[part] for part in _PARTS) == outcome["sent"], outcome
    if outcome["state"] != "validated":
        return None
    return {part: outcome[part] for part in ("sent", *_PARTS)}


def unvalidated(api: Api, sent: list[Sent]) -> list[str]:
    return [f"{one.parcel.kind} {one.label}" for one in sent if tally(api, one.submission) is None]


def not_in_pacs(api: Api, promised: Promised) -> list[str]:
    """Why not all studies are there yet; cases beyond what was promised fail at once."""
    cases = listed(api, "/api/studies", "studies", limit=200)
    assert len(cases) <= len(promised.studies), "there are more studies than were sent"
    states = Counter(case["state"] for case in cases)
    states["not there"] = len(promised.studies) - len(cases)
    return [f"{count} {state}" for state, count in states.items() if count and state != "in-pacs"]


def wrong_in_pacs(pacs: Any, promised: Promised) -> list[str]:
    """Each promised study is in the PACS once, with all its images and under the local patient."""
    wrong = []
    for uid, (label, count) in promised.studies.items():
        hits = [
            hit
            for hit in pacs._request("POST", "/tools/lookup", content=uid.encode()).json()
            if hit["Type"] == "Study"
        ]
        found = pacs.study(uid)
        patient = found["PatientMainDicomTags"]["PatientID"] if found else ""
        if len(hits) != 1 or pacs.count_instances(uid) != count or patient != local_id(label):
            wrong.append(f"{label}: {len(hits)} studies, {pacs.count_instances(uid)} of {count}, {patient}")
    expected = sum(count for _, count in promised.studies.values())
    if pacs.count_all() != expected:
        wrong.append(f"{pacs.count_all()} images in all instead of {expected}")
    return wrong


def notices(api: Api) -> list[dict[str, Any]]:
    return listed(api, "/api/notices", "items", limit=200)


def undelivered(api: Api) -> list[str]:
    return [
        f"{notice['kind']} to {notice['recipient']}: {notice['state']} {notice['error']}"
        for notice in notices(api)
        if not _left(notice)
    ]


def _left(notice: dict[str, Any]) -> bool:
    """Whether its message must have arrived."""
    return notice["state"] == "sent" or notice["error"].startswith(_INTERRUPTED)


def kinds_by_recipient(api: Api) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for notice in notices(api):
        found.setdefault(notice["recipient"], set()).add(notice["kind"])
    return found


def told_otherwise(api: Api, wanted: dict[str, set[str]]) -> list[str]:
    """Recipients who were not told of just these kinds of news, or whose mail has not left."""
    heard = kinds_by_recipient(api)
    wrong = [
        f"{who}: {heard.get(who, set())} not {kinds}"
        for who, kinds in wanted.items()
        if heard.get(who, set()) != kinds
    ]
    return wrong + undelivered(api)


def wrong_mail(api: Api, catcher: Catcher) -> list[str]:
    """Every notice came once or twice, and nothing else came."""
    counts = catcher.counts()
    sent = {notice["id"]: notice for notice in notices(api)}
    wrong = [
        f"{one['kind']} to {one['recipient']} came {counts.get(key, 0)} times"
        for key, one in sent.items()
        if not 1 <= counts.get(key, 0) <= 2
    ]
    return wrong + [f"a mail of no notice: {key}" for key in counts.keys() - sent.keys()]


def lag(api: Api) -> list[str]:
    return [
        f"{row['group']} {row['topic']}: {row['events']}"
        for row in api.get("/api/lag")
        if row["events"] and row["group"] != PLANTED
    ]


def unknown_patients(api: Api, promised: Promised) -> list[str]:
    """Acknowledged HL7 messages whose patient can't be found."""
    return [
        label
        for label in promised.announced
        if not api.post("/api/patients/search", {"q": local_id(label)})["patients"]
    ]


def plant_dead_letters(cluster: Cluster, count: int) -> set[str]:
    """A consumer of our own refuses so many events for good. Returns the ids of its dead letters."""

    async def plant() -> set[str]:
        settings = load(cluster.config).kafka
        bus = KafkaBus(KafkaSettings(**settings.model_dump()), utc_now)
        refused: set[str] = set()

        async def refusing(event: SubmissionOpened) -> None:
            if len(refused) < count or event.id in refused:
                refused.add(event.id)
                raise PermanentError("planted")

        bus.subscribe(SubmissionOpened, PLANTED, refusing)
        async with asyncio.timeout(90):
            await bus.start()
            letters: set[str] = set()
            while len(letters) < count:
                await asyncio.sleep(0.3)
                try:
                    letters = {one.id for one in await bus.dead_letters() if one.group == PLANTED}
                except TransientError:
                    continue
            await bus.stop()
        return letters

    return asyncio.run(plant())
