"""A caller's wish that its task be cancelled, as the walk over the attempts knows it: what is out is told to stop, nothing new begins, and what waits
for a place waits no longer.

It gives no verdict: how a call ends, and what that cost, is said by the call alone. How it fails: an upstream that cannot be told is told again a few
times, each for ASK_S_MAX at most; then its call goes on, which is logged, until the wish is repeated here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from gateway.domain.catalog import Recovery
from gateway.domain.clock import Clock
from gateway.domain.ids import AttemptId
from gateway.domain.tasks import Billed, Fault
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.side_by_side import all_of
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.base import Adapter, Stop, UpstreamCall, UpstreamFailure

log = logging.getLogger(__name__)

ASK_S_MAX = 10.0
ASK_PAUSES_S = (1.0, 3.0)
"""Before an upstream that could not be told is told again."""


@dataclass(slots=True)
class _Out:
    """A call that is out."""

    adapter: Adapter
    call: UpstreamCall
    is_being_told: bool = False

    @property
    def can_be_told(self) -> bool:
        found = self.adapter.capabilities(self.call.offer.upstream_model)
        return found.can_cancel and (found.recovery is not Recovery.ASYNC_JOB or self.call.upstream_ref is not None)


class Stopping:
    """One task's. `wished` once the wish is known here."""

    def __init__(self, clock: Clock, metrics: Metrics, *, wished: bool) -> None:
        self.wished = wished
        self._clock = clock
        self._metrics = metrics
        self._out: dict[AttemptId, _Out] = {}
        self._answers: dict[AttemptId, Stop | None] = {}
        """Of upstreams that were told; None: no answer, so nobody knows whether it heard."""
        self._given_up: set[AttemptId] = set()
        self._waits: set[asyncio.Timeout] = set()

    def begin(self, *, again: bool = False) -> bool:
        """From now on nothing new is sent, and nobody waits for a place. Says whether an upstream is to be told, `again` also one that was silent."""
        self.wished = True
        if again:
            self._given_up.clear()
        for wait in self._waits:
            wait.reschedule(0.0)  # a moment that has passed
        self._waits.clear()
        return any(map(self._is_to_be_told, self._out.values()))

    async def tell(self) -> None:
        """Tell the upstreams of everything that is out; those that have been told are left alone."""
        self.begin()
        await all_of([self._tell(out) for out in list(self._out.values())])

    @asynccontextmanager
    async def unless_wished(self) -> AsyncIterator[None]:
        """A wait that ends with TimeoutError once the task is to be cancelled."""
        async with asyncio.timeout(0.0 if self.wished else None) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    @contextmanager
    def out(self, adapter: Adapter, call: UpstreamCall) -> Iterator[None]:
        """While the call is out."""
        self._out[call.attempt_id] = _Out(adapter, call)
        try:
            yield
        finally:
            del self._out[call.attempt_id]

    async def tell_late(self, attempt_id: AttemptId, upstream_ref: str | None) -> None:
        """For a call that can be told only now: its job's id has come, or it is resumed."""
        out = self._out[attempt_id]
        out.call = replace(out.call, upstream_ref=upstream_ref)
        if self.wished:
            await self._tell(out)

    def verdict(self, attempt_id: AttemptId, failure: UpstreamFailure) -> UpstreamFailure:
        """A call that was told to stop and made nothing has been cancelled. What that cost stays as it is."""
        was_told = self._answers.get(attempt_id, Stop.TOO_LATE) is not Stop.TOO_LATE
        if not was_told or failure.fault is not Fault.FAILED:
            return failure
        return UpstreamFailure(Fault.CANCELLED, failure.billed, failure.message, cost_usd=failure.cost_usd)

    def ended(self, attempt_id: AttemptId, upstream: str, billed: Billed | None) -> None:
        """What became of a call that was to be stopped; `billed` None: it brought its picture. Of others nothing is counted."""
        if attempt_id in self._answers:
            self._metrics.upstream_cancelled(
                upstream=upstream, outcome="too_late" if billed is None else _BILLS[billed]
            )

    def _is_to_be_told(self, out: _Out) -> bool:
        attempt_id = out.call.attempt_id
        known = self._answers.get(attempt_id) is not None or attempt_id in self._given_up
        return out.can_be_told and not (known or out.is_being_told)

    async def _tell(self, out: _Out) -> None:
        attempt_id = out.call.attempt_id
        if not self._is_to_be_told(out):
            return
        out.is_being_told = True
        try:
            for pause_s in (*ASK_PAUSES_S, None):
                self._answers[attempt_id] = None
                self._answers[attempt_id] = answer = await self._asked(out)
                if answer is not None:
                    return
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
                if self._out.get(attempt_id) is not out:
                    return  # it has ended meanwhile
            self._given_up.add(attempt_id)
            log.error("a call could not be cancelled at its upstream: it goes on", extra={"attempt": attempt_id})
        finally:
            out.is_being_told = False

    async def _asked(self, out: _Out) -> Stop | None:
        """What the upstream answers, None where it does not."""
        call, extra = out.call, {"attempt": out.call.attempt_id, "upstream": out.adapter.name}
        reached(CrashPoint.BEFORE_CANCEL)
        try:
            async with asyncio.timeout(ASK_S_MAX):
                answer = await out.adapter.cancel(replace(call, deadline_s=self._clock.monotonic_s() + ASK_S_MAX))
        except (UpstreamFailure, TimeoutError) as exc:
            log.warning("an upstream could not be told to cancel", extra=extra, exc_info=exc)
            return None
        except Exception:  # a bug of an adapter: the picture that its call may still bring must not be lost for it
            log.exception("an adapter failed to cancel", extra=extra)
            return None
        reached(CrashPoint.CANCEL_TOLD)
        log.info("an upstream was told to cancel", extra={**extra, "answer": answer.value})
        return answer


_BILLS = {Billed.NO: "unbilled", Billed.YES: "billed", Billed.UNKNOWN: "unknown"}
