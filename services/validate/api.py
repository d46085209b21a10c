"""GET /api/submissions/{id}/outcome: what became of every file."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from kit.access import may_see_submission
from kit.errors import NotFound, Refused
from kit.identity import Principal
from kit.service import Caller, Kit
from schemas.shapes import FileState, Finding, Tally
from services.validate.clearing import gone
from services.validate.models import BATCHES, TALLIES, BatchDoc, DiscCheck, FileRecord, TallyDoc
from services.validate.rules.batches import waiting_records
from services.validate.rules.headers import summed
from services.validate.rules.tally import at_this_moment
from services.validate.settings import ValidateSettings
from services.validate.texts import TEXTS, text_of

_LIMIT = 1000
_BATCHES_MAX = 100_000


class FileOutcome(BaseModel):
    """`file` is the ordinal, with .member where it came out of an archive. `removed_at`: it was kept until
    then, and removed by the policy."""

    file: str
    path: str
    size: int
    state: FileState
    code: str
    text: str
    values: dict[str, int]
    kind: str
    study: str
    removed_at: datetime | None = None


class Outcome(BaseModel):
    """`state`: open (more may come), validating, validated. The sums agree in every answer:
    sent = stored + duplicate + document + refused + quarantined + waiting. `cursor` asks for more files."""

    submission: str
    state: str
    revision: int
    antivirus: str
    sent: int
    stored: int
    duplicate: int
    document: int
    refused: int
    quarantined: int
    waiting: int
    studies: list[str]
    findings: list[Finding]
    discs: list[DiscCheck]
    files: list[FileOutcome]
    cursor: str | None


def routes(kit: Kit, settings: ValidateSettings) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["submissions"])

    @router.get("/submissions/{submission_id}/outcome")
    async def outcome(
        submission_id: str,
        cursor: str | None = Query(default=None, max_length=200),
        limit: int = Query(default=_LIMIT, ge=0, le=_LIMIT),
        who: Principal = Caller,
    ) -> Outcome:
        """What became of every file of a submission, as far as it is known now."""
        return await _outcome(kit, settings, submission_id, cursor, limit, who)

    return router


async def _outcome(
    kit: Kit, settings: ValidateSettings, submission_id: str, cursor: str | None, limit: int, who: Principal
) -> Outcome:
    doc = await kit.documents.get(TALLIES, submission_id) or TallyDoc(id=submission_id)
    rows = await kit.documents.project(
        BATCHES,
        ["place", "tally", "children", "announced", "container", "studies", "findings", "read", "sender"],
        {"submission_id": submission_id},
        order="place",
        limit=_BATCHES_MAX,
    )
    _check_access(doc, rows, who)
    tally = _tally(doc, rows)
    done = doc.state == "validated" and tally == doc.tally
    files, after = await _files(kit, doc, rows, cursor, limit)
    return Outcome(
        submission=submission_id,
        state="validated" if done else "validating" if doc.closed else "open",
        revision=doc.revision,
        antivirus="on" if settings.clamav_host else "off",
        **tally.model_dump(),
        studies=list(dict.fromkeys(study for row in rows for study in row["studies"])),
        findings=doc.findings
        if done
        else summed(Finding.model_validate(one) for row in rows for one in row["findings"]),
        discs=doc.discs if done else [],
        files=files,
        cursor=after,
    )


def _check_access(doc: TallyDoc, rows: list[dict[str, Any]], who: Principal) -> None:
    """Its sender, its recipients, and those who see all. Unknown and not allowed look the same."""
    sender = doc.sender.id if doc.sender else rows[0]["sender"]["id"] if rows else None
    if sender is None or not may_see_submission(who, sender, doc.recipients):
        raise NotFound(
            "no-submission", "There is no such submission here, or its first files are on the way."
        )


def _tally(doc: TallyDoc, rows: list[dict[str, Any]]) -> Tally:
    return at_this_moment(
        [Tally.model_validate(row["tally"]) for row in rows],
        children={child["id"]: child["files"] for row in rows for child in row["children"]},
        present={row["id"] for row in rows},
        sent=doc.files if doc.closed else 0,
        received=sum(row["announced"] for row in rows if not row["container"]),
    )


async def _files(
    kit: Kit, doc: TallyDoc, rows: list[dict[str, Any]], cursor: str | None, limit: int
) -> tuple[list[FileOutcome], str | None]:
    """Files by the place of their batch. A cursor names a batch and how many of its files were given."""
    place, skip = _position(cursor)
    found: list[FileOutcome] = []
    for row in rows:
        if row["place"] < place:
            continue
        batch = await kit.documents.get(BATCHES, row["id"])
        if batch is None:
            continue
        records = records_of(batch)
        start = skip if row["place"] == place else 0
        chosen = records[start : start + limit - len(found)]
        found.extend(_shown(doc, batch.id, record) for record in chosen)
        if start + len(chosen) < len(records):
            return found, f"{row['place']}:{start + len(chosen)}"
    return found, None


def records_of(batch: BatchDoc) -> list[FileRecord]:
    return batch.files if batch.read else waiting_records(batch)


def _position(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "", 0
    place, _, skip = cursor.rpartition(":")
    if not place or not skip.isdecimal() or len(skip) > 9:
        raise Refused("bad-cursor", "This cursor is not one this server gave. Start again without it.")
    return place, int(skip)


def _shown(doc: TallyDoc, batch_id: str, record: FileRecord) -> FileOutcome:
    removed = gone(doc, batch_id, record.state, packed=bool(record.pack_id))
    code = record.code or ("merging" if record.state is FileState.WAITING else "")
    return FileOutcome(
        file=record.id,
        path=record.path,
        size=record.size,
        state=record.state,
        code=code,
        text=record.text or (text_of(code) if code in TEXTS else ""),
        values=record.values,
        kind=record.kind,
        study=record.study_id,
        removed_at=removed.time if removed is not None else None,
    )
