"""The copies of OpenAI's API against OpenAI's own SDK: what each leaves out, and how each words its errors."""

import base64
from collections.abc import Mapping

import openai
import pytest

from tests.emulators import behaviours as b
from tests.emulators.pictures import decoded
from tests.emulators.servers import PROFILES, ServerEmulator


async def drawn(emulator: ServerEmulator, **body: object) -> openai.types.ImagesResponse:
    """One call with the SDK."""
    asked: dict[str, object] = {"model": "Qwen/Qwen-Image", "prompt": "tea"} | body
    async with openai.AsyncOpenAI(
        base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0, timeout=30.0
    ) as client:
        answer: openai.types.ImagesResponse = await client.images.generate(**asked)  # type: ignore[call-overload]  # also fields that the SDK does not name
        return answer


@pytest.mark.parametrize("profile", list(PROFILES))
async def test_each_draws_for_openais_sdk(profile: str) -> None:
    """A picture as bytes or as a link, in the server's own size where none is asked for; free at home, by megapixel elsewhere."""
    async with ServerEmulator(profile) as emulator:
        known = PROFILES[profile]
        answer = await drawn(emulator, extra_body={"seed": 5})
        assert answer.data is not None
        item = answer.data[0]
        if known.formats[0] == "b64_json":
            assert decoded(base64.b64decode(item.b64_json or "")) == ("png", known.size)
        else:
            assert (item.url or "").startswith(emulator.origin)
        assert emulator.billed_usd == known.megapixel_usd
        if "url" not in known.formats:
            with pytest.raises(openai.BadRequestError):
                await drawn(emulator, response_format="url")
        with pytest.raises(openai.APIStatusError) as caught:
            await drawn(emulator, size="big")
        assert caught.value.status_code in (400, 422)
        assert emulator.billed_images == 1


# Status and code of: refusal, rate limit, overload, empty account.
GATEWAYS: Mapping[str, list[tuple[int, str | None]]] = {
    "deepinfra": [
        (400, "content_policy_violation"),
        (429, "rate_limit_exceeded"),
        (503, "overloaded"),
        (402, "insufficient_balance"),
    ],
    "litellm": [(400, "400"), (429, "429"), (503, "503"), (400, "400")],
    "new-api": [
        (400, "content_policy_violation"),
        (429, "rate_limit_exceeded"),
        (503, "model_not_found"),
        (403, "insufficient_user_quota"),
    ],
}


@pytest.mark.parametrize("profile", list(GATEWAYS))
async def test_gateways_rewrite_errors(profile: str) -> None:
    """The code may be the status as text, and then only the message tells a refusal or an empty account from a bad request."""
    seen = []
    async with ServerEmulator(profile) as emulator:
        emulator.next(b.Refuse(), b.RateLimit(retry_after="3"), b.Overloaded(), b.OutOfMoney())
        for _ in range(4):
            with pytest.raises(openai.APIStatusError) as caught:
                await drawn(emulator)
            seen.append((caught.value.status_code, caught.value.code))
    assert seen == GATEWAYS[profile]


def test_a_server_of_ones_own_has_no_filter_and_no_account() -> None:
    """The script refuses what such a server cannot say."""
    for behaviour in (b.Refuse(), b.OutOfMoney(), b.RateLimit()):
        with pytest.raises(ValueError):
            ServerEmulator("ollama").next(behaviour)


@pytest.mark.parametrize("profile", list(PROFILES))
async def test_the_list_of_models_is_free(profile: str) -> None:
    """OpenAI's SDK reads it, a wrong key does not, and it is no call for pictures."""
    async with ServerEmulator(profile) as emulator:
        async with openai.AsyncOpenAI(
            base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0, timeout=30.0
        ) as client:
            assert [model.id async for model in client.models.list()] == ["a-model"]
            with pytest.raises(openai.AuthenticationError):
                await client.with_options(api_key="wrong").models.list()
        assert (emulator.billed_images, [received.at for received in emulator.requests]) == (0, ["free", "free"])
