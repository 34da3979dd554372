"""What every adapter promises, run on each against its emulator: pictures or one classified failure, and never a second paid request."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.catalog import Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import (
    Adapter,
    Generated,
    InlineImage,
    LinkedImage,
    RawImage,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators import behaviours as b
from tests.emulators.a1111 import A1111Emulator
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.ark import ArkEmulator
from tests.emulators.azure import AzureEmulator
from tests.emulators.base import Emulator
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.fal import FalEmulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.kie import KieEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pictures import decoded
from tests.emulators.recraft import RecraftEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.servers import ServerEmulator
from tests.emulators.together import TogetherEmulator
from tests.emulators.xai import XAIEmulator
from tests.unit.upstreams.calls import a_call, an_offer

SOON_S = 0.3
"""A time-out short enough to wait for, long enough for a loopback answer on a busy machine."""
REQUEST_SIZE = (1024, 1536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One way to use an adapter, and what sets its vendor apart: all that the suite has to know of a new one."""

    make: Callable[[], Emulator]
    model: str
    """One that the emulator serves."""
    kind: str = "openai"
    options: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    """What the base URL has beyond the emulator's own."""
    delivers: tuple[str, tuple[int, int]] = ("png", REQUEST_SIZE)
    """What comes of a request for 1024x1536."""
    recovery: Recovery = Recovery.NONE
    without_pictures: Fault = Fault.NO_IMAGE
    """What a success without pictures says."""
    refusals: Billed = Billed.NO
    """Whether the vendor may charge for what it refuses, and does not say."""


FAST = {"poll_interval": "30ms"}


def profile(name: str, make: Callable[[], Emulator], model: str, /, *, links: bool = False, **more: Any) -> Subject:
    """A copy of OpenAI's API, asked for links or for its usual form."""
    options = {"profile": name} | ({"response_format": "url"} if links else {})
    return Subject(make=make, model=model, options=options, **more)


def task(kind: str, make: Callable[[], Emulator], model: str, /, **more: Any) -> Subject:
    """A vendor that is polled, whose tasks are found again by their id."""
    return Subject(kind=kind, make=make, model=model, options=FAST, **{"recovery": Recovery.ASYNC_JOB} | more)


def server(behaves_as: str, **options: Any) -> Callable[[], Emulator]:
    return lambda: ServerEmulator(behaves_as, **options)


FLUX, GROK = "black-forest-labs/FLUX.1-schnell", "grok-imagine-image"
BY_RATIO = ("png", (832, 1248))
XAI: Mapping[str, Any] = {"delivers": ("jpeg", (832, 1248)), "without_pictures": Fault.REFUSED}
TOGETHER: Mapping[str, Any] = {"delivers": ("jpeg", REQUEST_SIZE), "path": "/v1"}
SUBJECTS: Mapping[str, Subject] = {
    "openai": Subject(make=OpenAIEmulator, model="gpt-image-2"),
    "openai-links": Subject(make=lambda: OpenAIEmulator(as_url=True), model="gpt-image-2"),
    "a1111": Subject(kind="a1111", make=A1111Emulator, model="default"),
    "apimart": task("apimart", APIMartEmulator, "gpt-image-2", delivers=BY_RATIO),
    "ark": profile(
        "ark",
        ArkEmulator,
        "seedream-4-0-250828",
        delivers=("jpeg", REQUEST_SIZE),
        without_pictures=Fault.REFUSED,
    ),
    "azure": Subject(kind="azure", make=AzureEmulator, model="pictures"),
    "azure-v1": Subject(kind="azure", make=AzureEmulator, model="pictures", path="/openai/v1"),
    "deepinfra": profile("deepinfra", server("deepinfra"), "black-forest-labs/FLUX-2-klein-4b"),
    "evolink": task("evolink", EvolinkEmulator, "gpt-4o-image", recovery=Recovery.IDEMPOTENCY_KEY),
    "fal": task("fal", FalEmulator, "fal-ai/flux/dev", refusals=Billed.UNKNOWN),
    "gemini": Subject(kind="gemini", make=GeminiEmulator, model="gemini-2.5-flash-image", delivers=BY_RATIO),
    "kie": task("kie", KieEmulator, "gpt-image-2", delivers=BY_RATIO),
    "litellm": profile("litellm", server("litellm"), "flux"),
    "new-api": profile("new-api", server("new-api"), "flux"),
    "new-api-links": profile("new-api", server("new-api"), "flux", links=True),
    "recraft": profile("recraft", RecraftEmulator, "recraftv3", delivers=("webp", REQUEST_SIZE)),
    "replicate": task("replicate", ReplicateEmulator, "black-forest-labs/flux-schnell", delivers=BY_RATIO),
    "together": profile("together", TogetherEmulator, FLUX, **TOGETHER),
    "together-links": profile("together", TogetherEmulator, FLUX, links=True, **TOGETHER),
    "vllm-omni": profile("vllm-omni", server("vllm", api_key=""), "Qwen/Qwen-Image"),
    "xai": profile("xai", XAIEmulator, GROK, **XAI),
    "xai-links": profile("xai", XAIEmulator, GROK, links=True, **XAI),
}
REQUEST = ImageRequest("a-model", "a red fox", n=2, size="1024x1536", pixels=Pixels(*REQUEST_SIZE))


