"""Copies of OpenAI's API, each against its emulator: what is sent, how sizes are written, what comes back and at what cost, and its own errors."""

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Adapter, Generated, InlineImage, LinkedImage, UpstreamFailure, UpstreamSettings
from gateway.upstreams.openai_profiles import PROFILES
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.ark import ArkEmulator
from tests.emulators.base import Emulator
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.pictures import decoded
from tests.emulators.recraft import RecraftEmulator
from tests.emulators.servers import ServerEmulator
from tests.emulators.together import TogetherEmulator
from tests.emulators.xai import XAIEmulator
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted

VENDORS: Mapping[str, Callable[[], CompatibleEmulator]] = {
    "ark": ArkEmulator,
    "deepinfra": lambda: ServerEmulator("deepinfra"),
    "litellm": lambda: ServerEmulator("litellm"),
    "localai": lambda: ServerEmulator("localai", api_key=""),
    "new-api": lambda: ServerEmulator("new-api"),
    "ollama": lambda: ServerEmulator("ollama", api_key=""),
    "recraft": RecraftEmulator,
    "sglang": lambda: ServerEmulator("sglang", api_key=""),
    "together": TogetherEmulator,
    "vllm-omni": lambda: ServerEmulator("vllm", api_key=""),
    "xai": XAIEmulator,
}
MODELS = {
    "ark": "seedream-4-0-250828",
    "recraft": "recraftv3",
    "together": "black-forest-labs/FLUX.1-schnell",
    "xai": "grok-imagine-image",
}
WIDE = ImageRequest("a-model", "a fox", size="1536x1024", pixels=Pixels(1536, 1024))
RICH = replace(
    WIDE,
    quality=Quality.LOW,
    output_format=OutputFormat.JPEG,
    options=(("moderation", '"low"'), ("style", '"vivid"'), ("user", '"u1"')),
)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


Opened = Callable[..., AbstractAsyncContextManager[Adapter]]


@pytest.fixture
def opened(threads: ThreadPoolExecutor) -> Opened:
    @asynccontextmanager
    async def adapter_of(
        profile: str, vendor: Emulator, key: str | None = None, **options: str
    ) -> AsyncIterator[Adapter]:
        base_url = vendor.base_url + ("/v1" if profile == "together" else "")
        settings = UpstreamSettings(
            profile,
            "openai",
            base_url=base_url,
            api_key=vendor.api_key if key is None else key,
            options={"profile": profile, **options},
        )
        adapter = build(settings, Resources(SystemClock(), threads))
        try:
            yield adapter
        finally:
            await adapter.close()

    return adapter_of


def drawn(
    adapter: Adapter, request: ImageRequest = WIDE, model: str | None = None, **extra_fields: object
) -> Awaitable[Generated]:
    offer = an_offer(model or MODELS.get(adapter.name, "a-model"))
    extra = tuple((name, orjson.dumps(value).decode()) for name, value in extra_fields.items())
    return adapter.generate(a_call(request, offer=replace(offer, extra=extra)), nothing_submitted)


async def failed(adapter: Adapter, request: ImageRequest = WIDE, model: str | None = None) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await drawn(adapter, request, model)
    return caught.value


def body_of(vendor: Emulator) -> Mapping[str, object]:
    return vendor.requests[-1].json or {}


# --- what is sent

