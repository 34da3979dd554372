"""The fal.ai adapter's own wire: the queue, bodies by family, every form of refusal, black pictures, doubtful results, and what it costs."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain import money
from gateway.domain.catalog import Offer, PerImage, PerMegapixel, Price, PriceFormula
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.tasks import Billed, Fault
from gateway.routing.quote import cost_usd
from gateway.upstreams.base import Adapter, InlineImage, LinkedImage, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.fal import FalEmulator
from tests.emulators.fal_rules import ERROR_TYPES
from tests.emulators.pictures import decoded
from tests.unit.upstreams.calls import a_call

SCHNELL, DEV, PRO = "fal-ai/flux/schnell", "fal-ai/flux/dev", "fal-ai/flux-pro/v1.1"
BANANA, GPT = "fal-ai/nano-banana", "openai/gpt-image-2"
PRICES: dict[str, Price] = {
    SCHNELL: PerMegapixel(Decimal("0.003"), whole=True),
    DEV: PerMegapixel(Decimal("0.025"), whole=True),
    PRO: PerMegapixel(Decimal("0.04"), whole=True),
    BANANA: PerImage(Decimal("0.039")),
    GPT: PriceFormula("gpt-image-2", round_up_usd=Decimal("0.001")),
}
REQUEST = ImageRequest("m", "a fox", size="1024x1024", pixels=Pixels(1024, 1024))


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[FalEmulator]:
    async with FalEmulator() as emulator:
        yield emulator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest_asyncio.fixture
async def adapter(vendor: FalEmulator, threads: ThreadPoolExecutor) -> AsyncIterator[Adapter]:
    adapter = an_adapter(vendor, threads, vendor.api_key)
    yield adapter
    await adapter.close()


def an_adapter(vendor: FalEmulator, threads: ThreadPoolExecutor, api_key: str) -> Adapter:
    settings = UpstreamSettings(
        "fal", "fal", base_url=vendor.base_url, api_key=api_key, options={"poll_interval": "20ms"}
    )
    return build(settings, Resources(SystemClock(), threads))


class Stored:
    """What the pipeline would have stored, and when."""

    def __init__(self, vendor: FalEmulator) -> None:
        self.vendor = vendor
        self.refs: list[str] = []
        self.polls_before = -1

    async def __call__(self, upstream_ref: str) -> None:
        self.polls_before = count(self.vendor, "poll")
        self.refs.append(upstream_ref)


def count(vendor: FalEmulator, at: str) -> int:
    return sum(received.at == at for received in vendor.requests)


def a_job(
    request: ImageRequest = REQUEST,
    endpoint: str = DEV,
    *,
    params: tuple[tuple[str, str], ...] = (),
    extra: tuple[tuple[str, str], ...] = (),
    seconds: float = 20.0,
) -> UpstreamCall:
    price = PRICES.get(endpoint, PerImage(Decimal("0.02")))
    offer = Offer(f"fal/{endpoint}", "fal", endpoint, price, params=params, extra=extra)
    return a_call(request, offer=offer, seconds=seconds)


async def failure(adapter: Adapter, call: UpstreamCall, vendor: FalEmulator) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(call, Stored(vendor))
    return caught.value


async def test_the_request_id_is_stored_before_the_first_poll(vendor: FalEmulator, adapter: Adapter) -> None:
    """The id is stored first; the request is asked for under owner and application; the queue drops what nobody waits for any more."""
    stored = Stored(vendor)
    await adapter.generate(a_job(seconds=19.5), stored)
    submit, *asked = vendor.requests
    assert (len(stored.refs), stored.polls_before) == (1, 0)
    assert (submit.path, submit.headers["authorization"]) == (f"/{DEV}", f"Key {vendor.api_key}")
    assert submit.headers["x-fal-request-timeout"] == "20"
    assert {one.path for one in asked} == {
        f"/fal-ai/flux/requests/{stored.refs[0]}/status",
        f"/fal-ai/flux/requests/{stored.refs[0]}",
    }
    assert asked[-1].at == "result"


@pytest.mark.parametrize(
    ("endpoint", "size", "sent", "made"),
    [
        (
            SCHNELL,
            Pixels(1024, 1536),
            {"image_size": {"width": 1024, "height": 1536}, "output_format": "png"},
            (1024, 1536),
        ),
        (
            DEV,
            Pixels(1000, 1000),
            {"image_size": {"width": 992, "height": 992}, "output_format": "png"},
            (992, 992),
        ),
        (PRO, Pixels(1440, 960), {"image_size": {"width": 1440, "height": 960}, "output_format": "png"}, (1440, 960)),
        (BANANA, Pixels(1536, 1024), {"aspect_ratio": "3:2", "output_format": "png"}, (1248, 832)),
        (
            GPT,
            Pixels(1536, 1024),
            {"image_size": {"width": 1536, "height": 1024}, "output_format": "png", "quality": "auto"},
            (1536, 1024),
        ),
        (DEV, None, {"output_format": "png"}, (1024, 768)),
        (BANANA, None, {"output_format": "png"}, (1024, 1024)),
    ],
)
async def test_each_family_has_its_own_words(
    vendor: FalEmulator,
    adapter: Adapter,
    endpoint: str,
    size: Pixels | None,
    sent: dict[str, object],
    made: tuple[int, int],
) -> None:
    """Pixels, or a ratio; PNG unless something else is asked for; nothing about the size for auto. All of it is what the vendor takes."""
    request = replace(REQUEST, n=2, size=str(size or "auto"), pixels=size)
    found = await adapter.generate(a_job(request, endpoint), Stored(vendor))
    assert vendor.requests[0].json == {"prompt": "a fox", "num_images": 2, **sent}
    files = [
        await adapter.fetch(image, time.monotonic() + 20) for image in found.images if isinstance(image, LinkedImage)
    ]
    assert [decoded(file) for file in files] == [("png", made)] * 2


@pytest.mark.parametrize(
    ("endpoint", "size", "n", "quality"),
    [
        (SCHNELL, "1024x1024", 1, Quality.AUTO),
        (SCHNELL, "1536x1024", 4, Quality.AUTO),
        (DEV, "1040x1040", 2, Quality.AUTO),
        (DEV, "auto", 1, Quality.AUTO),
        (PRO, "1440x1440", 1, Quality.AUTO),
        (BANANA, "1536x1024", 3, Quality.AUTO),
        (GPT, "1024x1024", 1, Quality.LOW),
        (GPT, "1536x1024", 2, Quality.MEDIUM),
        (GPT, "2048x2048", 1, Quality.HIGH),
        (GPT, "1024x1536", 1, Quality.AUTO),
        (GPT, "auto", 1, Quality.AUTO),
    ],
)
async def test_a_quote_covers_the_bill(
    vendor: FalEmulator, adapter: Adapter, endpoint: str, size: str, n: int, quality: Quality
) -> None:
    """What is held is at least what the vendor takes; where the size and quality are known, it is that to the micro."""
    pixels = None if size == "auto" else Pixels(*map(int, size.split("x")))
    request = replace(REQUEST, n=n, size=size, pixels=pixels, quality=quality)
    call = a_job(request, endpoint)
    found = await adapter.generate(call, Stored(vendor))
    sizes = adapter.capabilities(endpoint).sizes
    quote = cost_usd(call.offer.price, request, pixels=pixels, n=n, calls=1, sizes=sizes)
    assert quote is not None
    billed = money.usd_cost(vendor.billed_usd)
    assert vendor.billed_images == n
    assert quote.most_microusd >= billed
    if pixels is not None and (endpoint != GPT or quality is not Quality.AUTO):
        assert quote.most_microusd == billed
    # The units are megapixels or pictures where the price is one for these; what a unit of gpt-image-2 is, is not known.
    assert found.cost_usd == (None if endpoint == GPT else vendor.billed_usd)


async def test_parameters(vendor: FalEmulator, adapter: Adapter) -> None:
    """What an endpoint understands is sent by its name, what the offer fixes goes over it, and the operator's own fields over everything."""
    request = replace(REQUEST, quality=Quality.HIGH, output_format=OutputFormat.WEBP)
    await adapter.generate(a_job(request, GPT, params=(("quality", "low"),)), Stored(vendor))
    extra = (("num_inference_steps", "28"), ("output_format", '"jpeg"'))
    found = await adapter.generate(a_job(request, DEV, extra=extra), Stored(vendor))
    gpt, flux = [received.json or {} for received in vendor.requests if received.at == "create"]
    assert (gpt["quality"], gpt["output_format"]) == ("low", "webp")
    assert (flux["num_inference_steps"], flux["output_format"], "quality" in flux) == (28, "jpeg", False)
    assert isinstance(found.images[0], LinkedImage)
    assert decoded(await adapter.fetch(found.images[0], time.monotonic() + 20))[0] == "jpeg"


