"""Money and pictures while the database, the process or our own code fails. Scripted adapters, a real database and real files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pybase64
import pytest

from gateway.blobs.links import LinkKey, LinkSigner
from gateway.blobs.opening import BlobsOnDemand
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import CommitUnknown
from gateway.domain.accounts import Principal
from gateway.domain.catalog import Catalog, Model, Recovery, SizeRule
from gateway.domain.clock import SystemClock
from gateway.domain.errors import InsufficientQuota, Overloaded, ShuttingDown, StorageUnavailable
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, KeyId
from gateway.domain.images import Contract
from gateway.domain.money import Amount
from gateway.domain.tasks import AttemptState, Billed, Fault, Task, TaskErrorCode, TaskState
from gateway.ledger.audit import audit
from gateway.pipeline import attempts as attempts_module
from gateway.pipeline import pricing
from gateway.pipeline import runner as runner_module
from gateway.pipeline import stored as stored_module
from gateway.pipeline.accept import Acceptance
from gateway.pipeline.admission import Admission, Admitted
from gateway.pipeline.cancelling import Cancelling
from gateway.pipeline.commands import (
    Accept,
    Claim,
    Command,
    ExtendLeases,
    Finish,
    Outcome,
    RecordAttempts,
    RecordSubmitted,
)
from gateway.pipeline.frozen import FrozenPlan
from gateway.pipeline.offering import Terms
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.recovery import Recovery as Recoverer
from gateway.pipeline.work import Work
from gateway.tasks import attempt_store
from gateway.tasks.erasing import Erasing
from gateway.telemetry.metrics import Metrics
from gateway.tokens.counter import TokenCounter
from gateway.upstreams.base import UpstreamFailure
from tests.books import CREDIT, KEY, PATH, RATE, Gateway, balance, clean, opened, set_budgets
from tests.integration.test_making import FAILED, PNG, REQUEST, House, ScriptedAdapter, house_of, sending, stored
from tests.limits import limiting
from tests.sharing import sharing_over

T = TypeVar("T")
PRINCIPAL = Principal(KeyId("key_ci"), "ci", PATH, "acme", "design")
OVERLOADED = Overloaded("too much")
AWAY = StorageUnavailable("away")


class Troubled:
    """A database that fails at the commands and reads a test names, before or after they are done."""

    def __init__(self, inner: Gateway) -> None:
        self.inner = inner
        self.dialect = inner.dialect
        self.pulse = inner.pulse
        self.before: list[tuple[type[object], Exception]] = []
        self.after: list[tuple[type[object], Exception]] = []
        self.reads: list[Exception] = []
        self.written: list[Command] = []

    async def write(self, command: Command) -> Outcome:
        self._fail(self.before, command)
        self.written.append(command)
        outcome = await self.inner.write(command)
        self._fail(self.after, command)
        return outcome

    async def read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        if self.reads:
            raise self.reads.pop(0)
        return await self.inner.read(query)

    def failure(self) -> str | None:
        return self.inner.failure()

    async def close(self) -> None:
        await self.inner.close()

    @staticmethod
    def _fail(troubles: list[tuple[type[object], Exception]], command: Command) -> None:
        for index, (kind, exc) in enumerate(troubles):
            if isinstance(command, kind):
                del troubles[index]
                raise exc


@pytest.fixture
async def database(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Troubled]:
    for module in (runner_module, stored_module):
        monkeypatch.setattr(module, "STORAGE_PAUSE_S", 0.01)
    monkeypatch.setattr(attempts_module, "RESEND_PAUSE_S", 0.01)
    troubled = Troubled(await opened(sqlite_database))
    yield troubled
    await troubled.close()


async def pipeline_of(house: House, tmp_path: Path, clock: SystemClock | None = None) -> tuple[Pipeline, Admitted]:
    """The whole path over a house, and a request that may be made."""
    clock = clock or SystemClock()
    model = Model(
        "m", Contract.IMAGE, 1000, SizeRule(("1024x1024",)), (1, 2, 3, 4), house.offers(), charge_microcredits=CREDIT
    )
    catalog = Catalog({"m": model})
    terms = Terms(Decimal(1), RATE, deadline_s=5.0)
    acceptance = Acceptance(
        house.tools,
        house.runner,
        limiting(clock),
        sharing_over(house.database, clock),
        terms=lambda: terms,
        owner="run_test",
    )
    blobs = BlobsOnDemand(tmp_path / "images")
    pipeline = Pipeline(
        cancelling=Cancelling(house.tools, house.runner, owner="run_test", credits_per_usd=lambda: RATE),
        erasing=Erasing(house.database, blobs, clock),
        admission=Admission(lambda: catalog, TokenCounter()), acceptance=acceptance, runner=house.runner,
        database=house.database, blobs=await blobs(),
        signer=LinkSigner([LinkKey("1", b"k" * 32)], "http://gateway.test"), metrics=Metrics(), clock=clock,
        catalog=lambda: catalog, credits_per_usd=lambda: RATE,
    )  # fmt: skip
    return pipeline, Admitted(REQUEST, model)


async def nothing_is_out(database: Gateway, *upstreams: str) -> bool:
    """No money is held or in flight anywhere, and the books are clean."""
    accounts = (*PATH, *(AccountId(f"upstream:{name}") for name in upstreams))
    return all([(await balance(database, account))[1] == Amount() for account in accounts]) and await clean(database)


@pytest.mark.parametrize("trouble", [OVERLOADED, AWAY], ids=["overloaded", "away"])
async def test_a_paid_picture_waits_for_the_database(database: Troubled, tmp_path: Path, trouble: Exception) -> None:
    """Refused at the attempt's row, at the job's id and at the end: all are written later, sent once, completed, charged once."""
    only = ScriptedAdapter("only", recovery=Recovery.IDEMPOTENCY_KEY, job="job-7")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    database.before = [(kind, trouble) for kind in (RecordAttempts, RecordSubmitted, Finish, Finish)]
    ending = await house.run(task)
    assert ending.task.state is TaskState.COMPLETED
    assert len(only.calls) == 1
    assert (await balance(database, KEY))[0].microcredits == CREDIT
    assert await nothing_is_out(database, "only")


@pytest.mark.parametrize("kind", [RecordAttempts, RecordSubmitted, Finish])
async def test_a_write_whose_answer_was_lost_is_given_again(
    database: Troubled, tmp_path: Path, kind: type[object]
) -> None:
    """It was written: the repeat changes nothing, the picture is sent for once and charged once."""
    only = ScriptedAdapter("only", job="job-7")
    house = await house_of(database, tmp_path, only)
    pipeline, admitted = await pipeline_of(house, tmp_path)
    database.after = [(kind, AWAY)]
    running = await pipeline.accept(PRINCIPAL, admitted, Contract.TASK)
    view = await asyncio.wait_for(running.wait(), 30)
    assert (view.task.state, view.task.used_microcredits) == (TaskState.COMPLETED, CREDIT)
    assert len(only.calls) == 1
    # The caller of an image call gets its picture although this process did not hear of its own success.
    assert await running.pictures() == [pybase64.b64encode(PNG)]
    assert await nothing_is_out(database, "only")


async def test_a_waiting_caller_is_patient_with_the_database(database: Troubled, tmp_path: Path) -> None:
    """A caller who is told of a short outage would send, and pay for, the same again."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    pipeline, _ = await pipeline_of(house, tmp_path)
    ending = await house.run(await house.accepted())
    database.reads = [AWAY, OVERLOADED]
    view = await asyncio.wait_for(pipeline.wait_elsewhere(ending.task), 30)
    assert view.task.state is TaskState.COMPLETED


