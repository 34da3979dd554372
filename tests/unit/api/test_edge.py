"""What holds for every request: keys, ids, bodies in time and size, unknown routes, health, metrics, the document."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator

import pytest
import schemathesis
from aiohttp import http_parser
from jsonschema import Draft202012Validator

from gateway.api import body as body_module
from gateway.api.body import BODY_BYTES_MAX
from gateway.api.call import GENERATION_BYTES_MAX
from gateway.api.route import Route
from gateway.api.routes import ROUTES
from gateway.api.server import assert_compiled_parser, make_runner
from gateway.domain.errors import KeyExpired
from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import KEY, FakePipeline


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if not route.public], ids=lambda route: f"{route.method} {route.path}"
)
async def test_every_private_route_needs_a_key(edge: Edge, route: Route) -> None:
    """Without a key: 401 before anything is asked of the pipeline; the wrong key is told apart."""
    method, path = route.method, re.sub(r"\{.*?\}", "x", route.path)
    answer = await edge.client.request(method, path)
    assert (answer.status, (await answer.json())["error"]["code"]) == (401, "missing_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = await edge.client.request(method, path, headers={"Authorization": "Bearer igw_wrong"})
    assert (await answer.json())["error"]["code"] == "invalid_api_key"
    assert edge.pipeline.asked == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/v1/results/a/b.png", "/metrics"])
async def test_public_routes_need_none(edge: Edge, path: str) -> None:
    """Probes, document and links are open."""
    assert (await edge.client.get(path)).status == 200


async def test_an_expired_key_says_so(edge: Edge) -> None:
    """The authenticator's own error is the answer."""
    edge.authenticator.error = KeyExpired("This key has expired.")
    answer = await edge.get("/v1/models")
    assert (answer.status, (await answer.json())["error"]["code"]) == (401, "key_expired")


async def test_request_ids_are_ours(edge: Edge) -> None:
    """Always a new one in the header; the client's own only in the log, and only if it is harmless."""
    first = await edge.get("/v1/models", **{"X-Request-Id": "abc"})
    second = await edge.get("/v1/models", **{"X-Request-Id": "a b" * 60})
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert first.headers["X-Request-Id"].startswith("req_")
    assert [line["client_request_id"] for line in edge.lines.lines] == ["abc", None]


async def test_unknown_routes_and_methods(edge: Edge) -> None:
    """404 and 405 in the envelope, the latter with Allow."""
    answer = await edge.client.get("/v2/nothing")
    assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")
    answer = await edge.client.delete("/v1/images/generations")
    assert (answer.status, (await answer.json())["error"]["code"], answer.headers["Allow"]) == (
        405,
        "method_not_allowed",
        "POST",
    )
    answer = await edge.client.post("/v1/chat/completions", json={})
    assert "Chat, text, audio" in (await answer.json())["error"]["message"]
    assert answer.reason is not None
    assert answer.reason.startswith("Not Found: Chat")


async def test_a_body_declared_too_large_is_refused_unread(edge: Edge) -> None:
    """413 by the header alone, at each route's own limit; the connection ends with it."""
    host, port = edge.client.server.host, edge.client.server.port
    assert port is not None
    for path, limit in (("images/generations", GENERATION_BYTES_MAX), ("tasks/batch", BODY_BYTES_MAX)):
        answer = await _raw(
            host,
            port,
            f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {limit + 1}\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()
        assert edge.lines.last["error"] == "request_too_large"


async def test_a_chunked_body_is_counted(edge: Edge) -> None:
    """Without a declared length, reading stops at the limit."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65536 + 2):
            yield b" " * 65536

    answer = await edge.client.post(
        "/v1/images/generations",
        data=endless(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    assert answer.status == 413


async def test_a_body_that_does_not_come_is_408(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared body that never arrives frees its connection by our deadline."""
    monkeypatch.setattr(body_module, "READ_S_MIN", 0.02)
    host, port = edge.client.server.host, edge.client.server.port
    assert port is not None
    answer = await _raw(
        host,
        port,
        f'POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 500\r\n\r\n{{"prompt":',
    )
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert edge.lines.last["error"] == "request_timeout"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/json", 200), ("application/json; charset=UTF-8", 200), ("application/vnd.x+json", 200), ("text/plain", 400),
     ("application/x-www-form-urlencoded", 400), ("multipart/form-data; boundary=x", 400), ("application/json; charset=latin-1", 400)],
)  # fmt: skip
async def test_content_types(edge: Edge, content_type: str, status: int) -> None:
    """JSON in UTF-8, whatever its name; everything else is told what to send."""
    answer = await edge.client.post(
        "/v1/images/generations",
        data=b'{"prompt":"x"}',
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": content_type},
    )
    assert answer.status == status
    if status == 400:
        assert (await answer.json())["error"]["param"] == "Content-Type"


