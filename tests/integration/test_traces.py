"""Traces of a whole gateway, as a collector receives them: of a call with a fail-over, of a task and its callback; what a dead collector costs."""

import io
import re
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import aiohttp
import orjson

from gateway import app
from gateway.config import Config
from gateway.telemetry.logs import LineWriter
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.conftest import Market
from tests.integration.gateway_app import KEY, PROMPT, Fields, House, evolink_upstream, serving, write_config
from tests.trace_collector import Exported, TraceCollector, collecting
from tests.webhook_receiver import receiving

TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{CALLER_SPAN}-01"
ROUTE = "POST /v1/images/generations"
COLLECTOR_SECRET = "what the collector is shown"


def traced(collector: TraceCollector, **more: object) -> Fields:
    headers = {"authorization": f"Bearer {COLLECTOR_SECRET}"}
    return {"tracing": {"endpoint": collector.endpoint, "headers": headers, **more}}


def poster_config(folder: Path, database: str, market: Market, collector: TraceCollector, **more: object) -> Config:
    return write_config(folder, database, market.upstreams(), models=market.models(), **traced(collector, **more))


def trace_sent(emulator: OpenAIEmulator) -> list[str]:
    """The `traceparent` of every create call that reached an upstream."""
    return [request.headers.get("traceparent", "") for request in emulator.requests if request.at == "create"]


def lines_of(house: House, trace_id: str) -> list[dict[str, object]]:
    lines = [orjson.loads(line) for line in house.log_lines().splitlines()]
    return [line for line in lines if line.get("trace_id") == trace_id]


