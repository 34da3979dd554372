"""All attempts of one task: splitting, failing over, resuming after a crash. Scripted adapters, a real database and real files."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.domain.catalog import Capabilities, Offer, OnUnknown, PerImage, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, AttemptId
from gateway.domain.images import ImageRequest, PartialImage, Pixels
from gateway.domain.money import Amount, charge_amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Task, TaskErrorCode, TaskState
from gateway.limits.slots import Slots
from gateway.pipeline.commands import Accept, Accepted, Cancel, Claim, Claimed, Finished, HoldOption, RecordAttempts
from gateway.pipeline.frozen import FrozenPlan, plan_text, read_plan, read_request, request_text
from gateway.pipeline.partials import Partials
from gateway.pipeline.recovery import Recovery as Recoverer
from gateway.pipeline.results import Results
from gateway.pipeline.runner import Runner
from gateway.pipeline.tools import Tools
from gateway.pipeline.work import Ending, Work
from gateway.routing.health import Circuits
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    RawImage,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from tests.books import CREDIT, KEY, RATE, Gateway, add_upstreams, balance, clean, new_attempt, new_task, opened
from tests.emulators import pictures
from tests.limits import limiting
from tests.sharing import sharing_over

Outcome = Generated | UpstreamFailure | Exception
REQUEST = ImageRequest("m", "a cat", n=1, size="1024x1024", pixels=Pixels(1024, 1024))
PNG = pictures.picture((64, 64), "png", "label")
FAILED = UpstreamFailure(Fault.FAILED, Billed.NO, "out of order")
REFUSED = UpstreamFailure(Fault.REFUSED, Billed.NO, "not this")
SILENT = UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "nothing came")


def made(count: int = 1) -> Generated:
    return Generated(tuple(RawImage(PNG) for _ in range(count)))


class ScriptedAdapter(Adapter):
    """Answers by script, then with what was asked for; remembers its calls."""

    kind = "scripted"

    def __init__(
        self,
        name: str,
        *,
        n: tuple[int, ...] = (1,),
        recovery: Recovery = Recovery.NONE,
        job: str | None = None,
        queue_wait_s: float = 5.0,
        streams: bool = False,
    ) -> None:
        super().__init__(UpstreamSettings(name, "scripted", timeout_s=0.05, queue_wait_s=queue_wait_s))
        self.calls: list[UpstreamCall] = []
        self.script: deque[Outcome] = deque()
        self.job = job
        self.called = asyncio.Event()
        self.release: asyncio.Event | None = None
        self._capabilities = Capabilities(n=n, recovery=recovery, streams=streams)

    def capabilities(self, upstream_model: str) -> Capabilities:
        return self._capabilities

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        self.calls.append(call)
        self.called.set()
        if self.job is not None and call.upstream_ref is None:
            await on_submitted(self.job)
        for index in range(call.request.partial_images if call.on_partial is not None else 0):
            assert call.on_partial is not None
            call.on_partial(PartialImage(self.name.encode(), index))
        if self.release is not None:
            await self.release.wait()
        outcome = self.script.popleft() if self.script else made(call.request.n)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise AssertionError("nothing here is linked")


@dataclass
class House:
    """Everything but the HTTP edge."""

    database: Gateway
    adapters: dict[str, Adapter]
    runner: Runner
    tools: Tools

    def offers(self, on_unknown: OnUnknown | None = None) -> tuple[Offer, ...]:
        return tuple(
            Offer(f"{name}/m", name, "m", PerImage(Decimal("0.02") + index / Decimal(100)), on_unknown=on_unknown)
            for index, name in enumerate(self.adapters)
        )

    async def accepted(
        self,
        n: int = 1,
        on_unknown: OnUnknown | None = None,
        attempts: Sequence[Attempt] = (),
        *,
        charge_microcredits: int | None = CREDIT,
        partial_images: int = 0,
    ) -> Task:
        """`charge_microcredits` None: actual costs are charged, of at most two credits a picture."""
        plan = FrozenPlan(self.offers(on_unknown), charge_microcredits, Decimal(1), RATE)
        request = replace(REQUEST, n=n, partial_images=partial_images)
        now_ms = SystemClock().now_ms()
        task = replace(
            new_task(), n=n, request_json=request_text(request), created_at_ms=now_ms, deadline_at_ms=now_ms + 5000
        )
        attempts = tuple(replace(attempt, task_id=task.id) for attempt in attempts)
        amount = charge_amount(n * (charge_microcredits or 2 * CREDIT), n, credits_per_usd=RATE)
        outcome = await self.database.write(Accept(task, (HoldOption(amount, plan_text(plan)),), RATE, attempts))
        assert isinstance(outcome, Accepted)
        return outcome.task

    async def run(
        self,
        task: Task,
        attempts: Sequence[Attempt] = (),
        deadline_s: float = 5.0,
        owner_may_live: bool = False,
        partials: Partials | None = None,
    ) -> Ending:
        """As the acceptance, or recovery, starts it."""
        ended = asyncio.get_running_loop().create_future()
        clock = SystemClock()
        plan = FrozenPlan(self.offers(), CREDIT, Decimal(1), RATE) if not task.plan_json else None
        work = Work(
            task, plan or read_plan(task.plan_json), read_request(task.request_json, task.prompt), ended, clock.monotonic_s(),
            attempts=tuple(attempts), keep_pictures=True, deadline_s=clock.monotonic_s() + deadline_s, owner_may_live=owner_may_live,
            partials=partials,
        )  # fmt: skip
        await self.runner.start(work)
        ending = await asyncio.wait_for(ended, 30)
        assert isinstance(ending, Ending)
        return ending


@pytest.fixture
async def database(sqlite_database: str) -> AsyncIterator[Gateway]:
    database = await opened(sqlite_database)
    yield database
    await database.close()


async def house_of(database: Gateway, tmp_path: Path, *adapters: ScriptedAdapter) -> House:
    clock = SystemClock()
    await add_upstreams(database, *(adapter.name for adapter in adapters))
    blobs = await LocalBlobStore.open(tmp_path / "images")
    by_name: dict[str, Adapter] = {adapter.name: adapter for adapter in adapters}
    tools = Tools(
        database,
        by_name,
        Slots(dict.fromkeys(by_name, 4), clock),
        Circuits(clock),
        Results(blobs, clock),
        Metrics(),
        clock,
        lambda _: None,
    )
    return House(database, by_name, Runner(tools, sharing_over(tools.database), results_ms=86_400_000), tools)


async def stored(house: House, task: Task) -> tuple[Task, list[Attempt]]:
    [found] = await house.database.read(lambda connection: task_store.read_tasks(connection, [task.id]))
    return found, await house.database.read(lambda connection: attempt_store.read_attempts(connection, [task.id]))


async def test_a_count_above_the_upstreams_maximum_is_split_side_by_side(database: Gateway, tmp_path: Path) -> None:
    """7 pictures in calls of at most 4: 4 + 2 + 1, one task, one charge."""
    only = ScriptedAdapter("only", n=(1, 2, 4))
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(7))
    assert sorted(call.request.n for call in only.calls) == [1, 2, 4]
    assert len({call.attempt_id for call in only.calls}) == 3
    assert ending.task.state is TaskState.COMPLETED
    assert ending.task.used_microcredits == 7 * CREDIT
    assert len(ending.pictures) == 7
    assert await clean(database)


async def test_a_part_fails_over_alone(database: Gateway, tmp_path: Path) -> None:
    """Of two parts one fails; only that one is made at the next offer, as its child."""
    first, second = ScriptedAdapter("first", n=(1,)), ScriptedAdapter("second", n=(1, 2))
    first.script.append(FAILED)
    house = await house_of(database, tmp_path, first, second)
    ending = await house.run(await house.accepted(2))
    assert (len(first.calls), len(second.calls)) == (2, 1)
    assert ending.task.used_microcredits == 2 * CREDIT
    _, attempts = await stored(house, ending.task)
    [failed] = [attempt for attempt in attempts if attempt.state is AttemptState.FAILED]
    [child] = [attempt for attempt in attempts if attempt.parent_id is not None]
    assert child.parent_id == failed.id
    assert await clean(database)


async def test_a_partial_success_returns_and_charges_what_was_made(database: Gateway, tmp_path: Path) -> None:
    """4 asked, 3 came: completed, charged for 3, the rest of the hold released."""
    only = ScriptedAdapter("only", n=(1, 2, 4))
    only.script.append(made(3))
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(4))
    assert ending.task.state is TaskState.COMPLETED
    assert (ending.task.used_microcredits, ending.task.result_count) == (3 * CREDIT, 3)
    assert await balance(database, KEY) == (Amount(3 * CREDIT, 41_667, 3), Amount())


async def test_a_refusal_is_final(database: Gateway, tmp_path: Path) -> None:
    """No fail-over, nothing charged, the circuit stays closed."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    first.script.extend([REFUSED] * 9)
    house = await house_of(database, tmp_path, first, second)
    for _ in range(6):
        ending = await house.run(await house.accepted())
        assert ending.task.error is not None
        assert ending.task.error.code is TaskErrorCode.CONTENT_POLICY_VIOLATION
    assert not second.calls
    assert not house.tools.circuits.is_open("first/m")
    assert await balance(database, KEY) == (Amount(), Amount())