@pytest.mark.parametrize("contract", [Contract.IMAGE, Contract.TASK])
async def test_a_caller_cancelled_while_it_is_accepted(database: Troubled, tmp_path: Path, contract: Contract) -> None:
    """Whether or not its acceptance was written: nothing is sent, nothing stays held, no slot is lost."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    pipeline, admitted = await pipeline_of(house, tmp_path)
    for turns in range(1, 6):
        accepting = asyncio.ensure_future(pipeline.accept(PRINCIPAL, admitted, contract))
        for _ in range(turns):
            await asyncio.sleep(0)
        if accepting.done():
            await accepting.result().wait()
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
    await house.runner.drain(5)
    assert await nothing_is_out(database, "only")
    assert len(await house.tools.slots.try_acquire("only", 4)) == 4


async def test_an_acceptance_of_unknown_fate_is_ended_without_work(database: Troubled, tmp_path: Path) -> None:
    """Its caller was told to look again; a recovery meanwhile must not make and charge what nobody waits for."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    pipeline, admitted = await pipeline_of(house, tmp_path)
    database.after = [(Accept, CommitUnknown("who knows"))]
    database.before = [(Finish, AWAY)] * 3
    with pytest.raises(CommitUnknown):
        await pipeline.accept(PRINCIPAL, admitted, Contract.IMAGE)
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_test")
    for _ in range(3):
        await recoverer._round(with_heartbeat=True)
    await house.runner.drain(5)
    assert not only.calls
    assert await nothing_is_out(database, "only")


