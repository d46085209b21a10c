"""One frame's pixels, decoded. Runs in helper processes: decoders are native code fed with foreign bytes."""

from collections.abc import Mapping
from typing import Any

from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from kit.dicom.errors import BrokenDicom
from kit.dicom.meta import BIG_ENDIAN, EXPLICIT, NATIVE
from kit.dicom.pack import PackEntry
from kit.objects.port import Objects

MAX_FRAME = 1 << 30
"""Bytes of a decoded frame."""
_READ = 32 << 20
_KEYWORDS = {b"\xe0\x7f\x08\0": "FloatPixelData", b"\xe0\x7f\x09\0": "DoubleFloatPixelData"}
_SEQUENTIAL_JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})


def cannot_decode() -> BrokenDicom:
    return BrokenDicom("cannot-decode", "The image is damaged, or of a kind that can't be decompressed here.")


def read_frame(objects: Objects, pack_key: str, entry: PackEntry, frame: int) -> bytes:
    """A frame as it is stored, counted from 0; aligned to a byte where it was packed by the bit."""
    frames, spans = entry.frames, entry.frames.spans(frame)
    if sum(span.length for span in spans) > MAX_FRAME:
        raise cannot_decode()
    blocks: list[bytes] = []
    for span in spans:
        for start in range(0, span.length, _READ):
            length = min(_READ, span.length - start)
            blocks.append(objects.read(pack_key, entry.offset + span.offset + start, length))
    data = b"".join(blocks)
    if frames.bits % 8:
        # frames follow each other within bytes, least significant bit first (PS3.5 8.1.1)
        packed = int.from_bytes(data, "little") >> frames.bit_offset(frame) & ((1 << frames.bits) - 1)
        return packed.to_bytes((frames.bits + 7) // 8, "little")
    return data


def decoded_frame(
    objects: Objects, pack_key: str, entry: PackEntry, frame: int, header: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Like decode_frame, for a stored instance with its header. Raises BrokenDicom."""
    options = options_of(header)
    element = objects.read(pack_key, entry.offset + entry.header_end, 4)
    options["pixel_keyword"] = _KEYWORDS.get(element, "PixelData")
    return decode_frame(read_frame(objects, pack_key, entry, frame), entry.transfer_syntax, options)


def decode_frame(data: bytes, syntax: str, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The frame as an array, colour by pixel and as RGB where it was YBR, with what describes it now.

    `options` are those of pydicom's decoders for an image of one frame. Native frames are little endian.
    Raises BrokenDicom.
    """
    try:
        if syntax in NATIVE:
            native = BIG_ENDIAN if syntax == BIG_ENDIAN else EXPLICIT
            array, properties = get_decoder(UID(native)).as_array(data, index=0, **options)
        else:
            if syntax in _SEQUENTIAL_JPEG:
                data = _whole_spectrum(data)
            encapsulated = encapsulate([data], has_bot=False)
            array, properties = get_decoder(UID(syntax)).as_array(encapsulated, index=0, **options)
    except (AttributeError, ValueError, RuntimeError, TypeError, NotImplementedError, MemoryError):
        raise cannot_decode() from None
    return array, properties


def options_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """What the decoders are to know, out of a header in the DICOM JSON model. Raises BrokenDicom."""

    def first(tag: str, default: Any) -> Any:
        values = header.get(tag, {}).get("Value") or [default]
        return values[0] if isinstance(values[0], type(default)) else default

    rows, columns = first("00280010", 0), first("00280011", 0)
    allocated, samples = first("00280100", 8), first("00280002", 1)
    if not rows or not columns or rows * columns * samples * allocated // 8 > MAX_FRAME:
        raise cannot_decode()
    return {
        "rows": rows,
        "columns": columns,
        "number_of_frames": 1,
        "samples_per_pixel": samples,
        "photometric_interpretation": first("00280004", "MONOCHROME2"),
        "bits_allocated": allocated,
        "bits_stored": first("00280101", allocated),
        "pixel_representation": first("00280103", 0),
        "planar_configuration": first("00280006", 0),
        "pixel_keyword": "PixelData",
    }


def _whole_spectrum(data: bytes) -> bytes:
    """Some old encoders left the spectral selection of sequential JPEG empty, where ITU-T T.81 B.2.3
    asks for 0 to 63; our decoder insists on it."""
    pos = 2
    while pos + 4 <= len(data) and data[pos] == 0xFF:
        marker, length = data[pos + 1], int.from_bytes(data[pos + 2 : pos + 4], "big")
        end = pos + 2 + length
        if marker == 0xDA:
            return data[: end - 3] + b"\0\x3f\0" + data[end:]
        pos = end
    return data
