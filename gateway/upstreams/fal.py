"""fal.ai's queue: submit, store the request's id, ask for its state, fetch its result.

There is no idempotency key, so a submit whose answer was lost stays unknown; with the stored id asking goes on. Addresses are built from `base_url`
with owner and application alone, as the vendor's own are, and never taken from an answer. A request that no runner has begun when nobody waits any
more is dropped by the queue, unbilled (X-Fal-Request-Timeout). Asking costs nothing and is repeated; what a result says of its request is final.
Only what the queue has not begun is cancelled: that costs nothing, while nobody says what a request costs that was stopped at work.

Options: `poll_interval` (seconds, `3s`, `500ms`; default 0.5 s).
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.catalog import Capabilities, Price
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import fal_answers, faults
from gateway.upstreams.answers import decode_object
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
from gateway.upstreams.fal_answers import RequestEnded
from gateway.upstreams.fal_bodies import body_of, family_of
from gateway.upstreams.options import seconds_option
from gateway.upstreams.polling import Polling
from gateway.upstreams.wire import Reply, Resources, Send, Wire

SUBMIT_TIMEOUT_S = 60.0
POLL_TIMEOUT_S = 15.0
RESULT_TIMEOUT_S = 60.0
"""A result may hold its pictures (`sync_mode`)."""
CANCEL_TIMEOUT_S = 10.0
STOPPED_MAX = 10_000
"""Requests cancelled in the queue of which the end is not known yet."""
DOUBTS_MAX = 3
"""Failures in place of a result, of which the state said nothing, before one is taken for the request's own."""
_ENDPOINT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")
_NAMESPACES = ("workflows", "comfy")
_NOBODYS = "/fal-ai/flux/requests/00000000-0000-0000-0000-000000000000/status"
_CHECK_ROWS = (faults.Row(Fault.BAD_REQUEST, statuses=(404,), from_api=True),)


@dataclass(slots=True)
class _Watched:
    """One request that is asked for."""

    id: str
    path: str
    price: Price
    deadline_s: float
    doubts: int = 0


