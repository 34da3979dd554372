"""A collector of OpenTelemetry's protocol on loopback: it keeps the spans that it was sent, or stands still, as a test tells it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = {1: "internal", 2: "server", 3: "client"}
FAILED = 2


@dataclass(frozen=True, slots=True)
class Exported:
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: a root."""
    kind: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Mapping[str, object]
    links: tuple[str, ...]
    """Trace ids."""

    def holds(self, other: "Exported") -> bool:
        """Whether the other one ran within its time."""
        return self.start_ns <= other.start_ns and other.end_ns <= self.end_ns


@dataclass
class TraceCollector:
    """`silent`: it reads what comes and never answers. `raw` is every body, for searches."""

    port: int = 0
    silent: bool = False
    spans: list[Exported] = field(default_factory=list)
    resources: list[Mapping[str, object]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    raw: bytes = b""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append(request.headers.copy())
        if self.silent:
            await self.stopping.wait()
            return web.Response(status=503)
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.raw += body
        sent = ExportTraceServiceRequest.FromString(body)
        for of_resource in sent.resource_spans:
            self.resources.append(_attributes(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans += [_exported(span) for span in of_scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    def named(self, name: str) -> Exported:
        """The one span of that name. AssertionError where there is none, or several."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{name}: {len(found)} among {sorted(span.name for span in self.spans)}"
        return found[0]


def _exported(span: trace_pb2.Span) -> Exported:
    return Exported(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), KINDS[span.kind], span.start_time_unix_nano,
        span.end_time_unix_nano, span.status.code == FAILED, _attributes(span.attributes), tuple(link.trace_id.hex() for link in span.links),
    )  # fmt: skip


def _attributes(found: "object") -> dict[str, object]:
    pairs: dict[str, object] = {}
    for pair in found:  # type: ignore[attr-defined]  # protobuf's containers have no type of their own to name
        assert isinstance(pair, KeyValue)
        which = pair.value.WhichOneof("value")
        pairs[pair.key] = None if which is None else getattr(pair.value, which)
    return pairs


@asynccontextmanager
async def collecting(*, silent: bool = False) -> AsyncIterator[TraceCollector]:
    """One that listens for as long as the block runs."""
    collector = TraceCollector(silent=silent)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", collector.receive)
    server = TestServer(app)
    await server.start_server()
    assert server.port is not None
    collector.port = server.port
    try:
        yield collector
    finally:
        collector.stopping.set()
        await server.close()
