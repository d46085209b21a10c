"""General acknowledgements (HL7 2.5.1 chapter 2.9): when one is wanted, which code, and its text."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from kit.hl7.message import Message, NotHl7, escape, parse
from kit.hl7.times import hl7_time

Outcome = Literal["accept", "error", "reject"]

_LETTER = {"accept": "A", "error": "E", "reject": "R"}
_ERRORS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    200: "Unsupported message type",
    201: "Unsupported event code",
    207: "Application internal error",
}
"""Table 0357."""
_WANTED = {"AL": ("accept", "error", "reject"), "SU": ("accept",), "ER": ("error", "reject"), "NE": ()}
"""Table 0155."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the receiver makes of a message; the sentence never holds content of the message."""

    outcome: Outcome = "accept"
    error: int = 0
    text: str = ""
    location: str = ""
    """Segment and field, such as PID^1^3."""


ACCEPTED = Verdict()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An acknowledgement as received: MSA-1, MSA-2, MSA-3."""

    code: str
    control_id: str
    text: str

    @property
    def accepted(self) -> bool:
        return self.code in ("AA", "CA")


def read_acknowledgement(text: str) -> Acknowledgement:
    """Raises NotHl7 when it is none."""
    found = parse(text).first("MSA")
    if found is None:
        raise NotHl7("the answer has no MSA segment")
    return Acknowledgement(found.text(1).upper(), found.text(2), found.text(3))


def code_for(message: Message | None, outcome: Outcome) -> str | None:
    """AA/AE/AR, or CA/CE/CR where the sender asks for accept acknowledgements; None: it wants none.

    Original mode (MSH-15 and MSH-16 empty): A*. Enhanced mode: the accept acknowledgement when
    wanted, else the application acknowledgement when wanted; never two answers on one connection.
    """
    accept = message.header.text(15).upper() if message is not None else ""
    application = message.header.text(16).upper() if message is not None else ""
    letter = _LETTER[outcome]
    if not accept and not application:
        return "A" + letter
    if accept and accept != "NE":
        return "C" + letter if outcome in _WANTED.get(accept, _WANTED["AL"]) else None
    wanted = _WANTED.get(application, _WANTED["AL"]) if application else ()
    return "A" + letter if outcome in wanted else None


def acknowledge(
    message: Message | None,
    verdict: Verdict,
    *,
    now: datetime,
    zone: tzinfo,
    control_id: str,
    application: str = "ANTEROOM",
) -> str | None:
    """The acknowledgement's text with CR after every segment; None when the sender wants none.

    `message` None: it could not be read, and is rejected without a control id.
    """
    code = code_for(message, verdict.outcome)
    if code is None:
        return None
    header = message.header if message is not None else None

    def echo(number: int, cap: int = 180) -> str:
        return escape(header.text(number)[:cap]) if header is not None else ""

    trigger = escape(message.trigger[:3]) if message is not None else ""
    version = echo(12, 8) or "2.5.1"
    kind = f"ACK^{trigger}^ACK" if trigger else "ACK"
    parts = [
        "MSH|^~\\&",
        escape(application),
        echo(6),
        echo(3),
        echo(4),
        hl7_time(now, zone),
        "",
        kind,
        escape(control_id),
        echo(11, 1) or "P",
        version,
        "",
        "",
        "",
        "",
        "",
        "UNICODE UTF-8",
    ]
    lines = ["|".join(parts), f"MSA|{code}|{echo(10, 199)}"]
    if verdict.outcome != "accept":
        lines[-1] += f"|{escape(verdict.text)}"
        condition = f"{verdict.error}^{_ERRORS.get(verdict.error, 'Error')}^HL70357"
        if version.startswith(("2.1", "2.2", "2.3", "2.4")):
            place = verdict.location or "^^"
            lines.append(f"ERR|{place}^{condition.replace('^', '&')}")
        else:
            lines.append(f"ERR||{verdict.location}|{condition}|E||||{escape(verdict.text)}")
    return "".join(line + "\r" for line in lines)


def batch(acknowledgements: list[str]) -> str:
    """Answers to the messages of a batch, as a batch (chapter 2.10.3)."""
    return "".join(["BHS|^~\\&\r", *acknowledgements, f"BTS|{len(acknowledgements)}\r"])
