"""The OpenAI emulator against the vendor's own SDK: if the SDK is content, an adapter tested on it learned the truth."""

import asyncio
import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import openai
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.fixtures import StartProcess
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.openai_rules import image_tokens
from tests.emulators.pictures import decoded, label_of


def client_of(emulator: OpenAIEmulator, **changes: object) -> openai.AsyncOpenAI:
    """The official client, strict about every answer, without retries of its own."""
    options: dict[str, object] = {
        "base_url": emulator.base_url,
        "api_key": emulator.api_key,
        "max_retries": 0,
        "timeout": 30.0,
        "_strict_response_validation": True,
    }
    return openai.AsyncOpenAI(**(options | changes))  # type: ignore[arg-type]  # the test's own keywords


@pytest_asyncio.fixture
async def client(openai_emulator: OpenAIEmulator) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client of the emulator of this test."""
    async with client_of(openai_emulator) as made:
        yield made


@pytest.mark.parametrize(
    ("quality", "width", "height", "usd"),
    [
        ("low", 1024, 1024, "0.00588"),
        ("medium", 1024, 1024, "0.05268"),
        ("high", 1024, 1024, "0.21072"),
        ("medium", 1536, 1024, "0.04116"),
        ("high", 2048, 2048, "0.42816"),
        ("high", 3840, 2160, "0.40026"),
    ],
)
def test_the_token_formula_gives_the_published_prices(quality: str, width: int, height: int, usd: str) -> None:
    """Output tokens × $30 per million reproduce the price list of gpt-image-2."""
    q = {"low": 16, "medium": 48, "high": 96}[quality]
    assert image_tokens(q, width, height) * Decimal(30) / 1_000_000 == Decimal(usd)


async def test_a_plain_call_is_answered_and_billed(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """Open choices are resolved in the answer, the picture is real, the bill is the usage times the price."""
    answer = await client.images.generate(model="gpt-image-2", prompt="a cat on a mat")
    assert (answer.size, answer.quality, answer.output_format, answer.background) == (
        "1024x1024",
        "medium",
        "png",
        "opaque",
    )
    assert answer.data is not None
    assert answer.usage is not None
    content = base64.b64decode(answer.data[0].b64_json or "")
    assert decoded(content) == ("png", (1024, 1024))
    assert answer.usage.output_tokens == image_tokens(48, 1024, 1024)
    [bill] = openai_emulator.bills
    expected = Decimal(answer.usage.output_tokens * 30 + answer.usage.input_tokens * 5)
    assert (bill.microusd, bill.images, bill.prompt) == (expected, 1, "a cat on a mat")
    assert label_of(content) == f"{bill.request_id}/0"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_every_format_and_size_is_what_was_asked(client: openai.AsyncOpenAI, output_format: str) -> None:
    """Pictures decode to the asked format and size, and no two are equal."""
    answer = await client.images.generate(
        model="gpt-image-2.5-flare",
        prompt="tea",
        n=3,
        size="1280x768",
        quality="xhigh",
        output_format=output_format,  # type: ignore[call-overload]  # also values that the SDK does not name
    )
    contents = {base64.b64decode(item.b64_json) for item in answer.data}
    assert len(contents) == 3
    assert {decoded(content) for content in contents} == {(output_format, (1280, 768))}


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """The list has the living models and not the retired ones; one can be asked for by name."""
    names = [model.id async for model in client.models.list()]
    assert "gpt-image-2" in names
    assert "dall-e-3" not in names
    assert (await client.models.retrieve("gpt-image-2")).owned_by == "system"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-image-9")


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
        ({"style": "vivid"}, "unknown_parameter", "style"),
        ({"size": "1000x1000"}, "invalid_value", "size"),
        ({"size": "3840x1024"}, "invalid_value", "size"),
        ({"size": "512x512"}, "invalid_value", "size"),
        ({"quality": "xhigh"}, "invalid_value", "quality"),
        ({"quality": "hd"}, "invalid_value", "quality"),
        ({"output_format": "gif"}, "invalid_value", "output_format"),
        ({"background": "transparent", "output_format": "jpeg"}, "invalid_value", "background"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"n": 11}, "integer_above_max_value", "n"),
        ({"n": "2"}, "invalid_type", "n"),
        ({"prompt": ""}, "missing_required_parameter", "prompt"),
        ({"prompt": "x" * 32_001}, "string_above_max_length", "prompt"),
    ],
)
async def test_a_bad_request_is_400_and_free(
    client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator, changes: dict[str, object], code: str, param: str
) -> None:
    """Each field is checked, named in the error, and nothing is billed."""
    body: dict[str, object] = {"model": "gpt-image-2", "prompt": "tea"} | changes
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(**body)  # type: ignore[call-overload]  # also bodies that the SDK does not name
    assert (caught.value.code, caught.value.param) == (code, param)
    assert openai_emulator.bills == []


async def test_unknown_model_key_and_url(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """A retired model and an unknown URL are 404, a wrong key is 401."""
    with pytest.raises(openai.NotFoundError) as caught:
        await client.images.generate(model="dall-e-3", prompt="tea")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError) as denied:
        await client.with_options(api_key="sk-other").images.generate(model="gpt-image-2", prompt="tea")
    assert denied.value.code == "invalid_api_key"
    with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises(openai.NotFoundError):
        await client.images.create_variation(image=b"x")


@pytest.mark.parametrize(
    ("behaviour", "raised", "code", "billed"),
    [
        (b.Refuse(), openai.BadRequestError, "moderation_blocked", 0),
        (b.Refuse(bills=True), openai.BadRequestError, "moderation_blocked", 1),
        (b.RateLimit(retry_after="7", retry_after_ms=6500), openai.RateLimitError, "rate_limit_exceeded", 0),
        (b.OutOfMoney(), openai.RateLimitError, "insufficient_quota", 0),
        (b.OutOfMoney(code="credit_balance_exhausted"), openai.RateLimitError, "credit_balance_exhausted", 0),
        (b.Overloaded(), openai.InternalServerError, "server_is_overloaded", 0),
        (b.Error(), openai.InternalServerError, "server_error", 0),
        (b.Error(status=403, code="unsupported_country"), openai.PermissionDeniedError, "unsupported_country", 0),
        (b.HtmlError(), openai.InternalServerError, None, 0),
        (b.HtmlError(status=504, bills=True), openai.InternalServerError, None, 1),
        (b.Reset(), openai.APIConnectionError, None, 0),
        (b.Reset(before_reading=True), openai.APIConnectionError, None, 0),
        (b.Reset(bills=True), openai.APIConnectionError, None, 1),
        (b.Truncated(), openai.APIConnectionError, None, 1),
        (b.Hang(bills=True), openai.APITimeoutError, None, 1),
        (b.Hang(), openai.APITimeoutError, None, 0),
        (b.MalformedJson(), ValueError, None, 1),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
async def test_the_sdk_sees_every_failure_as_from_the_vendor(
    openai_emulator: OpenAIEmulator,
    behaviour: b.Behaviour,
    raised: type[Exception],
    code: str | None,
    billed: int,
) -> None:
    """Every behaviour raises the SDK's exception for it, once, and bills what it says; the next call succeeds."""
    openai_emulator.next(behaviour)
    timeout_s = 0.3 if isinstance(behaviour, b.Hang) else 30.0
    async with client_of(openai_emulator, timeout=timeout_s) as client:
        with pytest.raises(raised) as caught:
            await client.images.generate(model="gpt-image-2", prompt="tea")
    assert getattr(caught.value, "code", None) == code
    assert openai_emulator.billed_images == billed
    async with client_of(openai_emulator) as client:
        await client.images.generate(model="gpt-image-2", prompt="tea")
    assert openai_emulator.billed_images == billed + 1
    assert [received.behaviour for received in openai_emulator.requests] == [behaviour.kind, "succeed"]


