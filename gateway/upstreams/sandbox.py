"""An upstream without a vendor: draws labelled pictures in this process, so that everything else can be tried without a key.

The same prompt, index, size and callers' pictures always give the same picture; what was given is named on it. It sends nothing, costs nothing
and reports no usage; the catalogue's price is what the ledger sees. Until it draws it can be cancelled, unbilled. Fails with FAILED and NO where
`failure_rate` says so, and with NO_ANSWER and NO where `latency` passes the deadline.

Options: `latency` (`2s`, `500ms`; default none) and `failure_rate` (0 to 1; the attempt's id decides, so a repeat fails again).
"""

import asyncio
import hashlib
from contextlib import suppress
from typing import ClassVar

import orjson

from gateway.domain.catalog import Capabilities, MaskPolarity, Recovery
from gateway.domain.files import INPUTS_MAX
from gateway.domain.ids import AttemptId
from gateway.domain.images import Background, Operation, OutputFormat, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import (
    Adapter,
    Generated,
    Inputs,
    LinkedImage,
    OnSubmitted,
    RawImage,
    Stop,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.drawing import Drawing, GivenPicture, draw
from gateway.upstreams.options import rate_option, seconds_option
from gateway.upstreams.wire import Resources

DEFAULT_PIXELS = Pixels(1024, 1024)
CHECKED_PIXELS = Pixels(64, 64)
STOPPED_MAX = 10_000
"""Calls that were cancelled before they came."""
AREA_MAX = 8_294_400
"""3840x2160, the largest picture of OpenAI's models; more would only burn memory here."""


class SandboxAdapter(Adapter):
    kind: ClassVar[str] = "sandbox"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        super().__init__(settings)
        self._threads, self._clock = resources.threads, resources.clock
        self._latency_s = seconds_option(settings, "latency", 0.0)
        self._failure_rate = rate_option(settings, "failure_rate")
        self._waiting: dict[AttemptId, asyncio.Event] = {}
        self._drawing: set[AttemptId] = set()
        self._stopped: dict[AttemptId, None] = {}
        """Those that were cancelled before they came."""

    def capabilities(self, upstream_model: str) -> Capabilities:
        return Capabilities(
            operations=frozenset(Operation),
            n=tuple(range(1, 11)),
            sizes=None,
            params=frozenset({"quality", "background", "output_format", "output_compression"}),
            output_formats=frozenset(OutputFormat),
            recovery=Recovery.IDEMPOTENCY_KEY,
            can_cancel=True,
            references_max=INPUTS_MAX,
            mask=MaskPolarity.TRANSPARENT,
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        await self._take_time(call)
        self._drawing.add(call.attempt_id)
        try:
            return await self._draw(call)
        finally:
            self._drawing.discard(call.attempt_id)

    async def _draw(self, call: UpstreamCall) -> Generated:
        if _share(call.attempt_id) < self._failure_rate:
            raise UpstreamFailure(Fault.FAILED, Billed.NO, "the sandbox fails as its failure_rate says")
        drawings = _drawings(call, await _given(call.inputs))
        loop = asyncio.get_running_loop()
        pictures = [loop.run_in_executor(self._threads, draw, drawing) for drawing in drawings]
        return Generated(tuple(RawImage(data) for data in await asyncio.gather(*pictures)))

    async def cancel(self, call: UpstreamCall) -> Stop:
        """At once, also a call that has not come yet; what is being drawn is drawn to its end."""
        if call.attempt_id in self._drawing:
            return Stop.TOO_LATE
        if call.attempt_id in self._waiting:
            self._waiting[call.attempt_id].set()
            return Stop.ASKED
        self._stopped[call.attempt_id] = None
        while len(self._stopped) > STOPPED_MAX:
            del self._stopped[next(iter(self._stopped))]
        return Stop.ASKED

    async def check(self, deadline_s: float) -> str:
        drawing = Drawing("a test", 0, CHECKED_PIXELS, OutputFormat.PNG)
        data = await asyncio.get_running_loop().run_in_executor(self._threads, draw, drawing)
        return f"{CHECKED_PIXELS} was drawn in this process: {len(data)} bytes"

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise UpstreamFailure(Fault.RESULT_LOST, Billed.YES, "the sandbox hands out no links")

    async def _take_time(self, call: UpstreamCall) -> None:
        left_s = min(call.deadline_s - self._clock.monotonic_s(), self.settings.timeout_s)
        told = asyncio.Event()
        if call.attempt_id in self._stopped:
            del self._stopped[call.attempt_id]
            told.set()
        self._waiting[call.attempt_id] = told
        try:
            with suppress(TimeoutError):
                if self._latency_s:
                    async with asyncio.timeout(max(0.0, min(self._latency_s, left_s))):
                        await told.wait()
        finally:
            del self._waiting[call.attempt_id]
        if told.is_set():
            raise UpstreamFailure(Fault.CANCELLED, Billed.NO, "the sandbox was told to stop")
        if self._latency_s >= left_s:
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.NO, "the sandbox's latency is longer than the deadline")


async def _given(inputs: Inputs) -> tuple[GivenPicture, ...]:
    """Read whole, as an upstream would, and told by hash. Raises UpstreamFailure where the store does not give them."""
    named = [(f"reference {number}", picture) for number, picture in enumerate(inputs.images, 1)]
    if inputs.mask is not None:
        named.append(("mask", inputs.mask))
    found = []
    for name, picture in named:
        digest = hashlib.sha256()
        async for chunk in picture.chunks():
            digest.update(chunk)
        found.append(GivenPicture(name, picture.content_type, picture.pixels, digest.digest()))
    return tuple(found)


def _drawings(call: UpstreamCall, given: tuple[GivenPicture, ...]) -> list[Drawing]:
    request, fixed = call.request, dict(call.offer.params)
    pixels = request.pixels or DEFAULT_PIXELS
    if pixels.area > AREA_MAX:
        raise UpstreamFailure(Fault.BAD_REQUEST, Billed.NO, f"{pixels} is larger than the sandbox draws", param="size")
    output_format = OutputFormat(fixed.get("output_format") or request.output_format or OutputFormat.PNG)
    background = fixed.get("background") or request.background
    compression = fixed.get("output_compression") or dict(request.options).get("output_compression", "100")
    return [
        Drawing(
            prompt=request.prompt,
            index=index,
            pixels=pixels,
            output_format=output_format,
            transparent=background == Background.TRANSPARENT and output_format is not OutputFormat.JPEG,
            compression=_percent(compression),
            quality=str(fixed.get("quality") or request.quality),
            given=given,
        )
        for index in range(request.n)
    ]


def _percent(text: str) -> int:
    value = orjson.loads(text)
    return max(0, min(value, 100)) if isinstance(value, int) else 100


def _share(attempt_id: str) -> float:
    """A number from 0 to 1 that belongs to this attempt."""
    return int.from_bytes(hashlib.sha256(attempt_id.encode()).digest()[:6], "big") / 2**48
