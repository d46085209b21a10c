"""DIMSE command sets: group 0000 in Implicit VR Little Endian (PS3.7 6.3.1 and annex E)."""

import struct
from collections.abc import Mapping

COMMAND_LIMIT = 16 * 1024
"""Bytes; a real command set has some hundreds."""

AFFECTED_CLASS = 0x0002
REQUESTED_CLASS = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
RESPONDED_TO = 0x0120
PRIORITY = 0x0700
DATASET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_INSTANCE = 0x1000
REQUESTED_INSTANCE = 0x1001
EVENT_TYPE = 0x1002
ACTION_TYPE = 0x1008
MOVE_ORIGINATOR = 0x1030
MOVE_ORIGINATOR_ID = 0x1031

C_STORE_RQ = 0x0001
C_FIND_RQ = 0x0020
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ = 0x0100
N_ACTION_RQ = 0x0130
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000
"""This bit makes the response to a request of the same field."""

NO_DATASET = 0x0101
_DATASET_FOLLOWS = 0x0001

_UIDS = frozenset({AFFECTED_CLASS, REQUESTED_CLASS, AFFECTED_INSTANCE, REQUESTED_INSTANCE})
_TEXTS = frozenset({ERROR_COMMENT, MOVE_ORIGINATOR, 0x0600})
_SHORTS = frozenset(
    {COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO, PRIORITY, DATASET_TYPE, STATUS, 0x0903}
    | {EVENT_TYPE, ACTION_TYPE, 0x1020, 0x1021, 0x1022, 0x1023, MOVE_ORIGINATOR_ID}
)
_HEADER = struct.Struct("<HHI")


class BadCommand(ValueError):
    """Not a command set. The text holds nothing of its content."""


class Command:
    """One command set: element number of group 0000 to its number or text."""

    def __init__(self, elements: Mapping[int, int | str]) -> None:
        self._elements = dict(elements)

    def number(self, element: int) -> int | None:
        value = self._elements.get(element)
        return value if isinstance(value, int) else None

    def text(self, element: int) -> str:
        value = self._elements.get(element)
        return value if isinstance(value, str) else ""

    @property
    def field(self) -> int:
        return self.number(COMMAND_FIELD) or 0

    @property
    def message_id(self) -> int:
        return self.number(MESSAGE_ID) or 0

    @property
    def responded_to(self) -> int | None:
        return self.number(RESPONDED_TO)

    @property
    def has_dataset(self) -> bool:
        return self.number(DATASET_TYPE) != NO_DATASET

    def encode(self) -> bytes:
        body = b"".join(_element(number, self._elements[number]) for number in sorted(self._elements))
        return _HEADER.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def request(field: int, message_id: int, elements: Mapping[int, int | str], *, dataset: bool) -> Command:
    return Command(
        {
            COMMAND_FIELD: field,
            MESSAGE_ID: message_id,
            DATASET_TYPE: _DATASET_FOLLOWS if dataset else NO_DATASET,
            **elements,
        }
    )


def response(to: Command, status: int, comment: str = "") -> Command:
    """The response that carries no data set, naming what the request named."""
    elements: dict[int, int | str] = {
        COMMAND_FIELD: to.field | RESPONSE,
        RESPONDED_TO: to.message_id,
        DATASET_TYPE: NO_DATASET,
        STATUS: status,
    }
    for mine, theirs in (
        (AFFECTED_CLASS, (AFFECTED_CLASS, REQUESTED_CLASS)),
        (AFFECTED_INSTANCE, (AFFECTED_INSTANCE, REQUESTED_INSTANCE)),
    ):
        named = next((text for each in theirs if (text := to.text(each))), "")
        if named:
            elements[mine] = named
    event = to.number(EVENT_TYPE)
    if event is not None:
        elements[EVENT_TYPE] = event
    if comment:
        elements[ERROR_COMMENT] = comment[:64]
    return Command(elements)


def decode(data: bytes) -> Command:
    """Raises BadCommand. Elements this codec has no use for are passed over."""
    elements: dict[int, int | str] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < _HEADER.size:
            raise BadCommand("a command set ends inside an element")
        group, element, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if group != 0:
            raise BadCommand("a command set holds an element of another group")
        if length > end - position:
            raise BadCommand("an element is longer than its command set")
        value = data[position : position + length]
        position += length
        if element in _SHORTS and length == 2:
            elements[element] = int.from_bytes(value, "little")
        elif element in _UIDS or element in _TEXTS:
            elements[element] = value.decode("latin-1").strip("\0 ")
    if COMMAND_FIELD not in elements:
        raise BadCommand("a command set names no command")
    return Command(elements)


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return _HEADER.pack(0, number, 2) + value.to_bytes(2, "little")
    encoded = value.encode("latin-1", "replace")
    if len(encoded) % 2:
        encoded += b"\0" if number in _UIDS else b" "
    return _HEADER.pack(0, number, len(encoded)) + encoded
