"""WADO-RS: instances, metadata, frames and bulk data (PS3.18 10.4). Bytes go out as they are stored."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from kit.dicom.headerjson import BULK
from kit.dicom.pack import read_instance_bytes
from kit.errors import NotFound, Refused
from kit.identity import Principal
from kit.ids import random_id
from kit.objects.port import Objects
from kit.service import Caller, Kit
from services.view.library import Library, Located
from services.view.rules.multipart import Part, closing, media_of, opening, total, wants_single

_JSON = "application/dicom+json"
_MAX_FRAMES = 10_000
_BLOCK = 1024 * 1024


def routes(kit: Kit, library: Library) -> APIRouter:
    router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])
    objects = kit.objects

    @router.get("/studies/{study}")
    async def study(study: str, who: Principal = Caller) -> Response:
        return _instances(objects, await library.instances(who, study))

    @router.get("/studies/{study}/series/{series}")
    async def series(study: str, series: str, who: Principal = Caller) -> Response:
        return _instances(objects, await library.instances(who, study, series))

    @router.get("/studies/{study}/series/{series}/instances/{instance}")
    async def instance(
        study: str, series: str, instance: str, request: Request, who: Principal = Caller
    ) -> Response:
        found = await library.instance(who, study, series, instance)
        if wants_single(request.headers.get("accept", ""), "application/dicom"):
            return StreamingResponse(
                read_instance_bytes(objects, found.pack.key, found.entry),
                media_type="application/dicom",
                headers={"content-length": str(found.entry.length), **_PRIVATE},
            )
        return _instances(objects, [found])

    @router.get("/studies/{study}/metadata")
    async def study_metadata(study: str, request: Request, who: Principal = Caller) -> Response:
        return _metadata(objects, study, await library.instances(who, study), request)

    @router.get("/studies/{study}/series/{series}/metadata")
    async def series_metadata(study: str, series: str, request: Request, who: Principal = Caller) -> Response:
        return _metadata(objects, study, await library.instances(who, study, series), request)

    @router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
    async def instance_metadata(
        study: str, series: str, instance: str, request: Request, who: Principal = Caller
    ) -> Response:
        found = await library.instance(who, study, series, instance)
        return _metadata(objects, study, [found], request)

    @router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}")
    async def frames(
        study: str, series: str, instance: str, frames: str, request: Request, who: Principal = Caller
    ) -> Response:
        found = await library.instance(who, study, series, instance)
        numbers = _frame_numbers(frames, found.entry.frames.count)
        media = media_of(found.entry.transfer_syntax)
        parts = [Part(media, _frame_length(found, number)) for number in numbers]
        bodies = (_frame(objects, found, number) for number in numbers)
        if len(numbers) == 1 and wants_single(request.headers.get("accept", ""), "application/octet-stream"):
            return StreamingResponse(next(bodies), media_type=media, headers=_PRIVATE)
        return _multipart("application/octet-stream", parts, bodies)

    @router.get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{number}")
    async def bulkdata(
        study: str, series: str, instance: str, number: int, request: Request, who: Principal = Caller
    ) -> Response:
        found = await library.instance(who, study, series, instance)
        if not 0 <= number < len(found.entry.bulk):
            raise NotFound("no-bulkdata", "This image has no such value.")
        span = found.entry.bulk[number]
        body = objects.stream(found.pack.key, found.entry.offset + span.offset, span.length)
        media = "application/octet-stream"
        if wants_single(request.headers.get("accept", ""), media):
            headers = {"content-length": str(span.length), **_PRIVATE}
            return StreamingResponse(body, media_type=media, headers=headers)
        return _multipart(media, [Part(media, span.length)], iter([body]))

    return router


_PRIVATE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}


def _instances(objects: Objects, found: Sequence[Located]) -> Response:
    parts = [
        Part(f"application/dicom; transfer-syntax={one.entry.transfer_syntax}", one.entry.length)
        for one in found
    ]
    return _multipart(
        "application/dicom", parts, (read_instance_bytes(objects, one.pack.key, one.entry) for one in found)
    )


def _multipart(kind: str, parts: Sequence[Part], bodies: Iterable[Iterator[bytes]]) -> Response:
    """multipart/related (PS3.18 8.6), streamed, its length known before."""
    boundary = random_id()

    def content() -> Iterator[bytes]:
        for part, body in zip(parts, bodies, strict=True):
            yield opening(boundary, part)
            yield from body
            yield b"\r\n"
        yield closing(boundary)

    return StreamingResponse(
        content(),
        headers={
            "content-type": f'multipart/related; type="{kind}"; boundary={boundary}',
            "content-length": str(total(boundary, parts)),
            **_PRIVATE,
        },
    )


def _frame_numbers(text: str, count: int) -> list[int]:
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


def _frame_length(found: Located, number: int) -> int:
    frames = found.entry.frames
    if frames.bits % 8:
        return (frames.bits + 7) // 8
    return sum(span.length for span in frames.spans(number))


def _frame(objects: Objects, found: Located, number: int) -> Iterator[bytes]:
    entry = found.entry
    frames, spans = entry.frames, entry.frames.spans(number)
    if not frames.bits % 8:
        for span in spans:
            yield from objects.stream(found.pack.key, entry.offset + span.offset, span.length)
        return
    # bit-packed, frames follow each other within bytes: least significant bit first (PS3.5 8.1.1)
    data = objects.read(found.pack.key, entry.offset + spans[0].offset, spans[0].length)
    bits = int.from_bytes(data, "little") >> frames.bit_offset(number) & ((1 << frames.bits) - 1)
    yield bits.to_bytes((frames.bits + 7) // 8, "little")


def _metadata(objects: Objects, study: str, found: Sequence[Located], request: Request) -> Response:
    headers = {**_PRIVATE, "vary": "accept-encoding"}
    content = _metadata_blocks(objects, study, found)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        content = _gzipped(content)
    return StreamingResponse(content, media_type=_JSON, headers=headers)


def _metadata_blocks(objects: Objects, study: str, found: Sequence[Located]) -> Iterator[bytes]:
    """One JSON array of headers; those that lie together are read and sent together."""
    before = b"["
    for _, group in groupby(found, key=lambda one: one.index.index_key):
        run = list(group)
        block: list[bytes] = []
        size = 0
        texts = run[0].index.headers(objects, [one.entry.position for one in run])
        for one, text in zip(run, texts, strict=True):
            block += (before, _with_addresses(text, study, one) if BULK in text else text)
            before = b","
            size += len(text)
            if size > _BLOCK:
                yield b"".join(block)
                block, size = [], 0
        yield b"".join(block)
    yield b"]"


def _gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    engine = zlib.compressobj(level=1, wbits=31)
    for block in blocks:
        yield engine.compress(block)
    yield engine.flush()


def _with_addresses(text: bytes, study: str, found: Located) -> bytes:
    entry = found.entry
    place = (
        f"/dicomweb/studies/{study}/series/{entry.series_instance_uid}/instances/{entry.sop_instance_uid}/"
    )
    return text.replace(BULK, b'"BulkDataURI":"' + place.encode() + b"bulkdata/")
