"""Transaction one: plan and price a call, hold for it, store it, and hand it to the runner; all or nothing.

An image call whose first attempts have a free slot is committed with their rows, so that one commit lies between the call and the upstream. A call of
the task contract is answered first: its attempts get their rows right after, so that its answer, and `can_cancel` in it, is true when it is given.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from gateway.db.writer import CommitUnknown
from gateway.domain import money
from gateway.domain.accounts import AccountKind, Principal, Unit, Window
from gateway.domain.catalog import Model
from gateway.domain.errors import (
    AllUpstreamsUnavailable,
    InsufficientQuota,
    InvalidRequest,
    ShuttingDown,
    StorageUnavailable,
    UnsupportedSize,
)
from gateway.domain.ids import AttemptId, TaskId, new_task_id
from gateway.domain.images import Contract, ImageRequest
from gateway.domain.tasks import Attempt, Fault, Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.limits.concurrency import Places
from gateway.limits.slots import Slot
from gateway.pipeline.admission import Admitted
from gateway.pipeline.attempts import Tools, new_attempt
from gateway.pipeline.commands import LEASE_MS, Accept, Accepted
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import read_plan
from gateway.pipeline.limiting import Limiting
from gateway.pipeline.quotation import Quotation, Quotations
from gateway.pipeline.runner import Runner, Work
from gateway.routing.plan import NotAble, Plan, plan


@dataclass(frozen=True, slots=True)
class Terms:
    """What the config says about every call."""

    markup: Decimal
    credits_per_usd: Decimal
    deadline_s: float
    lease_ms: int = LEASE_MS


class Acceptance:
    """Accepts calls. `draining` is set at shutdown."""

    def __init__(
        self,
        tools: Tools,
        runner: Runner,
        limiting: Limiting,
        *,
        terms: Callable[[], Terms],
        owner: str,
        tell_refusal: Callable[[BudgetRefusal], None],
    ) -> None:
        """`tell_refusal` hears of every call that a budget refuses; it must not raise, nor wait."""
        self._tools = tools
        self._runner = runner
        self.limiting = limiting
        self._terms = terms
        self._owner = owner
        self._tell_refusal = tell_refusal
        self._quotations = Quotations(self._plan)
        self.draining = False
        self.closed = False
        """Set when nothing more may begin; `draining` only takes this process out of the traffic."""

    async def accept(
        self, principal: Principal, admitted: Admitted, contract: Contract
    ) -> tuple[Work, int | None, tuple[str, ...]]:
        """The running work, the credits left, and the parameters that nobody understands."""
        if self.closed:
            raise ShuttingDown("This gateway is shutting down. Try again: another one will answer.", retry_after_s=5)
        if not await self._tools.results.storable():
            raise StorageUnavailable(
                "The gateway's picture store cannot be written now. Nothing was accepted; try again.",
                log=self._tools.results.trouble,
                retry_after_s=5,
            )
        model = admitted.model
        usual_s = self._runner.estimated_time_s(model.name, model.estimated_time_s)
        places = await self.limiting.take_places(principal, usual_s=usual_s)
        try:
            return await self._accept(principal, admitted, contract, places)
        except BaseException:
            places.release()  # no budget, no upstream, no database: nothing of it is under way
            raise

    async def _accept(
        self, principal: Principal, admitted: Admitted, contract: Contract, places: Places
    ) -> tuple[Work, int | None, tuple[str, ...]]:
        accepted_s, terms = self._tools.clock.monotonic_s(), self._terms()
        quoted = self._quoted(admitted, terms)
        options = quoted.options
        now_ms = self._tools.clock.now_ms()
        task = self._task(principal, admitted, contract, now_ms, terms, quoted.request_json)
        attempts, slots = self._first_attempts(task.id, quoted, now_ms) if contract is Contract.IMAGE else ((), {})
        reached(CrashPoint.BEFORE_ACCEPT)
        try:
            outcome = await self._tools.database.write(
                Accept(task, options, terms.credits_per_usd, attempts, terms.lease_ms)
            )
        except BaseException as exc:
            self._give_back(attempts, slots)
            if isinstance(exc, CommitUnknown | asyncio.CancelledError):  # it may be written, or wait to be
                await self._runner.abandon(task, attempts)
            raise
        if isinstance(outcome, BudgetRefusal):
            self._give_back(attempts, slots)
            self._tell_refusal(outcome)
            raise _insufficient(outcome, options[-1].amount.microcredits, terms.credits_per_usd)
        if not isinstance(outcome, Accepted):
            raise AssertionError(f"an acceptance was answered with {outcome}")
        reached(CrashPoint.ACCEPTED)
        task = outcome.task
        if not outcome.attempts:  # the plan that was held for begins with another offer
            self._give_back(attempts, slots)
            slots = {}
        self._tools.metrics.credits(
            "held", model=task.model, team=task.user_group, microcredits=task.reserved_microcredits
        )
        work = Work(
            task=task,
            plan=quoted.frozen if len(options) == 1 else read_plan(task.plan_json),
            request=admitted.request,
            ended=self._runner.new_future(),
            accepted_s=accepted_s,
            attempts=outcome.attempts,
            slots=slots,
            keep_pictures=contract is Contract.IMAGE,
            deadline_s=accepted_s + terms.deadline_s,
            places=places,
        )
        await self._runner.start(work)
        return work, outcome.remaining_microcredits, quoted.plan.dropped

    def _quoted(self, admitted: Admitted, terms: Terms) -> Quotation:
        """Over the offers that can make this request and may be tried now. Raises UnsupportedSize, InvalidRequest, AllUpstreamsUnavailable."""
        request, model = admitted.request, admitted.model
        found = self._quotations.of(
            request,
            model,
            open_now=lambda planned: self._open_now(planned, model),
            markup=terms.markup,
            credits_per_usd=terms.credits_per_usd,
        )
        if isinstance(found, NotAble):
            raise _not_able(found, request, model)
        return found

    def _plan(self, request: ImageRequest, model: Model) -> Plan | NotAble:
        candidates = [
            (offer, self._tools.adapters[offer.upstream].capabilities(offer.upstream_model))
            for offer in model.offers
            if offer.upstream in self._tools.adapters
        ]
        return plan(request, model, candidates)

    def _open_now(self, planned: Plan, model: Model) -> Plan:
        """Without the offers whose circuits are open; the very same plan where none is."""
        circuits = self._tools.circuits
        usable = tuple(item for item in planned.offers if not circuits.is_open(item.offer.id))
        if len(usable) == len(planned.offers):
            return planned
        if not usable:
            waits = [circuit.reopens_in_s for circuit in circuits.open_offers().values()]
            raise AllUpstreamsUnavailable(
                f"Every upstream of {model.name} is failing now. Try again shortly.",
                retry_after_s=int(min(waits, default=30)) + 1,
                param="model",
            )
        return Plan(usable, planned.dropped, planned.left_out)

    def _task(
        self, principal: Principal, admitted: Admitted, contract: Contract, now_ms: int, terms: Terms, request_json: str
    ) -> Task:
        return Task(
            id=new_task_id(now_ms),
            account=principal.account,
            path=principal.path,
            state=TaskState.PENDING,
            contract=contract,
            model=admitted.model.name,
            n=admitted.request.n,
            user_group=principal.user_group,
            created_at_ms=now_ms,
            deadline_at_ms=now_ms + int(terms.deadline_s * 1000),
            reserved_microcredits=0,
            prompt=admitted.request.prompt,
            request_json=request_json,
            plan_json="",
            owner=self._owner,
            epoch=1,
        )

    def _give_back(self, attempts: Sequence[Attempt], slots: Mapping[AttemptId, Slot]) -> None:
        """These attempts do not go out: their slots, and a half-open circuit's probe, are for others."""
        for slot in slots.values():
            slot.release()
        for attempt in attempts:
            self._tools.circuits.failed(attempt.offer_id, Fault.CANCELLED)

    def _first_attempts(
        self, task_id: TaskId, quoted: Quotation, now_ms: int
    ) -> tuple[tuple[Attempt, ...], dict[AttemptId, Slot]]:
        """The cheapest offer's attempts, where it may be tried and has slots for all of them at this moment."""
        offer, parts = quoted.plan.offers[0].offer, quoted.first_parts
        slots = self._tools.slots.try_acquire(offer.upstream, len(parts))
        if not slots or not self._tools.circuits.allows(offer.id):
            for slot in slots:
                slot.release()
            return (), {}
        reached(CrashPoint.SLOT_TAKEN)
        attempts = tuple(new_attempt(task_id, None, offer, n, presumed, now_ms) for n, presumed in parts)
        return attempts, {attempt.id: slot for attempt, slot in zip(attempts, slots, strict=True)}


