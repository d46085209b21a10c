"""The HL7 door: messages in by MLLP, made durable as events, then acknowledged."""

import hashlib
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import count

from kit.acts import Act
from kit.bus.port import Bus
from kit.clock import Clock
from kit.errors import TransientError
from kit.hl7.ack import Verdict, acknowledge, batch
from kit.hl7.charset import decode
from kit.hl7.message import Message, NotHl7, parse, split_batch
from kit.hl7.mllp import Frame
from kit.ids import random_id
from kit.metrics import HL7_MESSAGES
from schemas.match import Hl7Received
from services.match.rules.intake import FIELD_CHARACTERS, MOST_SEGMENTS, take

_log = logging.getLogger(__name__)

_TYPE = re.compile(r"(ADT|ORM|OMI|OMG)\^[A-Z]\d\d")
_MOST_IN_A_FRAME = 1000
_MOST_LINES = 100_000
"""In a frame; more would cost far more memory than their bytes."""


@dataclass
class FeedStatus:
    """Counts since the start of the process; nothing of any patient."""

    accepted: int = 0
    errors: int = 0
    rejected: int = 0
    last_message_at: datetime | None = None
    by_type: dict[str, int] = field(default_factory=dict)


class Hl7Door:
    """`answer` is what the MLLP server calls with the frames that are here."""

    def __init__(self, bus: Bus, clock: Clock, *, zone: tzinfo, default_issuer: str) -> None:
        self._bus = bus
        self._clock = clock
        self._zone = zone
        self._default_issuer = default_issuer
        self._run = random_id()[:8]
        self._answers = count(1)
        self.status = FeedStatus()

    async def answer(self, frames: list[Frame]) -> list[str]:
        """Acknowledge the messages of the frames, in order, once what is accepted is durable.

        One publication for all of them: they share a sync to disk. Raises TransientError or
        NoSpace when they can't be stored; then none is acknowledged.
        """
        now = self._clock()
        heard: list[tuple[Act, list[Hl7Received]]] = []
        answers: list[str] = []
        for frame in frames:
            act, taken = Act("message", "match", "HL7"), list[Hl7Received]()
            act.enter()
            try:
                answers += self._frame(frame, now, taken)
            finally:
                act.leave()
            heard.append((act, taken))
        events = [event for _, taken in heard for event in taken]
        try:
            if events:
                await self._bus.publish(events)
        except TransientError as error:
            _end(heard, error)
            raise
        _end(heard)
        self.status.accepted += len(events)
        HL7_MESSAGES.labels("AA").inc(len(events))
        self.status.last_message_at = now
        return answers

    def _frame(self, frame: Frame, now: datetime, events: list[Hl7Received]) -> list[str]:
        text = decode(frame.data)
        if not frame.whole:
            verdict = Verdict("reject", 207, "The message is longer than this receiver takes.")
            return self._refuse(_readable(text), verdict, now)
        if text.count("\r") + text.count("\n") > _MOST_LINES:
            verdict = Verdict("reject", 207, "The message or batch has too many segments.")
            return self._refuse(_readable(text[:FIELD_CHARACTERS]), verdict, now)
        messages, enveloped = split_batch(text)
        if not messages or len(messages) > _MOST_IN_A_FRAME:
            reason = "The batch holds too many messages." if messages else "The message is empty."
            return self._refuse(None, Verdict("reject", 207, reason), now)
        answers = [answer for one in messages for answer in self._message(one, now, events)]
        return [batch(answers)] if enveloped and answers else answers

    def _message(self, text: str, now: datetime, events: list[Hl7Received]) -> list[str]:
        try:
            if text.count("\r") > MOST_SEGMENTS:
                header = parse(text[:FIELD_CHARACTERS])
                return self._refuse(header, Verdict("error", 207, "The message has too many segments."), now)
            message = parse(text, longest=FIELD_CHARACTERS)
        except NotHl7 as error:
            return self._refuse(None, Verdict("reject", 100, f"This is not HL7: {error}."), now)
        taken = take(message, zone=self._zone, default_issuer=self._default_issuer)
        if taken.verdict.outcome != "accept":
            return self._refuse(message, taken.verdict, now)
        event = _event(message, taken.key, taken.text, now)
        events.append(event)
        kind = event.message_type if _TYPE.fullmatch(event.message_type) else "other"
        self.status.by_type[kind] = self.status.by_type.get(kind, 0) + 1
        return self._acknowledge(message, taken.verdict, now)

    def _refuse(self, message: Message | None, verdict: Verdict, now: datetime) -> list[str]:
        if verdict.outcome == "error":
            self.status.errors += 1
            HL7_MESSAGES.labels("AE").inc()
        else:
            self.status.rejected += 1
            HL7_MESSAGES.labels("AR").inc()
        _log.info("HL7 message not taken (%s %d): %s", verdict.outcome, verdict.error, verdict.text)
        return self._acknowledge(message, verdict, now)

    def _acknowledge(self, message: Message | None, verdict: Verdict, now: datetime) -> list[str]:
        answer = acknowledge(
            message, verdict, now=now, zone=self._zone, control_id=f"{self._run}-{next(self._answers)}"
        )
        return [] if answer is None else [answer]


def _end(heard: list[tuple[Act, list[Hl7Received]]], error: Exception | None = None) -> None:
    """Each act ends with what became of its frame's messages."""
    for act, taken in heard:
        if error is not None:
            act.failed(error)
        else:
            act.outcome = "ok" if taken else "refused"
            act.emits(taken)
        act.end()


def _event(message: Message, key: str, text: str, now: datetime) -> Hl7Received:
    """The same message sent again makes the same event. One without id or time can't be recognised."""
    header = message.header
    feed = f"{header.text(3)}|{header.text(4)}"[:120]
    control_id = message.control_id[:199]
    named = bool(control_id and header.text(7))
    digest = hashlib.sha256(f"{feed}\x1f{text}".encode()).hexdigest()
    step = digest[:32] if named else random_id()
    return Hl7Received.first(
        time=now,
        key=key,
        correlation_id=step,
        step=step,
        feed=feed,
        control_id=control_id,
        message_type=f"{message.code}^{message.trigger}"[:16],
        text=text,
    )


def _readable(text: str) -> Message | None:
    try:
        return parse(text, longest=FIELD_CHARACTERS)
    except NotHl7:
        return None
