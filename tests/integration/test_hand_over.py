"""What a stopping process leaves to others, and what it keeps: nothing is done by two, nothing is paid twice, nothing is forgotten.

Scripted adapters for each situation that a task may be in when its process stops, with bugs planted in the decision; then two gateways on one
database, and one gateway after another.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import app
from gateway.config import Config
from gateway.domain.catalog import Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.tasks import AttemptState, TaskState
from gateway.pipeline.commands import HandBack
from gateway.pipeline.frozen import read_plan, read_request
from gateway.pipeline.in_hand import InHand
from gateway.pipeline.recovery import Recovery as Recoverer
from gateway.pipeline.runner import Runner
from gateway.pipeline.work import Ending, Work
from gateway.telemetry.logs import LineWriter
from gateway.upstreams.base import Generated, OnSubmitted, UpstreamCall
from tests.books import Gateway, clean
from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import House as Served
from tests.integration.gateway_app import evolink_upstream, openai_upstream, serving, write_config
from tests.integration.test_making import (  # noqa: F401 - `database` is a fixture
    FAILED,
    House,
    ScriptedAdapter,
    database,
    house_of,
    made,
    stored,
)
from tests.limits import limiting
from tests.sharing import sharing_over

pytestmark = pytest.mark.usefixtures("whole_stack")

BY_JOBS, BY_CALLS = "gpt-4o-image", "gpt-image-2"
LONG_S = 100.0
"""A job's work, until the test says that it is done."""


class PartsAdapter(ScriptedAdapter):
    """Makes one picture a call: the first at once, the others as jobs."""

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        if not self.calls:
            self.calls.append(call)
            return made()
        return await super().generate(call, on_submitted)


def job_adapter(job: str | None = "job-7", recovery: Recovery = Recovery.ASYNC_JOB) -> ScriptedAdapter:
    return ScriptedAdapter("only", recovery=recovery, job=job)


async def begun(house: House, n: int = 1, *, waits: bool = False) -> Work:
    """An accepted task in the hands of the process."""
    task = await house.accepted(n)
    clock = SystemClock()
    work = Work(
        task, read_plan(task.plan_json), read_request(task.request_json, task.prompt), asyncio.get_running_loop().create_future(),
        clock.monotonic_s(), keep_pictures=waits, deadline_s=clock.monotonic_s() + 5,
    )  # fmt: skip
    await house.runner.start(work)
    return work


async def settled() -> None:
    """Until everything that can go on without an event has."""
    for _ in range(30):
        await asyncio.sleep(0.002)


@dataclass(slots=True)
class Left:
    """After the process let go of what it could."""

    house: House
    work: Work
    adapter: ScriptedAdapter
    is_left: bool

    async def taken_up(self) -> None:
        """By the next process, which ends the task."""
        house, adapter = self.house, self.adapter
        assert self.is_left, "it was kept"
        assert await self.work.ended is None
        await house.database.write(HandBack(self.work.task.owner, (self.work.task.id,)))
        if adapter.release is not None:
            adapter.release.set()
        successor = Runner(house.tools, sharing_over(house.tools.database), results_ms=86_400_000)
        assert await Recoverer(house.database, successor, limiting(), SystemClock(), owner="run_new").start() == 1
        await successor.drain(5)
        task, attempts = await stored(house, self.work.task)
        assert (task.state, task.result_count) == (TaskState.COMPLETED, task.n)
        assert [attempt.state for attempt in attempts] == [AttemptState.SUCCEEDED] * len(attempts)
        submits = [call for call in adapter.calls if call.upstream_ref is None]
        assert len(submits) == task.n, "something was sent twice, or never"
        assert await clean(house.database)

    async def kept(self) -> None:
        """The process ends it itself."""
        assert not self.is_left, "somebody else has it now, too"
        if self.adapter.release is not None:
            self.adapter.release.set()
        ending = await asyncio.wait_for(self.work.ended, 30)
        assert isinstance(ending, Ending)
        assert ending.task.state is TaskState.COMPLETED
        assert await clean(self.house.database)


