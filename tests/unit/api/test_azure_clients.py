"""Azure OpenAI's own client against the gateway: deployments in the path, the key in a header of its own, versions in the query."""

import openai
import pytest

from gateway.domain.images import Operation
from tests.unit.api.conftest import Edge
from tests.unit.api.fake_pipeline import KEY
from tests.unit.api.fake_uploads import PNG
from tests.unit.api.test_edits import contents, draft_of


@pytest.mark.parametrize("token", [{"api_key": KEY}, {"azure_ad_token": KEY}])
async def test_the_classic_surface(edge: Edge, token: dict[str, str]) -> None:
    """Generate and edit by deployment, which is the model; the key as api-key or as a bearer token."""
    client = openai.AsyncAzureOpenAI(
        azure_endpoint=str(edge.client.make_url("/")),
        api_version="2025-04-01-preview",
        max_retries=0,
        _strict_response_validation=True,
        **token,
    )  # type: ignore[call-overload]  # one of two ways to say who calls
    async with client:
        made = await client.images.generate(model="vendor/flux", prompt="a red fox")
        assert made.data[0].b64_json == "aGVsbG8="
        assert (draft_of(edge).model, draft_of(edge).model_given) == ("vendor/flux", True)
        edge.pipeline.asked.clear()
        edited = await client.images.edit(model="gpt-image-2", image=PNG, prompt="a hat", mask=PNG)
    assert edited.data[0].b64_json == "aGVsbG8="
    assert (draft_of(edge).operation, contents(edge)) == (Operation.EDIT, [PNG, PNG])


async def test_the_path_names_the_model(edge: Edge) -> None:
    """Whatever the body says; LiteLLM sends no model there."""
    for body in ({}, {"model": "gpt-4o-image"}):
        edge.pipeline.asked.clear()
        answer = await edge.post(
            "/openai/deployments/gpt-image-2/images/generations?api-version=1", {"prompt": "a red fox", **body}
        )
        assert (answer.status, draft_of(edge).model) == (200, "gpt-image-2")


async def test_the_v1_surface(edge: Edge) -> None:
    """An ordinary client with another base URL."""
    base_url = str(edge.client.make_url("/openai/v1/"))
    async with openai.AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        await client.images.generate(model="gpt-image-2", prompt="a red fox")
        edge.pipeline.asked.clear()
        await client.images.edit(model="gpt-image-2", image=[PNG], prompt="a hat")
    assert contents(edge) == [PNG]
