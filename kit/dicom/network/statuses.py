"""DIMSE status codes by name and family (PS3.7 annex C, PS3.4 B.2.3, C.4.1, J.3.2)."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    SUCCESS = "success"
    WARNING = "warning"
    REFUSED = "refused"
    """Out of resources: the same may succeed later."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    PENDING = "pending"


SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_INSTANCE = 0x0117
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
COERCED = 0xB000
ELEMENTS_DISCARDED = 0xB006
CLASS_MISMATCH_WARNING = 0xB007

_NAMES = {
    SUCCESS: "success",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "attribute list error",
    PROCESSING_FAILURE: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0116: "attribute value out of range",
    INVALID_INSTANCE: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    SOP_CLASS_NOT_SUPPORTED: "SOP class not supported",
    0x0123: "no such action",
    NOT_AUTHORIZED: "not authorized",
    0x0131: "duplicate transaction UID",
    0x0210: "duplicate invocation",
    UNRECOGNIZED_OPERATION: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    COERCED: "coercion of data elements",
    ELEMENTS_DISCARDED: "elements discarded",
    CLASS_MISMATCH_WARNING: "data set does not match SOP class (kept)",
    0xFE00: "cancelled",
    0xFF00: "pending",
    0xFF01: "pending, optional keys not supported",
}
_FAMILY_NAMES = {
    0xA7: "out of resources",
    0xA9: "data set does not match SOP class",
}


@dataclass(frozen=True)
class Status:
    """A status as a peer answered it. `comment` is the peer's own (0000,0902): it may hold anything,
    never log it."""

    code: int
    comment: str = ""

    @property
    def family(self) -> Family:
        code = self.code
        if code == SUCCESS:
            return Family.SUCCESS
        if code in (0x0001, 0x0107, 0x0116) or code >> 12 == 0xB:
            return Family.WARNING
        if code >> 8 == 0xA7 or code == 0x0213:
            return Family.REFUSED
        if code == 0xFE00:
            return Family.CANCELLED
        if code in (0xFF00, 0xFF01):
            return Family.PENDING
        return Family.FAILED

    @property
    def name(self) -> str:
        if self.code in _NAMES:
            return _NAMES[self.code]
        if self.code >> 12 == 0xC:
            return "cannot understand"
        return _FAMILY_NAMES.get(self.code >> 8, "unknown status")

    @property
    def ok(self) -> bool:
        """Success, or a warning: the operation was performed."""
        return self.family in (Family.SUCCESS, Family.WARNING)

    def __str__(self) -> str:
        return f"{self.name} (0x{self.code:04X})"
