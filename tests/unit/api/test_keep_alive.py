"""White space before a late image answer: what stands in it, what is missing, and what it costs."""

import asyncio

import pytest
from aiohttp import ClientResponse

from gateway.domain.errors import GatewayError, LeftRunning, StorageUnavailable
from gateway.domain.tasks import TaskErrorCode
from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import FakePipeline, failed_view

EVERY_S = 0.02
SDK = {"X-Stainless-Lang": "python"}


async def late(edge: Edge, **body: object) -> tuple[ClientResponse, bytes]:
    """An answer whose task ends after the second sign of life."""
    gate = edge.pipeline.gate
    assert gate is not None
    async with asyncio.timeout(30):
        answer = await edge.generate(SDK, model="gpt-image-2", **body)
        signs = await answer.content.readexactly(2)
        gate.set()
        return answer, signs + await answer.read()


async def test_a_late_answer_is_kept_alive(make_edge: MakeEdge) -> None:
    """Spaces, then the very body of a usual answer; of the headers those that are known before the end."""
    edge = await make_edge(FakePipeline(gate=asyncio.Event()), keep_alive_s=EVERY_S)
    answer, body = await late(edge, seed_of_mine=7)
    usual = await edge.generate(SDK, model="gpt-image-2")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert body.startswith(b"  ")
    assert body.lstrip(b" ") == await usual.read()
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.headers["X-Task-Id"] == usual.headers["X-Task-Id"]
    assert (answer.headers["X-Cache"], answer.headers["X-Dropped-Params"]) == ("bypass", "seed_of_mine")
    assert {"X-Upstream", "X-Credits-Used", "X-Credits-Remaining"} & set(answer.headers) == set()
    assert edge.lines.lines[0]["kept_alive"] is True


async def test_an_answer_in_time_is_a_usual_one(make_edge: MakeEdge) -> None:
    """Status, length and all headers, and a failure with its own status."""
    edge = await make_edge(FakePipeline(), keep_alive_s=60)
    answer = await edge.generate(SDK, model="gpt-image-2")
    edge.pipeline.final = failed_view(TaskErrorCode.SERVICE_ERROR)
    failed = await edge.generate(SDK, model="gpt-image-2")
    assert {"X-Upstream", "X-Credits-Used", "Content-Length"} <= set(answer.headers)
    assert not (await answer.read()).startswith(b" ")
    assert failed.status == 502
    assert "kept_alive" not in edge.lines.last


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(None, "outcome_unknown", id="the task failed"),
        pytest.param(LeftRunning("This gateway stops."), "left_running", id="the gateway stops"),
        pytest.param(StorageUnavailable("No answer."), "storage_unavailable", id="the database is gone"),
    ],
)
async def test_a_late_failure_comes_as_a_body(make_edge: MakeEdge, error: GatewayError | None, code: str) -> None:
    """The status has left already: the error is what JSON there is, and the log has its code."""
    pipeline = FakePipeline(gate=asyncio.Event(), wait_error=error, final=failed_view(TaskErrorCode.OUTCOME_UNKNOWN))
    edge = await make_edge(pipeline, keep_alive_s=EVERY_S)
    answer, body = await late(edge)
    found = await answer.json()
    assert (answer.status, found["error"]["code"]) == (200, code)
    assert found["error"]["request_id"] == answer.headers["X-Request-Id"]
    assert body.startswith(b" ")
    assert "x-should-retry" not in answer.headers
    assert (edge.lines.last["status"], edge.lines.last["error"]) == (200, code)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Prefer": "wait=1"}, 202), ({"Prefer": "respond-async"}, 202)],
)
async def test_tasks_are_answered_without_signs(make_edge: MakeEdge, headers: dict[str, str], status: int) -> None:
    """Their callers say how long they wait, and their status is known only then."""
    edge = await make_edge(FakePipeline(hangs=True), keep_alive_s=EVERY_S)
    answer = await edge.generate(headers, model="gpt-image-2")
    assert answer.status == status
    assert not (await answer.read()).startswith(b" ")


async def test_a_caller_that_hangs_up_ends_the_signs(make_edge: MakeEdge) -> None:
    """The log says that nobody was answered."""
    edge = await make_edge(FakePipeline(gate=asyncio.Event()), keep_alive_s=EVERY_S)
    async with asyncio.timeout(30):
        answer = await edge.generate(SDK, model="gpt-image-2")
        await answer.content.readexactly(1)
        answer.close()
        while not edge.lines.lines:  # noqa: ASYNC110 - nothing tells of a written line
            await asyncio.sleep(0.01)
    assert edge.lines.last["status"] == 499


async def test_without_the_setting_nothing_is_early(make_edge: MakeEdge) -> None:
    """A caller waits in silence, as ever."""
    gate = asyncio.Event()
    edge = await make_edge(FakePipeline(gate=gate))
    call = asyncio.ensure_future(edge.generate(SDK, model="gpt-image-2"))
    await asyncio.sleep(3 * EVERY_S)
    assert not call.done()
    gate.set()
    assert "X-Credits-Used" in (await call).headers


async def test_a_caller_who_named_a_time_gets_the_task_when_the_gateway_stops(make_edge: MakeEdge) -> None:
    """`Prefer: wait` promises a picture or a task; without it there is only the error."""
    edge = await make_edge(FakePipeline(wait_error=LeftRunning("This gateway stops.")))
    named = await edge.generate({"Prefer": "wait=60"}, model="gpt-image-2")
    unnamed = await edge.generate({}, model="gpt-image-2")
    assert (named.status, named.headers["Preference-Applied"]) == (202, "wait=60")
    assert (await named.json())["object"] == "image.generation.task"
    assert (unnamed.status, (await unnamed.json())["error"]["code"]) == (503, "left_running")
