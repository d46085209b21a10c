"""Multipart bodies as a stream: part by part, chunk by chunk, nothing held (RFC 2046, RFC 7578)."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from kit.errors import Refused, TooLarge
from services.upload.body import Body

Chunk = bytes | memoryview

_HEADERS = "headers"
_END = "end"


def header_parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header such as Content-Type or Content-Disposition: its value in lower case, its parameters.
    File names in RFC 5987 form and raw UTF-8 (as curl and browsers send them) come out as text."""
    message = Message()
    message["content-type"] = value
    found: dict[str, str] = {}
    parameters = message.get_params(failobj=[], unquote=True)
    for name, text in parameters[1:]:
        if isinstance(text, tuple):
            charset, _, encoded = text
            raw = unquote(encoded, encoding="latin-1") if "%" in encoded else encoded
            found[name.lower()] = raw.encode("latin-1", "replace").decode(_known(charset), "replace")
        else:
            found[name.lower()] = text
    return (parameters[0][0] if parameters else "").strip().lower(), found


def _known(charset: str | None) -> str:
    return "latin-1" if charset and charset.lower() in ("iso-8859-1", "latin-1") else "utf-8"


@dataclass
class Part:
    """One part. Read it (or skip it) before asking for the next."""

    headers: dict[str, str]
    _source: "Multipart" = field(repr=False)

    @property
    def disposition(self) -> dict[str, str]:
        return header_parameters(self.headers.get("content-disposition", ""))[1]

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Raises Refused when the body is malformed or ends within the part."""
        while (event := await self._source.next_event()) is not _END:
            assert isinstance(event, bytes | memoryview)
            yield event

    async def text(self, limit: int) -> str:
        """The content as UTF-8. Raises TooLarge beyond `limit` bytes."""
        content = b""
        async for chunk in self.chunks():
            content += chunk
            if len(content) > limit:
                raise TooLarge("field-too-long", f"A form field is longer than {limit:,} bytes.")
        return content.decode("utf-8", "replace")

    async def skip(self) -> None:
        async for _ in self.chunks():
            pass


class Multipart:
    def __init__(self, body: Body, content_type: str) -> None:
        """Raises Refused when the Content-Type names no usable boundary."""
        boundary = header_parameters(content_type)[1].get("boundary", "")
        if not boundary:
            raise Refused("no-boundary", "The Content-Type of a multipart request must name its boundary.")
        self._body = body
        self._events: deque[object] = deque()
        self._headers: dict[str, str] = {}
        self._name = b""
        self._value = b""
        self._done = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": lambda: self._events.append((_HEADERS, self._headers)),
                    "on_part_data": self._part_data,
                    "on_part_end": lambda: self._events.append(_END),
                    "on_end": self._finish,
                },
            )
        except FormParserError:
            raise Refused("bad-boundary", "The boundary of this multipart request is too long.") from None

    async def parts(self) -> AsyncIterator[Part]:
        """Every part in turn. Raises Refused when the body is malformed or incomplete."""
        while (event := await self.next_event()) is not None:
            if event is _END or isinstance(event, bytes | memoryview):
                continue
            assert isinstance(event, tuple)
            yield Part(event[1], self)

    async def next_event(self) -> object:
        while not self._events:
            chunk = await self._body.read()
            if self._done and not chunk:
                return None
            if not chunk:
                raise Refused("incomplete-body", "The request ended in the middle. Send it again.")
            if self._done:
                continue
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise Refused("bad-multipart", "This is not a well-formed multipart request.") from None
        return self._events.popleft()

    def _part_begin(self) -> None:
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").strip().lower()] = self._value.decode("utf-8", "replace")
        self._name = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(memoryview(data)[start:end])

    def _finish(self) -> None:
        self._done = True
