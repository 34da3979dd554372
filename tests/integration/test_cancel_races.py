"""A caller's wish to cancel, against a task under way: at every step of its life, and for every answer of an upstream; a real database, real files.

Whatever comes first, the task ends once: cancelled, or completed; what the vendor billed is paid and charged, what it did not is neither.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.errors import TaskNotCancellable
from gateway.domain.ids import OURS_ACCOUNT_ID, upstream_account_id
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskErrorCode, TaskState
from gateway.pipeline import attempts as attempts_module
from gateway.pipeline import cancelling as cancelling_module
from gateway.pipeline import lookup as lookup_module
from gateway.pipeline import runner as runner_module
from gateway.pipeline import stopping as stopping_module
from gateway.pipeline.cancelling import Cancelling
from gateway.pipeline.crash_points import CrashPoint as P
from gateway.pipeline.frozen import read_plan, read_request
from gateway.pipeline.runner import Runner
from gateway.pipeline.work import Ending, Work
from gateway.upstreams.base import Generated, OnSubmitted, Stop, UpstreamCall, UpstreamFailure
from tests.books import CREDIT, KEY, RATE, Gateway, balance, clean, opened
from tests.integration.test_making import House, ScriptedAdapter, house_of, made, sending, stored
from tests.sharing import sharing_over

COST = 20_000
TURNS = 12
"""How often a job is asked for until it is done."""


class Vendor(ScriptedAdapter):
    """A task API that can cancel. `how` it takes that: drops the job, bills it all the same, says nothing of the bill, is too late, or silent."""

    def __init__(self, name: str = "vendor", how: str = "drops") -> None:
        super().__init__(name, recovery=Recovery.ASYNC_JOB)
        self.how = how
        self.told: list[str | None] = []
        self.bills = 0
        self.begins = asyncio.Event()
        """Until then a job waits in the queue; set, it takes its turns."""
        self.begins.set()
        self._stopped: set[str] = set()
        self._turns: dict[str, int] = {}

    def _turns_of(self, job: str) -> int:
        """The second job of a vendor takes twice as long."""
        return TURNS * int(job.removeprefix("job"))

    def capabilities(self, upstream_model: str) -> Capabilities:
        return replace(super().capabilities(upstream_model), can_cancel=True)

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        self.calls.append(call)
        job = call.upstream_ref
        if job is None:
            job = f"job{len(self.calls)}"
            self._turns[job] = 0
            await on_submitted(job)
        while True:
            if job in self._stopped:
                raise self._ended()
            if self.begins.is_set():
                self._turns[job] = self._turns.get(job, 0) + 1
                if self._turns[job] >= self._turns_of(job):
                    self.bills += 1
                    return made()
            await asyncio.sleep(0.001)

    async def cancel(self, call: UpstreamCall) -> Stop:
        self.told.append(call.upstream_ref)
        await asyncio.sleep(0)
        if self.how == "silent":
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "nothing came")
        job = call.upstream_ref or ""
        if self.how == "too late" or self._turns.get(job, 0) >= self._turns_of(job):
            return Stop.TOO_LATE
        self._stopped.add(job)
        return Stop.ASKED

    def _ended(self) -> UpstreamFailure:
        billed = {"drops": Billed.NO, "bills": Billed.YES, "doubts": Billed.UNKNOWN}[self.how]
        self.bills += billed is Billed.YES
        return UpstreamFailure(Fault.FAILED, billed, "stopped")


@pytest.fixture
async def database(sqlite_database: str) -> AsyncIterator[Gateway]:
    database = await opened(sqlite_database)
    yield database
    await database.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping_module, "ASK_PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr(cancelling_module, "ANSWER_S_MAX", 0.2)


@dataclass
class Stage:
    """One task, its vendor, and whoever cancels it."""

    house: House
    vendor: Vendor
    task: Task
    cancelling: Cancelling

    async def start(self, attempts: tuple[Attempt, ...] = ()) -> "asyncio.Future[Ending | None]":
        clock, ended = SystemClock(), self.house.runner.new_future()
        plan, request = read_plan(self.task.plan_json), read_request(self.task.request_json, self.task.prompt)
        deadline_s = clock.monotonic_s() + 5
        await self.house.runner.start(
            Work(self.task, plan, request, ended, clock.monotonic_s(), attempts=attempts, deadline_s=deadline_s)
        )
        return ended

    async def cancel(self) -> str:
        """What its caller is told."""
        try:
            await self.cancelling.cancel(self.task)
        except TaskNotCancellable:
            return "refused"
        return "heard"

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what changes it is no event
                await asyncio.sleep(0.001)

    async def settled(self, ended: "asyncio.Future[Ending | None]") -> tuple[Task, list[Attempt]]:
        """The task once all is written, with its books checked: nothing held, all bills paid, nothing lost."""
        await asyncio.wait_for(asyncio.shield(ended), 30)
        await self.until(lambda: self.house.runner.working == 0)
        task, attempts = await stored(self.house, self.task)
        assert task.state.is_final
        assert await clean(self.house.database)
        charged, held = await balance(self.house.database, KEY)
        paid, pending = await balance(self.house.database, upstream_account_id(self.vendor.name))
        doubts = [attempt for attempt in attempts if attempt.state is AttemptState.UNKNOWN]
        assert (held, pending) == (Amount(), Amount(microusd=COST * len(doubts)))
        assert (paid.microusd, charged.microcredits) == (COST * self.vendor.bills, task.used_microcredits)
        assert (await balance(self.house.database, OURS_ACCOUNT_ID))[0].microusd == 0
        return task, attempts


async def staged(
    database: Gateway, folder: Path, vendor: Vendor, *others: ScriptedAdapter, n: int = 1, job: str | None = None
) -> Stage:
    """`job`: one is out already, of a process that died."""
    house = await house_of(database, folder, vendor, *others)
    task = await house.accepted(n, attempts=(sending(house, vendor.name, ref=job),) if job else ())
    cancelling = Cancelling(house.tools, house.runner, owner="run_test", credits_per_usd=lambda: RATE)
    return Stage(house, vendor, task, cancelling)


POINTS = (
    P.TASK_STARTED, P.SLOT_TAKEN, P.BEFORE_ATTEMPT, P.ATTEMPT_RECORDED, P.BEFORE_SEND, P.JOB_KNOWN, P.JOB_RECORDED, P.ANSWER_RECEIVED,
    P.SUCCESS_KNOWN, P.BEFORE_FINISH, P.FINISHED,
)  # fmt: skip
EARLY = POINTS[: POINTS.index(P.JOB_RECORDED) + 1]
"""The vendor is told before its job is done."""


@pytest.mark.parametrize("how", ["drops", "bills", "too late", "silent"])
@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_cancelled_at_every_point(
    database: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: P, how: str
) -> None:
    """Either cancelled, or completed and charged: by who came first, never both; and whoever was heard knows how it ends."""
    stage = await staged(database, tmp_path, Vendor(how=how))
    wishes: list[asyncio.Task[str]] = []

    def reached(here: P) -> None:
        if here is point and not wishes:
            wishes.append(asyncio.get_running_loop().create_task(stage.cancel()))

    for module in (attempts_module, runner_module, lookup_module):
        monkeypatch.setattr(module, "reached", reached)
    task, _ = await stage.settled(await stage.start())
    [said] = await asyncio.gather(*wishes)
    assert (said == "refused") is (task.state is TaskState.COMPLETED and not task.cancel_requested)
    if task.state is TaskState.COMPLETED:
        assert (stage.vendor.bills, task.used_microcredits, task.result_count) == (1, CREDIT, 1)
    else:
        assert (task.state, task.error.code if task.error else None) == (
            TaskState.CANCELLED, TaskErrorCode.REQUEST_CANCELLED,
        )  # fmt: skip
        assert (task.used_microcredits, task.result_count) == (CREDIT * stage.vendor.bills, 0)
    if point in EARLY and how == "drops":
        assert (task.state, stage.vendor.bills) == (TaskState.CANCELLED, 0), "in time"


@pytest.mark.parametrize(
    ("how", "state", "code", "credits", "billed"),
    [
        ("drops", TaskState.CANCELLED, TaskErrorCode.REQUEST_CANCELLED, 0, Billed.NO),
        ("bills", TaskState.CANCELLED, TaskErrorCode.REQUEST_CANCELLED, 1, Billed.YES),
        ("doubts", TaskState.FAILED, TaskErrorCode.OUTCOME_UNKNOWN, 0, Billed.UNKNOWN),
    ],
)
async def test_the_upstreams_verdict_decides(
    database: Gateway, tmp_path: Path, how: str, state: TaskState, code: TaskErrorCode, credits: int, billed: Billed
) -> None:
    """Unbilled: nothing is charged. Billed: charged, and no loss of ours. In doubt: as every doubt. No other offer is tried, and no circuit opens."""
    other = ScriptedAdapter("other")
    stage = await staged(database, tmp_path, Vendor(how=how), other)
    stage.vendor.begins.clear()
    ended = await stage.start()
    await stage.until(lambda: bool(stage.vendor.calls))
    said = await asyncio.gather(stage.cancel(), stage.cancel())
    task, [attempt] = await stage.settled(ended)
    assert list(said) == ["heard", "heard"]
    assert await stage.cancel() == ("heard" if state is TaskState.CANCELLED else "refused")
    assert (task.state, task.error.code if task.error else None) == (state, code)
    assert task.used_microcredits == credits * CREDIT
    assert (attempt.fault, attempt.billed, attempt.upstream_ref) == (Fault.CANCELLED, billed, "job1")
    assert (stage.vendor.told, len(stage.vendor.calls), other.calls) == (["job1"], 1, [])
    assert not stage.house.tools.circuits.is_open("vendor/m")


async def test_a_wish_that_only_the_row_knows_stops_the_fail_over(database: Gateway, tmp_path: Path) -> None:
    """Written by another process, and not looked for yet: the next attempt's row is refused, so nothing is sent."""
    other = ScriptedAdapter("other")
    stage = await staged(database, tmp_path, Vendor(), other)
    stage.vendor.begins.clear()
    ended = await stage.start()
    await stage.until(lambda: bool(stage.vendor.calls))
    stage.cancelling._runner = Runner(
        stage.house.tools, sharing_over(stage.house.database), results_ms=1
    )  # another process's: it has no such task
    assert await stage.cancel() == "heard"
    stage.vendor._stopped.add("job1")  # it fails there by itself, unbilled: any other offer might be tried
    task, attempts = await stage.settled(ended)
    assert (task.state, len(attempts), other.calls, stage.vendor.told) == (TaskState.CANCELLED, 1, [], [])


