"""The Replicate adapter's own wire: predictions, inputs by family, refusals by text, what ran and was canceled, links, and what it costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
import pytest_asyncio

from gateway.domain import money
from gateway.domain.catalog import Offer, PerImage
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, OutputFormat, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.routing.quote import cost_usd
from gateway.upstreams.base import Adapter, Generated, LinkedImage, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.pictures import decoded
from tests.emulators.replicate import MODELS, ReplicateEmulator
from tests.unit.upstreams.calls import a_call

SCHNELL, DEV, PRO = (f"black-forest-labs/flux-{name}" for name in ("schnell", "dev", "1.1-pro"))
REQUEST = ImageRequest("m", "a fox", size="1024x1024", pixels=Pixels(1024, 1024))


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[ReplicateEmulator]:
    async with ReplicateEmulator() as emulator:
        yield emulator


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest_asyncio.fixture
async def adapter(vendor: ReplicateEmulator, threads: ThreadPoolExecutor) -> AsyncIterator[Adapter]:
    adapter = an_adapter(vendor, threads, vendor.api_key)
    yield adapter
    await adapter.close()


def an_adapter(vendor: ReplicateEmulator, threads: ThreadPoolExecutor, api_key: str, *, path: str = "") -> Adapter:
    settings = UpstreamSettings(
        "r", "replicate", base_url=vendor.base_url + path, api_key=api_key, options={"poll_interval": "20ms"}
    )
    return build(settings, Resources(SystemClock(), threads))


class Stored:
    """What the pipeline would have stored, and when."""

    def __init__(self, vendor: ReplicateEmulator) -> None:
        self.vendor = vendor
        self.refs: list[str] = []
        self.polls_before = -1

    async def __call__(self, upstream_ref: str) -> None:
        self.polls_before = count(self.vendor, "poll")
        self.refs.append(upstream_ref)


def count(vendor: ReplicateEmulator, at: str) -> int:
    return sum(received.at == at for received in vendor.requests)


def a_job(
    request: ImageRequest = REQUEST,
    model: str = SCHNELL,
    *,
    params: tuple[tuple[str, str], ...] = (),
    extra: tuple[tuple[str, str], ...] = (),
    seconds: float = 20.0,
) -> UpstreamCall:
    name = model.removeprefix("deployments/").partition(":")[0]
    price = PerImage(MODELS[name].usd if name in MODELS else Decimal("0.01"))
    offer = Offer(f"r/{model}", "r", model, price, params=params, extra=extra)
    return a_call(request, offer=offer, seconds=seconds)


async def failure(adapter: Adapter, call: UpstreamCall, vendor: ReplicateEmulator) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(call, Stored(vendor))
    return caught.value


async def fetched(adapter: Adapter, generated: Generated) -> list[tuple[str, tuple[int, int]]]:
    links = [image for image in generated.images if isinstance(image, LinkedImage)]
    assert len(links) == len(generated.images)
    return [decoded(await adapter.fetch(link, time.monotonic() + 20)) for link in links]


async def test_the_prediction_id_is_stored_before_the_first_poll(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """The answer to the submit is not waited for longer than it takes to name the id, and the id is stored first."""
    stored = Stored(vendor)
    await adapter.generate(a_job(), stored)
    submit, *polls = vendor.requests
    assert (len(stored.refs), stored.polls_before) == (1, 0)
    assert submit.path == f"/v1/models/{SCHNELL}/predictions"
    assert submit.headers["authorization"] == f"Bearer {vendor.api_key}"
    assert "prefer" not in submit.headers
    assert {poll.path for poll in polls} == {f"/v1/predictions/{stored.refs[0]}"}


@pytest.mark.parametrize(
    ("model", "n", "size", "sent", "made"),
    [
        (
            SCHNELL,
            2,
            Pixels(1024, 1536),
            {"aspect_ratio": "2:3", "megapixels": "1", "num_outputs": 2, "output_format": "png"},
            (832, 1248),
        ),
        (
            DEV,
            4,
            Pixels(512, 512),
            {"aspect_ratio": "1:1", "megapixels": "0.25", "num_outputs": 4, "output_format": "png"},
            (512, 512),
        ),
        (
            PRO,
            1,
            Pixels(1440, 1024),
            {"aspect_ratio": "custom", "width": 1440, "height": 1024, "output_format": "png"},
            (1440, 1024),
        ),
        (
            PRO,
            1,
            Pixels(1000, 1000),
            {"aspect_ratio": "custom", "width": 992, "height": 992, "output_format": "png"},
            (992, 992),
        ),
        (SCHNELL, 1, None, {"num_outputs": 1, "output_format": "png"}, (1024, 1024)),
        (PRO, 1, None, {"output_format": "png"}, (1024, 1024)),
    ],
)
async def test_each_family_has_its_own_inputs(
    vendor: ReplicateEmulator,
    adapter: Adapter,
    model: str,
    n: int,
    size: Pixels | None,
    sent: dict[str, object],
    made: tuple[int, int],
) -> None:
    """A ratio with megapixels, or pixels; a list of links, or one; PNG unless something else is asked for. All of it is what the vendor takes."""
    request = replace(REQUEST, n=n, size=str(size or "auto"), pixels=size)
    found = await adapter.generate(a_job(request, model), Stored(vendor))
    assert vendor.requests[0].json == {"input": {"prompt": "a fox", **sent}}
    assert await fetched(adapter, found) == [("png", made)] * n


async def test_a_version_and_a_deployment(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """A version is named in the body, a deployment in the path."""
    found = await adapter.generate(a_job(model=f"{SCHNELL}:abc123"), Stored(vendor))
    assert len(found.images) == 1
    assert vendor.requests[0].path == "/v1/predictions"
    assert (vendor.requests[0].json or {})["version"] == f"{SCHNELL}:abc123"
    missing = await failure(adapter, a_job(model="deployments/acme/fox"), vendor)
    assert (missing.fault, missing.billed) == (Fault.CREDENTIALS, Billed.NO)
    assert vendor.requests[-1].path == "/v1/deployments/acme/fox/predictions"


@pytest.mark.parametrize(
    ("model", "size", "n"),
    [
        (SCHNELL, "1024x1024", 1),
        (SCHNELL, "1536x1024", 4),
        (DEV, "512x512", 2),
        (DEV, "auto", 1),
        (PRO, "1440x1440", 1),
    ],
)
async def test_a_quote_is_the_bill(vendor: ReplicateEmulator, adapter: Adapter, model: str, size: str, n: int) -> None:
    """Official models are paid by picture."""
    pixels = None if size == "auto" else Pixels(*map(int, size.split("x")))
    request = replace(REQUEST, n=n, size=size, pixels=pixels)
    call = a_job(request, model)
    await adapter.generate(call, Stored(vendor))
    sizes = adapter.capabilities(model).sizes
    quote = cost_usd(call.offer.price, request, pixels=pixels, n=n, calls=1, sizes=sizes)
    assert quote is not None
    assert quote.most_microusd == money.usd_cost(vendor.billed_usd)
    assert vendor.billed_images == n


async def test_parameters(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """JPEG is spelled jpg, compression is quality; what the offer fixes goes over the caller's, the operator's own fields over everything."""
    request = replace(REQUEST, output_format=OutputFormat.JPEG, options=(("output_compression", "60"), ("user", '"u"')))
    found = await adapter.generate(a_job(request, extra=(("go_fast", "true"), ("seed", "7"))), Stored(vendor))
    assert await fetched(adapter, found) == [("jpeg", (1024, 1024))]
    await adapter.generate(a_job(request, params=(("output_format", "webp"),)), Stored(vendor))
    await adapter.generate(a_job(request, params=(("output_format", "png"),)), Stored(vendor))
    first, second, third = [(one.json or {})["input"] for one in vendor.requests if one.at == "create"]
    ratio = {"aspect_ratio": "1:1", "megapixels": "1", "num_outputs": 1, "prompt": "a fox"}
    assert first == {**ratio, "output_format": "jpg", "output_quality": 60, "go_fast": True, "seed": 7}
    assert second == {**ratio, "output_format": "webp", "output_quality": 60}
    assert third == {**ratio, "output_format": "png"}


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.Refuse(form="nsfw"), Fault.REFUSED),
        (b.Refuse(form="E005"), Fault.REFUSED),
        (b.Overloaded(form="E003"), Fault.OVERLOADED),
        (b.FailTask(code="PA"), Fault.FAILED),
        (b.FailTask(message="CUDA out of memory (E1001)"), Fault.OVERLOADED),
        (b.FailTask(message="E6716: Timeout starting prediction"), Fault.OVERLOADED),
    ],
)
async def test_failed_predictions(
    vendor: ReplicateEmulator, adapter: Adapter, behaviour: b.Behaviour, fault: Fault
) -> None:
    """Prose says why; an official model that made nothing costs nothing, a version costs the time that it ran."""
    vendor.next(behaviour, behaviour)
    official = await failure(adapter, a_job(), vendor)
    assert (official.fault, official.billed) == (fault, Billed.NO)
    assert vendor.bills == []
    version = await failure(adapter, a_job(model=f"{SCHNELL}:abc"), vendor)
    assert (version.fault, version.billed) == (fault, Billed.YES)
    assert count(vendor, "create") == 2


@pytest.mark.parametrize(("is_running", "billed"), [(False, Billed.NO), (True, Billed.YES)])
async def test_canceled_by_somebody_else(
    vendor: ReplicateEmulator, adapter: Adapter, is_running: bool, billed: Billed
) -> None:
    """Aborted before it began it is free; canceled while it ran it is charged, so no other offer is tried."""
    prediction = {"id": "p1", "status": "canceled" if is_running else "aborted", "output": None, "error": None}
    vendor.next(b.Error(status=200, body=orjson.dumps(prediction).decode()), at="poll")
    vendor.next(b.StallTask())
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed) == (Fault.FAILED, billed)


@pytest.mark.parametrize(
    ("behaviour", "fault", "retry_after_s"),
    [
        (b.OutOfMoney(), Fault.NO_MONEY, None),
        (b.Overloaded(), Fault.OVERLOADED, None),
        (b.RateLimit(retry_in="30"), Fault.RATE_LIMITED, 30.0),
        (b.RateLimit(retry_after="7", retry_in="30"), Fault.RATE_LIMITED, 7.0),
        (b.Error(status=401, message="You did not pass a valid authentication token"), Fault.CREDENTIALS, None),
    ],
)
async def test_what_is_refused_at_once(
    vendor: ReplicateEmulator, adapter: Adapter, behaviour: b.Behaviour, fault: Fault, retry_after_s: float | None
) -> None:
    """No prediction was made, nothing is polled; a hint in the text counts."""
    vendor.next(behaviour)
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, found.retry_after_s) == (fault, Billed.NO, retry_after_s)
    assert [received.at for received in vendor.requests] == ["create"]


async def test_inputs_that_the_model_does_not_take(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """422 with the field's name; an unknown model is the operator's matter."""
    found = await failure(adapter, a_job(extra=(("num_outputs", "9"),)), vendor)
    assert (found.fault, found.billed, found.param) == (Fault.BAD_REQUEST, Billed.NO, "input.num_outputs")
    found = await failure(adapter, a_job(model="black-forest-labs/none"), vendor)
    assert (found.fault, found.billed) == (Fault.CREDENTIALS, Billed.NO)


@pytest.mark.parametrize("model", ["flux", "a/b/c", "a/../b", "a/b:", "deployments/a/b:c", "a/b?c", ""])
async def test_an_odd_model_is_not_sent(vendor: ReplicateEmulator, adapter: Adapter, model: str) -> None:
    """It becomes an address, so only plain ones are used."""
    found = await failure(adapter, a_job(model=model), vendor)
    assert (found.fault, found.billed, vendor.requests) == (Fault.CREDENTIALS, Billed.NO, [])


async def test_a_size_that_the_model_does_not_make(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """Refused here, by the rule that the plan goes by, too."""
    request = replace(REQUEST, size="1024x1536", pixels=Pixels(1024, 1536))
    found = await failure(adapter, a_job(request, PRO), vendor)
    assert (found.fault, found.billed, found.param, vendor.requests) == (Fault.BAD_REQUEST, Billed.NO, "size", [])


async def test_resuming_does_not_submit(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """With a stored id the adapter polls that prediction and sends nothing that could be billed."""
    stored, call = Stored(vendor), a_job()
    first = await adapter.generate(call, stored)
    again = await adapter.generate(replace(call, upstream_ref=stored.refs[0]), stored)
    assert again == first
    assert (count(vendor, "create"), vendor.billed_images, len(stored.refs)) == (1, 1, 1)


@pytest.mark.parametrize("ref", ["../account", "a/b", "", "x" * 200, "a?b", "a b"])
async def test_an_odd_prediction_id_is_not_asked_for(vendor: ReplicateEmulator, adapter: Adapter, ref: str) -> None:
    """What became of the prediction stays unknown."""
    found = await failure(adapter, replace(a_job(), upstream_ref=ref), vendor)
    assert (found.fault, found.billed, vendor.requests) == (Fault.NO_ANSWER, Billed.UNKNOWN, [])


@pytest.mark.parametrize("body", ['{"id": "../x"}', '{"id": 7}', "{}"])
async def test_accepted_without_a_usable_id(vendor: ReplicateEmulator, adapter: Adapter, body: str) -> None:
    """Unknown, and nothing is stored."""
    vendor.next(b.Error(status=201, body=body))
    stored = Stored(vendor)
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(a_job(), stored)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert stored.refs == []


@pytest.mark.parametrize(
    "behaviour",
    [
        b.Error(status=500),
        b.Error(status=404),
        b.HtmlError(),
        b.RateLimit(retry_in="0"),
        b.Overloaded(),
        b.Reset(),
        b.MalformedJson(),
        b.Truncated(),
    ],
    ids=lambda behaviour: f"{behaviour.kind}-{getattr(behaviour, 'status', '')}",
)
async def test_bad_polls_are_repeated(vendor: ReplicateEmulator, adapter: Adapter, behaviour: b.Behaviour) -> None:
    """A poll that fails says nothing about the prediction; nothing is submitted again."""
    vendor.next(behaviour, behaviour, at="poll")
    found = await adapter.generate(a_job(), Stored(vendor))
    assert len(found.images) == 1
    assert (count(vendor, "create"), vendor.billed_images) == (1, 1)


async def test_rejected_polls_leave_the_outcome_open(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """A key revoked after the submit: the operator is told, and nobody claims that the prediction was not billed."""
    vendor.always(b.Error(status=401), at="poll")
    found = await failure(adapter, a_job(), vendor)
    assert (found.fault, found.billed, count(vendor, "poll")) == (Fault.CREDENTIALS, Billed.UNKNOWN, 3)


@pytest.mark.parametrize(("at", "behaviour"), [("create", b.StallTask()), ("poll", b.Hang())])
async def test_nobody_waits_beyond_the_deadline(
    vendor: ReplicateEmulator, adapter: Adapter, at: str, behaviour: b.Behaviour
) -> None:
    """A prediction that never ends, or polls without an answer: unknown, with the id stored for later."""
    vendor.always(behaviour, at=at)
    stored = Stored(vendor)
    with pytest.raises(UpstreamFailure) as caught:
        await adapter.generate(a_job(seconds=1.0), stored)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert len(stored.refs) == 1


async def test_cancelled_while_polling(vendor: ReplicateEmulator, adapter: Adapter) -> None:
    """A stopping process leaves the prediction where it is: stored, to be resumed."""
    vendor.next(b.StallTask())
    stored = Stored(vendor)
    task = asyncio.ensure_future(adapter.generate(a_job(), stored))
    await vendor.until(lambda vendor: count(vendor, "poll") >= 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(stored.refs), count(vendor, "cancel")) == (1, 0)


async def test_links_live_for_an_hour(threads: ThreadPoolExecutor) -> None:
    """Within it they are fetched, after it the paid picture is lost; the capabilities say so."""
    clock = [1_000.0]
    async with ReplicateEmulator(work_s=0, now=lambda: clock[0]) as vendor:
        adapter = an_adapter(vendor, threads, vendor.api_key)
        found = await adapter.generate(a_job(), Stored(vendor))
        assert await fetched(adapter, found) == [("png", (1024, 1024))]
        clock[0] += (adapter.capabilities(SCHNELL).links_live_s or 0) + 1
        [link] = found.images
        assert isinstance(link, LinkedImage)
        with pytest.raises(UpstreamFailure) as caught:
            await adapter.fetch(link, time.monotonic() + 0.4)
        assert (caught.value.fault, caught.value.billed) == (Fault.RESULT_LOST, Billed.YES)
        await adapter.close()


async def test_the_check_costs_nothing(vendor: ReplicateEmulator, threads: ThreadPoolExecutor) -> None:
    """The account is asked for; an address pasted with /v1 works the same."""
    for api_key, path in ((vendor.api_key, "/v1/"), ("other", "")):
        adapter = an_adapter(vendor, threads, api_key, path=path)
        if api_key == vendor.api_key:
            assert "the key is taken" in await adapter.check(time.monotonic() + 5)
        else:
            with pytest.raises(UpstreamFailure) as caught:
                await adapter.check(time.monotonic() + 5)
            assert caught.value.fault is Fault.CREDENTIALS
        await adapter.close()
    assert [received.path for received in vendor.requests] == ["/v1/account"] * 2
    assert vendor.bills == []