async def test_a_refused_call_gives_back_its_slots(database: Troubled, tmp_path: Path) -> None:
    """Over budget: nothing is kept from the next caller."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    pipeline, admitted = await pipeline_of(house, tmp_path)
    await set_budgets(database, KEY, "0.5credits/total")
    for _ in range(8):
        with pytest.raises(InsufficientQuota):
            await pipeline.accept(PRINCIPAL, admitted, Contract.IMAGE)
    assert len(await house.tools.slots.try_acquire("only", 4)) == 4


async def test_a_refused_call_does_not_use_up_the_probe(
    database: Troubled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open circuit lets one call try; one that is not sent after all leaves that to the next."""
    monkeypatch.setattr("gateway.routing.health.OPEN_LONG_S", 0.0)
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    pipeline, admitted = await pipeline_of(house, tmp_path)
    house.tools.circuits.failed("only/m", Fault.CREDENTIALS)
    await set_budgets(database, KEY, "0.5credits/total")
    with pytest.raises(InsufficientQuota):
        await pipeline.accept(PRINCIPAL, admitted, Contract.IMAGE)
    assert not house.tools.circuits.is_open("only/m")


def receipts_that_break(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """A bug of ours, at one delivery."""
    count, real = 0, pricing.receipt

    def receipt(*args: object) -> object:
        nonlocal count
        count += 1
        if count == at:
            raise ZeroDivisionError("a bug of ours")
        return real(*args)  # type: ignore[arg-type]  # whatever the caller gave

    monkeypatch.setattr(pricing, "receipt", receipt)


async def test_a_bug_of_ours_loses_no_other_picture(
    database: Troubled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two parts one breaks after it was made: the other is delivered and charged, the broken one is in doubt."""
    receipts_that_break(monkeypatch, at=2)
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(2))
    assert (ending.task.state, ending.task.result_count) == (TaskState.COMPLETED, 1)
    assert (await balance(database, KEY)) == (Amount(CREDIT, CREDIT // 72 + 1, 1), Amount())
    assert sorted(attempt.state for attempt in ending.attempts) == [AttemptState.SUCCEEDED, AttemptState.UNKNOWN]
    assert (await balance(database, AccountId("upstream:only")))[1] == Amount(microusd=20_000)
    assert await clean(database)


async def test_a_bug_of_ours_puts_only_what_is_open_in_doubt(
    database: Troubled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first offer's failure was known and written: it stays what it is, and what is in doubt is what is pending."""
    receipts_that_break(monkeypatch, at=1)
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    first.script.append(FAILED)
    house = await house_of(database, tmp_path, first, second)
    ending = await house.run(await house.accepted())
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.UNKNOWN_ERROR
    _, rows = await stored(house, ending.task)
    assert [row.state for row in rows] == [AttemptState.FAILED, AttemptState.UNKNOWN]
    in_doubt = await database.read(attempt_store.sum_in_doubt_microusd)
    pending = [(await balance(database, AccountId(f"upstream:{name}")))[1].microusd for name in ("first", "second")]
    assert pending == [0, in_doubt]
    assert await clean(database)


async def test_a_picture_that_cannot_be_booked_is_our_loss(database: Troubled, tmp_path: Path) -> None:
    """The end with the picture is refused: the caller is charged nothing, the cost is on our own account, the task ends."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    database.before = [(Finish, StatementFailed("no"))] * 2
    ending = await house.run(task)
    assert ending.task.state is TaskState.FAILED
    assert (await balance(database, OURS_ACCOUNT_ID))[0] == Amount(microusd=20_000)
    assert await nothing_is_out(database, "only")


async def test_an_end_that_can_never_be_written_is_left_to_the_operator(
    database: Troubled, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its caller is answered, the hold stays visible, and recovery does not try it for ever."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    database.before = [(Finish, StatementFailed("no"))] * 9
    work = work_of(house, task)
    await house.runner.start(work)
    assert await asyncio.wait_for(work.ended, 30) is None
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_test")
    for _ in range(3):
        await recoverer._round(with_heartbeat=True)
    assert len(only.calls) == 1
    assert len(database.before) == 6
    assert (await audit(database)).holds_pending == 1
    assert "cannot be booked" in caplog.text


def work_of(house: House, task: Task) -> Work:
    """As the acceptance starts it."""
    plan = FrozenPlan(house.offers(), CREDIT, Decimal(1), RATE)
    deadline_s = SystemClock().monotonic_s() + 5
    return Work(task, plan, REQUEST, house.runner.new_future(), 0.0, deadline_s=deadline_s)


async def test_claimed_tasks_are_not_lost_with_the_next_answer(database: Troubled, tmp_path: Path) -> None:
    """Claimed, and then the database was away: two looks later the tasks are taken up all the same."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    tasks = [await house.accepted() for _ in range(3)]
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_new")
    database.reads = [AWAY]
    with pytest.raises(StorageUnavailable):
        await recoverer.start()
    await recoverer._round(with_heartbeat=True)
    assert not only.calls  # one look is not enough: a task may just be on its way to the runner
    await recoverer._round(with_heartbeat=True)
    await house.runner.drain(5)
    for task in tasks:
        assert (await stored(house, task))[0].state is TaskState.COMPLETED
    assert await nothing_is_out(database, "only")


async def test_a_stranded_task_is_not_lost_with_the_next_answer(database: Troubled, tmp_path: Path) -> None:
    """Left because the database was away for too long; that it is away at the next look as well loses nothing."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    house.runner.stranded.add(task.id)
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner=task.owner)

    async def second_read_fails() -> None:
        real = database.read

        async def read(query: Callable[[Connection], Awaitable[T]]) -> T:
            answer = await real(query)
            database.reads = [AWAY]
            database.read = real  # type: ignore[method-assign]  # a fault planted on one object
            return answer

        database.read = read  # type: ignore[method-assign]  # a fault planted on one object

    await second_read_fails()
    with pytest.raises(StorageUnavailable):
        await recoverer._round(with_heartbeat=False)
    await recoverer._round(with_heartbeat=False)
    await house.runner.drain(5)
    assert (await stored(house, task))[0].state is TaskState.COMPLETED
    assert not house.runner.stranded


async def test_a_row_that_cannot_be_understood_stops_nobody(
    database: Troubled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of a newer version: the gateway starts, makes the others, and gives that one up; what it sent is in doubt."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    fine = await house.accepted()
    monkeypatch.setattr("tests.integration.test_making.plan_text", lambda plan: '{"offers": "in another form"}')
    strange = await house.accepted(attempts=(sending(house, "only"),))
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_new")
    assert await recoverer.start() == 2
    await house.runner.drain(5)
    assert (await stored(house, fine))[0].state is TaskState.COMPLETED
    found, [attempt] = await stored(house, strange)
    assert (found.state, attempt.state) == (TaskState.FAILED, AttemptState.UNKNOWN)
    assert (await balance(database, KEY))[1] == Amount()
    assert await clean(database)


async def test_a_clock_set_back_gives_a_task_no_more_time(database: Troubled, tmp_path: Path) -> None:
    """A day back: the task is still given up within the time it had at first."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()

    class SetBack(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() - 86_400_000

    recoverer = Recoverer(database, house.runner, limiting(), SetBack(), owner="run_new")
    work = recoverer._work(replace(task, plan_json=task.plan_json), (), False)
    assert work.deadline_s - SystemClock().monotonic_s() <= 5.0


async def test_a_manifest_is_not_awaited_by_the_clock_on_the_wall(
    database: Troubled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner whose clock is a day ahead: the wait is its upstream's time-out and the grace, no more."""
    monkeypatch.setattr("gateway.pipeline.stored.MANIFEST_LOOK_S", 0.02)
    monkeypatch.setattr(attempts_module, "MANIFEST_GRACE_S", 0.1)
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    attempt = replace(sending(house, "only"), sent_at_ms=SystemClock().now_ms() + 86_400_000)
    task = await house.accepted(attempts=(attempt,))
    async with asyncio.timeout(30):
        ending = await house.run(task, (replace(attempt, task_id=task.id),), owner_may_live=True)
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.OUTCOME_UNKNOWN


async def test_a_draining_process_takes_nothing_over(database: Troubled, tmp_path: Path) -> None:
    """It goes on giving signs of life for its own tasks, and leaves others' to the others."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner=task.owner)
    await house.runner.drain(0.0)
    database.written.clear()
    for _ in range(3):
        await recoverer._round(with_heartbeat=True)
    assert [type(command) for command in database.written] == [ExtendLeases] * 3
    with pytest.raises(ShuttingDown):
        await house.runner.start(work_of(house, task))
    assert not only.calls


async def test_an_idle_embedded_gateway_tries_its_database(database: Troubled, tmp_path: Path) -> None:
    """After a full disk nobody is sent to it, so no call shows that it can be written again: its own sign of life does."""
    house = await house_of(database, tmp_path, ScriptedAdapter("only"))
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_test")
    database.written.clear()
    await recoverer._round(with_heartbeat=True)
    assert [type(command) for command in database.written] == [ExtendLeases]
    await recoverer._round(with_heartbeat=False)
    assert not any(isinstance(command, Claim) for command in database.written)


async def test_a_delivery_that_is_gone_is_not_unpaid(database: Troubled, tmp_path: Path) -> None:
    """Its payment is in the books; a resend that finds nothing ends the task, and changes neither row nor books."""
    only = ScriptedAdapter("only", recovery=Recovery.IDEMPOTENCY_KEY)
    only.script.extend([UpstreamFailure(Fault.FAILED, Billed.NO, "never heard of it")] * 4)
    house = await house_of(database, tmp_path, only)
    attempt = sending(house, "only")
    task = await house.accepted(attempts=(attempt,))
    attempt = replace(attempt, task_id=task.id)
    paid = replace(attempt, state=AttemptState.SUCCEEDED, ended_at_ms=1, cost_microusd=20_000, images=1)
    await database.write(RecordAttempts(task.id, 1, ended=(paid,)))
    ending = await house.run(task, (paid,))
    assert ending.task.state is TaskState.FAILED
    _, [row] = await stored(house, task)
    assert row.state is AttemptState.SUCCEEDED
    assert await balance(database, AccountId("upstream:only")) == (Amount(microusd=20_000), Amount())
    assert await clean(database)
