"""`X-Upstream-Prefer` and `X-Upstream-Only` on their way in."""

import pytest

from gateway.domain.choice import UpstreamChoice
from gateway.pipeline.admission import RequestDraft
from tests.unit.api.conftest import Edge


def choices(edge: Edge) -> list[UpstreamChoice]:
    return [asked.choice for asked in edge.pipeline.asked if isinstance(asked, RequestDraft)]


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/quote"])
async def test_names_arrive_in_their_order(edge: Edge, path: str) -> None:
    """Once each, without spaces; without the headers nothing is chosen."""
    body = {"prompt": "a red fox", "model": "gpt-image-2"}
    assert (await edge.post(path, body)).status == 200
    headers = {"X-Upstream-Prefer": " evolink , openai,evolink,", "x-upstream-only": "openai"}
    assert (await edge.post(path, body, headers)).status == 200
    assert choices(edge) == [UpstreamChoice(), UpstreamChoice(("evolink", "openai"), ("openai",))]


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/quote"])
@pytest.mark.parametrize("header", ["X-Upstream-Prefer", "X-Upstream-Only"])
@pytest.mark.parametrize("value", ["", " , ", ",".join(f"u{number}" for number in range(21))])
async def test_a_header_without_names_or_with_too_many_is_refused(
    edge: Edge, path: str, header: str, value: str
) -> None:
    """By name; nothing is asked of the pipeline."""
    answer = await edge.post(path, {"prompt": "a red fox", "model": "gpt-image-2"}, {header: value})
    error = (await answer.json())["error"]
    assert (answer.status, error["param"], error["type"]) == (400, header, "invalid_request_error")
    assert choices(edge) == []
