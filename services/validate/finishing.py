"""The end of a submission: its sums, and the questions only its whole can answer."""

from typing import Any

from kit.service import Kit
from kit.workers import WorkerDied, WorkerTimeout
from schemas.envelope import Event
from schemas.shapes import Demographics, FileState
from schemas.validate import SubmissionValidated
from services.validate.discs import DiscJob, check_discs
from services.validate.models import BATCHES, STUDIES, DiscCheck, TallyDoc
from services.validate.rules import tally as tallying
from services.validate.rules.discs import findings as disc_findings
from services.validate.rules.headers import summed

_BATCHES_MAX = 100_000
_PATIENTS_MAX = 2000
_CHECK_S = 300.0


async def finish(kit: Kit, doc: TallyDoc, event: Event) -> list[Event]:
    """Sets the state of the submission; emits submission-validated when it is complete and this,
    or what came of it, was not said before."""
    if not tallying.is_complete(doc):
        doc.state = "validating" if doc.closed else "open"
        return []
    assert doc.sender is not None  # submission-closed names it
    studies = tallying.studies(doc)
    discs = doc.discs if "documents" in doc.gone else await _discs(kit, doc.id)
    findings = summed(
        [
            *tallying.batch_findings(doc),
            *tallying.never_sent(doc),
            *tallying.mixed_patients(
                await _patients(kit, studies), from_machine=doc.sender.door in ("dicom", "stow")
            ),
            *(one for disc in discs for one in disc_findings(disc)),
        ]
    )
    said = (doc.tally, studies, findings)
    if doc.state == "validated" and said == (doc.told, doc.studies, doc.findings):
        return []
    doc.state, doc.told, doc.studies, doc.findings, doc.discs = (
        "validated",
        doc.tally,
        studies,
        findings,
        discs,
    )
    doc.revision += 1
    return [
        SubmissionValidated.after(
            event,
            time=kit.clock(),
            key=doc.id,
            step=str(doc.revision),
            submission_id=doc.id,
            revision=doc.revision,
            sender=doc.sender,
            tally=doc.tally,
            studies=tuple(studies),
            findings=tuple(findings),
        )
    ]


async def _patients(kit: Kit, studies: list[str]) -> list[Demographics]:
    found: list[Demographics] = []
    for study_id in studies[:_PATIENTS_MAX]:
        doc = await kit.documents.get(STUDIES, study_id)
        if doc is not None:
            found.append(doc.study.patient)
    return found


async def _discs(kit: Kit, submission_id: str) -> list[DiscCheck]:
    rows = await kit.documents.project(
        BATCHES, ["discs", "packs"], {"submission_id": submission_id}, limit=_BATCHES_MAX
    )
    discs = [key for row in rows for key in row["discs"]]
    if not discs:
        return []
    kept, lost = await _paths(kit, submission_id)
    packs = [key for row in rows for key in row["packs"]]
    job = DiscJob(tuple(discs), tuple(packs), tuple(kept), tuple(lost))
    try:
        return await kit.workers.run(_CHECK_S, check_discs, kit.objects, job)
    except (WorkerDied, WorkerTimeout):
        return [DiscCheck(readable=False)]


async def _paths(kit: Kit, submission_id: str) -> tuple[list[str], list[str]]:
    """Paths of the files that are kept, and of those that came but are not."""
    kept: list[str] = []
    lost: list[str] = []
    rows: list[dict[str, Any]] = await kit.documents.project(
        BATCHES, ["files"], {"submission_id": submission_id}, limit=_BATCHES_MAX
    )
    for row in rows:
        for file in row["files"]:
            fine = file["state"] in (FileState.STORED, FileState.DUPLICATE, FileState.DOCUMENT)
            (kept if fine else lost).append(file["path"])
    return kept, lost
