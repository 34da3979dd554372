"""The outbox of callbacks on real databases: what is written when a task ends, who claims it, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial

import pytest

from gateway.administration.callbacks import Callbacks
from gateway.callbacks import store
from gateway.callbacks.deliverer import LEASE_MS, Deliverer
from gateway.callbacks.lanes import PER_HOST
from gateway.db.connection import Connection, StatementFailed
from gateway.db.engine import open_database
from gateway.db.url import Dialect, parse_database_url
from gateway.db.writer import Transact
from gateway.domain.callbacks import Callback, CallbackState
from gateway.domain.errors import Conflict, StorageUnavailable
from gateway.domain.ids import TaskId, new_task_id
from gateway.domain.tasks import TaskState
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import Accepted, Cancel, Finish, Finished, Lost
from gateway.tasks.erasing import Erase, Erased
from tests.books import KEY, RATE, accept, completed, new_attempt, new_task, succeeded
from tests.contract.callback_world import World, callback_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with callback_world(database_url) as made:
        yield made


async def test_every_end_of_a_task_writes_its_callback(world: World) -> None:
    """Completed, failed, cancelled: one row each, in the transaction of the end. Without a URL, or before the end: none; a second end: no second."""

    async def accepted(url: str | None) -> TaskId:
        task = replace(new_task(), id=new_task_id(1_757_165_031_000), callback_url=url)
        assert isinstance(await world.database.write(accept(task, 2)), Accepted)
        return task.id

    async def of(task_id: TaskId) -> Callback | None:
        return await world.database.read(partial(store.read_callback_of, task=task_id))

    url = "https://hooks.acme.com/a?token=1"
    made, failed, cancelled, silent = [await accepted(link) for link in (url, url, url, None)]
    assert await of(made) is None
    task = replace(new_task(), id=made)
    finish = completed(task, 1, succeeded(new_attempt(task)))
    finish = replace(finish, ended=())
    assert isinstance(await world.database.write(finish), Finished)
    assert isinstance(await world.database.write(finish), Lost)
    error = Finish(failed, 1, TaskState.FAILED, RATE, finish.charge)
    assert isinstance(await world.database.write(error), Finished)
    assert isinstance(await world.database.write(Cancel(cancelled, KEY, RATE)), Finished)
    assert isinstance(await world.database.write(Finish(silent, 1, TaskState.FAILED, RATE, finish.charge)), Finished)
    rows = [await of(task_id) for task_id in (made, failed, cancelled)]
    for row in rows:
        assert row is not None
        assert (row.url, row.host, row.account, row.body) == (url, "hooks.acme.com:443", KEY, None)
        assert (row.state, row.tries, row.next_at_ms) == (CallbackState.DUE, 0, row.created_at_ms)
    assert await of(silent) is None
    assert len(await Callbacks(world.database, world.clock).page(size=10)) == 3


async def claim(world: World, callback: Callback) -> Callback:
    """As a process does before it sends."""
    won: list[Callback] = []

    async def write(connection: Connection, _: int) -> None:
        now_ms = world.clock.ms
        won[:] = await store.claim_callbacks(connection, [callback.id], now_ms=now_ms, until_ms=now_ms + LEASE_MS)

    await world.database.write(Transact(write))
    return won[0]


async def test_what_a_dead_process_had_claimed_is_sent_after_its_lease(world: World) -> None:
    """Killed before the send, or between the send and its note: another one sends it, under the same id; a late note overwrites nothing."""
    [callback] = await world.add()
    claimed = await claim(world, callback)
    deliverer = world.deliverer()
    world.clock.ms += LEASE_MS - 1
    assert await deliverer.deliver_due() == 0
    world.clock.ms += 1
    assert await deliverer.deliver_due() == 1
    assert world.receiver.received[0].id == callback.id
    made = (await world.record(callback)).tries[0]
    noted: list[bool] = []

    async def late(connection: Connection, _: int) -> None:
        noted.append(await store.note_try(connection, claimed, made, CallbackState.DEAD, next_at_ms=0, answer="late"))

    await world.database.write(Transact(late))
    record = await world.record(callback)
    assert (noted, record.callback.state, len(record.tries)) == ([False], CallbackState.SENT, 1)


async def test_two_processes_do_not_both_send(world: World, database_url: str) -> None:
    """Forty callbacks to ten hosts, two deliverers at once: each message arrives once."""
    for number in range(10):
        await world.add(4, url=f"http://127.0.0.1:{world.receiver.port}/{number}")
    second = world.database
    if second.dialect is Dialect.POSTGRESQL:
        second = await open_database(parse_database_url(database_url), apply, world.clock)
        world.stack.push_async_callback(second.close)

    async def all_of(deliverer: Deliverer) -> None:
        while await deliverer.deliver_due():
            pass

    await asyncio.gather(all_of(world.deliverer()), all_of(world.deliverer(database=second)))
    assert await world.deliverer().deliver_due() == 0
    ids = [message.id for message in world.receiver.received]
    assert len(ids) == len(set(ids)) == 40


async def test_an_erased_task_is_not_told_any_more(world: World) -> None:
    """Its URL, body and answers are gone, what was due is given up, and it cannot be sent again; that it was told stays."""
    urls = (world.receiver.url, world.receiver.url)
    ids: list[TaskId] = []
    for url in urls:
        task = replace(new_task(), id=new_task_id(1_757_165_031_000), callback_url=url)
        await world.database.write(accept(task, 2))
        finished = await world.database.write(Cancel(task.id, KEY, RATE))
        assert isinstance(finished, Finished)
        ids.append(task.id)
        if not world.receiver.received:
            world.clock.ms = 2**41
            assert await world.deliverer().deliver_due() == 1
    for task_id in ids:
        erased = await world.database.write(Erase(task_id, KEY))
        assert isinstance(erased, Erased)
        assert erased.task.callback_url is None
    told, untold = [await world.database.read(partial(store.read_callback_of, task=task_id)) for task_id in ids]
    assert told is not None
    assert untold is not None
    assert (told.state, untold.state, untold.answer) == (CallbackState.SENT, CallbackState.DEAD, store.ERASED)
    for callback in (told, untold):
        assert (callback.url, callback.host, callback.body) == ("", "", None)
    assert [made.answer for made in (await world.record(told)).tries] == [None]
    assert await world.deliverer().deliver_due() == 0
    with pytest.raises(Conflict, match="erased"):
        await Callbacks(world.database, world.clock).resend(untold.id)


async def test_one_that_cannot_be_rendered_or_signed_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task was deleted, or its key is not known: nothing is sent, and the answer says so."""

    async def nothing(_: object) -> Mapping[TaskId, str]:
        return {}

    [callback] = await world.add()
    monkeypatch.setattr(world, "render", nothing)
    await world.deliverer().deliver_due()
    assert (await world.record(callback)).callback.answer == "its task is gone"
    monkeypatch.undo()
    [callback] = await world.add()
    monkeypatch.setattr(world, "secrets", nothing)
    await world.deliverer().deliver_due()
    record = await world.record(callback)
    assert (record.callback.state, record.callback.answer) == (CallbackState.DEAD, "its key is gone")
    assert world.receiver.received == []


