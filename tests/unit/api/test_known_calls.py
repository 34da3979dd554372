"""Bodies that were read before: parsed once, and nothing else of a call is remembered."""

from collections.abc import Mapping

import pytest

from gateway.api.known_calls import KNOWN_BYTES_MAX
from gateway.api.schemas.generation import Generation, parse_generation
from gateway.domain.sharing import CacheWish
from gateway.pipeline.admission import RequestDraft
from tests.unit.api.conftest import Edge
from tests.unit.api.fake_pipeline import KEY

PATH = "/v1/images/generations"
AZURE = "/openai/deployments/gpt-4o-image/images/generations"
JSON = {"Content-Type": "application/json"}
BODY = b'{"prompt": "a red fox", "model": "gpt-image-2"}'


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bodies that were parsed."""
    bodies: list[object] = []

    def parse(body: dict[str, object], default_model: str) -> Generation:
        bodies.append(body)
        return parse_generation(body, default_model)

    monkeypatch.setattr("gateway.api.call.parse_generation", parse)
    return bodies


async def send(edge: Edge, body: bytes, headers: Mapping[str, str] = JSON, path: str = PATH) -> int:
    given = {"Authorization": f"Bearer {KEY}", **headers}
    async with edge.client.post(path, data=body, headers=given) as answer:
        await answer.read()
        return answer.status


async def test_the_same_bytes_are_parsed_once(edge: Edge, parsed: list[object]) -> None:
    """One more space makes another body; each call is a call of its own all the same."""
    assert [await send(edge, body) for body in (BODY, BODY, BODY + b" ", BODY)] == [200] * 4
    assert len(parsed) == 2
    drafts = [asked for asked in edge.pipeline.asked if isinstance(asked, RequestDraft)]
    assert len(drafts) == 4
    assert {draft.prompt for draft in drafts} == {"a red fox"}


async def test_what_its_headers_say_counts_each_time(edge: Edge, parsed: list[object]) -> None:
    """The wish for another picture, the most that may be held, the key of a repeat: of the call at hand, not of the one before."""
    assert await send(edge, BODY) == 200
    assert (edge.pipeline.wish, edge.pipeline.max_microcredits, edge.pipeline.repeat) == (CacheWish(), None, None)
    headers = {**JSON, "Cache-Control": "no-cache", "X-Max-Credits": "2.5", "Idempotency-Key": "once"}
    assert await send(edge, BODY, headers) == 200
    assert (edge.pipeline.wish.looks, edge.pipeline.max_microcredits) == (False, 2_500_000)
    assert "once" in repr(edge.pipeline.repeat)
    assert await send(edge, BODY) == 200
    assert (edge.pipeline.wish, edge.pipeline.max_microcredits, edge.pipeline.repeat) == (CacheWish(), None, None)
    assert len(parsed) == 1


async def test_what_else_a_body_s_meaning_depends_on(edge: Edge, parsed: list[object]) -> None:
    """The media type, and the deployment that stands in the path."""
    assert await send(edge, BODY) == 200
    assert await send(edge, BODY, {"Content-Type": "text/plain"}) == 400
    assert await send(edge, BODY, path=AZURE) == 200
    assert [asked.model for asked in edge.pipeline.asked if isinstance(asked, RequestDraft)] == [
        "gpt-image-2",
        "gpt-4o-image",
    ]
    assert await send(edge, BODY, path=AZURE) == 200
    assert len(parsed) == 2


async def test_what_is_refused_or_long_is_not_remembered(edge: Edge, parsed: list[object]) -> None:
    """A wrong body is wrong each time; one beyond the bound is read each time."""
    wrong, long = b'{"prompt": " "}', b'{"prompt": "' + b"fox " * (KNOWN_BYTES_MAX // 4) + b'"}'
    assert [await send(edge, body) for body in (wrong, wrong, long, long)] == [400, 400, 200, 200]
    assert len(parsed) == 4
