"""The way of a submission as its sender sees it. Pure: out of its track, its studies' cases and who looked.

Says nothing that the hospital knows of its patients: no identities, no orders, no names of staff.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.portal.models import Case
from services.portal.rules.state import State
from services.portal.tracking.models import Track

Mark = Literal["done", "now", "stop", ""]
_DECIDED = {State.APPROVED, State.IN_PACS, State.FAILED}
_LATER = ("Viewable", "Matched", "Approved", "In PACS", "Seen")


@dataclass(frozen=True)
class Step:
    """One step: its name, how far it is, when it was done, and a word where it is not simply that."""

    name: str
    mark: Mark
    time: datetime | None = None
    text: str = ""


@dataclass(frozen=True)
class Advice:
    """What is wrong, in a sentence for the sender, and what to do. `quote` is the hospital's own words."""

    tone: Literal["info", "wait", "stop", "ok"]
    title: str
    text: str
    quote: str = ""
    go_on: bool = False
    """Sending more, or again, is what helps."""
    answer_at: str = ""
    """The study below which a sender with an account may answer."""


@dataclass(frozen=True)
class Way:
    title: str
    tone: Literal["info", "wait", "stop", "ok"]
    """Of the word that stands for all of it in a list."""
    word: str
    steps: list[Step]
    advice: list[Advice]
    settled: bool
    """Nothing more will happen by itself."""


def way_of(track: Track, cases: Sequence[Case], looked_at: datetime | None) -> Way:
    cases = [case for case in cases if case.study is not None]
    steps = _steps(track, cases, looked_at)
    advice = _advice(track, cases)
    title, tone, word = _summary(track, cases, looked_at)
    done = all(step.mark == "done" for step in steps)
    stopped = bool(cases) and all(case.state == State.DECLINED for case in cases)
    return Way(title, tone, word, steps, advice, settled=done or stopped)


def _steps(track: Track, cases: Sequence[Case], looked_at: datetime | None) -> list[Step]:
    closed = track.closed_at is not None
    first = [Step("Sent", "done" if closed else "now", track.closed_at), _safe(track)]
    if _checked(track) and not cases:
        return [*first, *(Step(name, "") for name in _LATER)]
    arrived = [case.arrived_at for case in cases if case.arrived_at is not None]
    viewable = Step("Viewable", "done" if arrived else "now" if closed else "", min(arrived, default=None))
    matched = [_matched_at(case) for case in cases]
    ready = bool(cases) and all(time is not None for time in matched)
    under_way = any(case.state != State.DECLINED for case in cases if _matched_at(case) is None)
    match = (
        Step("Matched", "done", _latest(matched)) if ready else Step("Matched", "now" if under_way else "")
    )
    approved = _approved(cases, ready=ready)
    seen = Step("Seen", "done" if looked_at is not None else "", looked_at)
    return [*first, viewable, match, approved, _in_pacs(cases), seen]


def _safe(track: Track) -> Step:
    if _checked(track):
        return Step("Safe", "done", track.validated_at, "some put aside" if track.tally.quarantined else "")
    return Step("Safe", "now" if track.closed_at is not None else "")


def _approved(cases: Sequence[Case], *, ready: bool) -> Step:
    states = [State(case.state) for case in cases]
    if states and all(state in _DECIDED for state in states):
        return Step("Approved", "done", _latest([_at(case, "approved") for case in cases]))
    if State.DECLINED in states:
        return Step("Approved", "stop", _latest([_at(case, "declined") for case in cases]), "declined")
    if State.ASKED in states:
        return Step("Approved", "stop", _latest([_at(case, "asked") for case in cases]), "a question")
    count = sum(state in _DECIDED for state in states)
    text = f"{count} / {len(states)}" if count else ""
    return Step("Approved", "now" if ready or count else "", None, text)


def _in_pacs(cases: Sequence[Case]) -> Step:
    states = [State(case.state) for case in cases]
    if states and all(state is State.IN_PACS for state in states):
        return Step("In PACS", "done", _latest([_at(case, "in-pacs") for case in cases]))
    return Step("In PACS", "now" if any(state in _DECIDED for state in states) else "")


def _advice(track: Track, cases: Sequence[Case]) -> list[Advice]:
    found = []
    if track.closed_at is None:
        found.append(
            Advice(
                "info",
                "Not everything has been sent yet.",
                "Leave the page you send from open, or choose the same folder there once more: "
                "it goes on where it stopped.",
                go_on=True,
            )
        )
    elif track.close_reason == "expired":
        found.append(
            Advice(
                "wait",
                "Sending was not finished.",
                "Nothing came for a day, so it was closed. What arrived is kept. "
                "Choose the same folder again to send it once more.",
                go_on=True,
            )
        )
    if track.tally.quarantined and "quarantine" not in track.gone:
        found.append(
            Advice(
                "stop",
                "Some files were put aside.",
                "Something harmful or odd was found in them. The hospital decides what becomes of them; "
                "the others go on.",
            )
        )
    if track.tally.waiting and track.validated_at is not None:
        text = "They go on by themselves. You need do nothing."
        found.append(Advice("wait", "Some files still wait to be checked.", text))
    for case in cases:
        found += _advice_on(case)
    return list(dict.fromkeys(found))


def _advice_on(case: Case) -> list[Advice]:
    if case.state == State.ASKED:
        text = "Answer by calling the hospital, or send what is missing as a new submission."
        return [Advice("wait", "The hospital asks:", text, quote=case.why, go_on=True, answer_at=case.id)]
    if case.state == State.DECLINED:
        return [
            Advice(
                "stop",
                "The hospital did not take a study over.",
                "Call the hospital if you think this is a mistake.",
                quote=case.why,
            )
        ]
    if case.state == State.FAILED:
        return [
            Advice(
                "wait",
                "Passing a study on takes longer.",
                "Nothing is lost, and the hospital knows. You need do nothing.",
            )
        ]
    return []


def _summary(
    track: Track, cases: Sequence[Case], looked_at: datetime | None
) -> tuple[str, Literal["info", "wait", "stop", "ok"], str]:
    states = [State(case.state) for case in cases]
    if any(state is State.ASKED for state in states):
        return "The hospital has a question", "wait", "Question"
    if states and all(state is State.DECLINED for state in states):
        return "The hospital did not take the images over", "stop", "Declined"
    if states and all(state is State.IN_PACS for state in states) and track.closed_at is not None:
        return "Your images are in the hospital’s archive", "ok", "In PACS"
    if track.closed_at is None:
        return "Your images are being sent", "info", "Sending"
    if not _checked(track):
        return "Your images are being checked", "info", "Checking"
    if not states:
        return (
            ("Your documents have arrived", "ok", "Arrived")
            if track.tally.document
            else ("No images were among your files", "stop", "No images")
        )
    if any(state in _DECIDED for state in states):
        return "Your images are on the way into the archive", "info", "Approved"
    return "Your images are being reviewed", "info", "In review"


def _checked(track: Track) -> bool:
    return track.closed_at is not None and track.validated_at is not None and track.tally.waiting == 0


def _matched_at(case: Case) -> datetime | None:
    """When it was known whose study it is: by matching, or by whoever decided on it."""
    if case.state in _DECIDED and (case.match is None or case.match.state != "matched"):
        return _at(case, "approved")
    return _at(case, "matched") if case.match is not None and case.match.state == "matched" else None


def _at(case: Case, stage: str) -> datetime | None:
    return _latest([entry.time for entry in case.timeline if entry.stage == stage])


def _latest(times: Sequence[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