class FalAdapter(Adapter):
    kind: ClassVar[str] = "fal"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        super().__init__(settings)
        self._capabilities: dict[str, Capabilities] = {}
        self._stopped_unbegun: dict[str, None] = {}
        """Requests that the queue had not begun when it was told to drop them."""
        self._wire = Wire(settings, resources, {"Authorization": f"Key {settings.api_key}"})
        self._clock = resources.clock
        interval_s = max(0.01, seconds_option(settings, "poll_interval", 0.5))
        self._polling = Polling(resources.clock, interval_s, first_s=interval_s / 2)

    def capabilities(self, upstream_model: str) -> Capabilities:
        known = self._capabilities.get(upstream_model)
        if known is None:  # asked for several times in every call; the catalogue's models bound the dictionary
            known = self._capabilities[upstream_model] = family_of(upstream_model).capabilities(upstream_model)
        return known

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        application = application_of(call.offer.upstream_model)
        deadline_s, request_id = self._wire.deadline_s(call.deadline_s), call.upstream_ref
        if request_id is None:
            request_id = await self._submit(call, deadline_s)
            await on_submitted(request_id)
        elif not fal_answers.REQUEST_ID.fullmatch(request_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored request id cannot be asked for")
        watched = _Watched(request_id, f"/{application}/requests/{request_id}", call.offer.price, deadline_s)
        found = await self._polling.until(
            f"request {request_id}", lambda: self._ask(watched), lambda found: found is not None, deadline_s
        )
        if found is None:
            raise AssertionError("asking ended before the request did")
        if isinstance(found, RequestEnded):
            raise self._with_bill(found, request_id)
        return found

    async def cancel(self, call: UpstreamCall) -> Stop:
        """A request that is still in the queue is dropped; one that has begun is left to finish."""
        request_id = call.upstream_ref or ""
        if not fal_answers.REQUEST_ID.fullmatch(request_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored request id cannot be asked for")
        path = f"/{application_of(call.offer.upstream_model)}/requests/{request_id}"
        deadline_s = min(call.deadline_s, self._clock.monotonic_s() + CANCEL_TIMEOUT_S)
        state = await self._wire.reply(Send("GET", f"{path}/status", deadline_s=deadline_s), fal_answers.decode_state)
        if not state.is_waiting:
            return Stop.TOO_LATE
        self._stopped_unbegun[request_id] = None  # before it is told: the end may be heard before the answer
        while len(self._stopped_unbegun) > STOPPED_MAX:
            del self._stopped_unbegun[next(iter(self._stopped_unbegun))]
        try:
            await self._wire.call(Send("PUT", f"{path}/cancel", deadline_s=deadline_s), decode_object)
        except UpstreamFailure as exc:
            if exc.fault is not Fault.BAD_REQUEST:
                raise
            self._stopped_unbegun.pop(request_id, None)
            return Stop.TOO_LATE  # ALREADY_COMPLETED
        return Stop.ASKED

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        """The queue has no call for that, and models cost money: it is asked for a request that nobody made."""
        deadline_s = min(deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S)
        send = Send("GET", _NOBODYS, deadline_s=deadline_s, rows=_CHECK_ROWS)
        try:
            await self._wire.call(send, decode_object)
        except UpstreamFailure as exc:
            if exc.fault is not Fault.BAD_REQUEST:
                raise
        return "asked for a request that nobody made, which the queue does not know: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()

    async def _submit(self, call: UpstreamCall, deadline_s: float) -> str:
        now_s = self._clock.monotonic_s()
        send = Send(
            "POST",
            f"/{call.offer.upstream_model}",
            deadline_s=min(deadline_s, now_s + SUBMIT_TIMEOUT_S),
            body=json_body(body_of(call.request, call.offer, call.inputs)),
            # The call's deadline, not this upstream's time-out: asking may be resumed until then.
            headers=(("X-Fal-Request-Timeout", str(max(1, math.ceil(call.deadline_s - now_s)))),),
        )
        submitted = await self._wire.reply(send, fal_answers.decode_submitted)
        request_id = submitted.request_id or ""
        if not fal_answers.REQUEST_ID.fullmatch(request_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "accepted without a usable request id")
        return request_id

    async def _ask(self, watched: _Watched) -> Generated | RequestEnded | None:
        """How the request ended, None while it has not. Raises UpstreamFailure where it was the asking that failed."""
        send = Send(
            "GET",
            f"{watched.path}/status",
            deadline_s=min(watched.deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S),
        )
        state = await self._wire.reply(send, fal_answers.decode_state)
        if not state.is_over:
            if not state.is_waiting:
                self._stopped_unbegun.pop(watched.id, None)  # it had begun in that very moment
            return None
        found = await self._result(watched)
        if isinstance(found, RequestEnded) and not found.sure and not state.says_failed:
            watched.doubts += 1
            if watched.doubts < DOUBTS_MAX:
                raise found
            found.billed = Billed.UNKNOWN  # there may be a picture behind it
        return found

    def _with_bill(self, end: RequestEnded, request_id: str) -> RequestEnded:
        """What was dropped from the queue never ran."""
        dropped = request_id in self._stopped_unbegun
        self._stopped_unbegun.pop(request_id, None)
        if dropped and end.cancelled and end.billed is Billed.UNKNOWN:
            end.billed = Billed.NO
        return end

    async def _result(self, watched: _Watched) -> Generated | RequestEnded:
        send = Send(
            "GET",
            watched.path,
            deadline_s=min(watched.deadline_s, self._clock.monotonic_s() + RESULT_TIMEOUT_S),
            failure=_failed_result,
        )
        try:
            return await self._wire.reply(send, lambda reply: fal_answers.decode_result(reply, watched.price))
        except RequestEnded as exc:
            return exc


def application_of(endpoint: str) -> str:
    """Owner and application, under which requests are known; the rest is dropped. Raises UpstreamFailure where it is no path."""
    if not _ENDPOINT.fullmatch(endpoint):
        raise UpstreamFailure(Fault.CREDENTIALS, Billed.NO, f"{endpoint!r} is no endpoint; write owner/application")
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def _failed_result(reply: Reply) -> UpstreamFailure:
    return fal_answers.ended(reply) or faults.failure(faults.read_error(reply.status, reply.body), reply.headers)
