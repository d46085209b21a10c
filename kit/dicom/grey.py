"""From stored values to 8-bit grey: modality, window, polarity (PS3.3 C.11.1, C.11.2; PS3.4 N.2)."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydicom.uid import XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage

_SAMPLE = 200_000
_ANGIOGRAMS = frozenset(
    (
        XRayAngiographicImageStorage,
        XRayRadiofluoroscopicImageStorage,
        "1.2.840.10008.5.1.4.1.1.12.3",  # biplane, retired
    )
)


def grey_levels(
    array: Any, values: Mapping[str, Any], photometric: str, window: tuple[float, float, str] | None = None
) -> Any:
    """`values` is the header; `window` (center, width, function) stands instead of its own."""
    if array.dtype.kind in "iub" and array.dtype.itemsize <= 2:
        # few possible values: work out each once, then look up
        width = array.dtype.itemsize
        unsigned = np.dtype(f"u{width}")
        possible = np.arange(1 << 8 * width, dtype=unsigned).view(array.dtype).astype(np.float32)
        ramp = _levels(possible, _sampled(array), values, photometric, window)
        return ramp[np.ascontiguousarray(array).view(unsigned)]
    return _levels(array.astype(np.float32), _sampled(array), values, photometric, window)


def _sampled(array: Any) -> Any:
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE)].astype(np.float32)


def _levels(
    stored: Any,
    sample: Any,
    values: Mapping[str, Any],
    photometric: str,
    window: tuple[float, float, str] | None,
) -> Any:
    modal = _modality(stored, values)
    table = _table(values, "00283010") if window is None else None
    if table is not None:
        scaled = _looked_up(modal, table) * np.float32(255 / max(1, (1 << table[1]) - 1))
    else:
        center, width, function = window or _window(values) or _fitting(sample, values)
        scaled = _windowed(modal, center, width, function)
    inverse = photometric == "MONOCHROME1" or _text(values, "20500020") == "INVERSE"
    grey = np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8)
    return 255 - grey if inverse else grey


def _modality(stored: Any, values: Mapping[str, Any]) -> Any:
    if _for_display(values):
        return stored.astype(np.float32)
    table = _table(values, "00283000")
    if table is not None:
        return _looked_up(stored, table)
    slope, intercept = _number(values, "00281053", 1.0), _number(values, "00281052", 0.0)
    return stored * np.float32(slope or 1.0) + np.float32(intercept)


def _for_display(values: Mapping[str, Any]) -> bool:
    """Whether stored values are windowed as they are. The modality table of such X-ray angiograms leads back
    to the intensity of the beam (Pixel Intensity Relationship, PS3.3 C.8.7.1), and shows them white."""
    return _text(values, "00080016") in _ANGIOGRAMS and _text(values, "00281040") in ("LOG", "DISP")


def _window(values: Mapping[str, Any]) -> tuple[float, float, str] | None:
    center, width = _number(values, "00281050"), _number(values, "00281051")
    if center is None or width is None or width <= 0:
        return None
    function = _text(values, "00281056")
    return center, width, function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"


def _fitting(sample: Any, values: Mapping[str, Any]) -> tuple[float, float, str]:
    """No window came along: nearly all values, without padding."""
    padding = _number(values, "00280120")
    kept = sample[np.isfinite(sample) & (sample != padding)] if padding is not None else sample
    modal = _modality(kept, values)
    modal = modal[np.isfinite(modal)]
    if not modal.size:
        return 0.5, 1.0, "LINEAR_EXACT"
    low, high = (float(part) for part in np.percentile(modal, (0.5, 99.5)))
    if high <= low:
        low, high = float(modal.min()), float(modal.max())
    return (low + high) / 2, max(high - low, 1e-6), "LINEAR_EXACT"


def _windowed(modal: Any, center: float, width: float, function: str) -> Any:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0…255."""
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 255 / (1 + np.exp(np.float32(-4) * (modal - np.float32(center)) / np.float32(width)))
    if function == "LINEAR" and width > 1:
        return ((modal - np.float32(center - 0.5)) / np.float32(width - 1) + np.float32(0.5)) * 255
    return ((modal - np.float32(center)) / np.float32(width) + np.float32(0.5)) * 255


def _table(values: Mapping[str, Any], sequence: str) -> tuple[int, int, Any] | None:
    """First value mapped, bits of an entry, entries of the first item of a LUT sequence."""
    item = ((values.get(sequence) or {}).get("Value") or [None])[0]
    if not isinstance(item, dict):
        return None
    descriptor = item.get("00283002", {}).get("Value") or []
    data = item.get("00283006", {})
    if len(descriptor) != 3:
        return None
    if "InlineBinary" in data:
        entries = np.frombuffer(b64decode(data["InlineBinary"])[: (descriptor[0] or 1 << 16) * 2], "<u2")
    else:
        entries = np.asarray(data.get("Value") or [], dtype=np.int64).astype(np.uint16)
    first = descriptor[1] - (1 << 16) if descriptor[1] > 1 << 15 and _is_signed(values) else descriptor[1]
    return (first, descriptor[2], entries.astype(np.float32)) if entries.size else None


def _looked_up(modal: Any, table: tuple[int, int, Any]) -> Any:
    first, _, entries = table
    places = np.clip(np.nan_to_num(modal) - first, 0, entries.size - 1).astype(np.int32)
    return entries[places]


def _is_signed(values: Mapping[str, Any]) -> bool:
    return bool(_number(values, "00280103") == 1)


def _number(values: Mapping[str, Any], tag: str, default: float | None = None) -> Any:
    found = ((values.get(tag) or {}).get("Value") or [default])[0]
    return float(found) if isinstance(found, int | float) else default


def _text(values: Mapping[str, Any], tag: str) -> str:
    found = ((values.get(tag) or {}).get("Value") or [""])[0]
    return str(found).upper()
