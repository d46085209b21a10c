"""WADO-RS: pixels of frames (PS3.18 10.4.1.1.6) and single large values (10.4.1.1.5)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

import orjson
from fastapi import APIRouter, Request, Response

from kit.dicom.errors import BrokenDicom
from kit.dicom.pack import PackEntry
from kit.dicom.pixels import decoded_frame, read_frame
from kit.errors import NotFound, Refused
from kit.objects.port import Objects
from kit.service import Kit
from kit.workers import WorkerDied, WorkerTimeout
from services.view.answers import (
    as_they_come,
    embeddable,
    headers_for,
    in_parts,
    not_modified,
    one_part,
    stored,
    tag,
)
from services.view.library import Library, Located
from services.view.rules.accept import MULTIPART, OCTETS, Form, NotAcceptable, frame_form, ranges
from services.view.rules.multipart import Part
from services.view.scopes import InScope
from services.view.viewed import Views

_MAX_FRAMES = 10_000
_TIME_S = 60.0
_PDF = b"%PDF-"


def routes(kit: Kit, library: Library, views: Views) -> APIRouter:
    router = APIRouter()

    @router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}")
    async def frames(
        study: str, series: str, instance: str, numbers: str, request: Request, scope: InScope
    ) -> Response:
        of_study, found = await library.instance(scope, study, series, instance)
        wanted = frame_numbers(numbers, found.entry.frames.count)
        await views.note(scope, of_study)
        etag = tag("frames", found.entry.sha256, numbers, request.headers.get("accept"))
        unchanged = not_modified(request, etag)
        if unchanged is not None:
            return unchanged
        taken = ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))
        form = frame_form(taken, found.entry.transfer_syntax, len(wanted))
        kind = form.media.partition(";")[0]
        if len(wanted) == 1:
            body = await _frame(kit, found, wanted[0], form)
            if form.single:
                return Response(body, headers=headers_for(etag), media_type=form.media)
            return one_part(kind, Part(form.media, len(body)), body, etag)
        if form.syntax is None:
            parts = [Part(form.media, _length(found.entry, number)) for number in wanted]
            bodies = (iter([read_frame(kit.objects, found.pack.key, found.entry, n)]) for n in wanted)
            return in_parts(kind, parts, bodies, etag)

        async def decoded() -> AsyncIterator[tuple[Part, Iterable[bytes]]]:
            for number in wanted:
                body = await _frame(kit, found, number, form)
                yield Part(form.media, len(body)), [body]

        return as_they_come(kind, decoded())

    @router.get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{number}")
    async def bulkdata(
        study: str, series: str, instance: str, number: int, request: Request, scope: InScope
    ) -> Response:
        of_study, found = await library.instance(scope, study, series, instance)
        if not 0 <= number < len(found.entry.bulk):
            raise NotFound("no-bulkdata", "This image has no such value.")
        await views.note(scope, of_study)
        etag = tag("bulkdata", found.entry.sha256, number)
        return not_modified(request, etag) or await _bulkdata(kit.objects, request, found, number, etag)

    return router


def frame_numbers(text: str, count: int) -> list[int]:
    """1-based numbers parted by commas, as numbers from 0. Raises Refused and NotFound."""
    parts = text.split(",")
    if len(parts) > _MAX_FRAMES or not all(
        part.isascii() and part.isdigit() and len(part) < 9 for part in parts
    ):
        raise Refused("bad-frames", "Frames are asked for by their numbers, such as 1,2,3.")
    numbers = [int(part) - 1 for part in parts]
    if not all(0 <= number < count for number in numbers):
        raise NotFound("no-frame", "This image has no such frame.")
    return numbers


def _length(entry: PackEntry, number: int) -> int:
    if entry.frames.bits % 8:
        return (entry.frames.bits + 7) // 8
    return sum(span.length for span in entry.frames.spans(number))


async def _frame(kit: Kit, found: Located, number: int, form: Form) -> bytes:
    if form.syntax is None:
        return await asyncio.to_thread(read_frame, kit.objects, found.pack.key, found.entry, number)
    place = (kit.objects, found.pack.key, found.index.index_key, found.entry, number)
    try:
        return await kit.workers.run(_TIME_S, decoded_bytes, *place)
    except (BrokenDicom, WorkerDied, WorkerTimeout) as error:
        text = "This frame can't be decompressed. Ask for it as it is stored (transfer-syntax=*)."
        raise NotAcceptable(text) from error


def decoded_bytes(objects: Objects, pack_key: str, index_key: str, entry: PackEntry, number: int) -> bytes:
    """A job: the frame's pixels, little endian, colour by pixel. Raises BrokenDicom."""
    header = orjson.loads(objects.read(index_key, entry.json.offset, entry.json.length))
    array, _ = decoded_frame(objects, pack_key, entry, number, header)
    pixels: bytes = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return pixels


async def _bulkdata(objects: Objects, request: Request, found: Located, number: int, etag: str) -> Response:
    span = found.entry.bulk[number]
    spans = [(found.entry.offset + span.offset, span.length)]
    for one in ranges(request.headers.getlist("accept"), request.query_params.get("accept", "")):
        if one.kind == MULTIPART and one.part in ("", OCTETS, "*/*"):
            body: Iterator[bytes] = objects.stream(found.pack.key, *spans[0])
            return in_parts(OCTETS, [Part(OCTETS, span.length)], [body], etag)
        start = await asyncio.to_thread(objects.read, found.pack.key, spans[0][0], min(span.length, 5))
        media = "application/pdf" if start == _PDF else OCTETS
        if one.kind in (media, OCTETS, "application/*", "*/*"):
            answer = stored(request, objects, found.pack.key, spans, media, etag)
            return embeddable(answer) if start == _PDF else answer
    raise NotAcceptable
