"""The newest official `openai` client, validating strictly, in front of the whole app."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Literal

import openai
import pytest

from tests.emulators import behaviours as b
from tests.emulators import pictures
from tests.emulators.base import Emulator
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    PROMPT,
    House,
    Settings,
    accounts,
    evolink_upstream,
    openai_upstream,
    serving,
    write_config,
)

pytestmark = pytest.mark.usefixtures("whole_stack")


@asynccontextmanager
async def client(house: House, key: str = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client with its own defaults, apart from validating every answer strictly."""
    async with openai.AsyncOpenAI(base_url=house.base_url, api_key=key, _strict_response_validation=True) as official:
        yield official


@pytest.fixture
async def house(sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator) -> AsyncIterator[House]:
    """A gateway over OpenAI; the key `ci` has no credits, the key `other` no limit."""
    config = write_config(
        tmp_path, sqlite_database, {"openai": openai_upstream(openai_emulator)}, accounts=accounts("0credits/total")
    )
    async with serving(config, {"openai": openai_emulator}) as house:
        yield house


VENDORS = ("openai", "openai as links", "legacy", "evolink")


def vendor(name: str) -> tuple[Emulator, Settings]:
    """What `gpt-image-2` is made of: an emulator that answers in its own way, and the offer; the upstream is named `vendor`."""
    match name:
        case "evolink":
            rows = [{"quality": "medium", "usd": 0.0477}]
            return EvolinkEmulator(), {"upstream": "vendor", "model": "gpt-image-2", "cost": {"table": rows}}
        case "legacy":
            return OpenAIEmulator(legacy=True), {
                "upstream": "vendor",
                "model": "dall-e-3",
                "n_max": 1,
                "cost": {"per_image_usd": 0.04},
            }
        case _:
            links = OpenAIEmulator(as_url=name == "openai as links")
            return links, {"upstream": "vendor", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}


@pytest.mark.parametrize("name", VENDORS)
async def test_the_answer_has_what_was_asked_for(name: str, sqlite_database: str, tmp_path: Path) -> None:
    """b64_json, url or both, as `response_format` says, whatever the upstream returned; either way it is the upstream's picture."""
    emulator, offer = vendor(name)
    asked: tuple[Literal["b64_json", "url"] | None, ...] = ("b64_json", "url", None)
    async with emulator:
        section = (evolink_upstream if name == "evolink" else openai_upstream)(emulator)
        models = {"gpt-image-2": {"offers": [offer]}}
        config = write_config(tmp_path, sqlite_database, {"vendor": section}, models=models)
        async with serving(config, {"vendor": emulator}) as house, client(house) as official:
            for wish in asked:
                answer = await official.images.generate(
                    model="gpt-image-2", prompt=PROMPT, size="1024x1024", n=2, response_format=wish or openai.omit
                )
                assert answer.data is not None
                assert len(answer.data) == 2
                contents = []
                for item in answer.data:
                    assert (item.b64_json is None) == (wish == "url")
                    assert (item.url is None) == (wish == "b64_json")
                    contents += [base64.b64decode(item.b64_json)] if item.b64_json else []
                    contents += [(await house.get(item.url, key=None)).body] if item.url else []
                assert {pictures.decoded(content) for content in contents} == {("png", (1024, 1024))}
                assert len({pictures.label_of(content) for content in contents}) == 2, "two different pictures"
                assert answer.created > 1_700_000_000


async def test_usage_size_and_the_account_of_the_call(house: House, openai_emulator: OpenAIEmulator) -> None:
    """Tokens are the upstream's, the size is that of the picture, and the headers say who made it, for how much, and as which task."""
    async with client(house, OTHER_KEY) as official:
        raw = await official.images.with_raw_response.generate(
            model="gpt-image-2", prompt=PROMPT, size="1536x1024", quality="low"
        )
    answer = raw.parse()
    (bill,) = openai_emulator.bills
    assert (answer.size, answer.quality, answer.output_format) == ("1536x1024", "low", "png")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (6, 158)
    assert raw.headers["X-Upstream"] == "openai"
    assert raw.headers["X-Request-Id"].startswith("req_")
    assert Decimal(raw.headers["X-Credits-Used"]) == bill.usd * 72
    task = (await house.task(raw.headers["X-Task-Id"], key=OTHER_KEY)).json
    assert task["status"] == "completed"


REFUSALS: dict[str, tuple[type[openai.APIStatusError], str, dict[str, object], tuple[str, ...]]] = {
    "unknown model": (
        openai.NotFoundError,
        "model_not_found",
        {"model": "gpt-image-0"},
        ("gpt-image-0", "gpt-image-2"),
    ),
    "blank prompt": (openai.BadRequestError, "invalid_parameter", {"prompt": "  "}, ("prompt", "blank")),
    "2,001 tokens": (
        openai.BadRequestError,
        "prompt_too_long",
        {"model": "gpt-4o-image", "prompt": "a" + " fox" * 2000},
        ("2000 tokens", "gpt-4o-image"),
    ),
    "n=3": (openai.BadRequestError, "invalid_parameter", {"model": "gpt-4o-image", "n": 3}, ("n is 3", "1, 2, 4")),
    "no such size": (openai.BadRequestError, "unsupported_size", {"size": "17x17"}, ("17x17", "1024x1024")),
    "no credits": (openai.RateLimitError, "insufficient_quota", {}, ("0credits/total", "ci")),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refusal_is_the_right_exception_with_a_helpful_text(case: str, house: House) -> None:
    """The SDK raises the class it documents, with our code and a sentence that names the field and the remedy; it does not retry."""
    kind, code, fields, words = REFUSALS[case]
    async with client(house) as official:
        with pytest.raises(kind) as caught:
            await official.post(
                "/images/generations", body={"model": "gpt-image-2", "prompt": PROMPT} | fields, cast_to=object
            )
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value)
    assert caught.value.request_id is not None
    assert house.log_lines().count(b'"event":"request"') == 1, "one request, no retry"


