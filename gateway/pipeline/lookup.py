"""Sends an attempt, or asks what became of it where it may have been sent and its upstream can be asked (Recovery.LOOKUP): never both. Where a key
finds it (Recovery.IDEMPOTENCY_KEY) it is sent again under that.

What the upstream knows nothing of may still be on its way. Nobody sends later than `grace_s` after the attempt's row was made, and every sender
gives up after the upstream's time-out: when both have passed, "nothing" is the truth. How it fails: with the attempt's own failure as the upstream
tells it; with NeverArrived; with NO_ANSWER and UNKNOWN, where at the end the upstream still works or cannot be asked.
"""

import asyncio
from dataclasses import replace

from gateway.domain.catalog import Recovery
from gateway.domain.clock import Clock
from gateway.domain.tasks import Billed, Fault, Heard
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.routing.retry import Look, next_look
from gateway.upstreams.base import Adapter, Found, Generated, OnSubmitted, UpstreamCall, UpstreamFailure

LOOK_PAUSE_S = 0.25
"""Doubled with every question, up to LOOK_PAUSE_S_MAX."""
LOOK_PAUSE_S_MAX = 10.0
ASK_S_MAX = 30.0
"""One question; its answer may hold the pictures."""


class NeverArrived(UpstreamFailure):
    """Nothing of the attempt reached the upstream, nor will it: unbilled, for certain, and no fault of the upstream's."""

    def __init__(self, message: str) -> None:
        super().__init__(Fault.UNREACHABLE, Billed.NO, message)


async def sent_or_found(
    adapter: Adapter,
    call: UpstreamCall,
    on_submitted: OnSubmitted,
    clock: Clock,
    *,
    sent_before: bool,
    age_s: float,
    grace_s: float,
) -> Generated:
    """`age_s`: how long ago the attempt's row was made. Raises UpstreamFailure; after NeverArrived a new attempt may be sent."""
    recovery = adapter.capabilities(call.offer.upstream_model).recovery
    if recovery is Recovery.LOOKUP:
        if sent_before:
            until_s = clock.monotonic_s() + adapter.settings.timeout_s + grace_s - age_s
            return await look_up(adapter, call, clock, arrives_until_s=until_s)
        if age_s > grace_s:
            raise NeverArrived("not sent: too long after its row was made")
    reached(CrashPoint.BEFORE_SEND)
    if not sent_before or recovery is not Recovery.IDEMPOTENCY_KEY:
        return await adapter.generate(call, on_submitted)
    return await _sent_again(adapter, call, on_submitted)


async def _sent_again(adapter: Adapter, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
    """Under the same key. That this sending came to nothing says nothing of the one before, which may be billed: only a job's end, or a refusal of
    the very request, does."""
    is_known = call.upstream_ref is not None

    async def submitted(upstream_ref: str) -> None:
        nonlocal is_known
        is_known = True
        await on_submitted(upstream_ref)

    try:
        return await adapter.generate(call, submitted)
    except UpstreamFailure as exc:
        if is_known or exc.billed is not Billed.NO or exc.fault is Fault.REFUSED:
            raise
        message = f"in doubt since it was first sent; sent again: {exc.message}"
        raise UpstreamFailure(exc.fault, Billed.UNKNOWN, message, retry_after_s=exc.retry_after_s) from exc


async def look_up(adapter: Adapter, call: UpstreamCall, clock: Clock, *, arrives_until_s: float) -> Generated:
    """`arrives_until_s` is monotonic: from then on what the upstream has not heard of it never will. Raises UpstreamFailure."""
    pause_s = LOOK_PAUSE_S
    while True:
        now_s = (
            clock.monotonic_s()
        )  # before asking: "nothing" proves nothing of what arrives while the answer is on its way
        heard, found = await _ask(adapter, replace(call, deadline_s=now_s + ASK_S_MAX))
        reached(CrashPoint.ASKED)
        match next_look(heard, may_arrive=now_s < arrives_until_s, time_is_up=now_s >= call.deadline_s):
            case Look.TAKE if isinstance(found, Generated):
                return found
            case Look.TAKE if isinstance(found, UpstreamFailure):
                raise found
            case Look.SEND:
                raise NeverArrived("the upstream was asked, and knows nothing of it")
            case Look.STOP:
                message = found.message if isinstance(found, UpstreamFailure) else "still working"
                raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, f"asked until the end: {message}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LOOK_PAUSE_S_MAX)


async def _ask(adapter: Adapter, call: UpstreamCall) -> tuple[Heard, Found]:
    try:
        found = await adapter.find(call)
    except UpstreamFailure as exc:
        return Heard.SILENT, exc
    if isinstance(found, Generated):
        return Heard.MADE, found
    return (Heard.FAILED if isinstance(found, UpstreamFailure) else found), found
