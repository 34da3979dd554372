"""From what an upstream delivered to stored pictures: decode, look at the headers, hash, write `<attempt id>/<index>`, then the manifest.

The manifest is written last and read first: where it exists, the attempt succeeded, whatever else a crash left open. It names count, hashes,
types, usage and cost, so that a recovered task is settled as it would have been. How it fails: bytes that are no picture leave as UpstreamFailure
(NO_IMAGE, billed); a store that does not work is tried for STORE_S_MAX, then RESULT_LOST, and until it works nothing more is paid for; a delivery
of which some pictures are good keeps those.
"""

import asyncio
import binascii
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

import pybase64
from pydantic import TypeAdapter, ValidationError

from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.domain.clock import Clock
from gateway.domain.ids import AttemptId
from gateway.domain.images import ImageResult, OutputFormat, Usage
from gateway.domain.tasks import Attempt, Billed, Fault
from gateway.imaging.decode import Decoder, DecodingUnavailable, ImageRefused
from gateway.imaging.formats import convert
from gateway.imaging.sniff import NotAnImage, sniff
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.forms import Form
from gateway.telemetry.traces import span
from gateway.upstreams.base import (
    Generated,
    InlineImage,
    LinkedImage,
    RawImage,
    UpstreamFailure,
    UpstreamImage,
)

log = logging.getLogger(__name__)

MANIFEST = "manifest"
STORE_S_MAX = 60.0
"""How long a failing blob store is tried again: the picture is paid for and in memory only."""
STORE_PAUSE_S = 0.5
KEPT_TEXT_BYTES_MAX = 4 * 1024 * 1024
"""Of a call: what is more is read from the store again, piece by piece, rather than held until its caller has taken it."""
SILENT_S = 15.0
"""A store that has neither taken nor refused a delivery for so long hangs; a loaded disk takes seconds."""
LOOK_S_MAX = 2.0
SILENT = "the image store hangs; look at its disk, or the network to it"
THREAD_BYTES_MIN = 64 * 1024
"""Smaller pictures are decoded on the event loop: the hop to a thread would cost more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The pictures of one successful attempt, stored."""

    images: tuple[ImageResult, ...]
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """What the upstream itself named as the cost."""
    lost: int = 0
    """Pictures that were billed with these and are not here: withheld by the upstream, or no longer to be had."""


Fetch = Callable[[LinkedImage], Awaitable[bytes]]
"""Downloads one linked picture; Adapter.fetch with the deadline filled in."""

_MANIFEST = TypeAdapter(Delivery)


@dataclass(frozen=True, slots=True)
class Made:
    """One part that was delivered. `pictures` are base64 texts, where they have just come and somebody waits for them."""

    attempt: Attempt
    delivery: Delivery
    pictures: tuple[bytes, ...] = ()

    @property
    def charged_microusd(self) -> int:
        """What of its cost is for pictures that came."""
        return self.attempt.cost_microusd - self.attempt.lost_microusd


