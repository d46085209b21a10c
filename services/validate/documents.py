"""Documents that came with images: which there are, and their bytes, served so that they can do nothing.

Whatever kind a file says it is, it is answered under one of a few media types, never as a page: with
`nosniff`, without scripts, and as a download unless it is a picture, a PDF or a film that browsers show.
"""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from kit.access import may_see_submission
from kit.errors import Gone, NotFound
from kit.identity import Principal
from kit.ids import derived_id
from kit.service import Caller, Kit
from schemas.shapes import FileState
from services.validate.clearing import gone
from services.validate.models import BATCHES, TALLIES, TallyDoc

_SHOWN = {
    "pdf": "application/pdf",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "text": "text/plain; charset=utf-8",
    "cda": "text/plain; charset=utf-8",
    "xml": "text/plain; charset=utf-8",
    "fhir-json": "text/plain; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
)
_MOST = 500


class Paper(BaseModel):
    """One document. `shown`: a browser can show it safely. `removed_at`: it was here until then, and its
    address answers 410."""

    id: str
    name: str
    kind: str
    size: int
    shown: bool
    address: str
    removed_at: datetime | None = None


class Papers(BaseModel):
    documents: list[Paper]


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(tags=["submissions"])

    @router.get("/api/submissions/{submission_id}/documents")
    async def documents(submission_id: str, who: Principal = Caller) -> Papers:
        """What came beside the images, without the disc's own index."""
        tally = await _required(kit, submission_id, who)
        rows = await _records(kit, submission_id)
        return Papers(documents=[_paper(submission_id, row, _removed_at(tally, row)) for row in rows])

    @router.get("/files/{submission_id}/{document_id}")
    async def document(
        submission_id: str, document_id: str, show: bool = False, who: Principal = Caller
    ) -> Response:
        """The bytes of one, to keep or (`show=yes`) to look at."""
        tally = await _required(kit, submission_id, who)
        row = next((row for row in await _records(kit, submission_id) if row["id"] == document_id), None)
        if row is None:
            raise NotFound("no-document", "There is no such document here.")
        if _removed_at(tally, row) is not None:
            raise Gone(
                "document-removed",
                "This document was removed here by the hospital’s policy. Ask the sender to send it again.",
            )
        key = f"documents/{submission_id}/{document_id}"
        stat = await asyncio.to_thread(kit.objects.stat, key)
        if stat is None:
            raise NotFound("no-document", "There is no such document here.")
        shown = show and row["kind"] in _SHOWN
        way = "inline" if shown else "attachment"
        headers = {
            "content-length": str(stat.size),
            "content-disposition": f"{way}; filename*=UTF-8''{quote(row['name'])}",
            "content-security-policy": _POLICY,
            "x-content-type-options": "nosniff",
            "cache-control": "private, no-store",
        }
        media = _SHOWN[row["kind"]] if shown else "application/octet-stream"
        return StreamingResponse(kit.objects.stream(key), media_type=media, headers=headers)

    return router


async def _required(kit: Kit, submission_id: str, who: Principal) -> TallyDoc:
    """Raises NotFound for what is another's, in the words for what does not exist."""
    tally = await kit.documents.get(TALLIES, submission_id) if len(submission_id) <= 64 else None
    if (
        tally is None
        or tally.sender is None
        or not may_see_submission(who, tally.sender.id, tally.recipients)
    ):
        raise NotFound("no-submission", "There is no such submission here.")
    return tally


async def _records(kit: Kit, submission_id: str) -> list[dict[str, Any]]:
    rows = await kit.documents.project(
        BATCHES, ["files", "place"], {"submission_id": submission_id}, order="place", limit=10_000
    )
    found: list[dict[str, Any]] = []
    for row in rows:
        for file in row["files"]:
            if file["state"] == FileState.DOCUMENT and file["kind"] != "dicomdir" and len(found) < _MOST:
                name = file["path"].replace("\\", "/").rpartition("/")[2][:200] or "document"
                file_id = derived_id(row["id"], file["id"])
                found.append({**file, "id": file_id, "name": name, "batch": row["id"]})
    return found


def _removed_at(tally: TallyDoc, row: dict[str, Any]) -> datetime | None:
    """What came with a batch that was settled later is here."""
    removed = gone(tally, row["batch"], FileState.DOCUMENT)
    return removed.time if removed is not None else None


def _paper(submission_id: str, row: dict[str, Any], removed_at: datetime | None) -> Paper:
    return Paper(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        size=row["size"],
        shown=removed_at is None and row["kind"] in _SHOWN,
        address=f"/files/{submission_id}/{row['id']}",
        removed_at=removed_at,
    )
