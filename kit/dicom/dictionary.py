"""The data dictionary (PS3.6): value representations of public tags, loaded on first use."""

from functools import cache, lru_cache

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""Explicit VR: two reserved bytes and a 32 bit length (PS3.5 7.1.2)."""
SHORT_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
VRS = LONG_VRS | SHORT_VRS
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs that Specific Character Set governs."""
WORD_SIZES = {"AT": 2, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
WORD_SIZES |= {"SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
"""Bytes that swap together in big endian (PS3.5 7.3); absent: none."""


@cache
def _public() -> dict[int, str]:
    from pydicom.datadict import DicomDictionary

    return {tag: entry[0] for tag, entry in DicomDictionary.items()}


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str:
    """VR of a tag for implicit VR. Ambiguous ones as PS3.5 A.1 says; US for "US or SS" (see pixel
    representation); UN for private and unknown tags."""
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    vr = _public().get(tag) or _repeater(tag)
    if " or " in vr:
        return "OW" if "OW" in vr else "US"
    return vr if vr in VRS else "UN"


@lru_cache(maxsize=8192)
def keyword_of(tag: int) -> str:
    """PatientName for 0x00100010; empty for private and unknown tags."""
    from pydicom.datadict import keyword_for_tag

    return str(keyword_for_tag(tag))


@lru_cache(maxsize=8192)
def tag_of(keyword: str) -> int | None:
    """0x00100010 for PatientName; None for what is no keyword."""
    from pydicom.datadict import tag_for_keyword

    found = tag_for_keyword(keyword)
    return int(found) if found is not None else None


@lru_cache(maxsize=256)
def is_us_or_ss(tag: int) -> bool:
    """Tags whose sign follows Pixel Representation (0028,0103)."""
    return _public().get(tag) == "US or SS"


def _repeater(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"