async def test_pictures_inside_the_answer(vendor: FalEmulator, adapter: Adapter) -> None:
    """With sync_mode links are data URLs."""
    found = await adapter.generate(a_job(extra=(("sync_mode", "true"),)), Stored(vendor))
    assert isinstance(found.images[0], InlineImage)
    assert decoded(base64.b64decode(found.images[0].base64)) == ("png", (1024, 1024))


@pytest.mark.parametrize("form", ["", "content_policy_violation", "bare_list", "text"])
async def test_refusals(vendor: FalEmulator, adapter: Adapter, form: str) -> None:
    """All three envelopes are one refusal; whether it was charged the vendor does not say."""
    vendor.next(b.Refuse(form=form))
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, count(vendor, "create")) == (Fault.REFUSED, Billed.UNKNOWN, 1)
    assert found.param == (None if form == "text" else "prompt")


async def test_black_pictures_are_refused_and_billed(vendor: FalEmulator, adapter: Adapter) -> None:
    """Nothing but black pictures: a refusal that costs what pictures cost."""
    vendor.next(b.Refuse(form="has_nsfw_concepts"))
    found = await failure(adapter, a_job(replace(REQUEST, n=2)), vendor)
    assert (found.fault, found.billed) == (Fault.REFUSED, Billed.YES)
    assert found.cost_usd == vendor.billed_usd == Decimal("0.05")