async def test_a_wrong_key_is_an_authentication_error(house: House) -> None:
    """401 whatever is wrong with the key; no key at all has a code of its own."""
    async with client(house, "sk-not-a-key-of-this-gateway") as official:
        with pytest.raises(openai.AuthenticationError, match="key") as caught:
            await official.images.generate(model="gpt-image-2", prompt=PROMPT)
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await official.models.list()
    missing = await house.get("/v1/models", key=None)
    assert (missing.status, missing.error["code"]) == (401, "missing_api_key")


async def test_content_refusals_are_bad_requests(house: House, openai_emulator: OpenAIEmulator) -> None:
    """What the upstream's filter refused arrives as a 400 of OpenAI's kind, and only once."""
    openai_emulator.always(b.Refuse())
    async with client(house, OTHER_KEY) as official:
        with pytest.raises(openai.BadRequestError) as caught:
            await official.images.generate(model="gpt-image-2", prompt=PROMPT)
    assert caught.value.code == "content_policy_violation"
    assert len(openai_emulator.requests) == 1


async def test_parameters_that_nobody_understands_are_dropped_and_named(
    house: House, openai_emulator: OpenAIEmulator
) -> None:
    """`style`, unknown extras and old qualities do not fail a call; what went nowhere stands in X-Dropped-Params."""
    async with client(house, OTHER_KEY) as official:
        raw = await official.images.with_raw_response.generate(
            model="gpt-image-2",
            prompt=PROMPT,
            style="vivid",
            quality="hd",
            user="u-1",
            extra_body={"seed": 7, "steps": 20},
        )
    assert raw.headers["X-Dropped-Params"] == "seed, steps, style"
    sent = openai_emulator.requests[-1].json
    assert sent is not None
    assert (sent["quality"], sent["user"]) == ("high", "u-1")
    assert not sent.keys() & {"style", "seed", "steps", "response_format"}


async def test_an_old_name_takes_its_old_sizes(house: House, openai_emulator: OpenAIEmulator) -> None:
    """dall-e-3 at 1792x1024 is made by gpt-image-2 as a landscape, and answers in a form that dall-e-3's callers read."""
    async with client(house, OTHER_KEY) as official:
        answer = await official.images.generate(model="dall-e-3", prompt=PROMPT, size="1792x1024", quality="standard")
        names = [model.id async for model in official.models.list()]
        model = await official.models.retrieve("dall-e-3")
    assert answer.data is not None
    content = base64.b64decode(answer.data[0].b64_json or "")
    assert pictures.decoded(content)[1] == (1536, 1024)
    assert answer.data[0].url is not None
    sent = openai_emulator.requests[-1].json
    assert sent is not None
    assert (sent["model"], sent["size"], sent["quality"]) == ("gpt-image-2", "1536x1024", "medium")
    assert {"dall-e-3", "gpt-image-2", "gpt-4o-image"} <= set(names)
    assert model.id == "dall-e-3"


def poster_models() -> dict[str, Settings]:
    """A model for ten pictures, made by EvoLink's gpt-4o-image in calls of 1, 2 or 4."""
    offer = {"upstream": "evolink", "model": "gpt-4o-image", "cost": {"per_image_usd": 0.0208}}
    poster: Settings = {
        "prompt_tokens_max": 1000,
        "sizes": ["1024x1024"],
        "n": {"max": 10},
        "charge": {"credits": 1.5},
        "offers": [offer],
    }
    return {"poster": poster}


async def test_ten_pictures_are_split_by_what_the_upstream_takes(
    database_url: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """n=10 becomes calls of 4, 4 and 2; the answer has ten different pictures; ten are charged."""
    upstreams = {"evolink": evolink_upstream(evolink_emulator)}
    config = write_config(tmp_path, database_url, upstreams, models=poster_models())
    async with serving(config, {"evolink": evolink_emulator}) as house, client(house) as official:
        answer = await official.images.generate(model="poster", prompt=PROMPT, n=10)
    assert answer.data is not None
    contents = [base64.b64decode(item.b64_json or "") for item in answer.data]
    assert len({pictures.label_of(content) for content in contents}) == 10
    submits = [request.json or {} for request in evolink_emulator.requests if request.at == "create"]
    assert sorted(int(str(body["n"])) for body in submits) == [2, 4, 4]
    assert house.settled.charged() == 15


async def test_a_partial_success_charges_what_was_made(
    database_url: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """One of three parts fails and nobody else can make it: the caller gets the others, and pays for them alone."""
    evolink_emulator.next(b.FailTask(code="service_error"))
    upstreams = {"evolink": evolink_upstream(evolink_emulator)}
    config = write_config(tmp_path, database_url, upstreams, models=poster_models())
    async with serving(config, {"evolink": evolink_emulator}) as house, client(house) as official:
        answer = await official.images.generate(model="poster", prompt=PROMPT, n=10)
    assert answer.data is not None
    made = len(answer.data)
    assert made in (6, 8), "one part of 4 or of 2 is missing"
    assert evolink_emulator.billed_images == made
    assert house.settled.charged() == made * Decimal("1.5")
