"""What a quick look needs of one image, out of its header in the JSON model, and in which order. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

NATIVE = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
)
"""Transfer syntaxes whose frames are stored as plain pixels (packs hold none in big endian)."""

_MONOCHROME = {"MONOCHROME1", "MONOCHROME2"}


def image_of(header: Mapping[str, Any], *, uid: str, syntax: str, frames: int) -> dict[str, Any]:
    """Everything to fetch and draw the frames of one instance; `raw` says that the browser can draw
    them out of plain pixels by itself."""
    photometric = str(_first(header, "00280004", ""))
    samples, allocated = _int(header, "00280002", 1), _int(header, "00280100", 0)
    plain = photometric in _MONOCHROME and samples == 1 and allocated in (8, 16)
    colour = photometric == "RGB" and samples == 3 and allocated == 8
    return {
        "uid": uid,
        "number": _int(header, "00200013", 0),
        "frames": frames,
        "rows": _int(header, "00280010", 0),
        "columns": _int(header, "00280011", 0),
        "raw": syntax in NATIVE and (plain or colour),
        "samples": samples,
        "planar": _int(header, "00280006", 0),
        "bits": allocated,
        "stored": _int(header, "00280101", allocated),
        "signed": _int(header, "00280103", 0) == 1,
        "inverted": photometric == "MONOCHROME1",
        "slope": _float(header, "00281053", 1.0),
        "intercept": _float(header, "00281052", 0.0),
        "center": _float(header, "00281050", None),
        "width": _float(header, "00281051", None),
        "rate": _rate(header),
        "aspect": _aspect(header),
        "position": _floats(header, "00200032", 3),
        "orientation": _floats(header, "00200037", 6),
    }


def in_order(images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Along the normal of slices that lie parallel, else by instance number."""
    planes = [image["orientation"] for image in images]
    if len(images) > 1 and planes[0] and all(plane == planes[0] for plane in planes):
        x, y = planes[0][:3], planes[0][3:]
        normal = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]]
        places = [_along(image["position"], normal) for image in images]
        if None not in places and len(set(places)) == len(places):
            order = sorted(range(len(images)), key=lambda n: places[n] or 0.0)
            return [images[n] for n in order]
    return sorted(images, key=lambda image: image["number"])


def middle_page(images: Sequence[Mapping[str, Any]]) -> tuple[str, int, bool]:
    """Of all frames of the images in their order, the one in the middle: its instance, its number from 0,
    and whether it is drawn out of plain pixels. There is at least one image, each with frames."""
    left = (sum(image["frames"] for image in images) - 1) // 2
    for image in images:
        if left < image["frames"]:
            return image["uid"], left, image["raw"]
        left -= image["frames"]
    raise ValueError("no frames")


def _along(position: Sequence[float] | None, normal: Sequence[float]) -> float | None:
    return sum(a * b for a, b in zip(position, normal, strict=True)) if position else None


def _first(header: Mapping[str, Any], tag: str, otherwise: Any) -> Any:
    values = header.get(tag, {}).get("Value") or [otherwise]
    return otherwise if values[0] is None else values[0]


def _int(header: Mapping[str, Any], tag: str, otherwise: int) -> int:
    try:
        return int(float(_first(header, tag, otherwise)))
    except (TypeError, ValueError, OverflowError):
        return otherwise


def _float(header: Mapping[str, Any], tag: str, otherwise: float | None) -> float | None:
    try:
        return float(_first(header, tag, otherwise))
    except (TypeError, ValueError):
        return otherwise


def _floats(header: Mapping[str, Any], tag: str, count: int) -> list[float] | None:
    try:
        values = [round(float(value), 4) for value in header.get(tag, {}).get("Value") or []]
    except (TypeError, ValueError):
        return None
    return values if len(values) == count else None


def _rate(header: Mapping[str, Any]) -> float:
    """Frames a second of a cine run; 0 where it says nothing sensible."""
    rate = _float(header, "00180040", None) or _float(header, "00082144", None)
    time = _float(header, "00181063", None)
    found = rate or (1000 / time if time and time > 0 else 0.0)
    return found if 0 < found <= 120 else 0.0


def _aspect(header: Mapping[str, Any]) -> float:
    """Height of a pixel over its width."""
    for tag in ("00280030", "00181164", "00280034"):
        pair = _floats(header, tag, 2)
        if pair and pair[0] > 0 and pair[1] > 0:
            return pair[0] / pair[1] if 0.1 < pair[0] / pair[1] < 10 else 1.0
    return 1.0