async def test_the_other_pictures_are_delivered(vendor: FalEmulator, adapter: Adapter) -> None:
    """One black picture of three is left out, and the cost is that of all three."""
    images = [{"url": f"https://v3.fal.media/{i}.png", "width": 1024, "height": 1024} for i in range(3)]
    body = orjson.dumps({"images": images, "has_nsfw_concepts": [False, True, False]}).decode()
    vendor.next(b.Error(status=200, body=body, headers=(("x-fal-billable-units", "3"),)), at="result")
    found = await adapter.generate(a_job(replace(REQUEST, n=3)), Stored(vendor))
    assert [image.url for image in found.images if isinstance(image, LinkedImage)] == [
        "https://v3.fal.media/0.png",
        "https://v3.fal.media/2.png",
    ]
    assert found.cost_usd == Decimal("0.075")


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.OutOfMoney(), Fault.NO_MONEY),
        (b.Overloaded(), Fault.OVERLOADED),
        (b.RateLimit(retry_after="4"), Fault.RATE_LIMITED),
        (b.Error(status=403, body='{"detail": "User is locked. Reason: Admin lock."}'), Fault.NO_MONEY),
        (b.Error(status=401, body='{"detail": "Invalid authentication credentials"}'), Fault.CREDENTIALS),
        (b.Error(status=422, body='[{"type": "value_error", "msg": "x", "loc": ["body", "y"]}]'), Fault.BAD_REQUEST),
    ],
)
async def test_what_the_queue_refuses(
    vendor: FalEmulator, adapter: Adapter, behaviour: b.Behaviour, fault: Fault
) -> None:
    """Nothing was queued, nothing is asked for, nothing is billed."""
    vendor.next(behaviour)
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed) == (fault, Billed.NO)
    assert found.retry_after_s == (4 if fault is Fault.RATE_LIMITED else None)
    assert [received.at for received in vendor.requests] == ["create"]


async def test_an_application_that_does_not_exist(vendor: FalEmulator, adapter: Adapter) -> None:
    """The operator must act."""
    found = await failure(adapter, a_job(endpoint="fal-ai/none"), vendor)
    assert (found.fault, found.billed) == (Fault.CREDENTIALS, Billed.NO)


