"""Forms of answers: whole, by range, in parts, not changed. All are private and asked for anew each time,
so that what was withdrawn is not shown out of a cache."""

import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from kit.ids import derived_id, random_id
from kit.objects.port import Objects
from services.view.rules.multipart import Part, closing, opening, total
from services.view.rules.ranges import slice_of, unchanged

_PRIVATE = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
_SMALL = 1400
_EMBEDDED_POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'"
Span = tuple[int, int]
"""Start and length within an object."""


def tag(*parts: object) -> str:
    """An ETag out of what the content depends on."""
    return f'"{derived_id(*map(str, parts))}"'


def headers_for(etag: str | None = None, **more: str) -> dict[str, str]:
    found = {**_PRIVATE, **{name.replace("_", "-"): value for name, value in more.items()}}
    return {**found, "etag": etag} if etag else found


def not_modified(request: Request, etag: str) -> Response | None:
    if unchanged(request.headers, etag):
        return Response(status_code=304, headers=headers_for(etag))
    return None


def whole(request: Request, content: bytes, media: str, etag: str, **more: str) -> Response:
    """Content at hand, or the range of it that was asked for."""
    part = slice_of(request.headers, len(content), etag)
    headers = headers_for(etag, accept_ranges="bytes", **more)
    if part is None:
        return Response(content, media_type=media, headers=headers)
    headers["content-range"] = f"bytes {part.start}-{part.start + part.length - 1}/{len(content)}"
    return Response(content[part.start : part.start + part.length], 206, headers, media)


def stored(
    request: Request, objects: Objects, key: str, spans: Sequence[Span], media: str, etag: str, **more: str
) -> Response:
    """Spans of an object one after the other, or the range of them that was asked for, streamed."""
    size = sum(length for _, length in spans)
    part = slice_of(request.headers, size, etag)
    headers = headers_for(etag, accept_ranges="bytes", **more)
    status = 200
    if part is not None:
        status = 206
        headers["content-range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
        spans = _within(spans, part.start, part.length)
    headers["content-length"] = str(sum(length for _, length in spans))
    return StreamingResponse(_read(objects, key, spans), status, headers, media)


def _within(spans: Sequence[Span], start: int, length: int) -> list[Span]:
    found: list[Span] = []
    for offset, size in spans:
        skipped = min(start, size)
        taken = min(size - skipped, length)
        if taken > 0:
            found.append((offset + skipped, taken))
        start -= skipped
        length -= taken
    return found


def _read(objects: Objects, key: str, spans: Sequence[Span]) -> Iterator[bytes]:
    for offset, length in spans:
        yield from objects.stream(key, offset, length)


def embeddable(response: Response) -> Response:
    """May be shown within our own pages (a PDF in the viewer)."""
    response.headers["content-security-policy"] = _EMBEDDED_POLICY
    return response


def in_parts(
    kind: str, parts: Sequence[Part], bodies: Iterable[Iterator[bytes]], etag: str | None = None
) -> Response:
    """multipart/related (PS3.18 8.6), streamed, its length known before."""
    boundary = random_id()

    def content() -> Iterator[bytes]:
        for part, body in zip(parts, bodies, strict=True):
            yield opening(boundary, part)
            yield from body
            yield b"\r\n"
        yield closing(boundary)

    headers = headers_for(etag, content_length=str(total(boundary, parts)))
    return StreamingResponse(content(), headers=headers, media_type=_related(kind, boundary))


def one_part(kind: str, part: Part, body: bytes, etag: str) -> Response:
    """The same with one part that is at hand."""
    boundary = random_id()
    content = b"".join((opening(boundary, part), body, b"\r\n", closing(boundary)))
    return Response(content, headers=headers_for(etag), media_type=_related(kind, boundary))


def as_they_come(kind: str, parts: AsyncIterator[tuple[Part, Iterable[bytes]]]) -> Response:
    """The same where lengths are not known before: each part is made when its turn comes."""
    boundary = random_id()

    async def content() -> AsyncIterator[bytes]:
        async for part, body in parts:
            yield opening(boundary, part)
            async for block in iterate_in_threadpool(body):
                yield block
            yield b"\r\n"
        yield closing(boundary)

    return StreamingResponse(content(), headers=headers_for(), media_type=_related(kind, boundary))


def _related(kind: str, boundary: str) -> str:
    return f'multipart/related; type="{kind}"; boundary={boundary}'


def text(
    request: Request, blocks: Iterable[bytes], media: str, etag: str | None = None, **more: str
) -> Response:
    """JSON or XML in blocks, packed where the caller takes that."""
    headers = headers_for(etag, vary="accept, accept-encoding", **more)
    if takes_gzip(request.headers):
        headers["content-encoding"] = "gzip"
        blocks = _gzipped(blocks)
    return StreamingResponse(blocks, headers=headers, media_type=media)


def short_text(
    request: Request, content: bytes, media: str, etag: str | None = None, **more: str
) -> Response:
    headers = headers_for(etag, vary="accept, accept-encoding", **more)
    if len(content) > _SMALL and takes_gzip(request.headers):
        headers["content-encoding"] = "gzip"
        content = b"".join(_gzipped([content]))
    return Response(content, media_type=media, headers=headers)


def takes_gzip(headers: Mapping[str, str]) -> bool:
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, rest = part.strip().partition(";")
        if name == "gzip" and rest.replace(" ", "") not in ("q=0", "q=0.0"):
            return True
    return False


def _gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    engine = zlib.compressobj(level=1, wbits=31)
    for block in blocks:
        yield engine.compress(block)
    yield engine.flush()