BODIES: Mapping[str, Mapping[str, object]] = {
    "ark": {"size": "1536x1024", "response_format": "b64_json", "watermark": False},
    "deepinfra": {"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
    "litellm": {
        **{"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
        **{"quality": "low", "output_format": "jpeg", "style": "vivid"},
    },
    "localai": {"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
    "new-api": {
        **{"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
        **{"quality": "low", "output_format": "jpeg", "style": "vivid"},
    },
    "ollama": {"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
    "recraft": {"n": 1, "size": "1536x1024", "response_format": "b64_json"},
    "sglang": {"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
    "together": {"n": 1, "width": 1536, "height": 1024, "response_format": "base64", "output_format": "jpeg"},
    "vllm-omni": {"n": 1, "size": "1536x1024", "response_format": "b64_json", "user": "u1"},
    "xai": {
        **{"n": 1, "aspect_ratio": "3:2", "resolution": "1k", "response_format": "b64_json"},
        **{"quality": "low", "user": "u1"},
    },
}


@pytest.mark.parametrize("profile", list(VENDORS))
async def test_bodies(profile: str, opened: Opened) -> None:
    """Everything that this vendor understands in its own spelling, nothing else, and the key only where there is one; a picture comes inline."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        generated = await drawn(adapter, RICH)
        model = MODELS.get(profile, "a-model")
        assert body_of(vendor) == {"model": model, "prompt": "a fox", **BODIES[profile]}
        [image] = generated.images
        assert isinstance(image, InlineImage)
        made = decoded(base64.b64decode(image.base64, validate=True))[1]
        assert abs(made[0] / made[1] - 1.5) < 0.02
        assert vendor.requests[-1].headers.get("authorization") == (
            f"Bearer {vendor.api_key}" if vendor.api_key else None
        )


@pytest.mark.parametrize("profile", list(VENDORS))
async def test_a_size_left_open_is_not_sent(profile: str, opened: Opened) -> None:
    """`auto` is the vendor's own choice, which every one of them makes."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        await drawn(adapter, ImageRequest("a-model", "a fox"))
        assert not {"size", "width", "height", "aspect_ratio", "resolution"} & body_of(vendor).keys()


@pytest.mark.parametrize(
    ("profile", "asked", "sent", "made"),
    [
        ("together", "1000x1500", {"width": 992, "height": 1504}, (992, 1504)),
        ("together", "1792x1024", {"width": 1792, "height": 1024}, (1792, 1024)),
        ("xai", "1024x1024", {"aspect_ratio": "1:1", "resolution": "1k"}, (1024, 1024)),
        ("xai", "2048x2048", {"aspect_ratio": "1:1", "resolution": "2k"}, (2048, 2048)),
        ("xai", "1820x1024", {"aspect_ratio": "16:9", "resolution": "1k"}, (1344, 768)),
        ("recraft", "1820x1024", {"size": "1820x1024"}, (1820, 1024)),
        ("ark", "2048x2048", {"size": "2048x2048"}, (2048, 2048)),
        ("deepinfra", "768x1360", {"size": "768x1360"}, (768, 1360)),
    ],
)  # fmt: skip
async def test_sizes(profile: str, asked: str, sent: dict[str, object], made: tuple[int, int], opened: Opened) -> None:
    """Written as this vendor wants it, and what comes is the picture asked for, or the nearest that it makes."""
    width, height = map(int, asked.split("x"))
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        [image] = (await drawn(adapter, replace(WIDE, size=asked, pixels=Pixels(width, height)))).images
        assert {name: body_of(vendor).get(name) for name in sent} == sent
        assert isinstance(image, InlineImage)
        assert decoded(base64.b64decode(image.base64))[1] == made


@pytest.mark.parametrize(
    ("profile", "model", "size", "able"),
    [
        ("ark", "seedream-4-0-250828", "1024x1024", True),
        ("ark", "seedream-4-0-250828", "512x512", False),
        ("ark", "doubao-seedream-4-5-251128", "1024x1024", False),
        ("ark", "seedream-4-5-251128", "2560x1440", True),
        ("together", "black-forest-labs/FLUX.1-schnell", "2048x2048", False),
        ("recraft", "recraftv3", "1792x1024", False),
        ("xai", "grok-imagine-image", "4096x4096", False),
        ("xai", "grok-imagine-image", "1024x512", True),
        ("xai", "grok-imagine-image", "3072x1024", False),
        ("ollama", "x/z-image-turbo", "8192x8192", False),
    ],
)
async def test_sizes_that_are_not_made(profile: str, model: str, size: str, able: bool, opened: Opened) -> None:
    """What a vendor would refuse, or make otherwise, is said beforehand; and where it is said that it makes a size, it does."""
    width, height = map(int, size.split("x"))
    request = replace(WIDE, size=size, pixels=Pixels(width, height))
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        sizes = adapter.capabilities(model).sizes
        assert sizes is not None
        assert (sizes.fit(size, Pixels(width, height)) is not None) is able
        if able:
            assert (await drawn(adapter, request, model)).images
        elif profile not in ("ollama", "xai"):  # which do something else than refuse it
            found = await failed(adapter, request, "seedream-4-5-251128" if profile == "ark" else model)
            assert (found.fault, found.billed) == (Fault.BAD_REQUEST, Billed.NO)
            assert vendor.billed_images == 0


@pytest.mark.parametrize(
    ("profile", "n_max"), [("together", 4), ("xai", 10), ("recraft", 6), ("deepinfra", 10), ("ollama", 1), ("ark", 1)]
)
async def test_counts(profile: str, n_max: int, opened: Opened) -> None:
    """As many pictures a call as the vendor gives; more are split before they come here, because the vendor refuses or ignores them."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        assert adapter.capabilities(MODELS.get(profile, "a-model")).n == tuple(range(1, n_max + 1))
        assert len((await drawn(adapter, replace(WIDE, n=n_max))).images) == n_max
        if profile == "ark":
            assert len((await drawn(adapter, replace(WIDE, n=2))).images) == 1
        else:
            assert (await failed(adapter, replace(WIDE, n=n_max + 1))).fault is Fault.BAD_REQUEST
        assert vendor.billed_images == n_max + (profile == "ark")


async def test_options_go_before_the_profile(opened: Opened) -> None:
    """`params` and `response_format` of the upstream and `extra` of the offer; base64 keeps the vendor's spelling."""
    async with TogetherEmulator() as vendor:
        async with opened("together", vendor, params="user", response_format="b64_json") as adapter:
            await drawn(adapter, RICH)
            assert body_of(vendor)["response_format"] == "base64"
            assert (body_of(vendor)["user"], body_of(vendor).get("output_format")) == ("u1", None)
            assert adapter.capabilities("any").output_formats == {OutputFormat.JPEG}
        async with opened("together", vendor, response_format="url") as adapter:
            assert adapter.capabilities("any").links_live_s == 3600
            await drawn(adapter, RICH, seed=1, output_format="png")
            assert (body_of(vendor)["response_format"], body_of(vendor)["output_format"]) == ("url", "png")
    async with ArkEmulator() as ark, opened("ark", ark) as adapter:
        await drawn(adapter, watermark=True)
        assert body_of(ark)["watermark"] is True
        assert adapter.capabilities("any").links_live_s is None


# --- what comes back


@pytest.mark.parametrize("profile", ["ark", "localai", "new-api", "recraft", "sglang", "together", "xai"])
async def test_links_are_fetched(profile: str, opened: Opened) -> None:
    """Told to answer with links, the vendor does, and each is one picture behind its own host."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor, response_format="url") as adapter:
        [image] = (await drawn(adapter)).images
        assert isinstance(image, LinkedImage)
        assert decoded(await adapter.fetch(image, time.monotonic() + 20))[1][0] > 1000
        assert [received.at for received in vendor.requests] == ["create", "download"]


@pytest.mark.parametrize("profile", ["ark", "recraft", "together", "xai"])
async def test_dead_links_are_lost_and_paid(profile: str, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that is gone when it is fetched costs what the picture cost."""
    monkeypatch.setattr("gateway.upstreams.wire.FETCH_PAUSES_S", (0.0,))
    async with VENDORS[profile]() as vendor, opened(profile, vendor, response_format="url") as adapter:
        [image] = (await drawn(adapter)).images
        assert isinstance(image, LinkedImage)
        vendor.always(b.Error(status=404), at="download")
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.fetch(image, time.monotonic() + 20)
        assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)


@pytest.mark.parametrize(
    ("profile", "model", "quality", "n", "usd"),
    [
        ("xai", "grok-imagine-image", Quality.AUTO, 3, "0.06"),
        ("xai", "grok-imagine-image-2.0", Quality.LOW, 1, "0.04"),
        ("xai", "grok-imagine-image-2.0", Quality.AUTO, 2, "0.12"),
        ("recraft", "recraftv3", Quality.AUTO, 2, "0.08"),
        ("recraft", "recraftv2", Quality.AUTO, 1, "0.022"),
    ],
)
async def test_the_cost_is_the_answers(
    profile: str, model: str, quality: Quality, n: int, usd: str, opened: Opened
) -> None:
    """Where the vendor names what a call cost, that is the cost, to the last digit of its bill."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        generated = await drawn(adapter, replace(WIDE, quality=quality, n=n), model)
        assert generated.cost_usd == Decimal(usd) == vendor.billed_usd


@pytest.mark.parametrize("profile", ["ark", "deepinfra", "together", "new-api"])
async def test_no_cost_is_made_up(profile: str, opened: Opened) -> None:
    """Ark's count of output tokens is no bill, and the others say nothing at all: the catalogue's price counts."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        generated = await drawn(adapter)
        assert (generated.cost_usd, generated.usage) == (None, None)


async def test_base64_as_a_data_url(opened: Opened) -> None:
    """xAI's `b64_json` may be a data URL; the picture is the same, and an empty revised prompt is none."""
    async with XAIEmulator(data_urls=True) as vendor, opened("xai", vendor) as adapter:
        [image] = (await drawn(adapter)).images
        assert isinstance(image, InlineImage)
        assert decoded(base64.b64decode(image.base64, validate=True)) == ("jpeg", (1248, 832))
        assert image.revised_prompt is None


async def test_a_sequence_of_which_some_are_refused(opened: Opened) -> None:
    """An offer may ask Ark for a sequence in its own words; what was made is handed on, and an error in an item's place is not."""
    async with ArkEmulator() as vendor, opened("ark", vendor) as adapter:
        asked: dict[str, Any] = {
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 3},
        }
        vendor.next(b.Fewer(images=2), b.Fewer(images=0))
        assert len((await drawn(adapter, **asked)).images) == 2
        with pytest.raises(UpstreamFailure) as caught:
            await drawn(adapter, **asked)
        assert (caught.value.fault, caught.value.billed) == (Fault.REFUSED, Billed.NO)
        assert vendor.billed_images == 2


# --- what goes wrong


def forms() -> list[tuple[str, b.Behaviour, Fault]]:
    """Every way in which each vendor refuses, is overloaded, or wants money."""
    found: list[tuple[str, b.Behaviour, Fault]] = []
    for profile, make in VENDORS.items():
        vendor = make()
        shortages = vendor.shortages or ("",)
        behaviours: list[tuple[b.Behaviour, Fault]] = [
            *((b.Refuse(form=form), Fault.REFUSED) for form in vendor.refusals),
            *((b.Overloaded(form=form), Fault.OVERLOADED) for form in vendor.overloads),
            *((b.OutOfMoney(code=code), Fault.NO_MONEY) for code in shortages),
            (b.RateLimit(), Fault.RATE_LIMITED),
        ]
        found += [
            (profile, behaviour, fault)
            for behaviour, fault in behaviours
            if not isinstance(behaviour, vendor.unsupported)
        ]
    return found


@pytest.mark.parametrize(("profile", "behaviour", "fault"), forms(), ids=str)
async def test_each_form_of_failure(profile: str, behaviour: b.Behaviour, fault: Fault, opened: Opened) -> None:
    """In whichever words a vendor says it, routing hears the same, and nothing was billed."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        vendor.next(behaviour)
        found = await failed(adapter)
        assert (found.fault, found.billed) == (fault, Billed.NO)
        assert vendor.billed_images == 0
        assert len(vendor.requests) == 1


@pytest.mark.parametrize("form", XAIEmulator.refusals)
async def test_refusals_that_xai_charges_for(form: str, opened: Opened) -> None:
    """Its own figure says so: the attempt is paid, and at that price."""
    async with XAIEmulator() as vendor, opened("xai", vendor) as adapter:
        vendor.next(b.Refuse(form=form, bills=True))
        found = await failed(adapter, replace(WIDE, n=2))
        assert (found.fault, found.billed, found.cost_usd) == (Fault.REFUSED, Billed.YES, Decimal("0.04"))


@pytest.mark.parametrize("profile", [name for name, make in VENDORS.items() if b.RateLimit not in make().unsupported])
@pytest.mark.parametrize(
    ("behaviour", "wait_s"),
    [(b.RateLimit(retry_after="7"), 7), (b.RateLimit(retry_after_ms=1500), 1.5), (b.RateLimit(), None)],
    ids=str,
)
async def test_how_long_to_wait(profile: str, behaviour: b.Behaviour, wait_s: float | None, opened: Opened) -> None:
    """The hint of the headers; none is read out of words that have none."""
    async with VENDORS[profile]() as vendor, opened(profile, vendor) as adapter:
        vendor.next(behaviour)
        assert (await failed(adapter)).retry_after_s == wait_s


@pytest.mark.parametrize("profile", ["ark", "deepinfra", "recraft", "together", "xai", "litellm", "new-api"])
async def test_what_the_operator_must_mend(profile: str, opened: Opened) -> None:
    """A wrong key, and a model that the vendor does not have, are not the caller's fault."""
    async with VENDORS[profile]() as vendor:
        async with opened(profile, vendor, key="wrong") as adapter:
            found = await failed(adapter)
            assert (found.fault, found.billed) == (Fault.CREDENTIALS, Billed.NO)
        async with opened(profile, vendor) as adapter:
            found = await failed(adapter, model="none")
            expected = (
                Fault.BAD_REQUEST if profile == "recraft" else Fault.CREDENTIALS
            )  # whose 400 has one code for all
            assert (found.fault, found.billed) == (expected, Billed.NO)


# --- whether it works


@pytest.mark.parametrize("profile", list(VENDORS))
async def test_a_check_that_costs_nothing(profile: str, opened: Opened) -> None:
    """One GET where the vendor has such, which finds a wrong key; nothing is drawn or billed."""
    check = PROFILES[profile].check
    async with VENDORS[profile]() as vendor:
        async with opened(profile, vendor) as adapter:
            said = await adapter.check(time.monotonic() + 5)
        if check is None:
            assert (said.startswith("nothing was sent"), vendor.requests) == (True, [])
            return
        assert f"GET {check.path} answered" in said
        assert ("key is taken" in said) is check.needs_key
        assert ([received.at for received in vendor.requests], vendor.billed_images) == (["free"], 0)
        async with opened(profile, vendor, key="wrong") as adapter:
            with pytest.raises(UpstreamFailure) as caught:
                await adapter.check(time.monotonic() + 5)
        assert caught.value.fault is Fault.CREDENTIALS