@pytest.mark.parametrize("endpoint", ["flux", "a//b", "a/../b", "../a/b", "a/b?c=d", "", "a/b/"])
async def test_an_odd_endpoint_is_not_sent(vendor: FalEmulator, adapter: Adapter, endpoint: str) -> None:
    """It becomes an address, so only plain ones are used."""
    found = await failure(adapter, a_job(endpoint=endpoint), vendor)
    assert (found.fault, found.billed) == (Fault.CREDENTIALS, Billed.NO)
    assert vendor.requests == []


@pytest.mark.parametrize("code", ERROR_TYPES)
async def test_requests_that_failed(vendor: FalEmulator, adapter: Adapter, code: str) -> None:
    """The state names the failure, so the result is believed at once. Server errors are never charged; of anything else nobody knows."""
    vendor.next(b.FailTask(code=code))
    found = await failure(adapter, a_job(), vendor)
    if ERROR_TYPES[code] < 500:
        assert (found.fault, found.billed) == (Fault.BAD_REQUEST, Billed.UNKNOWN)
    else:
        busy = code in ("runner_scheduling_failure", "startup_timeout")
        assert (found.fault, found.billed) == (Fault.OVERLOADED if busy else Fault.FAILED, Billed.NO)
    assert (count(vendor, "create"), count(vendor, "result"), vendor.billed_images) == (1, 1, 0)


async def test_a_models_own_server_error_is_believed_at_once(vendor: FalEmulator, adapter: Adapter) -> None:
    """It names its place in the body, though the state said nothing: unbilled, so the next offer may try."""
    detail = [{"loc": ["body"], "msg": "m", "type": "downstream_service_error"}]
    vendor.next(b.Error(status=500, body=orjson.dumps({"detail": detail}).decode()), at="result")
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, count(vendor, "result")) == (Fault.FAILED, Billed.NO, 1)


async def test_a_body_that_the_model_does_not_take(vendor: FalEmulator, adapter: Adapter) -> None:
    """Found wrong before the model began: unbilled, with the field's name."""
    found = await failure(adapter, a_job(extra=(("num_images", "9"),)), vendor)
    assert (found.fault, found.billed, found.param) == (Fault.BAD_REQUEST, Billed.NO, "num_images")
    assert vendor.bills == []


async def test_a_size_that_the_endpoint_does_not_make(vendor: FalEmulator, adapter: Adapter) -> None:
    """Refused here, by the rule that the plan goes by, too."""
    found = await failure(adapter, a_job(replace(REQUEST, size="64x64", pixels=Pixels(64, 64))), vendor)
    assert (found.fault, found.billed, found.param, vendor.requests) == (Fault.BAD_REQUEST, Billed.NO, "size", [])


async def test_a_request_that_somebody_cancelled(vendor: FalEmulator, adapter: Adapter) -> None:
    """On the vendor's dashboard, say: what it cost is not documented."""
    vendor.next(b.StallTask())
    task = asyncio.ensure_future(failure(adapter, a_job(), vendor))
    await vendor.until(lambda vendor: bool(vendor.tasks))
    vendor.cancel(next(iter(vendor.tasks.values())))
    found = await task
    assert (found.fault, found.billed) == (Fault.FAILED, Billed.UNKNOWN)


async def test_resuming_does_not_submit(vendor: FalEmulator, adapter: Adapter) -> None:
    """With a stored id the adapter asks for that request and sends nothing that could be billed."""
    stored, call = Stored(vendor), a_job()
    first = await adapter.generate(call, stored)
    again = await adapter.generate(replace(call, upstream_ref=stored.refs[0]), stored)
    assert again == first
    assert (count(vendor, "create"), vendor.billed_images, len(stored.refs)) == (1, 1, 1)


@pytest.mark.parametrize("ref", ["../x", "a/b", "", "x" * 200, "a?b", "a b"])
async def test_an_odd_request_id_is_not_asked_for(vendor: FalEmulator, adapter: Adapter, ref: str) -> None:
    """What became of the request stays unknown."""
    found = await failure(adapter, replace(a_job(), upstream_ref=ref), vendor)
    assert (found.fault, found.billed, vendor.requests) == (Fault.NO_ANSWER, Billed.UNKNOWN, [])


@pytest.mark.parametrize("body", ['{"request_id": "../x"}', '{"request_id": 7}', "{}"])
async def test_accepted_without_a_usable_id(vendor: FalEmulator, adapter: Adapter, body: str) -> None:
    """Unknown, and nothing is stored."""
    vendor.next(b.Error(status=200, body=body))
    stored = Stored(vendor)
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(a_job(), stored)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert stored.refs == []


