"""What a destination's answer for one instance means (PS3.4 B.2.3, PS3.7 annex C, PS3.18 10.5.3)."""

from enum import StrEnum


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
    0xB000: "The destination changed some of the data it stored",
    0xB006: "The destination left some data elements out",
    0xB007: "The destination says the data do not fit their kind of image, and kept them",
    DUPLICATE: "The destination had this already and keeps its own copy",
    PROCESSING_FAILURE: "The destination could not process it",
    0x0117: "The destination does not accept its identifier",
    CLASS_NOT_SUPPORTED: "The destination does not accept this kind of image",
    0x0124: "The destination does not permit us to store",
    SYNTAX_NOT_SUPPORTED: "The destination does not accept how the image is encoded",
    UNREADABLE_HERE: "The image can't be converted to an encoding that the destination accepts",
}


def words(status: int) -> str:
    """One plain clause about a status that is not success, with its number."""
    text = _WORDS.get(status)
    if text is None:
        if status & 0xFF00 == 0xA700:
            text = "The destination is out of room or too busy"
        elif status & 0xFF00 == 0xA900:
            text = "The destination says the data do not fit their kind of image"
        elif status & 0xF000 == 0xC000:
            text = "The destination does not understand the data"
        elif status & 0xF000 == 0xB000:
            text = "The destination kept it with a warning"
        else:
            text = "The destination refused it"
    return text if status == UNREADABLE_HERE else f"{text} (status {status:04X})"
