"""`stream: true`: the events, their order and fields, heartbeats, and how a stream ends that has no picture."""

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent

from gateway.api.handlers import image_stream
from gateway.domain.errors import InsufficientQuota, LeftRunning
from gateway.domain.images import Contract, PartialImage
from gateway.domain.tasks import TaskErrorCode
from gateway.pipeline.partials import Partials
from tests.unit.api.conftest import MakeEdge
from tests.unit.api.fake_pipeline import PRINCIPAL, TASK_ID, FakePipeline, completed_view, failed_view

PARTIALS = (PartialImage(b"Zmlyc3Q=", 0), PartialImage(b"c2Vjb25k", 1))
PICTURE = b"aGVsbG8=" * 100_000


async def _events(answer: ClientResponse) -> list[dict[str, Any]]:
    """The events' data; each event's name must be its type, or `error`."""
    found = []
    for block in (await answer.read()).split(b"\n\n"):
        name, _, data = block.partition(b"\n")
        if name.startswith(b"event: "):
            event = orjson.loads(data.removeprefix(b"data: "))
            assert name.removeprefix(b"event: ").decode() == event.get("type", "error")
            found.append(event)
    return found


async def test_partial_pictures_then_the_finished_one(make_edge: MakeEdge) -> None:
    """In OpenAI's own types, with everything that they demand; the pictures byte for byte."""
    edge = await make_edge(FakePipeline(pictures=(PICTURE,), partials=PARTIALS))
    answer = await edge.generate(
        model="gpt-4o-image", stream=True, partial_images=2, quality="high", output_format="webp"
    )
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    assert answer.headers["X-Task-Id"] == TASK_ID
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"].startswith("req_")
    first, second, completed = await _events(answer)
    for event, partial in ((first, PARTIALS[0]), (second, PARTIALS[1])):
        read = ImageGenPartialImageEvent.model_validate(event)
        assert (read.type, read.partial_image_index) == ("image_generation.partial_image", partial.index)
        assert read.b64_json.encode() == partial.base64
        assert (read.size, read.quality, read.output_format) == ("auto", "high", "webp")
    read_completed = ImageGenCompletedEvent.model_validate(completed)
    assert read_completed.b64_json.encode() == PICTURE
    assert read_completed.usage.total_tokens == 9 + 1056
    assert (read_completed.size, read_completed.quality, read_completed.output_format) == ("1024x1024", "high", "png")
    assert edge.lines.last["outcome"] == "completed"


async def test_every_picture_has_its_event_and_the_tokens_count_once(make_edge: MakeEdge) -> None:
    """Whoever adds up the events' usage has the task's; an upstream that counts no tokens gives zeros, since clients demand the field."""
    for usage, total in ((True, 1065), (False, 0)):
        edge = await make_edge(FakePipeline(completed_view(2, usage=usage), pictures=(b"b25l", b"dHdv")))
        events = await _events(await edge.generate(stream=True, n=2))
        assert [event["b64_json"] for event in events] == ["b25l", "dHdv"]
        assert sum(ImageGenCompletedEvent.model_validate(event).usage.total_tokens for event in events) == total


async def test_a_task_that_fails_ends_the_stream_with_its_error(make_edge: MakeEdge) -> None:
    """The status was sent long ago, so the error is an event, in the envelope that every other error has; the log tells it, too."""
    edge = await make_edge(FakePipeline(failed_view(TaskErrorCode.CONTENT_POLICY_VIOLATION), partials=PARTIALS[:1]))
    answer = await edge.generate(stream=True, partial_images=1)
    partial, error = await _events(answer)
    assert partial["type"] == "image_generation.partial_image"
    assert error["error"]["code"] == "content_policy_violation"
    assert error["error"]["request_id"] == answer.headers["X-Request-Id"]
    assert (edge.lines.last["outcome"], edge.lines.last["error"]) == ("failed", "content_policy_violation")


async def test_before_acceptance_errors_have_their_status(make_edge: MakeEdge) -> None:
    """Nothing has begun: the SDK raises the class of the status."""
    edge = await make_edge(FakePipeline(error=InsufficientQuota("The key has no credits left.")))
    answer = await edge.generate(stream=True)
    assert (answer.status, answer.content_type) == (429, "application/json")


async def test_silence_is_filled_with_comments(make_edge: MakeEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy must not take a slow picture for a dead connection; no client sees a comment."""
    monkeypatch.setattr(image_stream, "HEARTBEAT_S", 0.01)
    edge = await make_edge(FakePipeline(hangs=True))
    answer = await edge.generate(stream=True)
    assert (await answer.content.readline()).startswith(b":")
    answer.close()


async def test_a_process_that_stops_says_where_the_task_goes_on(
    make_edge: MakeEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an event: LeftRunning comes while the stream is open."""

    async def left(_: object) -> None:
        raise LeftRunning("Query GET /v1/tasks/x.")

    monkeypatch.setattr("tests.unit.api.fake_pipeline.Running.wait", left)
    edge = await make_edge()
    (error,) = await _events(await edge.generate(stream=True))
    assert error["error"]["code"] == "left_running"


@pytest.mark.parametrize(
    ("headers", "body", "param"),
    [
        ({"Prefer": "respond-async"}, {"stream": True}, "stream"),
        ({}, {"stream": True, "callback_url": "https://hooks.example/a"}, "stream"),
        ({}, {"partial_images": 2}, "partial_images"),
        ({}, {"stream": True, "partial_images": 4}, "partial_images"),
    ],
)
async def test_what_cannot_be_streamed_is_refused(
    make_edge: MakeEdge, headers: dict[str, str], body: dict[str, Any], param: str
) -> None:
    """A task to poll has no stream, and partial pictures come by nothing else."""
    edge = await make_edge()
    answer = await edge.generate(headers, **body)
    assert answer.status == 400
    assert (await answer.json())["error"]["param"] == param


async def test_a_key_that_gets_tasks_gets_no_stream(make_edge: MakeEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its programs poll; a stream that ends with JSON would confuse any client."""
    edge = await make_edge()
    monkeypatch.setattr(type(PRINCIPAL), "response", Contract.TASK, raising=False)
    edge.authenticator.principal = PRINCIPAL
    answer = await edge.generate(stream=True)
    assert (answer.status, (await answer.json())["error"]["param"]) == (400, "stream")


async def test_only_the_newest_partial_picture_is_kept() -> None:
    """A slow reader costs one picture of memory, and the task's end wakes whoever waits."""
    partials = Partials()
    partials.put(PARTIALS[0])
    partials.put(PARTIALS[1])
    assert await partials.next() is PARTIALS[1]
    waiting = asyncio.ensure_future(partials.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    partials.end()
    assert await waiting is None
    partials.put(PARTIALS[0])
    assert await partials.next() is None