async def test_the_figures_are_those_of_the_outbox(world: World) -> None:
    """How many are due and how many were given up, by a look at the database."""
    world.receiver.answers = [410]
    await world.add(5)
    deliverer = world.deliverer()
    assert await deliverer.deliver_due() == PER_HOST
    await deliverer._look(0)
    assert world.metric("gateway_callbacks_due 1.0")
    assert world.metric("gateway_callbacks_dead 1.0")


async def test_ended_ones_are_deleted_with_their_tries(world: World) -> None:
    """After the time for which tasks are kept; what is still due stays."""
    [sent] = await world.add()
    deliverer = world.deliverer()
    await deliverer.deliver_due()
    [due] = await world.add()
    world.clock.ms += 3_600_000
    assert await deliverer.sweep() == 0, "kept for so long"
    world.clock.ms += 1
    assert await deliverer.sweep() == 1
    left = await Callbacks(world.database, world.clock).page(size=10)
    assert [callback.id for callback in left] == [due.id]
    assert await world.database.read(partial(store.read_tries, callback_id=sent.id, size=10)) == []


async def test_the_run_survives_a_database_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks fail, notes fail; the next ones go through: the receiver has every message, and one that could not be noted a second time."""
    monkeypatch.setattr("gateway.callbacks.deliverer.LOOK_S", 0.01)
    deliverer = world.deliverer()
    looks: list[Exception] = [StatementFailed("no"), StorageUnavailable("no")]
    claim_really, note_really, notes = deliverer._claim, deliverer._note, [StorageUnavailable("no")]

    async def claim_sometimes() -> object:
        if looks:
            raise looks.pop()
        return await claim_really()

    async def note_sometimes(*given: object) -> object:
        if notes:
            raise notes.pop()
        return await note_really(*given)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(deliverer, "_claim", claim_sometimes)
    monkeypatch.setattr(deliverer, "_note", note_sometimes)
    [callback] = await world.add()
    running = asyncio.create_task(deliverer.run())
    await world.receiver.until(1)
    await asyncio.sleep(0.1)
    world.clock.ms += LEASE_MS
    await world.receiver.until(2)
    async with asyncio.timeout(30):
        while (await world.record(callback)).callback.state is not CallbackState.SENT:  # noqa: ASYNC110 - a row tells nobody
            await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert {message.id for message in world.receiver.received} == {callback.id}