@dataclass
class Bench:
    """One adapter and the vendor behind it."""

    subject: Subject
    vendor: Emulator
    adapter: Adapter
    refs: list[str]

    @property
    def n(self) -> int:
        """The pictures of a usual call: two, or the one that the vendor makes at a time."""
        return max(count for count in self.adapter.capabilities(self.subject.model).n if count <= REQUEST.n)

    def call(self, request: ImageRequest | None = None, *, seconds: float = 20.0) -> UpstreamCall:
        return a_call(request or replace(REQUEST, n=self.n), offer=an_offer(self.subject.model), seconds=seconds)

    async def generate(self, call: UpstreamCall | None = None) -> Generated:
        return await self.adapter.generate(call or self.call(), self._submitted)

    async def failure(self, call: UpstreamCall | None = None) -> tuple[Fault, Billed]:
        with pytest.raises(UpstreamFailure) as caught:
            await self.generate(call)
        return caught.value.fault, caught.value.billed

    async def files(self, generated: Generated) -> list[bytes]:
        found = []
        for image in generated.images:
            match image:
                case InlineImage():
                    found.append(base64.b64decode(image.base64, validate=True))
                case LinkedImage():
                    found.append(await self.adapter.fetch(image, time.monotonic() + 20))
                case RawImage():
                    found.append(image.data)
        return found

    @property
    def submits(self) -> int:
        return sum(received.at == "create" for received in self.vendor.requests)

    def script(self, behaviour: b.Behaviour) -> None:
        """The vendor's next call; a vendor that has no such trouble is left out."""
        if isinstance(behaviour, self.vendor.unsupported):
            pytest.skip(f"{type(self.vendor).__name__} never does {behaviour.kind}")
        self.vendor.next(behaviour)

    async def _submitted(self, upstream_ref: str) -> None:
        self.refs.append(upstream_ref)


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(2) as threads:
        yield Resources(SystemClock(), threads)


def settings_for(subject: Subject, vendor: Emulator, *, timeout_s: float = 180.0) -> UpstreamSettings:
    return UpstreamSettings(
        "an-upstream",
        subject.kind,
        base_url=vendor.base_url + subject.path,
        api_key=vendor.api_key,
        timeout_s=timeout_s,
        options=subject.options,
    )


@pytest_asyncio.fixture(params=list(SUBJECTS))
async def bench(request: pytest.FixtureRequest, resources: Resources) -> AsyncIterator[Bench]:
    subject = SUBJECTS[request.param]
    async with subject.make() as vendor:
        adapter = build(settings_for(subject, vendor), resources)
        yield Bench(subject, vendor, adapter, [])
        await adapter.close()
        assert resources.budget.used_bytes == 0


async def test_delivers_what_was_asked_for(bench: Bench) -> None:
    """The pictures arrive in the asked size, or the nearest that the vendor makes, billed once, and none is the other."""
    files = await bench.files(await bench.generate())
    assert [decoded(file) for file in files] == [bench.subject.delivers] * bench.n
    assert len(set(files)) == bench.n
    assert (bench.submits, bench.vendor.billed_images) == (1, bench.n)


async def test_many_at_once(bench: Bench) -> None:
    """One adapter serves concurrent calls and keeps their pictures apart."""
    single = replace(REQUEST, n=1)
    answers = await asyncio.gather(*(bench.generate(bench.call(single)) for _ in range(12)))
    files = [file for answer in answers for file in await bench.files(answer)]
    assert len(set(files)) == 12
    assert bench.vendor.billed_images == 12


async def test_fewer_pictures_are_delivered(bench: Bench) -> None:
    """What was made is handed on, although less than asked for."""
    if bench.n == 1:
        pytest.skip("one picture a call: fewer is none")
    bench.vendor.next(b.Fewer(images=1))
    assert len((await bench.generate()).images) == 1


async def test_no_pictures(bench: Bench) -> None:
    """An empty success is NO_IMAGE, or how the vendor refuses; unbilled where nothing says otherwise."""
    bench.vendor.next(b.Fewer(images=0))
    assert await bench.failure() == (bench.subject.without_pictures, Billed.NO)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (b.Refuse(), Fault.REFUSED),
        (b.RateLimit(retry_after="7"), Fault.RATE_LIMITED),
        (b.Overloaded(), Fault.OVERLOADED),
        (b.OutOfMoney(), Fault.NO_MONEY),
        (b.Error(status=500), Fault.FAILED),
        (b.Error(status=401, code="invalid_api_key"), Fault.CREDENTIALS),
        (b.Error(status=400, code="invalid_value", message="bad size"), Fault.BAD_REQUEST),
    ],
)
async def test_unbilled_failures(bench: Bench, behaviour: b.Behaviour, fault: Fault) -> None:
    """Every failure that the vendor names is classified, unbilled at both ends, and not tried again by the adapter."""
    bench.script(behaviour)
    assert await bench.failure() == (fault, bench.subject.refusals if fault is Fault.REFUSED else Billed.NO)
    assert (bench.submits, bench.vendor.billed_images) == (1, 0)