@pytest.mark.parametrize("at", ["poll", "result"])
@pytest.mark.parametrize(
    "behaviour",
    [
        b.Error(status=500),
        b.Error(status=404, body='{"detail": "Request not found"}'),
        b.Error(status=400, body='{"detail": "Request is still in progress"}'),
        b.HtmlError(status=500),
        b.RateLimit(),
        b.Overloaded(),
        b.Reset(),
        b.MalformedJson(),
        b.Truncated(),
    ],
    ids=lambda behaviour: f"{behaviour.kind}-{getattr(behaviour, 'status', '')}",
)
async def test_asking_is_repeated(vendor: FalEmulator, adapter: Adapter, at: str, behaviour: b.Behaviour) -> None:
    """A question that fails says nothing about the request; nothing is submitted again, and the paid picture comes."""
    vendor.next(behaviour, behaviour, at=at)
    found = await adapter.generate(a_job(), Stored(vendor))
    assert len(found.images) == 1
    assert (count(vendor, "create"), vendor.billed_images) == (1, 1)


async def test_a_failure_that_the_state_did_not_name_stays_in_doubt(vendor: FalEmulator, adapter: Adapter) -> None:
    """The platform's own error in place of the result, again and again: there may be a paid picture behind it."""
    vendor.always(b.Error(status=500), at="result")
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, count(vendor, "result")) == (Fault.FAILED, Billed.UNKNOWN, 3)


@pytest.mark.parametrize("at", ["poll", "result"])
async def test_rejected_questions_leave_the_outcome_open(vendor: FalEmulator, adapter: Adapter, at: str) -> None:
    """A key revoked after the submit: the operator is told, and nobody claims that the request was not billed."""
    vendor.always(b.Error(status=401, body='{"detail": "Invalid authentication credentials"}'), at=at)
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, count(vendor, at)) == (Fault.CREDENTIALS, Billed.UNKNOWN, 3)


@pytest.mark.parametrize(("at", "behaviour"), [("create", b.StallTask()), ("poll", b.Hang()), ("result", b.Hang())])
async def test_nobody_waits_beyond_the_deadline(
    vendor: FalEmulator, adapter: Adapter, at: str, behaviour: b.Behaviour
) -> None:
    """A request that never ends, or a queue that does not answer: unknown, with the id stored for later."""
    vendor.always(behaviour, at=at)
    stored = Stored(vendor)
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(a_job(seconds=1.0), stored)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert len(stored.refs) == 1


async def test_a_dead_link(vendor: FalEmulator, adapter: Adapter) -> None:
    """Paid for and lost; with the stored id the result can be asked for again, and has its link."""
    stored, call = Stored(vendor), a_job()
    [link] = (await adapter.generate(call, stored)).images
    assert isinstance(link, LinkedImage)
    vendor.always(b.Error(status=404), at="download")
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.fetch(link, time.monotonic() + 0.4)
    assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)
    vendor.always(b.Succeed(), at="download")
    again = await adapter.generate(replace(call, upstream_ref=stored.refs[0]), stored)
    assert again.images == (link,)
    assert decoded(await adapter.fetch(link, time.monotonic() + 20)) == ("png", (1024, 1024))


async def test_the_check_costs_nothing(vendor: FalEmulator, threads: ThreadPoolExecutor, adapter: Adapter) -> None:
    """A request that nobody made is asked for: the queue says that it does not know it, or that the key is wrong."""
    assert "the key is taken" in await adapter.check(time.monotonic() + 5)
    stranger = an_adapter(vendor, threads, "other")
    with pytest.raises(UpstreamFailure) as caught:
        await stranger.check(time.monotonic() + 5)
    await stranger.close()
    assert caught.value.fault is Fault.CREDENTIALS
    vendor.next(b.OutOfMoney(), b.HtmlError(status=404), at="poll")
    for fault in (Fault.NO_MONEY, Fault.CREDENTIALS):
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.check(time.monotonic() + 5)
        assert caught.value.fault is fault
    assert (count(vendor, "create"), vendor.bills) == (0, [])
