"""An upload's bytes as the fields of a form (RFC 7578), unwrapped while they come.

Browsers read a file that is a field of a form where they send it from, at a third of the cost of a Blob
made of slices. In the order of the bytes: a field named `bytes` holds base64 of what lies between the
files, a file is named by its size. Unwrapped, it is what a PATCH with Content-Type
application/offset+octet-stream would have brought: offsets count those bytes alone.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator

from kit.errors import Refused, TooLarge
from services.upload.body import Body
from services.upload.multipart import Multipart, Part
from services.upload.parts import Chunk

KIND = "multipart/form-data"
_FIELD_BYTES = 64 << 10
FIELDS_MOST = 1024
"""Of one form. A browser sends 129 at most; very many small ones would cost far more than their bytes."""
_NAME = re.compile(r';\s*name="(bytes|[0-9]{1,16})"', re.ASCII)
_WRAPPING, _LEAST_LIMIT = 4, 64 << 10
"""A form may be so many times as long as what it brings: names and base64 are more than empty files."""


class FormBody:
    """Reads like a Body."""

    def __init__(self, body: Body, content_type: str) -> None:
        """Raises Refused where there is no boundary or no length."""
        if body.declared is None:
            raise Refused("length-needed", "A form must say its length: send Content-Length.")
        self._body = body
        self._chunks = _unwrapped(Multipart(body, content_type))

    @property
    def declared(self) -> None:
        """How many bytes come is not known before."""

    @property
    def last(self) -> float:
        return self._body.last

    def abandon(self) -> None:
        self._body.abandon()

    def check_room(self, left: int) -> None:
        """Raises TooLarge when it is longer than a form of `left` bytes can be."""
        if (self._body.declared or 0) > _WRAPPING * left + _LEAST_LIMIT:
            raise TooLarge("too-long", f"Only {left} bytes of this upload are outstanding; more were sent.")

    async def read(self) -> Chunk:
        """The next bytes, b"" at the end. Raises what Body.read raises, and Refused for a form that is
        not as said above, also for a file that has become longer or shorter."""
        async for chunk in self._chunks:
            if len(chunk):
                return chunk
        return b""


async def _unwrapped(form: Multipart) -> AsyncIterator[Chunk]:
    fields = 0
    async for part in form.parts():
        fields += 1
        if fields > FIELDS_MOST:
            raise Refused("bad-form", f"An upload's form has at most {FIELDS_MOST:,} fields; send several.")
        named = _NAME.search(part.headers.get("content-disposition", ""))
        name = named[1] if named else ""
        if name == "bytes":
            yield _decoded(await part.text(_FIELD_BYTES))
        elif name:
            async for chunk in _file(part, int(name)):
                yield chunk
        else:
            raise Refused("bad-form", "The fields of an upload's form are bytes in base64, and files.")


async def _file(part: Part, size: int) -> AsyncIterator[Chunk]:
    left = size
    async for chunk in part.chunks():
        left -= len(chunk)
        if left < 0:
            raise _changed()
        yield chunk
    if left:
        raise _changed()


def _changed() -> Refused:
    return Refused("file-changed", "A file has another size than was said. Choose the files once more.")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("bad-form", "A field of this form is not base64.") from None