async def test_redirects_are_not_followed(bench: Bench) -> None:
    """A vendor that redirects the paid request is a wrong base URL: neither the request nor the key goes anywhere else."""
    bench.vendor.next(b.Error(status=307, headers=(("Location", "/v1/images/generations"),)))
    assert await bench.failure() == (Fault.CREDENTIALS, Billed.NO)
    assert bench.submits == 1


async def test_how_long_to_leave_alone(bench: Bench) -> None:
    """The vendor's own hint reaches the router."""
    bench.script(b.RateLimit(retry_after_ms=2500))
    with pytest.raises(UpstreamFailure) as caught:
        await bench.generate()
    assert caught.value.retry_after_s == 2.5


@pytest.mark.parametrize(
    "behaviour",
    [
        b.Reset(bills=True),
        b.Reset(),
        b.HtmlError(status=500, bills=True),
        b.HtmlError(status=502, bills=True),
        b.HtmlError(status=504),
        b.Truncated(),
        b.MalformedJson(),
    ],
    ids=lambda behaviour: f"{behaviour.kind}-{getattr(behaviour, 'status', '')}{getattr(behaviour, 'bills', '')}",
)
async def test_lost_answers(bench: Bench, behaviour: b.Behaviour) -> None:
    """Sent and then nothing readable: the outcome is unknown, and the vendor saw exactly one request."""
    bench.vendor.next(behaviour)
    assert await bench.failure() == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert bench.submits == 1


async def test_hanging_vendor(bench: Bench) -> None:
    """No answer until the deadline is an unknown outcome; the adapter does not wait longer."""
    bench.vendor.next(b.Hang(bills=True))
    started_s = time.monotonic()
    assert await bench.failure(bench.call(seconds=SOON_S)) == (Fault.NO_ANSWER, Billed.UNKNOWN)
    assert time.monotonic() - started_s < 30, "it waited for the upstream's own time-out"
    assert bench.submits == 1


async def test_own_time_out(bench: Bench, resources: Resources) -> None:
    """The upstream's own time-out counts where it is sooner than the deadline, also when the answer drips in."""
    adapter = build(settings_for(bench.subject, bench.vendor, timeout_s=SOON_S), resources)
    bench.vendor.next(b.Drip(pause_s=0.05))
    try:
        assert await replace(bench, adapter=adapter).failure() == (Fault.NO_ANSWER, Billed.UNKNOWN)
    finally:
        await adapter.close()


async def test_connection_refused(bench: Bench) -> None:
    """Nobody listens: nothing was sent, nothing can be billed; and when somebody listens again, the same adapter works."""
    await bench.vendor.refuse_connections()
    assert await bench.failure() == (Fault.UNREACHABLE, Billed.NO)
    await bench.vendor.accept_connections()
    assert len((await bench.generate()).images) == bench.n
    assert bench.submits == 1


async def test_kept_connections_that_died(bench: Bench) -> None:
    """A vendor that closed the kept connection: either a new one serves the call, or nobody claims that it was not sent."""
    await bench.files(await bench.generate())
    await bench.vendor.refuse_connections()
    await bench.vendor.accept_connections()
    before = bench.submits
    verdict: tuple[Fault, Billed] | None = None
    try:
        await bench.generate()
    except UpstreamFailure as exc:
        verdict = (exc.fault, exc.billed)
    assert verdict in (None, (Fault.NO_ANSWER, Billed.UNKNOWN), (Fault.UNREACHABLE, Billed.NO))
    assert bench.submits == before + (verdict is None)


async def test_deadline_already_over(bench: Bench) -> None:
    """Without time left nothing is sent."""
    assert await bench.failure(bench.call(seconds=-1)) == (Fault.UNREACHABLE, Billed.NO)
    assert bench.submits == 0


async def test_nothing_image_sized_in_failures(bench: Bench) -> None:
    """A broken answer full of base64 leaves no picture in the exception or its causes."""
    bench.vendor.picture_bytes = 300_000
    bench.vendor.next(b.MalformedJson())
    with pytest.raises(UpstreamFailure) as caught:
        await bench.generate()
    error: BaseException | None = caught.value
    while error is not None:
        assert len(str(error)) + len(repr(error.args)) < 2_000
        error = error.__cause__ or error.__context__


async def test_cancellation_passes_through(bench: Bench) -> None:
    """A stopping process gets its CancelledError, not a verdict."""
    bench.vendor.next(b.Hang())
    task = asyncio.ensure_future(bench.generate())
    await bench.vendor.until(lambda vendor: vendor.hanging == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_recovery_is_declared(bench: Bench) -> None:
    """The declared way to find a lost submit is the one the vendor has."""
    assert bench.adapter.capabilities(bench.subject.model).recovery is bench.subject.recovery
