"""A study to take along: a ZIP (stored, not packed) in the form of a disc, with its DICOMDIR, streamed.

Nothing is held but one block: names and directory come from the indexes, bytes from the packs. Names are
our own, of 8 characters as discs want them; nothing from outside becomes a path.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import RawIOBase
from typing import Any
from uuid import UUID, uuid5
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import orjson
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from kit.access import may_download, may_see_documents
from kit.dicom.pack import read_instance_bytes
from kit.errors import Forbidden
from kit.identity import Principal
from kit.objects.port import Objects
from kit.service import Caller, Kit
from services.view.library import Indexes, Located
from services.view.models import ViewStudy
from services.view.quicklook import instances_of, one_study
from services.view.rules.directory import (
    INSTANCE,
    PATIENT,
    SERIES,
    STUDY,
    Record,
    keys_of,
    record_kind,
    write_directory,
)
from services.view.scopes import Scope
from services.view.viewed import Views

_NAMESPACE = UUID("5b0a2a53-7ac3-4b0d-8f0e-7c9c1c6b0a44")
_GIB = 1 << 30
_SIGNS = (
    (b"%PDF", "PDF"),
    (b"\xff\xd8\xff", "JPG"),
    (b"\x89PNG", "PNG"),
    (b"\0\0\0", "MP4"),
    (b"<?xml", "XML"),
    (b"PK\x03\x04", "DOC"),
)


@dataclass(frozen=True)
class Member:
    """A file of the archive and where its bytes lie."""

    name: str
    size: int
    found: Located | None = None
    key: str = ""


def routes(kit: Kit, indexes: Indexes, views: Views) -> APIRouter:
    router = APIRouter(prefix="/dicomweb/study/{study_id}", tags=["download"])

    @router.get("/archive")
    async def archive(study_id: str, who: Principal = Caller) -> StreamingResponse:
        """The study as a ZIP with a DICOMDIR. Documents sent along lie beside for those who may see their
        submission: they may be about more than this study."""
        study = await one_study(kit.documents, who, study_id)
        if not may_download(who):
            raise Forbidden("view-only", "These images may be looked at, but not taken along.")
        found = await instances_of(indexes, study)
        await views.note(Scope(who, "", "study", study.id), study)
        members, root = await asyncio.to_thread(_layout, kit.objects, found)
        beside = [one for one in _submissions(study) if await may_see_documents(kit.documents, who, one)]
        members += await asyncio.to_thread(_documents, kit.objects, beside)
        uid = f"2.25.{uuid5(_NAMESPACE, f'{study.id} {study.revision}').int}"
        directory = write_directory(root, uid)
        headers = {
            "content-disposition": f'attachment; filename="study-{study.id[:8]}.zip"',
            "cache-control": "private, no-store",
        }
        return StreamingResponse(
            zipped(kit.objects, directory, members, kit.clock()),
            media_type="application/zip",
            headers=headers,
        )

    return router


def zipped(objects: Objects, directory: bytes, members: Sequence[Member], now: datetime) -> Iterator[bytes]:
    """The archive in blocks of about 1 MiB."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED, allowZip64=True) as archive:
        with archive.open(_info("DICOMDIR", len(directory), now), "w") as target:
            target.write(directory)
        yield from sink.drain()
        for member in members:
            info = _info(member.name, member.size, now)
            with archive.open(info, "w", force_zip64=member.size >= _GIB) as target:
                for block in _bytes(objects, member):
                    target.write(block)
                    yield from sink.drain()
    yield from sink.drain()


def _info(name: str, size: int, now: datetime) -> ZipInfo:
    info = ZipInfo(name, (max(1980, now.year), now.month, now.day, now.hour, now.minute, now.second))
    info.file_size = size
    info.external_attr = 0o644 << 16
    return info


def _bytes(objects: Objects, member: Member) -> Iterator[bytes]:
    if member.found is not None:
        return read_instance_bytes(objects, member.found.pack.key, member.found.entry)
    return objects.stream(member.key)


def _layout(objects: Objects, found: Sequence[Located]) -> tuple[list[Member], Record]:
    """Members in the order they are stored in, and the directory's records."""
    members: list[Member] = []
    series: dict[str, Record] = {}
    root: Record | None = None
    for one in found:
        entry = one.entry
        header: dict[str, Any] = orjson.loads(one.index.header_json(objects, entry.position))
        if root is None:
            below = Record("STUDY", keys_of(header, STUDY))
            root = Record("PATIENT", keys_of(header, PATIENT), below=[below])
        of_series = series.get(entry.series_instance_uid)
        if of_series is None:
            of_series = series[entry.series_instance_uid] = Record("SERIES", keys_of(header, SERIES))
            root.below[0].below.append(of_series)
        number = list(series).index(entry.series_instance_uid) + 1
        path = ("DICOM", f"S{number:07d}", f"I{len(of_series.below) + 1:07d}")
        of_series.below.append(
            Record(
                record_kind(entry.sop_class_uid),
                keys_of(header, INSTANCE),
                path,
                entry.sop_class_uid,
                entry.sop_instance_uid,
                entry.transfer_syntax,
            )
        )
        members.append(Member("/".join(path), entry.length, found=one))
    return members, root or Record("PATIENT", {})


def _submissions(study: ViewStudy) -> list[str]:
    return list(dict.fromkeys(pack.submission_id for pack in study.packs))


def _documents(objects: Objects, submissions: Sequence[str]) -> list[Member]:
    members: list[Member] = []
    for submission in submissions:
        for stat in objects.list(f"documents/{submission}/"):
            start = objects.read(stat.key, 0, 132)
            if start[128:132] == b"DICM":
                continue
            kind = next((kind for sign, kind in _SIGNS if start.startswith(sign)), "TXT")
            members.append(Member(f"DOCUMENT/D{len(members) + 1:07d}.{kind}", stat.size, key=stat.key))
    return members


class _Sink(RawIOBase):
    """Where ZipFile writes to: it can't go back, so sizes and checksums follow their members."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        block = bytes(data)
        self._blocks.append(block)
        return len(block)

    def drain(self) -> Iterator[bytes]:
        blocks, self._blocks = self._blocks, []
        if blocks:
            yield b"".join(blocks)
