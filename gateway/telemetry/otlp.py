"""Traces by OpenTelemetry's SDK, sent to a collector over OTLP/HTTP. The only file that imports it, and imported only where tracing is on.

Spans wait in a queue (2,048 of them, or OTEL_BSP_MAX_QUEUE_SIZE) for a thread that sends them in batches. How it fails: a collector that is slow or
gone costs no call anything; spans beyond the queue are lost, which the log says at most once a minute. At the end what is left is sent in CLOSE_S.
What the config does not say the standard variables OTEL_* may, since the SDK reads them itself.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from gateway.domain.clock import Clock
from gateway.telemetry.traces import Attributes, Kind, Open, Parent, Traces, parse

CLOSE_S = 2.0
"""What the last spans may take of a stop."""
QUIET_S = 60.0
"""Between two lines of the same complaint about the collector."""
SEND_S = 10.0
"""For one batch, tries included, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing."""
ATTRIBUTE_CHARS_MAX = 256

_KINDS = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}
_NOWHERE = Context()


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go, and which. None: what OTEL_* says, or OpenTelemetry's own default."""

    endpoint: str | None
    """Whole, with its path."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    sample: float | None = None
    """The share of the traces begun here that is recorded."""
    follow: bool = True
    """Whether a caller's `traceparent` is a parent; False: it is only linked."""
    service: str | None = None


class OtlpTraces(Traces):
    """Begins spans, and sends those that have ended."""

    def __init__(self, collector: Collector, *, version: str, instance: str, clock: Clock) -> None:
        sampler = None if collector.sample is None else ParentBased(TraceIdRatioBased(collector.sample))
        self._follow = collector.follow
        self._exporter = OTLPSpanExporter(
            endpoint=collector.endpoint, headers=dict(collector.headers) or None, certificate_file=collector.ca_file
        )
        self._processor = BatchSpanProcessor(self._exporter)
        self._provider = TracerProvider(
            sampler=sampler,
            resource=_resource(collector.service, version, instance),
            span_limits=SpanLimits(max_span_attribute_length=ATTRIBUTE_CHARS_MAX),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("image-gateway", version)
        for name in _COMPLAINERS:
            quiet = logging.getLogger(name)
            if not any(isinstance(present, _Quiet) for present in quiet.filters):
                quiet.addFilter(_Quiet(clock))

    def call(self, name: str, parent: Parent | None, attributes: Attributes) -> Open:
        context, links = _NOWHERE, None
        if parent is not None:
            remote = _remote(parent)
            context = set_span_in_context(remote, _NOWHERE) if self._follow else _NOWHERE
            links = None if self._follow else [Link(remote.get_span_context())]
        begun = self._tracer.start_span(
            name, context=context, kind=SpanKind.SERVER, attributes=_present(attributes), links=links
        )
        return _Span(self._tracer, begun)

    def below(self, traceparent: str | None) -> Open:
        parent = parse(traceparent)
        return _Span(self._tracer, NonRecordingSpan(SpanContext(0, 0, False)) if parent is None else _remote(parent))

    async def close(self) -> None:
        """Send what is left, for at most CLOSE_S; what is left then is lost. Never raises."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        # Not by the loop's own threads: those are waited for at the end, however long the collector takes.
        threading.Thread(target=shut, name="traces-close", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_S):
                await done.wait()
        except TimeoutError:
            threading.Thread(target=self._exporter.shutdown, name="traces-give-up", daemon=True).start()


class _Span(Open):
    """A span of the SDK's, or a parent that is none of this process's."""

    __slots__ = ("_context", "_failed", "_span", "_tracer", "span_id", "trace_id", "traceparent")

    def __init__(self, tracer: Tracer, begun: Span) -> None:
        self._tracer, self._span, self._failed = tracer, begun, False
        self._context: Context | None = None
        told = begun.get_span_context()
        self.trace_id = self.span_id = self.traceparent = ""
        if told.is_valid:
            self.trace_id, self.span_id = format_trace_id(told.trace_id), format_span_id(told.span_id)
            self.traceparent = f"00-{self.trace_id}-{self.span_id}-{told.trace_flags & 1:02x}"

    def child(self, name: str, attributes: Attributes, kind: Kind) -> Open:
        if self._context is None:
            self._context = set_span_in_context(self._span, _NOWHERE)
        begun = self._tracer.start_span(name, context=self._context, kind=_KINDS[kind], attributes=_present(attributes))
        return _Span(self._tracer, begun)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(_present(attributes))

    def fail(self, error_type: str) -> None:
        if not self._failed:
            self._failed = True
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class _Quiet(logging.Filter):
    """The same complaint at most once in QUIET_S, and never with a traceback: a collector that is away for a day is not worth a line a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        now_s, what = self._clock.monotonic_s(), f"{record.name} {record.lineno}"
        if now_s - self._said.get(what, -QUIET_S) < QUIET_S:
            return False
        self._said[what] = now_s
        return True


_COMPLAINERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
    "urllib3.connectionpool",
)


def _remote(parent: Parent) -> NonRecordingSpan:
    state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(parent.trace_id, parent.span_id, True, flags, state))


def _present(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _resource(service: str | None, version: str, instance: str) -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before our own names, the config before both."""
    said = OTELResourceDetector().detect().attributes
    own = {SERVICE_NAME: "image-gateway", SERVICE_VERSION: version, SERVICE_INSTANCE_ID: instance}
    kept = {name: value for name, value in own.items() if name not in said}
    return Resource.create(kept if service is None else {**kept, SERVICE_NAME: service})
