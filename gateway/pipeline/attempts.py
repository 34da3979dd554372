"""All attempts of one task: which offer, how many pictures, what follows a failure; and how a crashed task goes on.

A task's pictures are made in parts. A part is one attempt; where it fails and the next offer may try, the new attempts are its children, so the rows
alone tell what is done and what is left, and starting, failing over and resuming after a crash are one walk over that tree (`_make`).

Order of things: slot → attempt row committed → sent → outcome. Nothing is sent before its row is durable. A database that does not answer is
waited for; it never makes this code forget a picture in flight. TaskLost ends the walk: the task was cancelled, or another process took it over.
A caller's wish to cancel what is out (`stopping`) ends every part as soon as its call has: nothing is begun any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace

from gateway.domain.catalog import Capabilities, Offer, Recovery
from gateway.domain.ids import AttemptId
from gateway.domain.images import ImageRequest
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task
from gateway.ledger.model import BudgetRefusal
from gateway.limits.slots import Slot, SlotTimeout
from gateway.pipeline import at_last, pricing
from gateway.pipeline.attempt_rows import age_s, failed, in_doubt, new_attempt, offers_above, succeeded
from gateway.pipeline.cancel_rules import was_cancelled_and_billed
from gateway.pipeline.commands import CancelWished, RecordAttempts, RecordSubmitted
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.echo import without_echo
from gateway.pipeline.forms import form_of
from gateway.pipeline.frozen import FrozenPlan, plan_text
from gateway.pipeline.in_hand import InHand
from gateway.pipeline.inputs import CallPictures
from gateway.pipeline.lookup import NeverArrived, sent_or_found
from gateway.pipeline.partials import Partials, hearer, shown
from gateway.pipeline.results import Delivery, Made
from gateway.pipeline.side_by_side import all_of
from gateway.pipeline.steps import step_after
from gateway.pipeline.stopping import Stopping
from gateway.pipeline.stored import Stored, TaskLost
from gateway.pipeline.tools import Tools
from gateway.pipeline.traced import attempted
from gateway.pipeline.upstream_time import Upstreamed
from gateway.pipeline.verdict import Failure
from gateway.routing.health import NEUTRAL
from gateway.routing.last_resort import Ticket
from gateway.routing.plan import allowed_counts, request_for, split
from gateway.routing.retry import Step
from gateway.upstreams.base import Adapter, LinkedImage, UpstreamCall, UpstreamFailure
from gateway.upstreams.byte_budget import held_to_the_end

log = logging.getLogger(__name__)

RESEND_PAUSE_S = 0.5
"""Doubled with every resend: 0.5, 1, 2 s."""
RESUME_S_MIN = 120.0
"""A resumed task may look for what was paid for at least so long, although its deadline passed while no process ran."""
MANIFEST_GRACE_S = 60.0
"""After an upstream's time-out, a paused owner may still store what it received, and what it sent may still arrive."""
_RESUMABLE = (Recovery.IDEMPOTENCY_KEY, Recovery.LOOKUP)
"""What may have been sent can be found again, without anything that the upstream said."""


