"""Traces: every act as an OpenTelemetry span, sent to a collector by OTLP over HTTP. Off unless asked for.

One act of sending is one trace, through all services, topics and durable tasks, and nothing is stored or
sent along for it: a trace's id derives from the correlation id, which every event and task has, and the span
of an event's publication has an id that derives from the event's. Whoever handles the event knows it.
"""

import hashlib
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kit import acts
from kit.acts import Act
from kit.bus.client_logs import OncePerMinute
from kit.errors import PermanentError
from schemas.envelope import Event

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

_HEX = frozenset("0123456789abcdef")
_STOP_S = 5.0
"""For a collector that is away while we stop."""


def trace_id(correlation_id: str) -> int:
    """A correlation id of 32 hexadecimal digits is the trace's id itself, so that one finds the other."""
    if len(correlation_id) == 32 and _HEX.issuperset(correlation_id):
        return int(correlation_id, 16) or 1
    return int.from_bytes(hashlib.sha256(correlation_id.encode()).digest()[:16]) or 1


def event_span_id(event_id: str) -> int:
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) or 1


class Tracing:
    """Watches acts from `start` to `stop`. Spans wait in memory, and a thread of its own sends them; while
    the collector is away the oldest are dropped."""

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        ratio: float,
        instance: str,
        timeout_s: float = 10.0,
        every_s: float = 5.0,
    ) -> None:
        """`endpoint`: the whole address, as http://collector:4318/v1/traces. `ratio`: the share of traces
        that is sent, of each all or nothing, in every process. Raises PermanentError without the packages."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise PermanentError(
                "Traces need further packages: install anteroom[telemetry], or take telemetry.endpoint out."
            ) from error
        for name in _TALKATIVE:
            _calm(logging.getLogger(name))
        self._exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=timeout_s)
        self._processor = BatchSpanProcessor(self._exporter, schedule_delay_millis=every_s * 1000)
        self._provider_type = TracerProvider
        self._instance = instance
        self._most = int(ratio * (1 << 64))
        self._tracers: dict[str, tuple[Tracer, _Given]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        acts.watch(self)

    def stop(self) -> None:
        """Blocks until what waits is sent, or the collector had its time."""
        acts.unwatch(self)
        enough = threading.Timer(_STOP_S, self._exporter.shutdown)
        enough.start()
        self._processor.shutdown()  # type: ignore[no-untyped-call]
        enough.cancel()

    def ended(self, act: Act) -> None:
        trace = trace_id(act.correlation_id)
        if not self._wanted(trace):
            return
        span = self._span(
            act.service, _VERBS.get(act.kind, "") + act.name, trace, act.span_id, _parent(act), act
        )
        span.set_attribute("anteroom.correlation_id", act.correlation_id)
        for name, value in _attributes(act).items():
            span.set_attribute(name, value)
        if act.outcome == "failed":
            from opentelemetry.trace import Status, StatusCode

            span.set_status(Status(StatusCode.ERROR))
        span.end(act.began_ns + max(1, int(act.took_s * 1e9)))

    def emitted(self, act: Act, event: Event) -> None:
        trace = trace_id(event.correlation_id)
        if not self._wanted(trace):
            return
        own = act.correlation_id == event.correlation_id
        span = self._span(
            act.service, f"publish {event.topic}", trace, event_span_id(event.id), act.span_id if own else 0
        )
        span.set_attribute("messaging.destination.name", event.topic)
        span.set_attribute("messaging.message.id", event.id)
        span.set_attribute("anteroom.correlation_id", event.correlation_id)
        span.end()

    def _wanted(self, trace: int) -> bool:
        return trace & 0xFFFFFFFFFFFFFFFF < self._most

    def _span(
        self, service: str, name: str, trace: int, span_id: int, parent: int, act: Act | None = None
    ) -> "Span":
        from opentelemetry.trace import NonRecordingSpan, SpanKind, set_span_in_context

        kinds = {
            "request": SpanKind.SERVER,
            "message": SpanKind.SERVER,
            "event": SpanKind.CONSUMER,
            "send": SpanKind.CLIENT,
            "task": SpanKind.INTERNAL,
        }
        kind = kinds[act.kind] if act else SpanKind.PRODUCER
        around = set_span_in_context(NonRecordingSpan(_context(trace, parent))) if parent else None
        with self._lock:
            tracer, given = self._tracer(service)
            given.trace, given.span = trace, span_id
            return tracer.start_span(
                name, context=around, kind=kind, start_time=act.began_ns if act else None
            )

    def _tracer(self, service: str) -> "tuple[Tracer, _Given]":
        """A service is a resource of its own, also where one process runs all of them."""
        if service not in self._tracers:
            from opentelemetry.sdk.resources import Resource

            names = {"service.name": service, "service.namespace": "anteroom"}
            given = _Given()
            provider = self._provider_type(
                id_generator=given,  # type: ignore[arg-type]
                resource=Resource.create({**names, "service.instance.id": self._instance}),
                shutdown_on_exit=False,
            )
            provider.add_span_processor(self._processor)
            self._tracers[service] = provider.get_tracer("anteroom"), given
        return self._tracers[service]


class _Given:
    """Ids as they were set just before (an OpenTelemetry IdGenerator)."""

    trace = 1
    span = 1

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span

    def is_trace_id_random(self) -> bool:
        return False


_TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._common",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
)
_VERBS = {"event": "handle ", "task": "task "}


def _parent(act: Act) -> int:
    """The act it is a part of, else the publication of the event that led to it, else nothing."""
    if act.inside is not None and act.inside.correlation_id == act.correlation_id:
        return act.inside.span_id
    return event_span_id(act.cause) if act.cause else 0


def _attributes(act: Act) -> dict[str, acts.Detail]:
    found: dict[str, acts.Detail] = {f"anteroom.{name}": value for name, value in act.details.items()}
    if act.kind == "request":
        method, _, route = act.name.partition(" ")
        found |= {"http.request.method": method}
        found |= {"http.route": route} if route else {}
        if "status" in act.details:
            found["http.response.status_code"] = found.pop("anteroom.status")
    elif act.kind == "event":
        found |= {"messaging.destination.name": act.name, "messaging.message.id": act.cause}
        found["messaging.consumer.group.name"] = found.pop("anteroom.group")
    if act.error:
        found["error.type"] = act.error
    return found


def _context(trace: int, span: int) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _calm(logger: logging.Logger) -> None:
    if not any(isinstance(known, OncePerMinute) for known in logger.filters):
        logger.addFilter(OncePerMinute())
