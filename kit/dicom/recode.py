"""Data sets from one uncompressed encoding into another (PS3.5 A.1 to A.5), streamed.

Sequences and items are written with undefined length, so that nothing has to be known before it is
written; retired group lengths are dropped. Values keep their bytes, but for byte order.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import BinaryIO

from kit.dicom.dictionary import LONG_VRS, WORD_SIZES, is_us_or_ss
from kit.dicom.elements import FRAGMENTS, Element, Span
from kit.dicom.errors import BrokenDicom, truncated

_BLOCK = 1024 * 1024
_MAX_INFLATED = 512 * 1024 * 1024
_FREE_INFLATED = 64 * 1024 * 1024
_MAX_RATIO = 200
_SHORT = Struct("<HH2sH").pack
_LONG = Struct("<HH2sHI").pack
_IMPLICIT = Struct("<HHI").pack
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_TYPES = {2: "H", 4: "I", 8: "Q"}


def recode(
    elements: Sequence[Element],
    source: BinaryIO,
    *,
    explicit: bool,
    swap: bool = False,
    from_implicit: bool = False,
    signed: bool = False,
) -> Iterator[bytes | Span]:
    """The data set in Explicit or Implicit VR Little Endian: bytes, and spans of `source` for values
    that were not captured.

    `swap`: the source is big endian, all comes as bytes. `from_implicit`: VRs come from the
    dictionary, so the sign of ambiguous ones follows Pixel Representation. An item that is a tuple is
    encoded already.
    """
    for element in elements:
        tag, vr, _, start, stop, value = element
        if tag & 0xFFFF == 0:
            continue
        if tag == 0x00280103 and value:
            signed = int.from_bytes(value[:2], "big" if swap else "little") == 1
        if from_implicit and signed and vr == "US" and is_us_or_ss(tag):
            vr = "SS"
        if vr == "SQ":
            yield _header(tag, vr, 0xFFFFFFFF, explicit)
            for item in value:
                yield ITEM
                if isinstance(item, tuple):
                    yield from item
                else:
                    yield from recode(
                        item,
                        source,
                        explicit=explicit,
                        swap=swap,
                        from_implicit=from_implicit,
                        signed=signed,
                    )
                yield ITEM_END
            yield SEQUENCE_END
        elif value is FRAGMENTS:
            yield _header(tag, "OB", 0xFFFFFFFF, explicit)
            yield Span(start, stop - start)
            yield SEQUENCE_END
        else:
            length = stop - start if value is None else len(value)
            yield _header(tag, vr, length + length % 2, explicit)
            word = WORD_SIZES.get(vr, 1) if swap else 1
            if value is None and swap:
                yield from _copy(source, start, length, word)
            elif value is None:
                yield Span(start, length)
            else:
                yield swapped(value, word)
            if length % 2:
                yield b"\0" if vr in LONG_VRS or vr == "UI" else b" "


def sequence_header(tag: int, explicit: bool) -> bytes:
    """Of undefined length: items and SEQUENCE_END follow."""
    return _header(tag, "SQ", 0xFFFFFFFF, explicit)


def encoded(pieces: Iterable[bytes | Span]) -> tuple[bytes | Span, ...]:
    """The pieces with neighbouring bytes joined: an item to put into a sequence."""
    out: list[bytes | Span] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
        else:
            out += (b"".join(run), piece)
            run = []
    return (*out, b"".join(run))


def flat(pieces: Iterable[bytes | Span], source: BinaryIO) -> Iterator[bytes]:
    """The pieces as bytes, in blocks. Raises BrokenDicom where the source is too short."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from _copy(source, piece.offset, piece.length, 1)


def _header(tag: int, vr: str, length: int, explicit: bool) -> bytes:
    group, number = tag >> 16, tag & 0xFFFF
    if not explicit:
        return _IMPLICIT(group, number, length)
    if vr in LONG_VRS:
        return _LONG(group, number, vr.encode(), 0, length)
    if length > 0xFFFF:  # PS3.5 6.2.2 note 4: too long for its VR
        return _LONG(group, number, b"UN", 0, length)
    return _SHORT(group, number, vr.encode(), length)


def _copy(source: BinaryIO, start: int, length: int, word: int) -> Iterator[bytes]:
    source.seek(start)
    while length > 0:
        block = source.read(min(_BLOCK, length))
        if not block:
            raise truncated(length)
        length -= len(block)
        yield swapped(block, word)


def swapped(value: bytes, word: int) -> bytes:
    if word == 1 or len(value) < word:
        return value
    whole = len(value) // word * word
    words = array(_TYPES[word], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def inflate(source: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    """The deflated data set from `start` on (PS3.5 A.5), in blocks. Raises BrokenDicom."""
    source.seek(start)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    out = 0
    limit = min(_MAX_INFLATED, max(_FREE_INFLATED, (size - start) * _MAX_RATIO))
    pending = b""
    while not engine.eof:
        pending = pending or source.read(256 * 1024)
        if not pending:
            raise truncated(None)
        try:
            block = engine.decompress(pending, _BLOCK)
        except zlib.error:
            raise BrokenDicom("deflate-broken", "The compressed content of the file is damaged.") from None
        pending = engine.unconsumed_tail
        out += len(block)
        if out > limit:
            raise BrokenDicom(
                "deflate-bomb", "The file unpacks to more than is sensible. Send it uncompressed."
            )
        if block:
            yield block
