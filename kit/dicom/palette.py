"""Colour by palette (PS3.3 C.7.6.3.1.5): indexes to 8-bit RGB."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np

_DESCRIPTORS = ("00281101", "00281102", "00281103")
_DATA = ("00281201", "00281202", "00281203")
_SEGMENTED = ("00281221", "00281222", "00281223")
PALETTE = _DATA + _SEGMENTED
"""Attributes that hold the palette's entries, long ones as bulk data."""
_MAX_ENTRIES = 1 << 16


def with_palette(array: Any, values: Mapping[str, Any]) -> Any:
    """Raises ValueError where the palette is not whole."""
    channels = []
    for descriptor, data, segmented in zip(_DESCRIPTORS, _DATA, _SEGMENTED, strict=True):
        count, first, bits = values[descriptor]["Value"]
        count = count or _MAX_ENTRIES
        entries = _entries(values, data, segmented, count, bits)
        if not entries.size:
            raise ValueError("the palette is empty")
        levels = entries >> 8 if entries.max() > 255 else entries
        places = np.clip(array.astype(np.int64) - first, 0, entries.size - 1)
        channels.append(levels.astype(np.uint8)[places])
    return np.stack(channels, axis=-1)


def _entries(values: Mapping[str, Any], data: str, segmented: str, count: int, bits: int) -> Any:
    if data in values:
        raw = b64decode(values[data]["InlineBinary"])
        if bits == 8 and len(raw) < 2 * count:
            return np.frombuffer(raw[:count], np.uint8).astype(np.uint32)
        return np.frombuffer(raw[: len(raw) // 2 * 2][: 2 * count], "<u2").astype(np.uint32)
    raw = b64decode(values[segmented]["InlineBinary"])
    words = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").astype(np.int64).tolist()
    return np.asarray(_expanded(words, count)[:count], dtype=np.uint32)


def _expanded(words: list[int], count: int) -> list[int]:
    """Segments (PS3.3 C.7.9.2): discrete, linear, and indirect ones that repeat earlier segments."""
    out: list[int] = []
    at = 0
    while at + 2 < len(words) and len(out) < count:
        if words[at] == 2 and at + 3 < len(words):
            again = (words[at + 2] + (words[at + 3] << 16)) // 2
            for _ in range(min(words[at + 1], count)):
                again = _segment(words, again, out)
                if again == 0 or len(out) >= count:
                    break
            at += 4
        else:
            at = _segment(words, at, out)
            if at == 0:
                break
    return out


def _segment(words: list[int], at: int, out: list[int]) -> int:
    """Adds one discrete or linear segment; where the next one begins, 0 when this is none."""
    if at + 2 >= len(words):
        return 0
    kind, length = words[at], words[at + 1]
    if kind == 0:
        out += words[at + 2 : at + 2 + length]
        return at + 2 + length
    if kind == 1 and out and length:
        start, end = out[-1], words[at + 2]
        out += [round(start + (end - start) * step / length) for step in range(1, length + 1)]
        return at + 3
    return 0
