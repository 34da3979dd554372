"""`POST /v1/images/generations` from the wire to the wire: which contract, which answer, which headers."""

import logging
from typing import Any

import openai
import orjson
import pytest
from openai.types import ImagesResponse

from gateway.api.schemas.answers import ImagesAnswer, TaskCreated
from gateway.domain.errors import InsufficientQuota
from gateway.domain.images import Contract
from gateway.domain.tasks import AttemptState, Fault, TaskErrorCode
from tests.unit.api.conftest import Edge, MakeEdge
from tests.unit.api.fake_pipeline import (
    CONSIDERED,
    KEY,
    LINK,
    TASK_ID,
    FakePipeline,
    attempt,
    completed_view,
    failed_view,
)

PICTURE = b"aGVsbG8=" * 100_000  # 800 kB: far beyond what is joined in memory


async def test_the_task_answer_has_the_seed_pages_fields_and_no_others(edge: Edge) -> None:
    """gpt-4o-image answers as on the product page, field by field, with where and when to poll."""
    answer = await edge.generate(model="gpt-4o-image")
    assert answer.status == 200
    assert await answer.json() == {
        "created": 1757165031, "id": TASK_ID, "model": "gpt-4o-image", "object": "image.generation.task", "progress": 0, "status": "pending",
        "task_info": {"can_cancel": True, "estimated_time": 45}, "type": "image",
        "usage": {"billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default"},
    }  # fmt: skip
    assert answer.headers["Location"] == f"/v1/tasks/{TASK_ID}"
    assert 1 <= int(answer.headers["Retry-After"]) <= 59
    assert answer.headers["X-Task-Id"] == TASK_ID
    assert answer.headers["X-Cache"] == "bypass"
    assert "X-Credits-Used" not in answer.headers
    TaskCreated.model_validate(await answer.json())


async def test_prefer_respond_async_gives_202(edge: Edge) -> None:
    """The caller who asks for a task gets one from a model that would answer with the picture, and hears that he was understood."""
    answer = await edge.generate({"Prefer": "respond-async"}, model="gpt-image-2")
    assert answer.status == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert (await answer.json())["status"] == "pending"
    assert Contract.TASK in edge.pipeline.asked


async def test_prefer_wait_gives_the_picture_or_a_task(make_edge: MakeEdge) -> None:
    """Done in time: the picture. Not done: 202 and the task as it then stands."""
    done = await make_edge()
    answer = await done.generate({"Prefer": "wait=30"}, model="gpt-4o-image")
    assert (answer.status, answer.headers["Preference-Applied"]) == (200, "wait=30")
    assert "data" in await answer.json()
    slow = await make_edge(FakePipeline(hangs=True))
    answer = await slow.generate({"Prefer": "wait=0"}, model="gpt-4o-image")
    assert (answer.status, answer.headers["Preference-Applied"]) == (202, "wait=0")
    assert (await answer.json())["id"] == TASK_ID


async def test_an_image_answer_carries_both_forms(edge: Edge) -> None:
    """Without response_format every item has base64 and a link; size, format and usage are those of the real picture."""
    answer = await edge.generate(model="gpt-image-2", quality="high")
    body = await answer.json()
    ImagesAnswer.model_validate(body)
    assert body == {
        "created": 1757165031,
        "data": [{"b64_json": "aGVsbG8=", "url": LINK}],
        "size": "1024x1024", "output_format": "png", "quality": "high",
        "usage": {
            "input_tokens": 9, "output_tokens": 1056, "total_tokens": 1065, "input_tokens_details": {"image_tokens": 0, "text_tokens": 9},
        },
    }  # fmt: skip
    assert answer.headers["X-Upstream"] == "evolink"
    assert answer.headers["X-Credits-Used"] == "1.5"
    assert answer.headers["X-Credits-Remaining"] == "98.5"
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(("wish", "there"), [("url", {"url"}), ("b64_json", {"b64_json"})])
async def test_response_format_is_obeyed(edge: Edge, wish: str, there: set[str]) -> None:
    """Who asks for one form gets that one only."""
    body = await (await edge.generate(model="gpt-4o-image", response_format=wish)).json()
    assert set(body["data"][0]) == there


async def test_large_pictures_are_sent_whole(make_edge: MakeEdge) -> None:
    """Several pictures beyond the join limit: valid JSON, exact length, own request id."""
    edge = await make_edge(FakePipeline(final=completed_view(2), pictures=(PICTURE, PICTURE[:-4])))
    answer = await edge.generate(model="gpt-image-2", n=2)
    raw = await answer.read()
    assert int(answer.headers["Content-Length"]) == len(raw)
    items = orjson.loads(raw)["data"]
    assert [item["b64_json"].encode() for item in items] == [PICTURE, PICTURE[:-4]]
    assert answer.headers["X-Request-Id"] == edge.lines.last["request_id"]


