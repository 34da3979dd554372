"""The Azure emulator against OpenAI's own client for Azure, on both surfaces."""

from collections.abc import AsyncIterator
from decimal import Decimal

import openai
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.azure import API_VERSION, AzureEmulator


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[AzureEmulator]:
    """One resource with one deployment, `pictures`."""
    async with AzureEmulator() as started:
        yield started


def azure_client(emulator: AzureEmulator, **changes: str) -> openai.AsyncAzureOpenAI:
    """The official client of a deployment."""
    options = {"api_key": emulator.api_key, "azure_deployment": "pictures", "api_version": API_VERSION} | changes
    client: openai.AsyncAzureOpenAI = openai.AsyncAzureOpenAI(
        azure_endpoint=emulator.base_url, max_retries=0, timeout=30.0, _strict_response_validation=True, **options
    )  # type: ignore[call-overload]  # the test's own keywords
    return client


async def generate(client: openai.AsyncOpenAI) -> openai.types.ImagesResponse:
    """A deployment's call: the model is the path's."""
    return await client.images.generate(prompt="tea", size="1536x1024", quality="low")


async def test_a_deployment_draws_and_bills_like_openai(emulator: AzureEmulator) -> None:
    """The call goes to the deployment's path with api-key and api-version, and costs OpenAI's tokens."""
    async with azure_client(emulator) as client:
        answer = await generate(client)
    assert answer.data is not None
    assert answer.size == "1536x1024"
    assert emulator.requests[0].path == f"/openai/deployments/pictures/images/generations?api-version={API_VERSION}"
    assert emulator.requests[0].headers["api-key"] == emulator.api_key
    assert "model" not in (emulator.requests[0].json or {})
    [bill] = emulator.bills
    assert (bill.model, bill.images, bill.microusd) == ("gpt-image-2", 1, Decimal(4740 + 5))


async def test_the_v1_surface_takes_the_deployment_as_the_model(emulator: AzureEmulator) -> None:
    """OpenAI's plain client works under /openai/v1, with the key as its bearer; an unknown deployment is a 404 with its own code."""
    async with openai.AsyncOpenAI(
        base_url=f"{emulator.base_url}/openai/v1", api_key=emulator.api_key, max_retries=0
    ) as client:
        assert (await client.images.generate(model="pictures", prompt="tea")).data
        with pytest.raises(openai.NotFoundError) as caught:
            await client.images.generate(model="gpt-image-2", prompt="tea")
    assert caught.value.code == "DeploymentNotFound"
    assert emulator.billed_images == 1


async def test_who_may_ask_and_what(emulator: AzureEmulator) -> None:
    """A wrong key is 401, an Entra token will do, no api-version or no such deployment is 404, `model` in a deployment's body is 400."""
    async with azure_client(emulator, api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError) as denied:
            await generate(client)
    assert denied.value.code == "401"
    async with azure_client(emulator, azure_deployment="other") as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await generate(client)
    assert unknown.value.code == "DeploymentNotFound"
    entra = openai.AsyncAzureOpenAI(
        azure_endpoint=emulator.base_url,
        azure_deployment="pictures",
        api_version=API_VERSION,
        azure_ad_token=emulator.entra_token,
    )
    async with entra as client:
        assert (await generate(client)).data
    url = f"{emulator.base_url}/openai/deployments/pictures"
    async with openai.AsyncOpenAI(
        base_url=url, api_key="unused", default_headers={"api-key": emulator.api_key}, max_retries=0
    ) as plain:
        with pytest.raises(openai.NotFoundError, match="Resource not found"):
            await generate(plain)
        versioned = plain.with_options(default_query={"api-version": API_VERSION})
        with pytest.raises(openai.BadRequestError) as rejected:
            await versioned.images.generate(model="gpt-image-2", prompt="tea")
    assert rejected.value.param == "model"
    assert emulator.billed_images == 1


@pytest.mark.parametrize(
    ("behaviour", "raised", "code"),
    [
        (b.Refuse(), openai.BadRequestError, "contentFilter"),
        (b.Refuse(form="content_policy_violation"), openai.BadRequestError, "content_policy_violation"),
        (b.Refuse(form="moderation_blocked"), openai.BadRequestError, "moderation_blocked"),
        (b.RateLimit(retry_after="7"), openai.RateLimitError, "429"),
        (b.OutOfMoney(), openai.RateLimitError, "insufficient_quota"),
        (b.Overloaded(), openai.InternalServerError, "server_is_overloaded"),
        (b.Error(status=401, code="401"), openai.AuthenticationError, "401"),
        (b.Reset(bills=True), openai.APIConnectionError, None),
    ],
    ids=str,
)
async def test_the_sdk_sees_every_failure_as_from_azure(
    emulator: AzureEmulator, behaviour: b.Behaviour, raised: type[Exception], code: str | None
) -> None:
    """Each form of refusal and each limit raises the SDK's exception for it, with Azure's code."""
    emulator.next(behaviour)
    async with azure_client(emulator) as client:
        with pytest.raises(raised) as caught:
            await generate(client)
    assert getattr(caught.value, "code", None) == code
    if isinstance(behaviour, b.Refuse) and behaviour.form != "moderation_blocked":
        assert isinstance(caught.value, openai.APIError)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["inner_error"]["content_filter_results"]["sexual"] == {
            "filtered": True,
            "severity": "high",
        }
    if isinstance(behaviour, b.RateLimit):
        assert isinstance(caught.value, openai.RateLimitError)
        assert caught.value.response.headers["retry-after"] == "7"
        assert "retry after 7 seconds" in str(caught.value)


def test_a_form_of_refusal_that_azure_does_not_have_is_refused() -> None:
    """The script knows the vendor's forms."""
    with pytest.raises(ValueError, match="contentFilter"):
        AzureEmulator().next(b.Refuse(form="has_nsfw_concepts"))