async def test_a_call_with_a_failover_is_one_trace(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """Admission, hold, the attempt that failed, the one that served, its results and the settlement: one trace, below the caller's span, and the
    upstreams were told of it; the log's lines name it; nothing secret is in it."""
    market["cheap"].always(b.Error())
    async with collecting() as collector:
        config = poster_config(tmp_path, sqlite_database, market, collector)
        async with serving(config, market.emulators) as house:
            headers = {"traceparent": CALLER, "tracestate": "vendor=between-others"}
            answer = await house.generate("poster", headers=headers)
            assert (answer.status, answer.headers["X-Upstream"]) == (200, "middle")
            await house.get("/healthz", key=None)
        house.leaks.secret("the collector's login", COLLECTOR_SECRET)
        house.leaks.look("the traces", collector.raw)
        house.leaks.assert_none()
    root, admission, hold = collector.named(ROUTE), collector.named("admission"), collector.named("hold")
    task, results, settle = collector.named("task"), collector.named("results"), collector.named("settle")
    failed, served = collector.named("generate_content dall-e-2"), collector.named("generate_content dall-e-3")
    assert len(collector.spans) == 8, sorted(span.name for span in collector.spans)
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert (root.parent_id, root.kind) == (CALLER_SPAN, "server")
    assert [span.parent_id for span in (admission, hold, task)] == [root.span_id] * 3
    assert [span.parent_id for span in (failed, served, settle)] == [task.span_id] * 3
    assert results.parent_id == served.span_id
    inner: list[tuple[Exported, Exported]] = [
        (root, admission),
        (root, hold),
        (root, task),
        (task, failed),
        (task, served),
        (served, results),
    ]
    assert all(outer.holds(span) for outer, span in (*inner, (task, settle)))
    assert (
        admission.end_ns
        <= hold.start_ns
        <= failed.start_ns
        <= failed.end_ns
        <= served.start_ns
        <= served.end_ns
        <= settle.start_ns
    )
    assert [span.name for span in collector.spans if span.failed] == [failed.name]
    assert failed.attributes["error.type"] == failed.attributes["gateway.fault"] == "failed"
    assert failed.attributes["gateway.upstream"] == "cheap"
    assert (served.kind, served.attributes["gen_ai.request.model"]) == ("client", "dall-e-3")
    assert served.attributes["gen_ai.provider.name"] == "openai"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["gateway.task.id"] == task.attributes["gateway.task.id"] == answer.headers["X-Task-Id"]
    assert root.attributes["gateway.request.id"] == answer.headers["X-Request-Id"]
    assert task.attributes["gateway.outcome"] == "completed"
    assert trace_sent(market["cheap"]) == [f"00-{TRACE}-{failed.span_id}-01"]
    assert trace_sent(market["middle"]) == [f"00-{TRACE}-{served.span_id}-01"]
    assert not any("tracestate" in map(str.lower, request.headers) for request in market["middle"].requests)
    assert collector.headers[0]["Authorization"] == f"Bearer {COLLECTOR_SECRET}"
    assert collector.resources[0]["service.name"] == "image-gateway"
    said = lines_of(house, TRACE)
    assert {(line["event"], line["span_id"]) for line in said} == {
        ("an attempt failed", task.span_id),
        ("request", root.span_id),
    }
    assert {line["request_id"] for line in said} == {answer.headers["X-Request-Id"]}


async def test_a_task_that_another_process_ends_stays_in_its_trace(
    sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """A job is left by one gateway and ended by the next one: both hang below the call, and so does the callback, whose receiver is
    told of the trace. `link`: the caller's own trace is named and not joined."""
    evolink_emulator.work_s = 1.0
    emulators = {"evolink": evolink_emulator}
    async with collecting() as collector, receiving() as receiver:
        config = write_config(
            tmp_path,
            sqlite_database,
            {"evolink": evolink_upstream(evolink_emulator)},
            egress={"allow": ["127.0.0.1/32"], "allow_http": True, "ports": [receiver.port]},
            **traced(collector, incoming="link"),
        )
        await left_at_the_upstream(
            config, evolink_emulator, f"http://127.0.0.1:{receiver.port}/hook?token=not-for-traces"
        )
        async with serving(config, emulators):
            [message] = await receiver.until(1)
    root, callback = collector.named(ROUTE), collector.named("callback")
    assert root.trace_id != TRACE
    assert (root.parent_id, root.links) == ("", (TRACE,))
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    left, ended = sorted((span for span in collector.spans if span.name == "task"), key=lambda span: span.start_ns)
    assert [span.parent_id for span in (left, ended, callback)] == [root.span_id] * 3
    assert left.attributes["error.type"] == "cancelled"
    assert ended.attributes["gateway.outcome"] == "completed"
    assert len({instance["service.instance.id"] for instance in collector.resources}) == 2
    assert message.headers["traceparent"] == f"00-{root.trace_id}-{callback.span_id}-01"
    assert callback.attributes["http.response.status_code"] == 204
    assert b"not-for-traces" not in collector.raw
    asked = [request for request in evolink_emulator.requests if request.at in ("create", "poll")]
    told = {request.headers["traceparent"][36:52] for request in asked}
    attempts = {span.span_id for span in collector.spans if span.name.startswith("generate_content")}
    assert told == attempts
    assert len(attempts) == 2
    fetched = [request for request in evolink_emulator.requests if request not in asked]
    assert fetched
    assert not any("traceparent" in request.headers for request in fetched), "a link may lead anywhere"


async def left_at_the_upstream(config: Config, emulator: EvolinkEmulator, callback_url: str) -> None:
    """A gateway that accepts a task, orders it, and stops."""
    lines = LineWriter(io.BytesIO())
    body = {"model": "gpt-4o-image", "prompt": PROMPT, "size": "1024x1024", "callback_url": callback_url}
    headers = {"Authorization": f"Bearer {KEY}", "Prefer": "respond-async", "traceparent": CALLER}
    quick = replace(config, server=replace(config.server, accept_after_term_s=0.0))
    async with app.running(quick, None, lines) as gateway, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{gateway.port}/v1/images/generations"
        async with http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        await emulator.until(
            lambda one: any(request.at != "create" for request in one.requests)
        )  # its id is in the books
    lines.close()


async def test_what_is_not_sampled_is_not_sent_but_told(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """With a share of 0 nothing is exported; upstreams hear that, and a caller who records records on."""
    async with collecting() as collector:
        config = poster_config(tmp_path, sqlite_database, market, collector, sample=0)
        async with serving(config, market.emulators) as house:
            assert (await house.generate("poster")).status == 200
            assert (await house.generate("poster", headers={"traceparent": "not one at all"})).status == 200
            assert (await house.generate("poster", headers={"traceparent": CALLER})).status == 200
    assert {span.trace_id for span in collector.spans} == {TRACE}
    first, second, third = trace_sent(market["cheap"])
    assert first.endswith("-00")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", second)
    assert third.startswith(f"00-{TRACE}-")
    assert third.endswith("-01")


async def test_a_silent_collector_costs_no_call_anything(sqlite_database: str, tmp_path: Path, market: Market) -> None:
    """Calls are served as ever while nothing is taken, however many spans there are, and a stop does not wait for it longer than it may."""
    async with collecting(silent=True) as collector:
        config = poster_config(tmp_path, sqlite_database, market, collector)
        async with serving(config, market.emulators) as house:
            assert house.config.tracing is not None
            overheads_s = [0.0]
            for _ in range(5):
                assert (await house.generate("poster")).status == 200
                overheads_s.append(await house.metric("gateway_overhead_seconds_sum"))
            stopping_s = time.monotonic()
        stopped_s = time.monotonic() - stopping_s
    # A pause that the machine makes comes once, one that the collector makes comes every time.
    assert min(after_s - before_s for before_s, after_s in pairwise(overheads_s)) < 0.3
    assert stopped_s < 8.0  # two of them for the collector
    assert collector.spans == []