class Results:
    """Stores deliveries and finds them again."""

    def __init__(self, blobs: BlobStore, clock: Clock, decoder: Decoder | None = None) -> None:
        """`decoder`: None where no picture is ever converted."""
        self._blobs = blobs
        self._decoder = decoder
        self._clock = clock
        self._looking, self._looks = asyncio.Lock(), 0
        self.trouble: str | None = None
        """Why the last delivery could not be stored; None once one could, or a look found that it would."""

    async def store(
        self, attempt_id: AttemptId, generated: Generated, fetch: Fetch, *, keep: bool = False, form: Form | None = None
    ) -> tuple[Delivery, list[bytes]]:
        """The stored delivery, and with `keep` the pictures as base64 text for a caller who waits: the upstream's own text where it sent one; none
        of them where they are large.

        `form`: what cannot be brought into it stays as it came, for it is paid for.
        Raises UpstreamFailure where no picture is left.
        """
        with span("results", {"gateway.attempt.id": attempt_id}) as told:
            delivery, texts = await self._stored(attempt_id, generated, fetch, keep=keep, form=form)
            told.set({"gateway.results": len(delivery.images), "gateway.lost": delivery.lost or None})
            return delivery, texts

    async def _stored(
        self, attempt_id: AttemptId, generated: Generated, fetch: Fetch, *, keep: bool, form: Form | None
    ) -> tuple[Delivery, list[bytes]]:
        stored: list[ImageResult] = []
        pictures: list[bytes] = []
        texts: list[bytes] = []
        failure: UpstreamFailure | None = None
        for index, image in enumerate(generated.images):
            try:
                data = await _bytes(image, fetch)
                reached(CrashPoint.PICTURE_RECEIVED)
                came, (result, has_alpha) = data, await _examined(f"{attempt_id}/{index}", data, image.revised_prompt)
                change = None if form is None else form.change(result.content_type, has_alpha=has_alpha)
                if form is not None and change is not None:
                    data, result = await self._converted(data, result, change, form)
                reached(CrashPoint.PICTURE_EXAMINED)
            except UpstreamFailure as exc:
                failure = exc
                continue
            stored.append(result)
            pictures.append(data)
            if keep:
                as_sent = isinstance(image, InlineImage) and data is came
                kept_bytes = sum(map(len, texts)) + len(data) * 4 // 3
                if kept_bytes > KEPT_TEXT_BYTES_MAX:
                    keep, texts = False, []  # whoever waits for them is sent them from the store
                    continue
                texts.append(image.base64 if isinstance(image, InlineImage) and as_sent else await base64_text(data))
        if not stored:
            raise failure or UpstreamFailure(Fault.NO_IMAGE, Billed.YES, "the answer has no picture")
        lost = generated.withheld + len(generated.images) - len(stored)
        delivery = Delivery(tuple(stored), generated.usage, generated.cost_usd, lost)
        blobs = [(result.blob.rpartition("/")[2], data) for result, data in zip(stored, pictures, strict=True)]
        reached(CrashPoint.BEFORE_STORE)
        await self._put(attempt_id, [*blobs, (MANIFEST, _MANIFEST.dump_json(delivery))])
        reached(CrashPoint.STORED)
        return delivery, texts

    async def storable(self, until_s: float = 0.0) -> bool:
        """Whether what is paid for now could be kept. Nobody looks before a store fails; then it is waited for until that (monotonic) time."""
        while self.trouble is not None:
            await self._look()
            if self.trouble is not None:
                if self._clock.monotonic_s() >= until_s:
                    return False
                await asyncio.sleep(STORE_PAUSE_S)
        return True

    async def find(self, attempt_id: AttemptId) -> Delivery | None:
        """What an earlier process stored for this attempt, or None. Raises BlobStoreUnavailable."""
        data = await self._blobs.read(f"{attempt_id}/{MANIFEST}")
        if data is None:
            return None
        try:
            return _MANIFEST.validate_json(data)
        except ValidationError as exc:
            log.error("a manifest cannot be read", extra={"attempt": attempt_id}, exc_info=exc)
            return None

    async def _converted(
        self, data: bytes, result: ImageResult, change: OutputFormat, form: Form
    ) -> tuple[bytes, ImageResult]:
        """As wanted; where that fails, as it was."""
        try:
            if self._decoder is None:
                raise DecodingUnavailable("no decoder")
            made = await convert(self._decoder, data, change, form.compression, opaque=form.opaque)
            examined, _ = await _examined(result.blob, made, result.revised_prompt)
        except (ImageRefused, DecodingUnavailable, UpstreamFailure) as exc:
            log.warning(
                "a picture is delivered as it came", extra={"blob": result.blob, "wanted": change}, exc_info=exc
            )
            return data, result
        return made, examined

    async def _put(self, attempt_id: AttemptId, blobs: list[tuple[str, bytes]]) -> None:
        until_s = self._clock.monotonic_s() + STORE_S_MAX
        while True:
            patience = asyncio.get_running_loop().call_later(SILENT_S, self._note, SILENT)
            try:
                await self._blobs.put_all(attempt_id, blobs)
            except BlobStoreUnavailable as exc:
                self._note(str(exc))
                if self._clock.monotonic_s() > until_s:
                    lost = f"the pictures could not be stored: {exc}"
                    raise UpstreamFailure(Fault.RESULT_LOST, Billed.YES, lost) from exc
                await asyncio.sleep(STORE_PAUSE_S)
            else:
                self._note(None)
                return
            finally:
                patience.cancel()

    async def _look(self) -> None:
        """Those who come while somebody looks share what is found."""
        looks = self._looks
        async with self._looking:
            if self.trouble is None or looks != self._looks:
                return
            try:
                async with asyncio.timeout(LOOK_S_MAX):
                    await self._blobs.check()
            except BlobStoreUnavailable as exc:
                self._note(str(exc))
            except TimeoutError:
                self._note(SILENT)
            else:
                self._note(None)
            self._looks += 1

    def _note(self, trouble: str | None) -> None:
        """Every change is logged once: all tasks in hand meet the same trouble, twice a second."""
        if trouble is not None and trouble != self.trouble:
            log.error("pictures cannot be stored: paid ones wait, new calls are refused", extra={"cause": trouble})
        if trouble is None and self.trouble is not None:
            log.warning("pictures can be stored again")
        self.trouble = trouble


async def base64_text(data: bytes) -> bytes:
    """A picture as base64, off the event loop where it is large."""
    if len(data) < THREAD_BYTES_MIN:
        return binascii.b2a_base64(data, newline=False)
    return await asyncio.to_thread(pybase64.b64encode, data)


async def _bytes(image: UpstreamImage, fetch: Fetch) -> bytes:
    match image:
        case RawImage(data=data):
            return data
        case LinkedImage():
            return await fetch(image)
        case InlineImage(base64=text):
            try:
                if (
                    len(text) < THREAD_BYTES_MIN
                ):  # as fast for these, and it keeps the interpreter, which pybase64 hands to other threads
                    return binascii.a2b_base64(text, strict_mode=True)
                return await asyncio.to_thread(pybase64.b64decode, text, validate=True)
            except ValueError as exc:
                raise UpstreamFailure(Fault.NO_IMAGE, Billed.YES, "the picture is not valid base64") from exc


async def _examined(blob: str, data: bytes, revised_prompt: str | None) -> tuple[ImageResult, bool]:
    """And whether it declares transparency."""
    try:
        if len(data) < THREAD_BYTES_MIN:
            return _examine(blob, data, revised_prompt)
        return await asyncio.to_thread(_examine, blob, data, revised_prompt)
    except NotAnImage as exc:
        raise UpstreamFailure(Fault.NO_IMAGE, Billed.YES, f"what came is no picture: {exc.reason}") from exc


def _examine(blob: str, data: bytes, revised_prompt: str | None) -> tuple[ImageResult, bool]:
    seen = sniff(data)
    digest = hashlib.sha256(data).hexdigest()
    result = ImageResult(
        blob, seen.content_type, seen.extension, len(data), seen.width, seen.height, digest, revised_prompt
    )
    return result, seen.has_alpha