async def test_a_dripping_answer_defeats_a_read_timeout_and_is_whole_in_the_end(
    openai_emulator: OpenAIEmulator,
) -> None:
    """Every read is in time although the answer as a whole is late; only a deadline for the whole call helps."""
    openai_emulator.next(b.Drip(pause_s=0.05), b.Drip(chunk_bytes=8192, pause_s=0.05))
    async with client_of(openai_emulator, timeout=2.0) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await client.images.generate(model="gpt-image-2", prompt="tea")
        assert (await client.images.generate(model="gpt-image-2", prompt="tea")).data
    assert openai_emulator.billed_images == 2


async def test_a_hanging_call_can_be_released(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """A billed call gets its answer after all, an unbilled one an error."""
    openai_emulator.next(b.Hang(bills=True), b.Hang())
    calls = [
        asyncio.create_task(client.images.generate(model="gpt-image-2", prompt=prompt)) for prompt in ("one", "two")
    ]
    await openai_emulator.until(lambda emulator: emulator.hanging == 2)
    assert not any(call.done() for call in calls)
    openai_emulator.release()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {openai.types.ImagesResponse, openai.InternalServerError}
    assert openai_emulator.billed_images == 1


async def test_rate_limit_hints_are_headers(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """Retry-After and retry-after-ms arrive as given, beside the request id that the bill names."""
    openai_emulator.next(b.RateLimit(retry_after="7", retry_after_ms=6500))
    with pytest.raises(openai.RateLimitError) as caught:
        await client.images.generate(model="gpt-image-2", prompt="tea")
    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("7", "6500")
    assert caught.value.request_id == openai_emulator.requests[-1].id


async def test_rules_go_before_the_queue_and_the_queue_before_always(
    client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator
) -> None:
    """A rule on the prompt does not use up the queue; `always` is what is left."""
    openai_emulator.always(b.Overloaded())
    openai_emulator.next(b.Succeed())
    openai_emulator.when("forbidden", b.Refuse())
    with pytest.raises(openai.BadRequestError):
        await client.images.generate(model="gpt-image-2", prompt="a forbidden thing")
    await client.images.generate(model="gpt-image-2", prompt="tea")
    with pytest.raises(openai.InternalServerError):
        await client.images.generate(model="gpt-image-2", prompt="tea")


async def test_fewer_and_wrong_pictures(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """A short answer bills what it has; a wrong picture is billed although it is none."""
    openai_emulator.next(b.Fewer(images=2), b.WrongImage(), b.WrongImage(what="other_format"))
    short = await client.images.generate(model="gpt-image-2", prompt="tea", n=4)
    assert (len(short.data or ()), openai_emulator.billed_images) == (2, 2)
    no_image = await client.images.generate(model="gpt-image-2", prompt="tea")
    assert base64.b64decode((no_image.data or [])[0].b64_json or "").startswith(b"<html>")
    other = await client.images.generate(model="gpt-image-2", prompt="tea")
    assert decoded(base64.b64decode((other.data or [])[0].b64_json or ""))[0] == "jpeg"
    assert openai_emulator.billed_images == 4


async def test_legacy_models_answer_with_a_link() -> None:
    """As a compatible vendor: dall-e-3 is served, its link gives the picture, the price is per picture."""
    async with OpenAIEmulator(legacy=True) as emulator, client_of(emulator) as client:
        answer = await client.images.generate(model="dall-e-3", prompt="tea", size="1792x1024", style="vivid")
        assert answer.data is not None
        async with aiohttp.ClientSession() as session, session.get(answer.data[0].url or "") as response:
            assert decoded(await response.read()) == ("png", (1792, 1024))
        assert emulator.billed_usd == Decimal("0.08")


async def test_refused_connections_come_back(client: openai.AsyncOpenAI, openai_emulator: OpenAIEmulator) -> None:
    """While the port is closed nothing connects and nothing is logged; afterwards the same URL works."""
    await client.images.generate(model="gpt-image-2", prompt="tea")
    await openai_emulator.refuse_connections()
    with pytest.raises(openai.APIConnectionError):
        await client.images.generate(model="gpt-image-2", prompt="tea")
    assert len(openai_emulator.requests) == 1
    await openai_emulator.accept_connections()
    await client.images.generate(model="gpt-image-2", prompt="tea")


def test_a_vendor_without_tasks_refuses_to_fail_one() -> None:
    """A behaviour that the wire cannot show is an error of the test, not a silent success."""
    with pytest.raises(ValueError):
        OpenAIEmulator().next(b.FailTask())


def test_the_process_form_shares_one_emulator_and_keeps_its_bills(
    emulator_process: StartProcess, tmp_path: Path
) -> None:
    """Another process serves, is scripted over its control port, and a restart finds the bills again."""
    state = tmp_path / "state.jsonl"
    process = emulator_process("openai", state_file=state, delay=0.05)
    with openai.OpenAI(base_url=process.base_url, api_key=process.api_key, max_retries=0) as client:
        client.images.generate(model="gpt-image-2", prompt="tea")
        process.next(b.Refuse(categories=("violence",)))
        with pytest.raises(openai.BadRequestError, match="violence"):
            client.images.generate(model="gpt-image-2", prompt="tea")
        process.next(b.Reset(bills=True))
        with pytest.raises(openai.APIConnectionError):
            client.images.generate(model="gpt-image-2", prompt="tea")
        process.refuse_connections()
        with pytest.raises(openai.APIConnectionError):
            client.images.generate(model="gpt-image-2", prompt="tea")
        process.accept_connections()
        assert client.models.list().data
    assert [received.status for received in process.requests] == [200, 400, None, 200]
    assert process.billed_images == 2
    bills = process.bills
    process.stop()
    again = emulator_process("openai", state_file=state)
    assert (again.bills, len(again.requests)) == (bills, 4)
    assert again.billed_usd == 2 * bills[0].usd
    again.reset()
    assert again.bills == []
