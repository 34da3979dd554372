"""What circuits hear of attempts that ended for other reasons than their upstream's. Scripted adapters, a real database and real files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.catalog import Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.tasks import Fault, TaskState
from gateway.pipeline.commands import Cancel, Finished
from gateway.pipeline.frozen import read_plan
from gateway.pipeline.work import Work
from gateway.routing.health import FAILURES_IN_A_ROW_MAX, _Circuit
from tests.books import KEY, RATE, Gateway, opened
from tests.integration.test_making import REQUEST, ScriptedAdapter, house_of, resumed, sending


@pytest.fixture
async def database(sqlite_database: str) -> AsyncIterator[Gateway]:
    database = await opened(sqlite_database)
    yield database
    await database.close()


@pytest.mark.parametrize("where", ["waiting for a place", "at the upstream"])
async def test_a_task_that_is_lost_gives_its_probe_back(database: Gateway, tmp_path: Path, where: str) -> None:
    """Its circuit was half open: whoever comes next may probe, instead of nobody for four minutes."""
    only = ScriptedAdapter("only", recovery=Recovery.ASYNC_JOB, job="job-1")
    house = await house_of(database, tmp_path, only)
    circuits = house.tools.circuits
    circuits._circuits.setdefault("only/m", _Circuit()).open(Fault.FAILED, 0.0, alert=False)
    task = await house.accepted()
    ended = asyncio.get_running_loop().create_future()
    work = Work(
        task, read_plan(task.plan_json), REQUEST, ended, 0.0, deadline_s=SystemClock().monotonic_s() + 5
    )  # fmt: skip
    taken = await house.tools.slots.try_acquire("only", 4)
    await house.runner.start(work)
    async with asyncio.timeout(30):
        while not circuits.is_open("only/m"):  # noqa: ASYNC110 - until it waits for its place, and is the probe
            await asyncio.sleep(0.005)
    if where == "at the upstream":
        only.job, only.release = None, asyncio.Event()
        taken.pop().release()
        await asyncio.wait_for(only.called.wait(), 30)
        assert work.worker is not None
        work.worker.cancel()
    else:
        assert isinstance(await database.write(Cancel(task.id, KEY, RATE)), Finished)
        taken.pop().release()
    assert await asyncio.wait_for(ended, 30) is None
    assert circuits.allows("only/m")


async def test_the_end_of_our_own_process_is_no_failure_of_the_upstream(database: Gateway, tmp_path: Path) -> None:
    """What was under way at a crash is in doubt, and the upstream is asked for the next picture all the same."""
    only = ScriptedAdapter("only")
    house = await house_of(database, tmp_path, only)
    for _ in range(FAILURES_IN_A_ROW_MAX):
        assert (await resumed(house, sending(house, "only"))).task.state is TaskState.FAILED
    assert not house.tools.circuits.is_open("only/m")
