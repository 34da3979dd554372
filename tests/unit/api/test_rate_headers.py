"""OpenAI's rate headers: on every answer of an image call that a limit applies to, in OpenAI's words."""

import pytest

from gateway.api.rate_headers import duration
from gateway.domain.accounts import RateState
from gateway.domain.errors import InsufficientQuota, RateLimited
from gateway.domain.ids import AccountId
from tests.unit.api.conftest import MakeEdge
from tests.unit.api.fake_pipeline import FakePipeline, completed_view

STATE = RateState(AccountId("team:acme/design"), 60, 59, 0.12)
WANTED = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "120ms",
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0001, "1ms"), (0.12, "120ms"), (0.9991, "1s"), (1, "1s"), (8.64, "8.64s"), (59.9999, "1m0s"), (60, "1m0s"),
     (72.5, "1m12.5s"), (360, "6m0s")],
)  # fmt: skip
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    """Go's form, to the millisecond; never shorter than it is."""
    assert duration(seconds) == text


@pytest.mark.parametrize("pictures", [(b"aGVsbG8=",), (b"a" * 400_000,)], ids=["joined", "streamed"])
async def test_pictures_say_where_the_caller_stands(make_edge: MakeEdge, pictures: tuple[bytes, ...]) -> None:
    """Small and large answers alike."""
    edge = await make_edge(FakePipeline(pictures=pictures, rate_state=STATE, final=completed_view()))
    response = await edge.generate({"X-Stainless-Lang": "python"})
    assert response.status == 200
    assert {name: response.headers[name] for name in WANTED} == WANTED
    assert edge.pipeline.rates_taken == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "taken"),
    [
        ("generations", {"prompt": "a red fox", "model": "gpt-4o-image"}, 200, 1),
        ("generations", {"prompt": "a red fox", "model": "nothing"}, 404, 1),
        ("generations", {"prompt": 7}, 400, 0),
        ("edits", {"prompt": "a red fox"}, 400, 0),
        ("variations", {}, 400, 0),
    ],
)
async def test_every_answer_of_an_image_call_has_them(
    make_edge: MakeEdge, path: str, body: dict[str, object], status: int, taken: int
) -> None:
    """Tasks and refusals, too; what could not be understood has not counted."""
    edge = await make_edge(FakePipeline(rate_state=STATE))
    response = await edge.post(f"/v1/images/{path}", body)
    assert response.status == status
    assert {name: response.headers.get(name) for name in WANTED} == WANTED
    assert edge.pipeline.rates_taken == taken


async def test_a_refusal_for_the_rate_comes_first(make_edge: MakeEdge) -> None:
    """429 in OpenAI's shape with headers, before the pipeline is asked for anything else."""
    error = RateLimited(
        "The team 'design' may make 60 requests a minute.",
        retry_after_s=12,
        rate=STATE,
        details={"limit_scope": "team"},
    )
    edge = await make_edge(FakePipeline(rate_error=error, error=InsufficientQuota("no money")))
    response = await edge.generate()
    told = (await response.json())["error"]
    assert (response.status, told["code"], told["type"]) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert (told["limit_scope"], response.headers["Retry-After"]) == ("team", "12")
    assert {name: response.headers[name] for name in WANTED} == WANTED
    assert "x-should-retry" not in response.headers


async def test_without_a_limit_there_are_none(make_edge: MakeEdge) -> None:
    """And other routes never have any."""
    edge = await make_edge(FakePipeline())
    assert not WANTED.keys() & (await edge.generate()).headers.keys()
    limited = await make_edge(FakePipeline(rate_state=STATE))
    assert not WANTED.keys() & (await limited.get("/v1/credits")).headers.keys()
