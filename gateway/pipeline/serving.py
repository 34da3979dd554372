"""A call that is answered with pictures which are there: its task is made as it ends, and is committed before anybody hears of it.

Nothing is planned, priced or held but what the charge says, and nothing stays under way. How it fails: as the commit does; where the pictures are
gone there is no task, and the call goes its own way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from gateway.domain.accounts import Principal
from gateway.domain.ids import TaskId
from gateway.domain.images import Contract
from gateway.domain.money import NOTHING, share_of
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import Task, TaskState
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline import pricing
from gateway.pipeline.admission import Admitted
from gateway.pipeline.callers import Callers
from gateway.pipeline.commands import Finished, HoldOption, Serve, SourceGone
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import FrozenPlan, plan_text, request_text
from gateway.pipeline.idempotency import Idempotency
from gateway.pipeline.offering import Terms
from gateway.pipeline.refusing import insufficient, options_within
from gateway.pipeline.repeating import Conflicting, Repeated
from gateway.pipeline.runner import Runner
from gateway.pipeline.sharing import Sharing, Source
from gateway.pipeline.tools import Tools
from gateway.pipeline.work import Ending, Work
from gateway.telemetry.traces import keeping, span


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is to be accepted, under the id that its task will have."""

    principal: Principal
    admitted: Admitted
    contract: Contract
    max_microcredits: int | None
    repeat: Repeat | None
    task_id: TaskId


class Serving:
    """The hits of one gateway."""

    def __init__(
        self,
        tools: Tools,
        runner: Runner,
        sharing: Sharing,
        idempotency: Idempotency,
        *,
        terms: Callable[[], Terms],
        owner: str,
        callers: Callers | None = None,
    ) -> None:
        self._tools = tools
        self._runner = runner
        self._sharing = sharing
        self._idempotency = idempotency
        self._terms = terms
        self._owner = owner
        self._callers = callers

    async def serve(self, call: Incoming, source: Source) -> tuple[Work, int | None, tuple[str, ...]] | None:
        """The ended task; None: the pictures are there no more. Raises InsufficientQuota, MaxCreditsExceeded, AcceptedBefore, IdempotencyConflict."""
        clock, terms = self._tools.clock, self._terms()
        accepted_s, share = clock.monotonic_s(), self._sharing.rules().charge
        charge = share_of(pricing.charged(source.task), share) if share else NOTHING
        if call.max_microcredits is not None:
            options_within((HoldOption(charge, ""),), call.max_microcredits)
        task = self._task(call, source.task, terms)
        with span("hold", {"gateway.task.id": task.id}):
            outcome = await self._tools.database.write(
                Serve(task, charge, terms.credits_per_usd, source.paid_microusd, call.repeat)
            )
        if isinstance(outcome, SourceGone):
            self._sharing.forget(source.task.id)
            return None
        if isinstance(outcome, BudgetRefusal):
            self._tools.tell_refusal(outcome)
            raise insufficient(outcome, charge.microcredits, terms.credits_per_usd)
        if isinstance(outcome, Repeated | Conflicting):
            raise self._idempotency.told(outcome)
        if not isinstance(outcome, Finished):
            raise AssertionError(f"a call that was to be served was answered with {outcome}")
        reached(CrashPoint.SERVED)
        self._tools.metrics.served(
            model=task.model, team=task.user_group, contract=task.contract.value, images=task.result_count,
            duration_s=clock.monotonic_s() - accepted_s, charged_microcredits=charge.microcredits,
            full_microcredits=source.task.used_microcredits, saved_microusd=source.paid_microusd,
        )  # fmt: skip
        ended = self._runner.new_future()
        ended.set_result(Ending(outcome.task, (), (), outcome.remaining_microcredits))
        work = Work(
            outcome.task,
            _plan(terms.credits_per_usd)[0],
            call.admitted.request,
            ended,
            accepted_s,
            made_at_ms=source.task.finished_at_ms,
        )
        return work, outcome.remaining_microcredits, ()

    def _task(self, call: Incoming, source: Task, terms: Terms) -> Task:
        """As it ends, which is when it was accepted."""
        now_ms, principal, admitted = self._tools.clock.now_ms(), call.principal, call.admitted
        request, noted = admitted.request, admitted.noted
        if not noted.request_json:
            noted.request_json = request_text(request)
        return Task(
            id=call.task_id,
            account=principal.account,
            path=principal.path,
            state=TaskState.COMPLETED,
            contract=call.contract,
            model=admitted.model.name,
            n=request.n,
            user_group=principal.user_group,
            created_at_ms=now_ms,
            deadline_at_ms=now_ms + int(terms.deadline_s * 1000),
            reserved_microcredits=0,
            prompt=request.prompt,
            request_json=keeping(noted.request_json),
            plan_json=_plan(terms.credits_per_usd)[1],
            owner=self._owner,
            epoch=1,
            finished_at_ms=now_ms,
            usage=source.usage,
            results=source.results,
            result_count=len(source.results),
            results_expire_at_ms=now_ms + self._runner.results_ms,
            caller="" if self._callers is None else self._callers.of(request),
            callback_url=admitted.callback_url,
            cache=CacheResult.HIT,
            source=source.id,
        )


@lru_cache(maxsize=16)  # there is one rate at a time
def _plan(credits_per_usd: Decimal) -> tuple[FrozenPlan, str]:
    """Of a task that has nothing made, and as its row has it."""
    plan = FrozenPlan((), None, Decimal(1), credits_per_usd)
    return plan, plan_text(plan)