async def test_nobody_waits_for_a_place_any_more(database: Gateway, tmp_path: Path) -> None:
    """Of two pictures one is at the upstream, the other waits for the only place: once it is cancelled both are over, and the place is free."""
    stage = await staged(database, tmp_path, Vendor(), n=2)
    slots = await stage.house.tools.slots.try_acquire("vendor", 3)
    stage.vendor.begins.clear()
    ended = await stage.start()
    await stage.until(lambda: bool(stage.vendor.calls))
    assert await stage.cancel() == "heard"
    task, attempts = await stage.settled(ended)
    assert (task.state, len(attempts), task.used_microcredits) == (TaskState.CANCELLED, 1, 0)
    assert stage.house.tools.slots.taken("vendor") == len(slots)


async def test_what_is_paid_for_is_kept(database: Gateway, tmp_path: Path) -> None:
    """Of two pictures one is there when the other is cancelled: the task completes with it, and it alone is charged."""
    stage = await staged(database, tmp_path, Vendor(), n=2)
    ended = await stage.start()
    await stage.until(lambda: stage.vendor.bills == 1)
    stage.vendor.begins.clear()
    assert await stage.cancel() == "heard"
    task, attempts = await stage.settled(ended)
    assert (task.state, task.result_count, task.used_microcredits) == (TaskState.COMPLETED, 1, CREDIT)
    assert sorted(attempt.state.value for attempt in attempts) == ["failed", "succeeded"]