@pytest.mark.parametrize(
    ("on_unknown", "state", "calls"), [(OnUnknown.STOP, TaskState.FAILED, 0), (OnUnknown.NEXT, TaskState.COMPLETED, 1)]
)
async def test_a_doubt_stops_or_goes_on_as_configured(
    database: Gateway, tmp_path: Path, on_unknown: OnUnknown, state: TaskState, calls: int
) -> None:
    """Either way the doubt stays booked at the upstream, and the caller pays for pictures only."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    first.script.append(SILENT)
    house = await house_of(database, tmp_path, first, second)
    ending = await house.run(await house.accepted(1, on_unknown))
    assert (ending.task.state, len(second.calls)) == (state, calls)
    assert await balance(database, AccountId("upstream:first")) == (Amount(), Amount(microusd=20_000))
    _, attempts = await stored(house, ending.task)
    assert attempts[0].state is AttemptState.UNKNOWN
    if state is TaskState.FAILED:
        assert ending.task.error is not None
        assert ending.task.error.code is TaskErrorCode.OUTCOME_UNKNOWN
    assert await clean(database)


async def test_a_doubt_that_can_be_looked_up_is_sent_again_under_the_same_key(
    database: Gateway, tmp_path: Path
) -> None:
    """The same attempt, not a new one, until it is known."""
    only = ScriptedAdapter("only", recovery=Recovery.IDEMPOTENCY_KEY)
    only.script.append(SILENT)
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted())
    assert ending.task.state is TaskState.COMPLETED
    assert len({call.attempt_id for call in only.calls}) == 1
    assert len(only.calls) == 2
    assert len(ending.attempts) == 1


async def test_a_bug_in_an_adapter_is_a_doubt(database: Gateway, tmp_path: Path) -> None:
    """Nobody can say whether it was billed, so nothing is sent again."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    first.script.append(KeyError("oops"))
    house = await house_of(database, tmp_path, first, second)
    ending = await house.run(await house.accepted())
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.OUTCOME_UNKNOWN
    assert not second.calls


