"""Callbacks against an independent model of the outbox, and bugs planted in it, which the machine must catch every one."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from dataclasses import replace

import pytest
from sqlalchemy import Text, bindparam, update

from gateway.callbacks import store
from gateway.db.schema import callbacks, tasks
from gateway.db.statements import Statement
from gateway.domain.callbacks import CallbackState
from gateway.domain.ids import new_callback_id
from gateway.domain.tasks import TaskState
from gateway.pipeline import apply as batch
from gateway.pipeline.commands import Lost
from gateway.tasks import store as task_store
from tests.proofs import Proof
from tests.property.callback_driving import drive_callbacks
from tests.property.callback_machine import CALLBACK_PAIRS, CALLBACK_VISITS, CallbackMachine
from tests.property.driving import drive, seek
from tests.property.ledgers import PostgresqlLedger, SqliteLedger
from tests.property.machines import SOAK, Plants, cases, caught, run, show_mutants, show_visits
from tests.property.task_machine import TaskLedger

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


def machine_on(ledger: TaskLedger) -> type[CallbackMachine]:
    class Machine(CallbackMachine):
        make_ledger = staticmethod(lambda: ledger)

    return Machine


@pytest.mark.timeout(600)
def test_every_end_is_told_as_the_model_says(sqlite: SqliteLedger, proof: Proof) -> None:
    """Each pair at least 20 times: rows, tries and answers are the model's."""
    CALLBACK_VISITS.clear()
    drive(machine_on(sqlite), drive_callbacks, runs=60 if SOAK else 14)
    run(machine_on(sqlite), examples=200 if SOAK else 6, steps=20)
    show_visits(proof, "callbacks on sqlite", CALLBACK_VISITS, CALLBACK_PAIRS)


@pytest.mark.timeout(600)
def test_on_postgresql_as_well(postgresql: PostgresqlLedger) -> None:
    """The same rules on the other database."""
    run(machine_on(postgresql), examples=40 if SOAK else 3, steps=6)


def _not_told(patch: pytest.MonkeyPatch, state: TaskState) -> None:
    genuine = store.callback_of
    patch.setattr(store, "callback_of", lambda task, at_ms: None if task.state is state else genuine(task, at_ms))


@plant
def failures_are_not_told(patch: pytest.MonkeyPatch) -> None:
    """Only a picture is worth a message."""
    _not_told(patch, TaskState.FAILED)


@plant
def cancellations_are_not_told(patch: pytest.MonkeyPatch) -> None:
    """Its caller knows, after all."""
    _not_told(patch, TaskState.CANCELLED)


@plant
def a_lost_worker_tells_as_well(patch: pytest.MonkeyPatch) -> None:
    """Who was replaced, or comes twice, writes another row."""
    genuine = batch._finish

    def finish(work, command):
        outcome = genuine(work, command)
        task = work.tasks.get(command.task_id)
        if isinstance(outcome, Lost) and task is not None and task.callback_url:
            work.callbacks.append(store.callback_of(task, work.now_ms))
        return outcome

    patch.setattr(batch, "_finish", finish)


@plant
def an_end_is_told_twice(patch: pytest.MonkeyPatch) -> None:
    """Two messages with two ids."""
    genuine = store.added_callbacks
    patch.setattr(
        store,
        "added_callbacks",
        lambda new: genuine([*new, *(replace(one, id=new_callback_id(one.created_at_ms)) for one in new)]),
    )


@plant
def it_is_given_up_at_once(patch: pytest.MonkeyPatch) -> None:
    """The row is there, and nobody sends it."""
    genuine = store.callback_of

    def callback_of(task, at_ms):
        made = genuine(task, at_ms)
        return made and replace(made, state=CallbackState.DEAD)

    patch.setattr(store, "callback_of", callback_of)


@plant_in_the_store
def a_stale_note_counts(patch: pytest.MonkeyPatch) -> None:
    """Whoever had claimed it once may write."""
    patch.setattr(
        store,
        "_NOTE",
        Statement(
            update(callbacks)
            .where(callbacks.c.id == bindparam("callback"), callbacks.c.state == CallbackState.DUE.value)
            .values(
                state=bindparam("became"), tries=bindparam("tried"), next_at_ms=bindparam("again"), answer=bindparam("said", type_=Text())
            )
            .returning(callbacks.c.id)
        ),
    )  # fmt: skip


