"""What tells a call from its repeat: headers, the hash of the body, and what the edge does with it."""

import hashlib
from collections.abc import Mapping
from random import Random

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api.body import parse_object
from gateway.api.idempotency import body_sha256
from gateway.domain.errors import InvalidRequest
from gateway.domain.repeats import Repeat
from gateway.domain.tasks import TaskErrorCode
from tests.unit.api.conftest import MakeEdge
from tests.unit.api.fake_pipeline import FakePipeline, completed_view, failed_view

PATH = "/v1/images/generations"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(st.text(), JSON, max_size=6)


def shuffled(value: object, random: Random) -> object:
    """The same, with the keys of every object in another order."""
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    random.shuffle(items)
    return {key: shuffled(item, random) for key, item in items}


def sent(value: object, random: Random) -> dict[str, object]:
    """As it arrives: as JSON with more or less white space."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if random.random() < 0.5 else 0)
    return parse_object(text)


@given(BODIES, st.integers(0, 2**32))
def test_the_order_of_keys_and_white_space_are_no_other_body(body: dict[str, object], seed: int) -> None:
    """Equal hashes for equal bodies, however they were written."""
    random = Random(seed)
    assert body_sha256(PATH, sent(body, random)) == body_sha256(PATH, sent(shuffled(body, random), random))


@given(BODIES, BODIES)
@example({"a": 1}, {"a": True})
@example({"a": 1}, {"a": "1"})
@example({"a": None}, {})
@example({"a": [1, 2]}, {"a": [2, 1]})
@example({"a": "é"}, {"a": "e\u0301"})
def test_other_values_are_another_body(one: dict[str, object], other: dict[str, object]) -> None:
    """Equal hashes only for equal JSON texts."""
    canonical = [orjson.dumps(body, option=orjson.OPT_SORT_KEYS) for body in (one, other)]
    assert (body_sha256(PATH, one) == body_sha256(PATH, other)) == (canonical[0] == canonical[1])


def test_what_is_hashed_is_pinned_down() -> None:
    """Processes of two versions must agree on it; the route belongs to it; integers of any length do, and half a surrogate cannot come this far."""
    text = PATH + '\n{"b":"ü","n":123456789012345678901234567890}'
    assert (
        body_sha256(PATH, {"n": 123456789012345678901234567890, "b": "ü"}) == hashlib.sha256(text.encode()).hexdigest()
    )
    assert body_sha256("/v1/images/edits", {}) != body_sha256(PATH, {})


def test_what_is_nested_too_deeply_is_told_so() -> None:
    """The encoder's limit is not ours to know: it is the caller's error."""
    body: dict[str, object] = {}
    for _ in range(100_000):
        body = {"a": body}
    with pytest.raises(InvalidRequest, match="nested"):
        body_sha256(PATH, body)
    while body:  # taken apart step by step: to free it at once recurses as well
        body = body.pop("a")  # type: ignore[assignment]  # made above


SDK = {"X-Stainless-Lang": "python"}
HASH = body_sha256(PATH, {"prompt": "a red fox"})
TOLD: dict[str, tuple[Mapping[str, str], Repeat | None]] = {
    "nothing": ({}, None),
    "a key": ({"Idempotency-Key": "a b~"}, Repeat(HASH, "a b~")),
    "an SDK": (SDK, Repeat(HASH)),
    "an SDK's first try": ({**SDK, "X-Stainless-Retry-Count": "0"}, Repeat(HASH)),
    "an SDK's retry": ({**SDK, "X-Stainless-Retry-Count": "2"}, Repeat(HASH, is_retry=True)),
    "an SDK's nonsense": ({**SDK, "X-Stainless-Retry-Count": "-1"}, Repeat(HASH)),
    "a retry of nobody": ({"X-Stainless-Retry-Count": "2"}, None),
    "a declined retry": ({**SDK, "X-Stainless-Retry-Count": "2", "X-Gateway-Retry": "New"}, None),
    "no opt-out": ({**SDK, "X-Stainless-Retry-Count": "2", "Cache-Control": "no-store"}, Repeat(HASH, is_retry=True)),
    "a key goes first": ({**SDK, "X-Stainless-Retry-Count": "2", "Idempotency-Key": "k"}, Repeat(HASH, "k")),
}


@pytest.mark.parametrize("case", TOLD)
async def test_the_headers(case: str, make_edge: MakeEdge) -> None:
    """Which call is told by what."""
    headers, expected = TOLD[case]
    edge = await make_edge()
    answer = await edge.generate(dict(headers))
    assert answer.status == 200
    assert edge.pipeline.repeat == expected
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_of_no_length(key: str, make_edge: MakeEdge) -> None:
    """400 that names the header; nothing is asked of the pipeline."""
    edge = await make_edge()
    answer = await edge.generate({"Idempotency-Key": key})
    error = (await answer.json())["error"]
    assert (answer.status, error["param"]) == (400, "Idempotency-Key")
    assert edge.pipeline.asked == []
    assert edge.pipeline.rates_taken == 0


async def test_a_found_task_is_answered_without_admission(make_edge: MakeEdge) -> None:
    """No call is counted or accepted for it, and the answer says that it was given before."""
    edge = await make_edge(FakePipeline(found=completed_view()))
    answer = await edge.generate({"Idempotency-Key": "k"})
    assert (answer.status, answer.headers["Idempotency-Replayed"]) == (200, "true")
    assert (await answer.json())["data"][0]["b64_json"] == "aGVsbG8="
    assert (edge.pipeline.asked, edge.pipeline.rates_taken) == ([], 0)
    assert edge.lines.last["replayed"] is True


async def test_an_ended_task_is_answered_whole_in_its_contract(make_edge: MakeEdge) -> None:
    """With its results, as a query would."""
    edge = await make_edge(FakePipeline(found=completed_view()))
    answer = await edge.generate({"Idempotency-Key": "k", "Prefer": "respond-async"})
    assert answer.status == 202
    assert (await answer.json())["results"]


@pytest.mark.parametrize(("headers", "told"), [({"Idempotency-Key": "k"}, "false"), ({}, None), (SDK, None)])
async def test_a_keys_failure_is_final(headers: dict[str, str], told: str | None, make_edge: MakeEdge) -> None:
    """Its retry could only be answered the same; without a key SDKs may try again."""
    edge = await make_edge(FakePipeline(final=failed_view(TaskErrorCode.SERVICE_ERROR)))
    answer = await edge.generate(headers)
    assert (answer.status, answer.headers.get("x-should-retry")) == (502, told)