async def test_readiness_has_reasons(make_edge: MakeEdge) -> None:
    """Not ready is 503 with the why; alive is independent of it."""
    edge = await make_edge(FakePipeline(reasons=("the database does not answer",)))
    answer = await edge.client.get("/readyz")
    assert (answer.status, (await answer.json())["reasons"]) == (503, ["the database does not answer"])
    assert (await edge.client.get("/healthz")).status == 200


async def test_metrics_are_for_this_machine(make_edge: MakeEdge) -> None:
    """A scraper here sees them; what a proxy passes on does not, unless they are public."""
    edge = await make_edge()
    await edge.generate(model="gpt-image-2")
    text = await (await edge.client.get("/metrics")).text()
    assert 'gateway_http_requests_total{method="POST",route="/v1/images/generations",status="200"} 1.0' in text
    assert (await edge.client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})).status == 404
    public = await make_edge(metrics_public=True)
    assert (await public.client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})).status == 200


async def test_unknown_paths_do_not_grow_the_metrics(edge: Edge) -> None:
    """Paths of a scanner share one series."""
    for index in range(3):
        await edge.client.get(f"/wp-admin/{index}.php")
    text = await (await edge.client.get("/metrics")).text()
    assert 'gateway_http_requests_total{method="ANY",route="unmatched",status="404"} 3.0' in text
    assert "wp-admin" not in text


async def test_the_document_covers_every_route_and_its_schemas_are_schemas(edge: Edge) -> None:
    """Paths and methods are those of the table, references resolve, each schema is valid JSON Schema 2020-12."""
    document = await (await edge.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', await (await edge.client.get("/openapi.json")).text()))
    assert references <= set(schemas)
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert document["paths"]["/healthz"]["get"]["security"] == []


async def test_the_document_can_be_loaded_by_a_generator_of_tests(edge: Edge) -> None:
    """schemathesis takes it whole: every operation, body and parameter is understood."""
    schema = schemathesis.openapi.from_dict(await (await edge.client.get("/openapi.json")).json())
    operations = list(schema.get_all_operations())
    assert [type(operation).__name__ for operation in operations] == ["Ok"] * len(ROUTES)


async def test_batch_is_no_task(edge: Edge) -> None:
    """GET on it names the method that works."""
    answer = await edge.get("/v1/tasks/batch")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_the_page_runs_only_its_own_script(edge: Edge) -> None:
    """The policy names the hash of the script that is in the page, and the page names no foreign host."""
    answer = await edge.client.get("/docs")
    page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "://" not in page
    assert "innerHTML" not in page


def test_the_compiled_parser_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there in this environment; without it the start fails."""
    assert_compiled_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(RuntimeError, match="pure-Python"):
        assert_compiled_parser()


async def test_the_runner_closes_idle_connections(edge: Edge) -> None:
    """Idle connections and slow headers end after seconds, not after aiohttp's hour."""
    runner = make_runner(edge.client.app, drain_s=1)
    assert runner._kwargs["keepalive_timeout"] == 15.0
    assert runner._kwargs["lingering_time"] == 2.0


async def _raw(host: str, port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head.encode())
    try:
        async with asyncio.timeout(30):
            head_of_answer = await reader.readuntil(b"\r\n\r\n")
            length = int(head_of_answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            return head_of_answer + await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()