@plant_in_the_store
def claims_of_one_millisecond_are_one(patch: pytest.MonkeyPatch) -> None:
    """Sent again while it is sent, and claimed anew before the clock moves: the first one's note counts as the second's."""
    patch.setattr(
        store,
        "_NOTE",
        Statement(
            update(callbacks)
            .where(
                callbacks.c.id == bindparam("callback"), callbacks.c.state == CallbackState.DUE.value,
                callbacks.c.next_at_ms == bindparam("claimed_until"),
            )
            .values(
                state=bindparam("became"), tries=bindparam("tried"), next_at_ms=bindparam("again"), answer=bindparam("said", type_=Text())
            )
            .returning(callbacks.c.id)
        ),
    )  # fmt: skip


@plant_in_the_store
def claims_are_taken_over(patch: pytest.MonkeyPatch) -> None:
    """Two deliverers send one message at once."""
    genuine = store.claim_callbacks
    patch.setattr(
        store,
        "claim_callbacks",
        lambda connection, ids, *, now_ms, until_ms: genuine(connection, ids, now_ms=2**60, until_ms=until_ms),
    )


@plant_in_the_store
def claims_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """What is being sent stays due."""
    genuine = store.claim_callbacks
    patch.setattr(
        store,
        "claim_callbacks",
        lambda connection, ids, *, now_ms, until_ms: genuine(connection, ids, now_ms=now_ms, until_ms=now_ms),
    )


@plant
def every_try_is_a_success(patch: pytest.MonkeyPatch) -> None:
    """Nothing is sent a second time."""
    genuine = store.note_try

    async def note_try(connection, claimed, made, state, **rest):
        return await genuine(connection, claimed, made, CallbackState.SENT, **rest)

    patch.setattr(store, "note_try", note_try)


@plant
def bodies_are_written_anew(patch: pytest.MonkeyPatch) -> None:
    """A second try says something else under the same id."""
    genuine = store.claim_callbacks

    async def claim(connection, ids, **times):
        return [replace(callback, body=None) for callback in await genuine(connection, ids, **times)]

    patch.setattr(store, "claim_callbacks", claim)


@plant_in_the_store
def what_was_erased_is_sent_again(patch: pytest.MonkeyPatch) -> None:
    """To nobody, with nothing."""
    patch.setattr(
        store,
        "_RESEND",
        Statement(
            update(callbacks)
            .where(callbacks.c.id == bindparam("callback"))
            .values(state=CallbackState.DUE.value, tries=0, next_at_ms=bindparam("again"))
        ),
    )


@plant_in_the_store
def what_is_erased_stays_due(patch: pytest.MonkeyPatch) -> None:
    """Its end is told although its caller wanted it forgotten."""
    patch.setattr(store, "_STOP_ERASED", Statement(update(callbacks).where(callbacks.c.id == "").values(answer="")))

    async def erase(connection, tasks):
        await connection.fetch(store._ERASE, tasks=tasks)

    patch.setattr(store, "erase_callbacks", erase)


@plant
def given_up_tasks_keep_their_epoch(patch: pytest.MonkeyPatch) -> None:
    """What a process that handed a task back still writes counts: it may end it beside the next one."""
    genuine = task_store.hand_back
    put_back = Statement(tasks.update().where(tasks.c.id == bindparam("task")).values(epoch=tasks.c.epoch - 1))

    async def hand_back(connection, owner, ids):
        released = await genuine(connection, owner, ids)
        for task_id in released:
            await connection.execute(put_back, task=task_id)
        return released

    patch.setattr(task_store, "hand_back", hand_back)


@pytest.mark.parametrize(("kind", "name"), cases(PLANTS, IN_THE_STORE))
@pytest.mark.timeout(300)
def test_every_planted_bug_is_caught(
    kind: str, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """The machine fails with the bug in place."""
    ledger: TaskLedger = request.getfixturevalue(kind)
    PLANTS[name](monkeypatch)
    how = caught(lambda: seek(machine_on(ledger), drive_callbacks, examples=60, steps=20))
    assert how is not None, "nobody noticed"
    show_mutants(proof, f"callbacks on {kind}", PLANTS, how, name)