@dataclass(slots=True)
class Making:
    """The walk over one task's attempts. `known` are its rows so far; `slots` belong to those that this process is about to send."""

    tools: Tools
    task: Task
    plan: FrozenPlan
    request: ImageRequest
    deadline_s: float
    known: Sequence[Attempt] = ()
    held_slots: dict[AttemptId, Slot] = field(default_factory=dict)
    owner_may_live: bool = False
    keep_pictures: bool = False
    partials: Partials | None = None
    made: list[Made] = field(default_factory=list)
    stopped: list[Attempt] = field(default_factory=list)
    """Cancelled at the caller's wish, and billed all the same."""
    failures: list[Failure] = field(default_factory=list)
    unrecorded: list[Attempt] = field(default_factory=list)
    """Ended attempts whose end goes into the next commit."""
    started: list[Attempt] = field(default_factory=list)
    ended: list[Attempt] = field(default_factory=list)
    """All attempts that began and ended in this walk, for the task's view."""
    given: list[Ticket] = field(default_factory=list)
    tickets: dict[AttemptId, Ticket] = field(default_factory=dict)
    """Of attempts under way that are a last resort; `given` are those of all."""
    in_hand: InHand = field(init=False)
    upstreamed: Upstreamed = field(init=False)
    pictures: CallPictures = field(init=False)
    stopping: Stopping = field(init=False)
    _stored: Stored = field(init=False)

    def __post_init__(self) -> None:
        self.stopping = Stopping(self.tools.clock, self.tools.metrics, wished=self.task.cancel_requested)
        self.in_hand = InHand(self.known)
        self.upstreamed = Upstreamed(self.tools.clock)
        self.pictures = CallPictures(self.tools.inputs, self.task, self.request, self.deadline_s)
        self._stored = Stored(self.tools, self.deadline_s)

    @property
    def may_be_left(self) -> bool:
        """Whether another process can go on from here as well."""
        return self.in_hand.is_nothing(self.held_slots, self.unrecorded)

    async def run(self) -> None:
        """Make all pictures. Afterwards `made`, `failures` and `unrecorded` tell what became of them. Raises TaskLost."""
        try:
            await self._make(self.task.n, None, 0)
        finally:
            for slot in self.held_slots.values():
                slot.release()
            for ticket in self.given:
                ticket.give_back()

    async def _make(self, n: int, parent: AttemptId | None, first_offer: int) -> None:
        """`n` pictures below one attempt (or the task): follow what exists, begin what is missing."""
        children = [attempt for attempt in self.known if attempt.parent_id == parent]
        jobs: list[Awaitable[None]] = [self._follow(child) for child in children]
        rest = n - sum(child.n for child in children)
        if rest > 0:
            jobs.append(self._begin(rest, parent, first_offer))
        await all_of(jobs)

    async def _begin(self, n: int, parent: AttemptId | None, first_offer: int) -> None:
        """New attempts for `n` pictures at the first offer from `first_offer` on that may be tried now, else at one that was passed over."""
        error = await self.pictures.prepared(self.plan, self.tools.adapters)
        if error is not None:
            self.failures.append(Failure(None, error=error))
            return
        if await self._tried(n, parent, first_offer) or await self._tried_at_last(n, parent):
            return
        if first_offer == 0 or not self.failures:
            self.failures.append(Failure(None, timed_out=self._time_is_up()))

    async def _tried(self, n: int, parent: AttemptId | None, first_offer: int) -> bool:
        """The same in its turn; False where there is no such offer."""
        tried = offers_above((*self.known, *self.started), parent)
        for index in range(first_offer, len(self.plan.offers)):
            if self.stopping.wished:
                self.failures.append(Failure(Fault.CANCELLED))
                return True
            offer = self.plan.offers[index]
            adapter = self.tools.adapters.get(offer.upstream)
            if adapter is None or offer.id in tried:
                continue  # its upstream was taken out of the config
            if self._time_is_up() or not await self.tools.results.storable(self.deadline_s):
                self.failures.append(Failure(None, timed_out=True))
                return True
            parts = self._parts(offer, n)
            if parts and self.tools.circuits.allows(offer.id):
                await all_of([self._try(offer, adapter, part, parent, index) for part in parts])
                return True
        return False

    async def _try(self, offer: Offer, adapter: Adapter, n: int, parent: AttemptId | None, index: int) -> None:
        slot = await self._place(offer, self._waits_until_s(adapter, n, index, parent))
        if slot is None:
            if await self._tried(n, parent, index + 1):
                return
            if not self.tools.circuits.allows(offer.id):
                await self._tried_at_last(n, parent)
                return
            # Nobody else may be tried after all: for the rest of the time its place is waited for.
            slot = await self._place(offer, self.deadline_s)
            if slot is None:
                return
        reached(CrashPoint.SLOT_TAKEN)
        await self._send_new(offer, adapter, n, parent, slot)

    async def _tried_at_last(self, n: int, parent: AttemptId | None) -> bool:
        """The same at an offer that was passed over: its circuit has closed since, or it is tried all the same. False: there is none."""
        tried = offers_above((*self.known, *self.started), parent)
        parts = {offer.id: self._parts(offer, n) for offer in self.plan.offers if offer.id not in tried}
        left = [offer for offer in self.plan.offers if parts.get(offer.id) and not self.stopping.wished]
        if left and not await self.tools.results.storable(self.deadline_s):
            self.failures.append(Failure(None, timed_out=True))
            return True
        choice = await at_last.choose(self.tools.circuits, self.tools.clock, self.plan, left, self.deadline_s)
        if choice is None:
            return False
        offer, ticket = choice
        adapter, (first, *rest) = self.tools.adapters[offer.upstream], parts[offer.id]
        jobs: list[Awaitable[None]]
        if ticket is None:
            jobs = [self._try(offer, adapter, part, parent, self._following(offer.id) - 1) for part in parts[offer.id]]
        else:
            self.given.append(ticket)
            jobs = [self._resort(offer, adapter, first, parent, ticket)]
            if rest:  # one call finds out; the others go with it where they may, else after it
                jobs.append(self._begin(sum(rest), parent, len(self.plan.offers)))
        await all_of(jobs)
        return True

    async def _resort(self, offer: Offer, adapter: Adapter, n: int, parent: AttemptId | None, ticket: Ticket) -> None:
        try:
            slot = await self.tools.slots.acquire(offer.upstream, self.deadline_s)
        except SlotTimeout:
            ticket.give_back()
            self.failures.append(Failure(Fault.OVERLOADED, timed_out=self._time_is_up()))
            return
        await self._send_new(offer, adapter, n, parent, slot, ticket)

    def _parts(self, offer: Offer, n: int) -> tuple[int, ...]:
        """The count of each call; none where its upstream is gone, cannot have the mask, changed since the plan was made, or used up its budget."""
        adapter = self.tools.adapters.get(offer.upstream)
        if adapter is None or not self.pictures.has(adapter.capabilities(offer.upstream_model).mask):
            return ()
        try:
            parts = split(n, allowed_counts(offer, adapter.capabilities(offer.upstream_model)))
        except ValueError:
            return ()
        return () if self._closed(offer, adapter, min(parts)) else parts

    async def _place(self, offer: Offer, until_s: float) -> Slot | None:
        """Waits for it until that time. None: it did not come free, which is among the failures."""
        try:
            async with self.stopping.unless_wished():
                return await self.tools.slots.acquire(offer.upstream, until_s)
        except TimeoutError:
            self._no_verdict(offer.id)
            self.failures.append(Failure(Fault.CANCELLED))
            return None
        except SlotTimeout:
            self.tools.metrics.offer_skipped(upstream=offer.upstream, reason="no_slot")
            self._no_verdict(offer.id)
            self.failures.append(Failure(Fault.OVERLOADED, timed_out=self._time_is_up()))
            return None
        except asyncio.CancelledError:
            self._no_verdict(offer.id)
            raise

    def _waits_until_s(self, adapter: Adapter, n: int, index: int, parent: AttemptId | None) -> float:
        """For a place at one offer: until the deadline, or only for a while where one after it could make `n` pictures now."""
        tried = offers_above((*self.known, *self.started), parent)
        for offer in self.plan.offers[index + 1 :]:
            other = self.tools.adapters.get(offer.upstream)
            if other is None or offer.id in tried or self.tools.circuits.is_open(offer.id):
                continue
            counts = allowed_counts(offer, other.capabilities(offer.upstream_model))
            if counts and not self._closed(offer, other, min(n, counts[0])):
                return min(self.deadline_s, self.tools.clock.monotonic_s() + adapter.settings.queue_wait_s)
        return self.deadline_s

    async def _send_new(
        self, offer: Offer, adapter: Adapter, n: int, parent: AttemptId | None, slot: Slot, ticket: Ticket | None = None
    ) -> None:
        """Its row, and with it the ends that wait to be written; then the sending."""
        try:
            presumed = self._presumed(offer, adapter, n)
            attempt = new_attempt(self.task.id, parent, offer, n, presumed, self.tools.clock.now_ms())
            reached(CrashPoint.BEFORE_ATTEMPT)
            refused = await self._record(attempt, at_last=ticket is not None)
            if refused is None:
                reached(CrashPoint.ATTEMPT_RECORDED)
        except BaseException:
            slot.release()
            self._no_verdict(offer.id, ticket)
            raise
        if isinstance(refused, CancelWished):
            slot.release()
            self._no_verdict(offer.id, ticket)
            self.stopping.begin()
            self.failures.append(Failure(Fault.CANCELLED))
            return
        if refused is not None:  # as with an open circuit: the next offer
            slot.release()
            if ticket is not None:
                ticket.give_back()
            self.tools.refused(offer, refused)
            await self._begin(n, parent, self._following(offer.id))
            return
        self.started.append(attempt)
        if ticket is not None:
            self.tickets[attempt.id] = ticket
        self.held_slots[attempt.id] = slot
        await self._send_first(attempt, offer, adapter)

    async def _send_first(self, attempt: Attempt, offer: Offer, adapter: Adapter) -> None:
        if self.stopping.wished:
            self._free(attempt)
            self._failed(attempt, UpstreamFailure(Fault.CANCELLED, Billed.NO, "not sent: cancelled before"), resends=3)
        else:
            await self._send(attempt, offer, adapter)

    async def _follow(self, attempt: Attempt) -> None:
        """An attempt that has a row: send it if it is ours to send, else find out what became of it."""
        offer, adapter = self.plan.offer(attempt.offer_id), self.tools.adapters.get(attempt.upstream)
        if attempt.id in self.held_slots and offer is not None and adapter is not None:
            await self._send_first(attempt, offer, adapter)
        elif attempt.state in (AttemptState.FAILED, AttemptState.UNKNOWN):
            self.failures.append(Failure(attempt.fault, attempt.billed or Billed.UNKNOWN))
            self.stopped += [attempt] if was_cancelled_and_billed(attempt) else []
            step = step_after(self.tools, self.plan, attempt, attempt.fault, attempt.billed, resends=3)
            await self._after(attempt, step)
        else:
            await self._resume(attempt, offer, adapter)

    async def _resume(self, attempt: Attempt, offer: Offer | None, adapter: Adapter | None) -> None:
        """Recovery by what the upstream offers: the manifest first, then the same key, the stored job, a question, or never again."""
        reached(CrashPoint.RESUMING)
        delivery = await self._stored.find(attempt.id)
        if delivery is None and offer is not None and adapter is not None:
            recovery = adapter.capabilities(offer.upstream_model).recovery
            if recovery in _RESUMABLE or (recovery is Recovery.ASYNC_JOB and attempt.upstream_ref):
                self.held_slots[attempt.id] = await self.tools.slot_for_resume(offer, self.deadline_s + RESUME_S_MIN)
                await self._send(attempt, offer, adapter, sent_before=True)
                return
            if self.owner_may_live and attempt.state.is_open:
                # Its sender may only be paused: it must have given up before anybody says that nothing came.
                whole_s = adapter.settings.timeout_s + MANIFEST_GRACE_S
                delivery = await self._stored.await_manifest(attempt.id, whole_s - age_s(attempt, self.tools.clock))
        if delivery is not None:
            self._succeeded(attempt, offer, adapter, delivery, ())
            return
        lost = UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the process ended before an answer was stored")
        await self._after(*self._failed(attempt, lost, resends=3, heard=False))

    async def _send(self, attempt: Attempt, offer: Offer, adapter: Adapter, *, sent_before: bool = False) -> None:
        """Send one attempt, and send it again under the same key while its outcome can be found so; then go on with what follows."""
        capabilities = adapter.capabilities(offer.upstream_model)
        request = request_for(self.request, offer, capabilities, attempt.n)
        ref, resends, clock, began_s = attempt.upstream_ref, 0, self.tools.clock, self.tools.clock.monotonic_s()

        async def on_submitted(upstream_ref: str) -> None:
            nonlocal ref
            ref = upstream_ref
            await self._submitted(attempt.id, upstream_ref, capabilities.recovery)

        async def fetch(image: LinkedImage) -> bytes:
            with self.upstreamed:
                return await adapter.fetch(image, self.deadline_s)

        while True:
            try:
                call = UpstreamCall(
                    attempt.id, request, offer, self.deadline_s, ref,
                    await self.pictures.to_send(capabilities.mask, ref, sent_before=sent_before), hearer(self.partials, attempt.id, request),
                )  # fmt: skip
                with held_to_the_end(), attempted(attempt, offer, adapter, resends):
                    with self.upstreamed, self.in_hand.asking(attempt.id), self.stopping.out(adapter, call):
                        await self.stopping.tell_late(attempt.id, ref)
                        generated = await sent_or_found(
                            adapter, call, on_submitted, clock, sent_before=sent_before, age_s=age_s(attempt, clock), grace_s=MANIFEST_GRACE_S
                        )  # fmt: skip
                    reached(CrashPoint.ANSWER_RECEIVED)
                    # What nobody ordered is not looked at: an answer may name any number of links.
                    ordered = replace(generated, images=generated.images[: attempt.n])
                    form = form_of(self.plan, self.request, request)
                    delivery, pictures = await self.tools.results.store(attempt.id, ordered, fetch, keep=self.keep_pictures, form=form)  # fmt: skip
            except UpstreamFailure as exc:
                failure = self.stopping.verdict(attempt.id, exc)
                reached(CrashPoint.FAILURE_CLASSIFIED)
            except (asyncio.CancelledError, TaskLost):
                self._free(attempt)
                self._no_verdict(offer.id, self.tickets.pop(attempt.id, None))
                raise
            except Exception as exc:  # a bug of an adapter: nobody can say whether it was billed
                log.exception("an adapter failed", extra={"attempt": attempt.id, "upstream": offer.upstream})
                failure = UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, repr(exc))
            else:
                self._free(attempt)
                if not sent_before:
                    self.tools.circuits.latencies.took(offer.id, clock.monotonic_s() - began_s)
                self._succeeded(attempt, offer, adapter, delivery, tuple(pictures))
                reached(CrashPoint.SUCCESS_KNOWN)
                return
            if isinstance(failure, NeverArrived) and not self._time_is_up():
                # Another in its place, in one commit with its end: under one reference nothing is sent twice.
                self._failed(attempt, failure, resends=3)
                slot, ticket = self.held_slots.pop(attempt.id), self.tickets.pop(attempt.id, None)
                await self._send_new(offer, adapter, attempt.n, attempt.id, slot, ticket)
                return
            step = step_after(
                self.tools, self.plan, attempt, failure.fault, failure.billed, resends=resends, has_job=ref is not None
            )
            if step is not Step.SAME or self._time_is_up():
                break
            await asyncio.sleep(RESEND_PAUSE_S * 2**resends)
            resends, sent_before = resends + 1, True
        self._free(attempt)
        await self._after(*self._failed(attempt, failure, resends=3))

    async def _submitted(self, attempt_id: AttemptId, upstream_ref: str, recovery: Recovery) -> None:
        reached(CrashPoint.JOB_KNOWN)
        await self._stored.write(RecordSubmitted(self.task.id, self.task.epoch, attempt_id, upstream_ref))
        self.in_hand.submitted(attempt_id, recovery)
        reached(CrashPoint.JOB_RECORDED)
        await self.stopping.tell_late(attempt_id, upstream_ref)

    async def _after(self, attempt: Attempt, step: Step) -> None:
        reached(CrashPoint.FAILURE_BOOKED)
        if step is Step.NEXT and not (self.stopping.wished or shown(self.partials, attempt.id)):
            await self._make(attempt.n, attempt.id, self._following(attempt.offer_id))

    def _following(self, offer_id: str) -> int:
        return next((i for i, offer in enumerate(self.plan.offers, 1) if offer.id == offer_id), 0)

    def _presumed(self, offer: Offer, adapter: Adapter, n: int) -> int:
        return pricing.presumed_microusd(offer, adapter.capabilities(offer.upstream_model), self.request, n)

    def _closed(self, offer: Offer, adapter: Adapter, n: int) -> bool:
        """Whether the upstream's own budget is known to have no room for a call of so many pictures."""
        return self.tools.circuits.closed.is_closed(offer.upstream, self._presumed(offer, adapter, n))

    def _succeeded(
        self,
        attempt: Attempt,
        offer: Offer | None,
        adapter: Adapter | None,
        delivery: Delivery,
        pictures: tuple[bytes, ...],
    ) -> None:
        """Book an attempt's pictures. Without its offer (taken out of the config meanwhile) the presumed cost stands in."""
        if offer is None:
            cost = attempt.presumed_cost_microusd
        else:
            capabilities = adapter.capabilities(offer.upstream_model) if adapter else Capabilities()
            cost = pricing.receipt(offer, capabilities, self.request, delivery).cost_microusd
        if attempt.state is not AttemptState.SUCCEEDED:
            lost = pricing.lost_microusd(cost, delivery)
            attempt = succeeded(attempt, self.tools.clock.now_ms(), cost, lost, len(delivery.images))
            self.unrecorded.append(attempt)
            self.ended.append(attempt)
            self.stopping.ended(attempt.id, attempt.upstream, None)
            self._tell(attempt)
            self.tools.count(attempt, self.task.model)
        else:  # its end is in the books, and with it the loss
            attempt = replace(attempt, lost_microusd=pricing.lost_microusd(attempt.cost_microusd, delivery))
        self.made.append(Made(attempt, delivery, pictures))

    def _failed(
        self, attempt: Attempt, failure: UpstreamFailure, *, resends: int, heard: bool = True
    ) -> tuple[Attempt, Step]:
        """Book a failure; says what follows it. `heard` False: it tells of us, not of the upstream, so its circuit hears nothing."""
        adapter = self.tools.adapters.get(attempt.upstream)
        secret = adapter.settings.api_key if adapter else ""
        message = without_echo(failure.message, prompt=self.request.prompt, secret=secret)
        ended = failed(attempt, failure, self.tools.clock.now_ms(), message)
        if attempt.state.is_open:  # else its end is in the books already
            self.unrecorded.append(ended)
            self.ended.append(ended)
        self.failures.append(Failure(failure.fault, failure.billed))
        self.stopped += [ended] if was_cancelled_and_billed(ended) else []
        self.stopping.ended(attempt.id, attempt.upstream, failure.billed)
        if heard and not isinstance(failure, NeverArrived):
            self._tell(attempt, failure)
        self.tools.count(ended, self.task.model)
        return ended, step_after(self.tools, self.plan, attempt, failure.fault, failure.billed, resends=resends)

    async def _record(self, started: Attempt, *, at_last: bool) -> BudgetRefusal | CancelWished | None:
        """Commit that an attempt is about to be sent, with the ends that wait to be written. A refusal: only they are, and it must not be sent."""
        ended, self.unrecorded = tuple(self.unrecorded), []
        if at_last:
            self.plan = replace(self.plan, last_resorts=(*self.plan.last_resorts, started.id))
        told = plan_text(self.plan) if at_last else None
        command = RecordAttempts(self.task.id, self.task.epoch, ended, (started,), plan_json=told)
        try:
            with self.in_hand.writing():
                return await self._stored.write(command)
        except BaseException:
            self.unrecorded = [*ended, *self.unrecorded]
            raise

    def _no_verdict(self, offer_id: str, ticket: Ticket | None = None) -> None:
        """Where this was a half-open circuit's probe, the next call may probe; where it was a last resort, the next one may go."""
        self.tools.circuits.failed(offer_id, Fault.CANCELLED, at_last=ticket is not None)
        if ticket is not None:
            ticket.give_back()

    def _tell(self, attempt: Attempt, failure: UpstreamFailure | None = None) -> None:
        """The circuit, and with it those who wait for this verdict, how an attempt ended."""
        ticket, circuits = self.tickets.pop(attempt.id, None), self.tools.circuits
        if failure is None:
            circuits.succeeded(attempt.offer_id, at_last=ticket is not None)
        else:
            begun_s = self.tools.clock.monotonic_s() - age_s(attempt, self.tools.clock)
            circuits.failed(
                attempt.offer_id, failure.fault, failure.retry_after_s, begun_s=begun_s, at_last=ticket is not None
            )
        if ticket is not None:
            self.tools.metrics.last_resort(upstream=attempt.upstream, served=failure is None)
            ticket.give_back(worked=None if failure and failure.fault in NEUTRAL else failure is None)

    def _free(self, attempt: Attempt) -> None:
        slot = self.held_slots.pop(attempt.id, None)
        if slot is not None:
            slot.release()

    def give_up(self, known: Sequence[Attempt], why: str) -> None:
        """After a fault of our own: every attempt whose end nobody knows is in doubt."""
        latest = {attempt.id: attempt for attempt in (*known, *self.started, *self.ended)}
        doubtful = in_doubt(latest.values(), self.tools.clock.now_ms(), why)
        self.unrecorded += doubtful
        self.ended += doubtful

    def _time_is_up(self) -> bool:
        return self.tools.clock.monotonic_s() >= self.deadline_s