async def test_what_is_no_picture_is_our_loss_and_the_next_offer_makes_one(database: Gateway, tmp_path: Path) -> None:
    """Billed without a picture: paid at the upstream, booked as ours, and the caller gets a picture from elsewhere."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    first.script.append(Generated((RawImage(b"<html>no picture</html>"),)))
    house = await house_of(database, tmp_path, first, second)
    ending = await house.run(await house.accepted())
    assert ending.task.state is TaskState.COMPLETED
    assert (await balance(database, AccountId("ours")))[0] == Amount(microusd=20_000)
    assert (await balance(database, KEY))[0].microcredits == CREDIT
    assert await clean(database)


async def test_without_time_nothing_is_sent(database: Gateway, tmp_path: Path) -> None:
    """A task whose deadline has passed before its first attempt fails with a time-out and is released."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted(), deadline_s=0.0)
    assert not only.calls
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.GENERATION_TIMEOUT


async def test_a_cancelled_task_sends_nothing_more(database: Gateway, tmp_path: Path) -> None:
    """Cancelled between two offers: the next offer is not tried, the hold is released once."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    task = await house.accepted()
    assert isinstance(await database.write(Cancel(task.id, KEY, RATE)), Finished)
    ended = asyncio.get_running_loop().create_future()
    clock = SystemClock()
    work = Work(
        task,
        FrozenPlan(house.offers(), CREDIT, Decimal(1), RATE),
        REQUEST,
        ended,
        0.0,
        deadline_s=clock.monotonic_s() + 5,
    )
    await house.runner.start(work)
    assert await asyncio.wait_for(ended, 30) is None
    assert not first.calls
    assert await clean(database)


def sending(house: House, name: str, n: int = 1, ref: str | None = None, parent: AttemptId | None = None) -> Attempt:
    """The row of an attempt whose process died."""
    state = AttemptState.SUBMITTED if ref else AttemptState.SENDING
    return replace(
        new_attempt(new_task()), offer_id=f"{name}/m", upstream=name, n=n, state=state, upstream_ref=ref, parent_id=parent,
        presumed_cost_microusd=20_000, sent_at_ms=SystemClock().now_ms(),
    )  # fmt: skip


async def resumed(house: House, *attempts: Attempt, n: int = 1, owner_may_live: bool = False) -> Ending:
    """A task that was accepted with these attempts, taken up by a new process."""
    task = await house.accepted(n, attempts=attempts)
    claimed = await house.database.write(Claim("run_new", 60_000, 10, everything=True))
    assert isinstance(claimed, Claimed)
    known = [replace(attempt, task_id=task.id) for attempt in attempts]
    return await house.run(claimed.tasks[0], known, owner_may_live=owner_may_live)


async def test_resume_never_sends_again_where_nothing_can_be_found(database: Gateway, tmp_path: Path) -> None:
    """Recovery none, owner dead: outcome unknown at once, nothing sent, nothing charged, the cost in doubt."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    ending = await resumed(house, sending(house, "only"))
    assert not only.calls
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.OUTCOME_UNKNOWN
    assert await balance(database, AccountId("upstream:only")) == (Amount(), Amount(microusd=20_000))
    assert await balance(database, KEY) == (Amount(), Amount())
    assert await clean(database)


