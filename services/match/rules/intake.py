"""Whether a message that came in by MLLP can be used, and what of it is kept."""

from dataclasses import dataclass
from datetime import tzinfo

from kit.hl7.ack import ACCEPTED, Verdict
from kit.hl7.message import Message
from services.match.rules.facts import MERGES, ORDERS, PatientFacts, merges, orders, patients

_CODES = {code for code, _ in ORDERS}
_KEPT: dict[str, tuple[int, ...]] = {
    "MSH": (2, 3, 4, 7, 9, 10, 12),
    "EVN": (1, 2),
    "PID": (3, 5, 7, 8, 9),
    "MRG": (1, 4, 7),
    "ORC": (1, 2, 3, 7),
    "OBR": (2, 3, 4, 18, 19, 20, 24, 27, 36, 44),
    "TQ1": (7,),
    "IPC": (1, 2, 3, 4, 5, 6),
    "ZDS": (1,),
}
FIELD_CHARACTERS = 4096
"""Read of any field; what is taken is decided on no more than is kept."""

MOST_SEGMENTS = 2000


@dataclass(frozen=True)
class Taken:
    """`key` orders events: the patient's; `text` is what is kept of the message."""

    verdict: Verdict
    key: str = ""
    text: str = ""


def take(message: Message, *, zone: tzinfo, default_issuer: str) -> Taken:
    """AR for what this door is not for, AE for a message of a known type that can't be used.

    The message was read with fields of at most FIELD_CHARACTERS and has at most MOST_SEGMENTS.
    """
    people = patients(message, default_issuer)
    refused = _refusal(message, people, default_issuer, zone)
    if refused is not None:
        return Taken(refused)
    return Taken(ACCEPTED, people[0].key, kept_text(message))


def _refusal(
    message: Message, people: list[PatientFacts], default_issuer: str, zone: tzinfo
) -> Verdict | None:
    code, trigger = message.code, message.trigger
    if code != "ADT" and code not in _CODES:
        reason = "Only ADT, ORM, OMI and OMG messages are taken here."
        return Verdict("reject", 200, reason, "MSH^1^9")
    if code != "ADT" and (code, trigger) not in ORDERS:
        return Verdict("reject", 201, "This trigger event is not taken here.", "MSH^1^9")
    if message.first("PID") is None:
        return Verdict("error", 100, "The message has no PID segment.", "PID^1")
    if not people:
        return Verdict("error", 101, "PID-3 holds no patient ID.", "PID^1^3")
    if code == "ADT" and trigger in MERGES and not merges(message, default_issuer):
        reason = "The merge names no record to retire, or the surviving record itself."
        return Verdict("error", 101, reason, "MRG^1^1")
    if code != "ADT" and not orders(message, zone):
        return Verdict("error", 101, "The order has no placer, filler or accession number.", "ORC^1^2")
    return None


def kept_text(message: Message) -> str:
    """The segments and fields that are read later, in the message's own delimiters."""
    lines = []
    for segment in message.segments:
        wanted = _KEPT.get(segment.name)
        if wanted is None:
            continue
        kept = [""] * (min(wanted[-1], len(segment.fields) - 1) + 1)
        for number in wanted:
            if number < len(kept):
                kept[number] = segment.fields[number]
        # MSH-1 is the separator itself.
        rest = kept[2:] if segment.name == "MSH" else kept[1:]
        lines.append(segment.delimiters.field.join([segment.name, *rest]))
    return "".join(line + "\r" for line in lines)
