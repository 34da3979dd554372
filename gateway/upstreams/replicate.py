"""Replicate's predictions: create, store the id, poll, hand out links.

There is no idempotency key. A prediction is made without `Prefer: wait`: its id comes at once and is stored before anything else can be lost, while
an answer that waits for the pictures would leave the id unknown for so long. Polling costs nothing and is repeated; addresses are built from
`base_url`, never taken from an answer. What a failure costs depends on what was called: an official model is paid by picture, a version or a
deployment for the time it ran. Replicate names no price in its answers. Only what has not begun is cancelled: what is stopped at work is charged.

Options: `poll_interval` (seconds, `3s`, `500ms`; default 2 s: 64 predictions at once stay below the vendor's 3000 queries a minute).
"""

import re
from dataclasses import replace
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel

from gateway.domain.catalog import Capabilities
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Item, Lenient, decode_object
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    Stop,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.bodies import json_body
from gateway.upstreams.options import seconds_option
from gateway.upstreams.polling import Polling
from gateway.upstreams.replicate_inputs import Place, family_of, input_of, place_of
from gateway.upstreams.wire import Resources, Send, Wire

SUBMIT_TIMEOUT_S = 60.0
POLL_TIMEOUT_S = 15.0
CANCEL_TIMEOUT_S = 10.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

PREDICTION_ROWS: tuple[faults.Row, ...] = (
    # `error` of a failed prediction is prose; these codes stand in it.
    faults.Row(Fault.REFUSED, message=r"\bE005\b"),
    faults.Row(Fault.OVERLOADED, message=r"\b(E003|E6716)\b"),  # high demand; not started in time
    faults.Row(
        Fault.BAD_REQUEST,  # in Pillow's words, and in those of models that wrap it
        message=r"cannot identify image file|(invalid|unreadable|corrupt(ed)?|unsupported) (input )?image|image file is truncated",
    ),
    faults.Row(Fault.RATE_LIMITED, message=r"\b(rate.?limit|too many requests|throttled)"),
)


class Prediction(BaseModel):
    """A prediction, as far as it matters here."""

    id: Lenient[str] = None
    status: Lenient[str] = None
    output: Any = None
    """A link, or a list of them."""
    error: Any = None
    started_at: Lenient[str] = None

    @property
    def is_over(self) -> bool:
        return self.status in _FINAL

    @property
    def is_waiting(self) -> bool:
        """Nothing runs for it yet."""
        return self.status == "starting" and self.started_at is None

    @property
    def links(self) -> tuple[str, ...]:
        found = self.output if isinstance(self.output, list) else [self.output]
        return tuple(link for link in found if isinstance(link, str) and link)


class ReplicateAdapter(Adapter):
    kind: ClassVar[str] = "replicate"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        # Operators paste the address with /v1; the paths here bring their own.
        settings = replace(settings, base_url=settings.base_url.rstrip("/").removesuffix("/v1"))
        super().__init__(settings)
        self._capabilities: dict[str, Capabilities] = {}
        self._wire = Wire(settings, resources, {"Authorization": f"Bearer {settings.api_key}"})
        self._clock = resources.clock
        interval_s = max(0.01, seconds_option(settings, "poll_interval", 2.0))
        self._polling = Polling(resources.clock, interval_s, first_s=interval_s / 2)

    def capabilities(self, upstream_model: str) -> Capabilities:
        known = self._capabilities.get(upstream_model)
        if known is None:  # asked for several times in every call; the catalogue's models bound the dictionary
            known = self._capabilities[upstream_model] = family_of(upstream_model).capabilities()
        return known

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        place = place_of(call.offer.upstream_model)
        deadline_s = self._wire.deadline_s(call.deadline_s)
        prediction_id, prediction = call.upstream_ref, None
        if prediction_id is None:
            prediction = await self._submit(call, place, deadline_s)
            prediction_id = prediction.id or ""
            await on_submitted(prediction_id)
        elif not _ID.fullmatch(prediction_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored prediction id cannot be asked for")
        if prediction is None or not prediction.is_over:
            prediction = await self._polling.until(
                f"prediction {prediction_id}",
                lambda: self._poll(prediction_id, deadline_s),
                lambda found: found.is_over,
                deadline_s,
            )
        return outcome(prediction, place)

    async def cancel(self, call: UpstreamCall) -> Stop:
        """A prediction that has not begun is aborted, unbilled; one that has is left to finish."""
        prediction_id = call.upstream_ref or ""
        if not _ID.fullmatch(prediction_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored prediction id cannot be asked for")
        deadline_s = min(call.deadline_s, self._clock.monotonic_s() + CANCEL_TIMEOUT_S)
        if not (await self._poll(prediction_id, deadline_s)).is_waiting:
            return Stop.TOO_LATE
        await self._wire.call(
            Send("POST", f"/v1/predictions/{prediction_id}/cancel", deadline_s=deadline_s), decode_object
        )
        return Stop.ASKED

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        deadline_s = min(deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S)
        await self._wire.call(Send("GET", "/v1/account", deadline_s=deadline_s), decode_object)
        return "GET /v1/account answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()

    async def _submit(self, call: UpstreamCall, place: Place, deadline_s: float) -> Prediction:
        body: dict[str, object] = {"input": input_of(call.request, call.offer, call.inputs)}
        if place.version is not None:
            body["version"] = place.version
        send = Send(
            "POST",
            place.path,
            deadline_s=min(deadline_s, self._clock.monotonic_s() + SUBMIT_TIMEOUT_S),
            body=json_body(body),
        )
        prediction = await self._wire.call(send, _decode)
        if prediction.id is None or not _ID.fullmatch(prediction.id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "accepted without a usable prediction id")
        return prediction

    async def _poll(self, prediction_id: str, deadline_s: float) -> Prediction:
        deadline_s = min(deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S)
        return await self._wire.call(Send("GET", f"/v1/predictions/{prediction_id}", deadline_s=deadline_s), _decode)


def outcome(prediction: Prediction, place: Place) -> Generated:
    """The pictures of a prediction that is over. Raises UpstreamFailure where there are none.

    What never started costs nothing; what was canceled while it ran is charged; what failed is where time is charged.
    """
    status, ran_by_time = prediction.status, place.by_time and prediction.started_at is not None
    if status == "succeeded":
        found = [Item(url=link).image() for link in prediction.links]
        images = tuple(image for image in found if image is not None)
        if images:
            return Generated(images)
        billed = Billed.YES if place.by_time or prediction.output else Billed.NO
        raise UpstreamFailure(Fault.NO_IMAGE, billed, "succeeded without an output that is a link")
    text = _text(prediction.error)
    message = f"prediction {status}: {text}"
    if status == "aborted":
        raise UpstreamFailure(Fault.FAILED, Billed.NO, message)
    if status == "canceled":
        raise UpstreamFailure(Fault.FAILED, Billed.YES, message)
    fault, _ = faults.classify(faults.read_error_object(0, {"error": text}), PREDICTION_ROWS)
    raise UpstreamFailure(fault, Billed.YES if ran_by_time else Billed.NO, message)


def _text(error: object) -> str:
    if isinstance(error, str):
        return error
    try:
        return orjson.dumps(error).decode()
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return "an error that cannot be shown"


def _decode(body: bytearray) -> Prediction:
    return Prediction.model_validate(decode_object(body))
