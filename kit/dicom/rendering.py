"""Pictures of frames for people: values mapped to grey or colour, scaled, as JPEG or PNG (PS3.18 8.3.5).

Jobs for helper processes, as decoding is.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import orjson
from PIL import Image, ImageDraw, ImageFont

from kit.dicom.errors import BrokenDicom
from kit.dicom.grey import grey_levels
from kit.dicom.look import Look, Window
from kit.dicom.pack import PackEntry
from kit.dicom.palette import PALETTE, with_palette
from kit.dicom.pixels import cannot_decode, decoded_frame
from kit.objects.port import Objects

_GROUND, _INK = (28, 36, 34), (196, 208, 203)
_MAX_SIDE = 8192
_MAX_PALETTE = 1 << 18


def render(
    objects: Objects, pack_key: str, index_key: str, entry: PackEntry, frame: int, looks: Sequence[Look]
) -> list[bytes]:
    """One picture of a frame (counted from 0) for each look. Raises BrokenDicom("cannot-decode")."""
    header = orjson.loads(objects.read(index_key, entry.json.offset, entry.json.length))
    array, properties = decoded_frame(objects, pack_key, entry, frame, header)
    values = of_frame(header, frame)
    for tag in PALETTE:
        place = values.get(tag, {}).get("BulkDataURI", "").removeprefix("bulkdata/")
        if place:
            span = entry.bulk[int(place)]
            raw = objects.read(pack_key, entry.offset + span.offset, min(span.length, _MAX_PALETTE))
            values[tag] = {"vr": "OW", "InlineBinary": b64encode(raw).decode()}
    try:
        made: dict[Window | None, Image.Image] = {}
        pictures = []
        for look in looks:
            if look.window not in made:
                made[look.window] = _picture(array, properties, values, look.window)
            pictures.append(_encoded(_shaped(made[look.window], aspect(values), look), look))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, OSError):
        raise cannot_decode() from None
    return pictures


def placeholder(text: str, look: Look) -> bytes:
    """A plain tile with a word on it, for what has no picture."""
    width, height = look.width or 256, look.height or 256
    tile = Image.new("RGB", (width, height), _GROUND)
    font = ImageFont.load_default(max(10, min(width, height) // 6))
    ImageDraw.Draw(tile).text((width / 2, height / 2), text[:8], fill=_INK, anchor="mm", font=font)
    return _encoded(tile, look)


def of_frame(header: Mapping[str, Any], frame: int) -> dict[str, Any]:
    """The header with what functional groups say of this frame at its top level (PS3.3 C.7.6.16)."""
    values = dict(header)
    shared = header.get("52009229", {}).get("Value") or []
    each = header.get("52009230", {}).get("Value") or []
    for group in (*shared[:1], *each[frame : frame + 1]):
        for macro in ("00289110", "00289132", "00289145"):
            for item in (group.get(macro, {}).get("Value") or [])[:1]:
                values.update(item)
    return values


def aspect(values: Mapping[str, Any]) -> float:
    """Height of a pixel as a part of its width."""
    for tag in ("00280030", "00281164", "00280034"):
        pair = values.get(tag, {}).get("Value") or []
        if len(pair) == 2 and all(isinstance(number, int | float) and number > 0 for number in pair):
            ratio = float(pair[0]) / float(pair[1])
            return ratio if 0.1 < ratio < 10 and abs(ratio - 1) > 0.01 else 1.0
    return 1.0


def _picture(
    array: Any, properties: Mapping[str, Any], values: Mapping[str, Any], window: Window | None
) -> Image.Image:
    photometric = str(properties["photometric_interpretation"])
    if array.ndim == 3:
        bits = int(properties["bits_stored"])
        if array.dtype != np.uint8:
            array = (array.astype(np.uint32) >> max(bits - 8, 0)).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(array[..., :3]))
    if photometric == "PALETTE COLOR":
        return Image.fromarray(with_palette(array, values))
    chosen = (window.center, window.width, window.function) if window else None
    return Image.fromarray(grey_levels(array, values, photometric, chosen))


def _shaped(picture: Image.Image, ratio: float, look: Look) -> Image.Image:
    if look.region is not None:
        left, top, width, height = look.region
        box = (
            max(0, round(left)),
            max(0, round(top)),
            min(picture.width, round(left + abs(width))),
            min(picture.height, round(top + abs(height))),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            raise BrokenDicom("bad-viewport", "That part lies outside the image.")
        picture = picture.crop(box)
        if width < 0:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if height < 0:
            picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    across, down = float(picture.width), picture.height * ratio
    if look.width is not None and look.height is not None:
        scale = min(look.width / across, look.height / down)
        scale = scale if look.enlarge else min(scale, 1.0)
        across, down = across * scale, down * scale
    size = (min(_MAX_SIDE, max(1, round(across))), min(_MAX_SIDE, max(1, round(down))))
    if size == picture.size:
        return picture
    shrinks = size[0] < picture.width
    how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return picture.resize(size, how, reducing_gap=2.0 if shrinks else None)


def _encoded(picture: Image.Image, look: Look) -> bytes:
    out = BytesIO()
    if look.media == "image/png":
        picture.save(out, "PNG", compress_level=3)
    else:
        picture.save(out, "JPEG", quality=look.quality)
    return out.getvalue()
