"""Transaction one: plan and price a call, hold for it, store it, and hand it to the runner; all or nothing.

An image call whose first attempts have a free slot is committed with their rows, so that one commit lies between the call and the upstream. A call of
the task contract is answered first: its attempts get their rows right after, so that its answer, and `can_cancel` in it, is true when it is given.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gateway.db.writer import CommitUnknown
from gateway.domain.accounts import Principal
from gateway.domain.catalog import Model
from gateway.domain.considered import upstream_and_model
from gateway.domain.errors import ShuttingDown, StorageUnavailable
from gateway.domain.ids import AttemptId, TaskId, new_task_id
from gateway.domain.images import Contract
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import NO_WISH, CacheResult, CacheWish
from gateway.domain.tasks import Attempt, Fault, Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.limits.concurrency import Places
from gateway.limits.slots import Slot
from gateway.pipeline import pricing
from gateway.pipeline.admission import Admitted
from gateway.pipeline.attempt_rows import new_attempt
from gateway.pipeline.callers import Callers
from gateway.pipeline.commands import Accept, Accepted
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.following import LANDING_MS
from gateway.pipeline.frozen import read_plan
from gateway.pipeline.idempotency import Idempotency
from gateway.pipeline.limiting import Limiting
from gateway.pipeline.offering import Offering, Terms
from gateway.pipeline.partials import Partials
from gateway.pipeline.quotation import Quotation
from gateway.pipeline.refusing import insufficient, options_within
from gateway.pipeline.repeating import Conflicting, Repeated
from gateway.pipeline.runner import Runner
from gateway.pipeline.serving import Incoming, Serving
from gateway.pipeline.sharing import BYPASS, Begun, Sharing
from gateway.pipeline.tools import Tools
from gateway.pipeline.work import Work
from gateway.telemetry.traces import keeping, span

HITS_MAX = 3
"""How often a call is pointed to pictures that turn out to be gone, before it goes its own way."""


class Acceptance:
    """Accepts calls. `draining` is set at shutdown."""

    def __init__(
        self,
        tools: Tools,
        runner: Runner,
        limiting: Limiting,
        sharing: Sharing,
        *,
        terms: Callable[[], Terms],
        owner: str,
        callers: Callers | None = None,
    ) -> None:
        self._tools = tools
        self._runner = runner
        self.limiting = limiting
        self.sharing = sharing
        self.terms = terms
        self._owner = owner
        self._callers = callers
        linked = tools.inputs is not None and tools.inputs.link is not None
        self.offering = Offering(tools.adapters, tools.circuits, links=linked)
        self.idempotency = Idempotency(tools.database, limiting, tools.metrics, tools.clock)
        self._serving = Serving(tools, runner, sharing, self.idempotency, terms=terms, owner=owner, callers=callers)
        self.draining = False
        self.closed = False
        """Set when nothing more may begin; `draining` only takes this process out of the traffic."""

    async def accept(
        self,
        principal: Principal,
        admitted: Admitted,
        contract: Contract,
        max_microcredits: int | None = None,
        repeat: Repeat | None = None,
        wish: CacheWish = NO_WISH,
    ) -> tuple[Work, int | None, tuple[str, ...]]:
        """The running work, the credits left, and the parameters that nobody understands. `max_microcredits`: the most that may be held.

        Raises AcceptedBefore where the call is a repeat, IdempotencyConflict.
        """
        self._check_open()
        call = Incoming(
            principal, admitted, contract, max_microcredits, repeat, new_task_id(self._tools.clock.now_ms())
        )
        for _ in range(HITS_MAX):
            begun = await self.sharing.begin(principal, admitted, wish, call.task_id)
            if begun.hit is None:
                break
            served = await self._serving.serve(call, begun.hit)
            if served is not None:
                return served
            await self.sharing.index.dropped(begun.key, begun.hit.task.id)
        else:
            begun = BYPASS
        try:
            accepted = await self._make(call, begun)
        except BaseException:
            await begun.dropped()
            raise
        self.sharing.count(begun.result)
        return accepted

    async def _make(self, call: Incoming, begun: Begun) -> tuple[Work, int | None, tuple[str, ...]]:
        await self.check_ready()
        places = await self.limiting.take_places(call.principal, usual_s=self.usual_s(call.admitted.model))
        try:
            return await self._accept(call, begun, places)
        except BaseException:
            places.release()  # no budget, no upstream, no database: nothing of it is under way
            raise

    def _check_open(self) -> None:
        if self.closed:
            raise ShuttingDown("This gateway is shutting down. Try again: another one will answer.", retry_after_s=5)

    async def check_ready(self) -> None:
        """Raises ShuttingDown, StorageUnavailable where no call at all can be accepted."""
        self._check_open()
        if not await self._tools.results.storable():
            raise StorageUnavailable(
                "The gateway's picture store cannot be written now. Nothing was accepted; try again.",
                log=self._tools.results.trouble,
                retry_after_s=5,
            )

    def usual_s(self, model: Model) -> int:
        """How long a task of it takes."""
        return self._runner.usual_s(model.name) or model.estimated_time_s

    async def _accept(self, call: Incoming, begun: Begun, places: Places) -> tuple[Work, int | None, tuple[str, ...]]:
        accepted_s, terms = self._tools.clock.monotonic_s(), self.terms()
        contract, request = call.contract, call.admitted.request
        quoted = self.offering.quoted(call.principal, call.admitted, terms)
        own = options = options_within(quoted.options, call.max_microcredits)
        if begun.leader is not None:
            options = (pricing.shared_hold(own, self.sharing.rules().charge),)
        now_ms = self._tools.clock.now_ms()
        task = self._task(call, now_ms, terms, quoted.request_json, begun.result, begun.leader)
        with_pictures = bool(request.images) or request.mask is not None  # to be fetched and checked first
        at_once = contract is Contract.IMAGE and not with_pictures and any(option.has_first_offer for option in options)
        attempts, slots = await self._first_attempts(task.id, quoted, now_ms) if at_once else ((), {})
        reached(CrashPoint.BEFORE_ACCEPT)
        try:
            with span("hold", {"gateway.task.id": task.id}) as held:
                outcome = await self._tools.database.write(
                    Accept(task, options, terms.credits_per_usd, attempts, terms.lease_ms, call.repeat)
                )
                if not isinstance(outcome, Accepted):
                    held.set({"gateway.refused": type(outcome).__name__})
        except BaseException as exc:
            self._give_back(attempts, slots)
            if isinstance(exc, CommitUnknown | asyncio.CancelledError):  # it may be written, or wait to be
                await self._runner.abandon(task, attempts)
            raise
        if isinstance(outcome, BudgetRefusal):
            self._give_back(attempts, slots)
            self._tools.tell_refusal(outcome)
            raise insufficient(outcome, options[-1].amount.microcredits, terms.credits_per_usd)
        if isinstance(outcome, Repeated | Conflicting):
            self._give_back(attempts, slots)
            raise self.idempotency.told(outcome)
        if not isinstance(outcome, Accepted):
            raise AssertionError(f"an acceptance was answered with {outcome}")
        reached(CrashPoint.ACCEPTED)
        task = outcome.task
        if not outcome.attempts:  # the held plan begins with another offer, or an upstream's own budget has no room
            self._give_back(attempts, slots)
            slots = {}
        if outcome.closed is not None:
            self._tools.refused(quoted.plan.offers[0].offer, outcome.closed)
        self._tools.metrics.credits(
            "held", model=task.model, team=task.user_group, microcredits=task.reserved_microcredits
        )
        plan = quoted.frozen if task.plan_json == quoted.options[0].plan_json else read_plan(task.plan_json)
        for item in plan.considered:
            if item.skipped is not None:
                upstream, _ = upstream_and_model(item.offer)
                self._tools.metrics.offer_skipped(upstream=upstream, reason=item.skipped)
        work = Work(
            task=task,
            plan=plan,
            request=request,
            ended=self._runner.new_future(),
            accepted_s=accepted_s,
            attempts=outcome.attempts,
            slots=slots,
            keep_pictures=contract is Contract.IMAGE,
            partials=Partials() if request.partial_images else None,
            deadline_s=accepted_s + terms.deadline_s,
            places=places,
            share_key=begun.key if begun.leader is not None else "",
            flight=begun.flight,
            options=own if begun.leader is not None else (),
        )
        if work.flight is not None:
            await work.flight.accepted(round(terms.deadline_s * 1000) + LANDING_MS)
        await self._runner.start(work)
        return work, outcome.remaining_microcredits, quoted.plan.dropped

    def _task(
        self,
        call: Incoming,
        now_ms: int,
        terms: Terms,
        request_json: str,
        cache: CacheResult,
        source: TaskId | None,
    ) -> Task:
        principal, admitted = call.principal, call.admitted
        return Task(
            id=call.task_id,
            account=principal.account,
            path=principal.path,
            state=TaskState.PENDING,
            contract=call.contract,
            model=admitted.model.name,
            n=admitted.request.n,
            user_group=principal.user_group,
            created_at_ms=now_ms,
            deadline_at_ms=now_ms + int(terms.deadline_s * 1000),
            reserved_microcredits=0,
            prompt=admitted.request.prompt,
            request_json=keeping(request_json),
            plan_json="",
            owner=self._owner,
            epoch=1,
            caller="" if self._callers is None else self._callers.of(admitted.request),
            callback_url=admitted.callback_url,
            cache=cache,
            source=source,
        )

    def _give_back(self, attempts: Sequence[Attempt], slots: Mapping[AttemptId, Slot]) -> None:
        """These attempts do not go out: their slots, and a half-open circuit's probe, are for others."""
        for slot in slots.values():
            slot.release()
        for attempt in attempts:
            self._tools.circuits.failed(attempt.offer_id, Fault.CANCELLED)

    async def _first_attempts(
        self, task_id: TaskId, quoted: Quotation, now_ms: int
    ) -> tuple[tuple[Attempt, ...], dict[AttemptId, Slot]]:
        """The cheapest offer's attempts, where it may be tried and has slots for all of them at this moment."""
        offer, parts = quoted.plan.offers[0].offer, quoted.first_parts
        slots = await self._tools.slots.try_acquire(offer.upstream, len(parts))
        if not slots or not self._tools.circuits.allows(offer.id):
            for slot in slots:
                slot.release()
            return (), {}
        reached(CrashPoint.SLOT_TAKEN)
        attempts = tuple(new_attempt(task_id, None, offer, n, presumed, now_ms) for n, presumed in parts)
        return attempts, {attempt.id: slot for attempt, slot in zip(attempts, slots, strict=True)}
