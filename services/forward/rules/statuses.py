"""What a destination's answer for one instance means (PS3.4 B.2.3, PS3.7 annex C, PS3.18 10.5.3)."""

from enum import StrEnum

from kit.saying import say
from schemas.shapes import Said


class Outcome(StrEnum):
    KEPT = "kept"
    KEPT_WITH_NOTE = "kept-with-note"
    """Counted as delivered; the note is shown."""
    BUSY = "busy"
    """The destination lacks resources for now: everything waits."""
    FAILED = "failed"
    """This instance alone was refused."""


SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
DUPLICATE = 0x0111
CLASS_NOT_SUPPORTED = 0x0122
SYNTAX_NOT_SUPPORTED = 0xC122
UNREADABLE_HERE = 0xFFF0
"""Ours, never on the wire: the stored bytes could not be prepared for this destination."""

_WARNINGS = (0x0001, 0x0107, 0x0116)


def outcome(status: int, *, replacing: bool = False) -> Outcome:
    """`replacing`: the destination holds this instance under an identity that is no longer right, so
    keeping its own copy (a duplicate, 0111) is no delivery."""
    if status == SUCCESS:
        return Outcome.KEPT
    if status == DUPLICATE:
        return Outcome.FAILED if replacing else Outcome.KEPT_WITH_NOTE
    if status & 0xF000 == 0xB000 or status in _WARNINGS:
        return Outcome.KEPT_WITH_NOTE
    if status & 0xFF00 == 0xA700:
        return Outcome.BUSY
    return Outcome.FAILED


_WORDS = {
    0xB000: say("status-coerced", "The destination changed some of the data it stored (status B000)"),
    0xB006: say("status-discarded", "The destination left some data elements out (status B006)"),
    0xB007: say(
        "status-mismatch-kept",
        "The destination says the data do not fit their kind of image, and kept them (status B007)",
    ),
    DUPLICATE: say(
        "status-duplicate", "The destination had this already and keeps its own copy (status 0111)"
    ),
    PROCESSING_FAILURE: say("status-processing", "The destination could not process it (status 0110)"),
    0x0117: say("status-identifier", "The destination does not accept its identifier (status 0117)"),
    CLASS_NOT_SUPPORTED: say(
        "status-class", "The destination does not accept this kind of image (status 0122)"
    ),
    0x0124: say("status-not-permitted", "The destination does not permit us to store (status 0124)"),
    SYNTAX_NOT_SUPPORTED: say(
        "status-syntax", "The destination does not accept how the image is encoded (status C122)"
    ),
    UNREADABLE_HERE: say(
        "status-unreadable-here",
        "The image can't be converted to an encoding that the destination accepts",
    ),
}


def words(status: int) -> Said:
    """One plain clause about a status that is not success, with its number."""
    if status in _WORDS:
        return _WORDS[status]
    number = f"{status:04X}"
    if status & 0xFF00 == 0xA700:
        form = "The destination is out of room or too busy (status %(status)s)"
        return say("status-busy", form, status=number)
    if status & 0xFF00 == 0xA900:
        form = "The destination says the data do not fit their kind of image (status %(status)s)"
        return say("status-mismatch", form, status=number)
    if status & 0xF000 == 0xC000:
        form = "The destination does not understand the data (status %(status)s)"
        return say("status-unclear", form, status=number)
    if status & 0xF000 == 0xB000:
        form = "The destination kept it with a warning (status %(status)s)"
        return say("status-warning", form, status=number)
    return say("status-refused", "The destination refused it (status %(status)s)", status=number)
