"""How a picture is asked for (PS3.18 8.3.5): viewport, window, quality."""

from collections.abc import Mapping

from kit.dicom.look import Function, Look, Media, Window
from kit.errors import Refused

_LARGEST, _LARGEST_THUMBNAIL = 8192, 256
"""Pixels a side. Looking at thumbnails is not recorded, so that they must not stand for the images."""
_FUNCTIONS: dict[str, Function] = {
    "LINEAR": "LINEAR",
    "LINEAR-EXACT": "LINEAR_EXACT",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}


def look_of(query: Mapping[str, str], media: Media, *, thumbnail: bool = False) -> Look:
    """Raises Refused for what makes no sense."""
    width: int | None = None
    height: int | None = None
    region: tuple[float, float, float, float] | None = None
    if "viewport" in query:
        width, height, region = _viewport(query["viewport"], thumbnail=thumbnail)
    elif thumbnail:
        width, height = 128, 128
    quality = 80 if thumbnail else 90
    if "quality" in query:
        quality = _whole(query["quality"], "quality")
        if not 1 <= quality <= 100:
            raise Refused("bad-quality", "quality is a whole number from 1 to 100.")
    window = _window(query["window"]) if "window" in query else None
    return Look(media, width, height, region, enlarge=not thumbnail, window=window, quality=quality)


def _viewport(text: str, *, thumbnail: bool) -> tuple[int, int, tuple[float, float, float, float] | None]:
    parts = text.split(",")
    if len(parts) not in ((2,) if thumbnail else (2, 6)):
        raise Refused("bad-viewport", "viewport is width,height or width,height,left,top,width,height.")
    width, height = _whole(parts[0], "viewport"), _whole(parts[1], "viewport")
    most = _LARGEST_THUMBNAIL if thumbnail else _LARGEST
    if not (0 < width <= most and 0 < height <= most):
        what = "thumbnail" if thumbnail else "viewport"
        raise Refused("bad-viewport", f"The sides of a {what} are 1 to {most} pixels.")
    if len(parts) == 2:
        return width, height, None
    left, top = _number(parts[2] or "0"), _number(parts[3] or "0")
    across, down = _number(parts[4] or "1e6"), _number(parts[5] or "1e6")
    if left < 0 or top < 0 or not across or not down:
        raise Refused("bad-viewport", "That part of the image makes no sense.")
    return width, height, (left, top, across, down)


def _window(text: str) -> Window:
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise Refused("bad-window", "window is center,width,function, such as 40,400,linear.")
    center, width = _number(parts[0]), _number(parts[1])
    function = _FUNCTIONS.get(parts[2].strip().upper() if len(parts) == 3 else "LINEAR")
    if function is None or width <= 0 or (function == "LINEAR" and width < 1):
        raise Refused("bad-window", "window is center,width,function: linear, linear-exact or sigmoid.")
    return Window(center, width, function)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused(f"bad-{name}", f"{name} needs whole numbers.")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise Refused("bad-number", "viewport and window need numbers.")
    return value
