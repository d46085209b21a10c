"""How a picture of an image is to be (PS3.18 8.3.5)."""

from dataclasses import dataclass
from typing import Literal

Media = Literal["image/jpeg", "image/png"]
Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True)
class Window:
    center: float
    width: float
    function: Function = "LINEAR"


@dataclass(frozen=True)
class Look:
    """`width` and `height`: fit into that, keeping proportions. `region`: only that part of the image, as
    left, top, width, height in its pixels; a negative size mirrors."""

    media: Media = "image/jpeg"
    width: int | None = None
    height: int | None = None
    region: tuple[float, float, float, float] | None = None
    enlarge: bool = True
    window: Window | None = None
    quality: int = 90
