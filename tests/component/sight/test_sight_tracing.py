"""Traces go out when there is somebody to take them, and disturb nothing when there is not."""

import builtins
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from anteroom.settings import Settings, TelemetrySettings
from anteroom.sight import in_sight
from kit import acts
from kit.acts import Act
from kit.clock import utc_now
from kit.errors import PermanentError
from kit.tracing import _TALKATIVE, Tracing, event_span_id, trace_id
from schemas.view import StudyViewed
from tests.neighbours.collector import Collector
from tests.neighbours.process import free_port


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.start()
    yield made
    made.stop()


def tracing(endpoint: str, ratio: float = 1.0) -> Tracing:
    return Tracing(endpoint, headers={}, ratio=ratio, instance="one", timeout_s=1)


def viewed(correlation_id: str, key: str = "k") -> StudyViewed:
    return StudyViewed.first(
        time=utc_now(),
        key=key,
        correlation_id=correlation_id,
        study_id="s",
        account_id="a",
        account="A",
        session_id="x",
    )


def test_a_submission_is_found_by_its_own_id() -> None:
    assert f"{trace_id('0123456789abcdef0123456789abcdef'):032x}" == "0123456789abcdef0123456789abcdef"
    assert trace_id("1.2.840.1") == trace_id("1.2.840.1") != trace_id("1.2.840.2")
    assert trace_id("") != 0 != trace_id("0" * 32)
    assert event_span_id("a") != event_span_id("b")


def test_whoever_handles_an_event_hangs_below_its_publication_in_another_process(
    collector: Collector,
) -> None:
    first, second = tracing(collector.endpoint), tracing(collector.endpoint)
    event = viewed("c" * 32)
    first.start()
    with Act("request", "view", "GET /x") as act:
        acts.emitted([event])
    first.stop()
    second.start()
    handled = Act("event", "portal", event.topic, correlation_id=event.correlation_id, cause=event.id)
    handled.details["group"] = "portal"
    with handled:
        pass
    second.stop()
    by_name = {span.name: span for span in collector.spans}
    assert set(by_name) == {"GET /x", "publish study-viewed", "handle study-viewed"}
    assert by_name["publish study-viewed"].parent == by_name["GET /x"].id
    assert by_name["handle study-viewed"].parent == by_name["publish study-viewed"].id
    assert {span.trace for span in collector.spans} == {act.correlation_id} == {"c" * 32}
    assert by_name["handle study-viewed"].attributes["messaging.consumer.group.name"] == "portal"


def test_an_event_of_another_matter_hangs_below_nothing(collector: Collector) -> None:
    sending = tracing(collector.endpoint)
    sending.start()
    with Act("event", "match", "x", correlation_id="a" * 32) as act:
        act.details["group"] = "match"
        acts.emitted([viewed("b" * 32)])
    sending.stop()
    published = next(span for span in collector.spans if span.name == "publish study-viewed")
    assert (published.parent, published.trace) == ("", "b" * 32)


def test_of_a_share_of_traces_each_is_sent_whole_or_not_at_all(collector: Collector) -> None:
    sending = tracing(collector.endpoint, ratio=0.5)
    sending.start()
    for number in range(40):
        correlation_id = f"{number * 0x0666666666666667:032x}"[-32:]
        with Act("request", "view", "GET", correlation_id=correlation_id):
            acts.emitted([viewed(correlation_id, str(number))])
    sending.stop()
    counts: dict[str, int] = {}
    for span in collector.spans:
        counts[span.trace] = counts.get(span.trace, 0) + 1
    assert set(counts.values()) == {2}
    assert 10 <= len(counts) <= 30


@pytest.mark.parametrize("refused", [True, False])
def test_a_collector_that_is_away_or_refuses_holds_nobody_up(
    collector: Collector,
    refused: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in _TALKATIVE:
        # each message goes through once a minute, also from one test to the next
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    collector.status = 503
    sending = tracing(collector.endpoint if refused else f"http://127.0.0.1:{free_port()}/v1/traces")
    sending.start()
    with caplog.at_level(logging.WARNING):
        for _ in range(600):
            with Act("request", "view", "GET"):
                pass
        sending.stop()
    assert collector.spans == []
    assert caplog.records, "an operator must hear of it"
    assert len(caplog.records) < 20


async def test_it_costs_nothing_where_it_was_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages need not even be there."""
    original = builtins.__import__

    def without(name: str, *given: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return original(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", without)

    async def nothing() -> None: ...

    async with in_sight(Settings(), "one", nothing) as address:
        assert address == ""
        with Act("request", "view", "GET"):
            acts.emitted([viewed("a" * 32)])
    assert acts.current() is None
    asked = Settings(telemetry=TelemetrySettings(endpoint="http://127.0.0.1:1/v1/traces"))
    with pytest.raises(PermanentError, match=r"install anteroom\[telemetry\]"):
        async with in_sight(asked, "one", nothing):
            pass