def _not_able(verdict: NotAble, request: ImageRequest, model: Model) -> InvalidRequest:
    reasons = "; ".join(verdict.reasons)
    if verdict.param == "size":
        return UnsupportedSize(
            f"No upstream of {model.name} makes the size {request.size} now.", param="size", log=reasons
        )
    wish = f"this {verdict.param}" if verdict.param else "this request"
    return InvalidRequest(f"No upstream of {model.name} can make {wish}.", param=verdict.param, log=reasons)


def _insufficient(refusal: BudgetRefusal, needed_microcredits: int, credits_per_usd: Decimal) -> InsufficientQuota:
    """Says which budget refused, what is left and what the call would hold; `details` as the task contract names them."""
    kind, _, name = refusal.account.partition(":")
    unit, scope = refusal.budget.unit, AccountKind(kind)
    if unit is Unit.IMAGES:
        left, needed, remaining = str(refusal.left), str(refusal.needed), 0
    else:
        left, needed = money.format_micro(refusal.left), money.format_micro(refusal.needed)
        remaining = refusal.left if unit is Unit.CREDITS else int(refusal.left * credits_per_usd)
    shown = name.rsplit("/", 1)[-1]
    resets = "" if refusal.resets_at_ms is None else f"; it begins anew at {_utc(refusal.resets_at_ms)}"
    what = "The prepaid balance" if refusal.budget.window is Window.GRANTED else f"The budget {refusal.budget}"
    return InsufficientQuota(
        f"{what} of the {scope} {shown!r} has {left} {unit} left{resets}; this call needs {needed}. "
        "Ask for fewer or cheaper images, or have it raised.",
        details={
            "estimated_credits": money.json_number(needed_microcredits),
            "remaining_credits": money.json_number(remaining),
            "limit_scope": scope.value,
        },
    )


def _utc(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