async def test_resume_sends_again_under_the_same_key(database: Gateway, tmp_path: Path) -> None:
    """Recovery idempotency_key: the same attempt id goes out, with the job id where one was stored."""
    only = ScriptedAdapter("only", recovery=Recovery.IDEMPOTENCY_KEY)
    house = await house_of(database, tmp_path, only)
    attempt = sending(house, "only", ref="job-7")
    ending = await resumed(house, attempt)
    assert [(call.attempt_id, call.upstream_ref) for call in only.calls] == [(attempt.id, "job-7")]
    assert ending.task.state is TaskState.COMPLETED


@pytest.mark.parametrize(("ref", "state"), [("job-7", TaskState.COMPLETED), (None, TaskState.FAILED)])
async def test_resume_polls_a_stored_job(database: Gateway, tmp_path: Path, ref: str | None, state: TaskState) -> None:
    """Recovery async_job: with the id polling goes on; without it nobody knows."""
    only = ScriptedAdapter("only", recovery=Recovery.ASYNC_JOB)
    house = await house_of(database, tmp_path, only)
    ending = await resumed(house, sending(house, "only", ref=ref))
    assert ending.task.state is state
    assert len(only.calls) == (1 if ref else 0)


async def test_resume_reads_the_manifest_first(database: Gateway, tmp_path: Path) -> None:
    """Pictures that were stored before the crash complete the task without a call, at the price that was paid."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    attempt = sending(house, "only")
    generated = Generated((RawImage(PNG),), cost_usd=Decimal("0.013"))

    async def fetch(image: LinkedImage) -> bytes:
        raise AssertionError("not linked")

    await house.tools.results.store(attempt.id, generated, fetch)
    ending = await resumed(house, attempt)
    assert not only.calls
    assert ending.task.state is TaskState.COMPLETED
    assert await balance(database, AccountId("upstream:only")) == (Amount(microusd=13_000), Amount())
    assert await clean(database)


async def test_resume_waits_for_an_owner_that_may_only_be_paused(
    database: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest may still come until its upstream's time-out and the grace have passed."""
    monkeypatch.setattr("gateway.pipeline.stored.MANIFEST_LOOK_S", 0.02)
    monkeypatch.setattr("gateway.pipeline.attempts.MANIFEST_GRACE_S", 5.0)
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    attempt = sending(house, "only")
    resuming = asyncio.ensure_future(resumed(house, attempt, owner_may_live=True))
    await asyncio.sleep(0.1)
    assert not resuming.done()

    async def fetch(image: LinkedImage) -> bytes:
        raise AssertionError("not linked")

    await house.tools.results.store(attempt.id, made(), fetch)
    assert (await resuming).task.state is TaskState.COMPLETED