async def test_an_upstream_that_cannot_be_told(database: Gateway, tmp_path: Path) -> None:
    """It is told three times, and again when its caller asks again; then its call goes on, and its picture is kept."""
    stage = await staged(database, tmp_path, Vendor(how="silent"))
    stage.vendor.begins.clear()
    ended = await stage.start()
    await stage.until(lambda: bool(stage.vendor.calls))
    assert await stage.cancel() == "heard"
    await stage.until(lambda: len(stage.vendor.told) == 3)
    await asyncio.sleep(0.1)
    await stage.house.runner.cancel(stage.task.id, again=False)
    assert len(stage.vendor.told) == 3
    assert await stage.cancel() == "heard"
    await stage.until(lambda: len(stage.vendor.told) == 6)
    running, _ = await stored(stage.house, stage.task)
    stage.vendor.begins.set()
    task, _ = await stage.settled(ended)
    assert (running.state, running.cancel_requested) == (TaskState.PROCESSING, True)
    assert (task.state, task.used_microcredits) == (TaskState.COMPLETED, CREDIT)


async def test_a_recovered_task_knows_the_wish(database: Gateway, tmp_path: Path) -> None:
    """Its process died after the wish was written: the next one tells the upstream by the stored job's id, and begins nothing new."""
    stage = await staged(database, tmp_path, Vendor(), n=2, job="job1")
    assert await stage.cancel() == "heard"
    stage.task, known = await stored(stage.house, stage.task)
    assert stage.task.cancel_requested
    stage.vendor.begins.clear()
    task, attempts = await stage.settled(await stage.start(tuple(known)))
    assert (task.state, len(attempts), stage.vendor.told) == (TaskState.CANCELLED, 1, ["job1"])
