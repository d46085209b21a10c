"""What is being done right now, and how it finds out what it goes back to."""

import asyncio
from collections.abc import Iterator

import pytest

from kit import acts
from kit.acts import Act
from kit.clock import utc_now
from schemas.envelope import Event
from schemas.notify import NoticeSent


class Watched:
    def __init__(self) -> None:
        self.ends: list[Act] = []
        self.events: list[tuple[Act, str]] = []

    def ended(self, act: Act) -> None:
        self.ends.append(act)

    def emitted(self, act: Act, event: Event) -> None:
        self.events.append((act, event.id))


@pytest.fixture
def watched() -> Iterator[Watched]:
    watcher = Watched()
    acts.watch(watcher)
    yield watcher
    acts.unwatch(watcher)


def event(key: str, correlation_id: str) -> NoticeSent:
    return NoticeSent.first(
        time=utc_now(),
        key=key,
        correlation_id=correlation_id,
        notice_id="n",
        channel="email",
        kind="sent",
        about=key,
    )


def test_an_act_has_an_id_of_its_own_until_it_is_known_what_it_goes_back_to() -> None:
    with Act("request", "upload", "POST") as outer, Act("send", "upload", "part", inside=True) as inner:
        assert outer.correlation_id == inner.correlation_id
        acts.follow("one")
        acts.follow("two")
        assert (outer.correlation_id, inner.correlation_id) == ("one", "one")
    with Act("event", "match", "study-arrived", correlation_id="three") as act:
        acts.follow("four")
        assert act.correlation_id == "three"
    assert acts.current() is None


def test_an_act_that_is_no_part_of_another_changes_none() -> None:
    with Act("event", "forward", "study-decided") as outer:
        with Act("task", "forward", "deliveries"):
            acts.follow("other")
        assert outer.correlation_id != "other"
        assert acts.current() is outer


def test_what_is_emitted_says_what_the_act_goes_back_to_and_is_told_once(watched: Watched) -> None:
    first = event("a", "sub")
    with Act("request", "notify", "POST") as act:
        acts.emitted([first])
        acts.emitted([first, event("b", "else")])
    assert act.correlation_id == "sub"
    assert [name for _, name in watched.events] == [first.id, event("b", "else").id]
    acts.emitted([first])
    assert len(watched.events) == 2


def test_a_failure_is_told_by_its_kind_alone(watched: Watched) -> None:
    with pytest.raises(KeyError), Act("task", "a", "b"):
        raise KeyError("DOE^JOHN")
    (act,) = watched.ends
    assert (act.outcome, act.error) == ("failed", "KeyError")
    with Act("task", "a", "b") as idle:
        idle.outcome = "void"
    assert watched.ends == [act]


def test_being_ended_from_outside_is_no_failure(watched: Watched) -> None:
    with pytest.raises(asyncio.CancelledError), Act("request", "a", "b"):
        raise asyncio.CancelledError
    assert watched.ends[0].outcome == "ok"


def test_a_helper_process_says_the_same() -> None:
    with Act("task", "validate", "batches", correlation_id="sub"):
        marks = acts.marks()
    with acts.resumed(marks):
        act = acts.current()
        assert act is not None
        assert (act.service, act.kind, act.name, act.correlation_id) == ("validate", "task", "batches", "sub")
    with acts.resumed(None):
        assert acts.current() is None