async def test_resume_makes_only_what_is_missing(database: Gateway, tmp_path: Path) -> None:
    """Of three parts one was stored, one failed and goes to the next offer, one was never begun."""
    first, second = ScriptedAdapter("first"), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, first, second)
    stored_part, failed_part = sending(house, "first"), sending(house, "first")

    async def fetch(image: LinkedImage) -> bytes:
        raise AssertionError("not linked")

    await house.tools.results.store(stored_part.id, made(), fetch)
    task = await house.accepted(3, attempts=(stored_part, failed_part))
    stored_part, failed_part = replace(stored_part, task_id=task.id), replace(failed_part, task_id=task.id)
    ended = replace(failed_part, state=AttemptState.FAILED, ended_at_ms=1, fault=Fault.FAILED, billed=Billed.NO)
    await database.write(RecordAttempts(task.id, 1, ended=(ended,)))
    ending = await house.run(task, (stored_part, ended))
    assert ending.task.used_microcredits == 3 * CREDIT
    assert (len(first.calls), len(second.calls)) == (1, 1)
    assert await clean(database)


async def test_recovery_takes_up_everything_that_is_left(database: Gateway, tmp_path: Path) -> None:
    """Never sent: made now. Each task ends, none is taken twice."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    tasks = [await house.accepted() for _ in range(3)]
    recoverer = Recoverer(database, house.runner, limiting(), SystemClock(), owner="run_new")
    assert await recoverer.start() == 3
    assert await recoverer.start() == 0
    await house.runner.drain(5)
    for task in tasks:
        found, _ = await stored(house, task)
        assert found.state is TaskState.COMPLETED
    assert len(only.calls) == 3
    assert await clean(database)


async def test_a_stopping_process_leaves_what_it_cannot_finish(database: Gateway, tmp_path: Path) -> None:
    """Drained too long: the work is dropped here, its row stays for the next process."""
    only = ScriptedAdapter("only")
    only.release = asyncio.Event()
    house = await house_of(database, tmp_path, only)
    task = await house.accepted()
    ended = asyncio.get_running_loop().create_future()
    clock = SystemClock()
    work = Work(
        task,
        FrozenPlan(house.offers(), CREDIT, Decimal(1), RATE),
        REQUEST,
        ended,
        0.0,
        deadline_s=clock.monotonic_s() + 5,
    )
    await house.runner.start(work)
    await asyncio.wait_for(only.called.wait(), 30)
    await house.runner.drain(0.05)
    found, [attempt] = await stored(house, task)
    assert found.state is TaskState.PROCESSING
    assert attempt.state is AttemptState.SENDING