Situation = Callable[[Gateway, Path], Awaitable[None]]
SITUATIONS: dict[str, Situation] = {}


def situation(function: Situation) -> Situation:
    SITUATIONS[function.__name__] = function
    return function


async def stopping(house: House, work: Work, adapter: ScriptedAdapter) -> Left:
    return Left(house, work, adapter, await house.runner.leave() == [work.task.id])


@situation
async def waits_for_a_place(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """Nothing was sent: left."""
    adapter = ScriptedAdapter("only")
    house = await house_of(database, folder, adapter)
    out = await house.tools.slots.try_acquire("only", 4)
    work = await begun(house)
    await settled()
    left = await stopping(house, work, adapter)
    for slot in out:
        slot.release()
    await left.taken_up()


@situation
async def gets_its_place_in_that_moment(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """It stops where it waits, although its place is there already: no row is written that nobody sends."""
    adapter = ScriptedAdapter("only")
    house = await house_of(database, folder, adapter)
    out = await house.tools.slots.try_acquire("only", 4)
    work = await begun(house)
    await settled()
    for slot in out:
        slot.release()
    left = await stopping(house, work, adapter)
    assert (await stored(house, work.task))[1] == []
    await left.taken_up()


@situation
async def waits_for_its_job(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """Its id is in the books: left, and asked for by the next process, which submits nothing."""
    adapter = job_adapter()
    adapter.release = asyncio.Event()
    house = await house_of(database, folder, adapter)
    work = await begun(house)
    await settled()
    await (await stopping(house, work, adapter)).taken_up()
    assert [call.upstream_ref for call in adapter.calls] == [None, "job-7"]


@situation
async def one_part_made_and_one_at_its_job(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """What is made has its manifest, so the next process finds it: left."""
    adapter = PartsAdapter("only", recovery=Recovery.ASYNC_JOB, job="job-7")
    adapter.release = asyncio.Event()
    house = await house_of(database, folder, adapter)
    work = await begun(house, 2)
    await settled()
    await (await stopping(house, work, adapter)).taken_up()


@situation
async def sent_and_no_job_known(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """An upstream with jobs that has not answered the submit yet: kept."""
    adapter = job_adapter(None)
    adapter.release = asyncio.Event()
    house = await house_of(database, folder, adapter)
    work = await begun(house)
    await settled()
    await (await stopping(house, work, adapter)).kept()


@situation
async def sent_where_nobody_can_ask(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """Even if it named a job: kept."""
    adapter = job_adapter("job-7", Recovery.NONE)
    adapter.release = asyncio.Event()
    house = await house_of(database, folder, adapter)
    work = await begun(house)
    await settled()
    await (await stopping(house, work, adapter)).kept()


@situation
async def somebody_waits_for_it(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """They get their answer: kept."""
    adapter = job_adapter()
    adapter.release = asyncio.Event()
    house = await house_of(database, folder, adapter)
    work = await begun(house, waits=True)
    await settled()
    await (await stopping(house, work, adapter)).kept()


@situation
async def a_failure_is_not_in_the_books(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """Only this process knows that it was not billed, and that the next offer may try: kept."""
    adapter, second = ScriptedAdapter("only"), ScriptedAdapter("second")
    adapter.script.append(FAILED)
    house = await house_of(database, folder, adapter, second)
    out = await house.tools.slots.try_acquire("second", 4)
    work = await begun(house)
    await settled()
    left = await stopping(house, work, adapter)
    for slot in out:
        slot.release()
    await left.kept()


@situation
async def its_pictures_are_being_stored(database: Gateway, folder: Path) -> None:  # noqa: F811 - the fixture
    """The job is done, its pictures are here: kept."""
    adapter, arrived, go_on = job_adapter(), asyncio.Event(), asyncio.Event()
    house = await house_of(database, folder, adapter)
    genuine = house.tools.results.store

    async def slow_store(*args: object, **more: object) -> object:
        arrived.set()
        await go_on.wait()
        return await genuine(*args, **more)  # type: ignore[arg-type]  # passed on as it came

    house.tools.results.store = slow_store  # type: ignore[assignment,method-assign]  # for this test
    work = await begun(house)
    await asyncio.wait_for(arrived.wait(), 30)
    left = await stopping(house, work, adapter)
    go_on.set()
    await left.kept()


@pytest.mark.parametrize("name", SITUATIONS)
async def test_what_is_left_and_what_is_kept(name: str, database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """In each situation the task is ended by one process, and every picture is ordered once."""
    await SITUATIONS[name](database, tmp_path)


Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: dict[str, tuple[Plant, str]] = {}


def plant(caught_by: Situation) -> Callable[[Plant], Plant]:
    def add(function: Plant) -> Plant:
        PLANTS[function.__name__] = function, caught_by.__name__
        return function

    return add


@plant(sent_where_nobody_can_ask)
def everything_is_left(patch: pytest.MonkeyPatch) -> None:
    """Whatever is out."""
    patch.setattr(InHand, "is_nothing", lambda self, out, unrecorded: True)


@plant(sent_and_no_job_known)
def jobs_are_left_before_they_are_known(patch: pytest.MonkeyPatch) -> None:
    """Who is at an upstream is left."""
    patch.setattr(InHand, "is_nothing", lambda self, out, unrecorded: set(out) <= self._asking and not unrecorded)


@plant(sent_where_nobody_can_ask)
def jobs_that_nobody_asks_for_are_left(patch: pytest.MonkeyPatch) -> None:
    """How the upstream can be asked does not matter."""
    patch.setattr(InHand, "submitted", lambda self, attempt_id, recovery: self._jobs.add(attempt_id))


@plant(its_pictures_are_being_stored)
def jobs_stay_jobs(patch: pytest.MonkeyPatch) -> None:
    """What has come from them is not looked at."""
    patch.setattr(InHand, "is_nothing", lambda self, out, unrecorded: set(out) <= self._jobs and not unrecorded)


@plant(a_failure_is_not_in_the_books)
def failures_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Ends that are not written yet are lost."""
    genuine = InHand.is_nothing
    patch.setattr(InHand, "is_nothing", lambda self, out, unrecorded: genuine(self, out, ()))


@plant(one_part_made_and_one_at_its_job)
def what_is_made_keeps_the_rest(patch: pytest.MonkeyPatch) -> None:
    """A stored part is taken for something that only this process knows."""
    genuine = InHand.is_nothing
    patch.setattr(InHand, "is_nothing", lambda self, out, unrecorded: not unrecorded and genuine(self, out, unrecorded))


@plant(somebody_waits_for_it)
def callers_are_left_alone(patch: pytest.MonkeyPatch) -> None:
    """Who waits does not matter."""
    patch.setattr(Work, "may_be_left", property(lambda work: work.making is not None and work.making.may_be_left))


@plant(gets_its_place_in_that_moment)
def the_work_goes_a_step_further(patch: pytest.MonkeyPatch) -> None:
    """It is stopped a moment after it was found to wait."""
    genuine = Runner.leave

    async def leave(self: Runner) -> object:
        chosen = [work for work in self._working.values() if work.may_be_left]
        await asyncio.sleep(0)
        patch.setattr(Work, "may_be_left", property(lambda work: work in chosen))
        return await genuine(self)

    patch.setattr(Runner, "leave", leave)


@pytest.mark.parametrize("name", PLANTS)
async def test_every_planted_bug_is_caught(
    name: str,
    database: Gateway,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The situation that it is about goes wrong with the bug in place."""
    bug, caught_by = PLANTS[name]
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        await SITUATIONS[caught_by](database, tmp_path)


def config_of(folder: Path, database_url: str, evolink: EvolinkEmulator, openai: OpenAIEmulator) -> Config:
    """One place at EvoLink in each process; nobody has to notice that one stops."""
    upstreams = {"evolink": evolink_upstream(evolink, concurrency=1), "openai": openai_upstream(openai)}
    by_jobs = {"upstream": "evolink", "model": "gpt-4o-image", "cost": {"per_image_usd": "0.0208"}}
    by_calls = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
    models = {BY_JOBS: {"offers": [by_jobs]}, BY_CALLS: {"offers": [by_calls]}}
    server = {"host": "127.0.0.1", "port": 0, "drain": "20s", "public_url": "http://pictures.example"}
    config = write_config(
        folder,
        database_url,
        upstreams,
        models=models,
        server=server,
        lease="2s",
        default_model=BY_CALLS,
    )
    return replace(config, server=replace(config.server, accept_after_term_s=0.0))


async def submitted(house: Served, model: str, **more: Any) -> str:
    answer = await house.generate(model, headers={"Prefer": "respond-async"}, size="1024x1024", **more)
    assert answer.status == 202, answer.body
    return answer.text("id")


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - nothing tells when an emulator has been called
            await asyncio.sleep(0.02)


def at(emulator: EvolinkEmulator | OpenAIEmulator, point: str) -> int:
    return sum(1 for request in emulator.requests if request.at == point)


async def test_another_gateway_goes_on_with_what_is_left(
    postgresql_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator, openai_emulator: OpenAIEmulator
) -> None:
    """A job that is asked for and a task behind it are taken up while the first still ends its call and its task; each is ordered and paid once."""
    evolink_emulator.work_s = LONG_S
    openai_emulator.always(b.Hang(bills=True))
    emulators = {"evolink": evolink_emulator, "openai": openai_emulator}
    config = config_of(tmp_path, postgresql_database, evolink_emulator, openai_emulator)
    async with serving(config, emulators, hands_over=True) as second:

        def taken_up() -> int:
            return second.log_lines().count(b"a task is taken up again")

        async with app.running(config, None, second.lines) as gateway:
            first = replace(second, config=gateway.config)
            kept = await submitted(first, BY_CALLS, quality="low")
            call = asyncio.ensure_future(first.generate(BY_CALLS, size="1024x1024", quality="low"))
            await until(lambda: at(openai_emulator, "create") == 2)
            job, behind = await submitted(first, BY_JOBS), await submitted(first, BY_JOBS)
            await until(lambda: at(evolink_emulator, "poll"))

            async def once_taken_up() -> tuple[object, ...]:
                await until(lambda: taken_up() == 2)
                states = [(await second.task(task)).json["status"] for task in (job, kept)]
                openai_emulator.release()
                evolink_emulator.work_s = 0.1
                return tuple(states)

            watching = asyncio.ensure_future(once_taken_up())
        assert await watching == ("processing", "processing"), "it was not handed over, but ended"
        assert (await call).status == 200
        assert (await second.task(kept)).json["status"] == "completed", "it ended in the drain"
        assert [(await second.ended(task))["status"] for task in (job, behind)] == ["completed", "completed"]
        assert taken_up() == 2
    assert (at(evolink_emulator, "create"), len(evolink_emulator.bills)) == (2, 2)
    assert (at(openai_emulator, "create"), len(openai_emulator.bills)) == (2, 2)


async def test_the_next_start_goes_on_with_what_is_left(
    sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator, openai_emulator: OpenAIEmulator
) -> None:
    """With one process: it does not wait for the job, and the next start asks for it at once."""
    evolink_emulator.work_s = LONG_S
    config = config_of(tmp_path, sqlite_database, evolink_emulator, openai_emulator)
    lines = LineWriter(io.BytesIO())
    async with app.running(config, None, lines) as gateway, aiohttp.ClientSession() as http:
        first = Served(gateway.config, http, {}, lines, io.BytesIO())
        tasks = [await submitted(first, BY_JOBS) for _ in range(2)]
        await until(lambda: at(evolink_emulator, "poll"))
    lines.close()
    assert evolink_emulator.bills == [], "it waited for the job"
    evolink_emulator.work_s = 0.1
    async with serving(config, {"evolink": evolink_emulator, "openai": openai_emulator}) as house:
        assert [(await house.ended(task))["status"] for task in tasks] == ["completed", "completed"]
    assert (at(evolink_emulator, "create"), len(evolink_emulator.bills)) == (2, 2)