async def test_the_sdk_gets_pictures_and_validates_them_strictly(make_edge: MakeEdge) -> None:
    """openai-python, validating strictly, accepts every combination of what we may know, and finds the task's id."""
    for final in (completed_view(2), completed_view(1, usage=False)):
        edge = await make_edge(FakePipeline(final=final, pictures=(b"aGVsbG8=",) * 2))
        async with _sdk(edge) as sdk:
            for extra in (
                {},
                {"quality": "hd", "background": "transparent"},
                {"response_format": "url"},
                {"size": None, "user": "u"},
            ):
                options: dict[str, Any] = extra
                raw = await sdk.images.with_raw_response.generate(model="gpt-4o-image", prompt="a red fox", **options)
                made = raw.parse()
                assert isinstance(made, ImagesResponse)
                assert made.data is not None
                assert made.data[0].url == LINK
                assert raw.headers["X-Task-Id"] == TASK_ID


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (TaskErrorCode.CONTENT_POLICY_VIOLATION, 400, openai.BadRequestError),
        (TaskErrorCode.OUTCOME_UNKNOWN, 502, openai.InternalServerError),
        (TaskErrorCode.GENERATION_TIMEOUT, 504, openai.InternalServerError),
    ],
)
async def test_a_failed_task_is_an_error_of_the_sdk(
    make_edge: MakeEdge, code: TaskErrorCode, status: int, kind: type[openai.APIStatusError]
) -> None:
    """The SDK raises its class for the status, and the failed task can be looked up by the header."""
    edge = await make_edge(FakePipeline(final=failed_view(code)))
    async with _sdk(edge) as sdk:
        with pytest.raises(kind) as caught:
            await sdk.images.generate(model="gpt-image-2", prompt="a red fox")
    assert caught.value.status_code == status
    assert caught.value.response.headers["X-Task-Id"] == TASK_ID
    assert caught.value.request_id == edge.lines.last["request_id"]


@pytest.mark.parametrize(("model", "status"), [("gpt-4o-image", 402), ("gpt-image-2", 429)])
async def test_quota_by_contract(make_edge: MakeEdge, model: str, status: int) -> None:
    """A refusal by budget has the status of the contract that the caller reads."""

    class Broke(FakePipeline):
        async def accept(self, *_: object) -> Any:
            raise InsufficientQuota("No credits left.", details={"limit_scope": "key"})

    edge = await make_edge(Broke())
    answer = await edge.generate(model=model)
    assert answer.status == status
    assert answer.headers["x-should-retry"] == "false"
    assert (await answer.json())["error"]["limit_scope"] == "key"


async def test_dropped_parameters_are_named(make_edge: MakeEdge) -> None:
    """Those that routing dropped and those that nobody knows stand together, once."""
    final = completed_view()
    final.dropped = ("quality", "style")
    edge = await make_edge(FakePipeline(final=final))
    answer = await edge.generate(model="gpt-image-2", quality="high", style="vivid", steps=3)
    assert answer.headers["X-Dropped-Params"] == "quality, steps, style"
    assert "quality" not in await answer.json()


async def test_the_default_model_stands_in(edge: Edge) -> None:
    """A call without a model is one for the configured model."""
    assert (await edge.generate()).status == 200
    draft = edge.pipeline.asked[0]
    assert getattr(draft, "model", None) == "gpt-image-2"
    assert getattr(draft, "model_given", None) is False


async def test_an_unknown_model_is_404(edge: Edge) -> None:
    """As OpenAI answers it."""
    answer = await edge.generate(model="gpt-5")
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "model_not_found"


async def test_the_canonical_line_tells_the_whole_call(edge: Edge) -> None:
    """One line: who, what, which upstream, what it cost."""
    await edge.generate({"X-Request-Id": "mine-1"}, model="gpt-image-2")
    (line,) = edge.lines.lines
    expected = {
        "client_request_id": "mine-1", "method": "POST", "route": "/v1/images/generations", "status": 200, "key": "ci", "org": "acme",
        "model": "gpt-image-2", "contract": "image", "n": 1, "task_id": TASK_ID, "upstream": "evolink", "attempts": 1, "outcome": "completed",
        "credits": "1.5", "cost_usd": "0.0208",
    }  # fmt: skip
    assert {name: line.get(name) for name in expected} == expected


async def test_the_canonical_line_tells_what_was_skipped_and_what_failed(make_edge: MakeEdge) -> None:
    """Short: offers with a word; absent where all is well."""
    final = completed_view()
    edge = await make_edge(FakePipeline(final=final))
    await edge.generate(model="gpt-image-2")
    final.considered = CONSIDERED
    failed = attempt(state=AttemptState.FAILED, fault=Fault.OVERLOADED, cost_microusd=0, message="come back later")
    final.attempts = (failed, *final.attempts)
    await edge.generate(model="gpt-image-2")
    quiet, telling = edge.lines.lines
    assert (quiet.get("skipped"), quiet.get("failed")) == (None, None)
    assert telling["skipped"] == "dear/gpt-image-2#2 circuit_open, small/tiny not_able"
    assert (telling["failed"], telling["attempts"]) == ("evolink/gpt-4o-image overloaded", 2)


async def test_unexpected_errors_are_logged_once_and_tell_nothing(
    make_edge: MakeEdge, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a request id, the log the traceback."""
    edge = await make_edge(FakePipeline(error=RuntimeError("secret detail")))
    with caplog.at_level(logging.ERROR):
        answer = await edge.generate()
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["type"]) == (500, "internal_error", "server_error")
    assert "secret detail" not in await answer.text()
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def _sdk(edge: Edge) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=KEY, base_url=str(edge.client.make_url("/v1")), max_retries=0, _strict_response_validation=True
    )
