"""Bugs planted in the life of a task, one at a time, on both databases: the state machine must catch every one, or it proves nothing."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import bindparam, null

from gateway.db.schema import tasks, usage_daily
from gateway.db.statements import Statement, insert_rows
from gateway.domain.tasks import AttemptState, TaskState
from gateway.ledger import decide
from gateway.ledger import usage as usage_store
from gateway.ledger.model import HoldState
from gateway.pipeline import apply as batch
from gateway.pipeline.commands import Recorded
from gateway.pipeline.erasure import erased
from gateway.pipeline.repeating import Asked, Repeated, Repeats
from gateway.repeats import store as repeat_store
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erased, NotErased
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.ledger_world import KEYS, UPSTREAM
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.task_driving import drive_tasks
from tests.property.task_machine import TaskLedger
from tests.property.test_task_machine import machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


@plant
def epoch_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A worker that was replaced goes on."""
    genuine = batch._lost

    def lost(work, task_id, epoch):
        return genuine(work, task_id, work.tasks[task_id].epoch if task_id in work.tasks else epoch)

    patch.setattr(batch, "_lost", lost)


@plant
def older_epochs_only(patch: pytest.MonkeyPatch) -> None:
    """An epoch that never was is taken for the newest."""
    genuine = batch._lost

    def lost(work, task_id, epoch):
        known = work.tasks.get(task_id)
        return genuine(work, task_id, min(epoch, known.epoch) if known else epoch)

    patch.setattr(batch, "_lost", lost)


@plant
def cancel_after_send(patch: pytest.MonkeyPatch) -> None:
    """A picture that was sent for is cancelled."""
    genuine = batch._cancel

    def cancel(work, command):
        work.attempts[command.task_id] = {}
        return genuine(work, command)

    patch.setattr(batch, "_cancel", cancel)


@plant
def cancel_sees_only_what_is_submitted(patch: pytest.MonkeyPatch) -> None:
    """An attempt without a job's id does not count as sent."""
    genuine = batch._cancel

    def cancel(work, command):
        known = work.attempts.get(command.task_id, {})
        work.attempts[command.task_id] = {i: a for i, a in known.items() if a.state is not AttemptState.SENDING}
        return genuine(work, command)

    patch.setattr(batch, "_cancel", cancel)


@plant
def anybody_may_cancel(patch: pytest.MonkeyPatch) -> None:
    """The owner is not compared."""
    genuine = batch._cancel

    def cancel(work, command):
        task = work.tasks.get(command.task_id)
        return genuine(work, replace(command, account=task.account) if task else command)

    patch.setattr(batch, "_cancel", cancel)


@plant_in_the_store
def claim_takes_a_living_lease(patch: pytest.MonkeyPatch) -> None:
    """Two processes work on one task."""
    genuine = task_store.claim_tasks
    patch.setattr(
        task_store, "claim_tasks", lambda c, owner, *, before_ms, **rest: genuine(c, owner, before_ms=2**62, **rest)
    )


@plant_in_the_store
def claim_keeps_the_epoch(patch: pytest.MonkeyPatch) -> None:
    """The old owner's writes still count."""
    genuine = task_store._CLAIM

    class OldEpoch:
        async def claim(self, connection, owner, *, before_ms, until_ms, size):
            found = [
                task_store._task(row)
                for row in await connection.fetch(task_store._CLAIMABLE, before=before_ms, me=owner, size=size)
            ]
            await connection.write(genuine, [(owner, task.epoch, until_ms, task.id) for task in found])
            return [replace(task, owner=owner, epoch=task.epoch + 1) for task in found]

    patch.setattr(task_store, "claim_tasks", OldEpoch().claim)


@plant_in_the_store
def claim_has_no_bound(patch: pytest.MonkeyPatch) -> None:
    """One process takes more than it asked for."""
    genuine = task_store.claim_tasks
    patch.setattr(task_store, "claim_tasks", lambda c, owner, *, size, **rest: genuine(c, owner, size=1000, **rest))


@plant_in_the_store
def claim_gives_no_lease(patch: pytest.MonkeyPatch) -> None:
    """What was claimed may be claimed again at once."""
    genuine = task_store.claim_tasks
    patch.setattr(
        task_store, "claim_tasks", lambda c, owner, *, until_ms, **rest: genuine(c, owner, until_ms=0, **rest)
    )


@plant
def finish_twice_settles_twice(patch: pytest.MonkeyPatch) -> None:
    """The end of a finished task is written again, and its hold settled again."""
    genuine_lost, genuine_finish = batch._lost, batch._finish

    def lost(work, task_id, epoch):
        task = work.tasks.get(task_id)
        return None if task and task.state.is_final and task.epoch == epoch else genuine_lost(work, task_id, epoch)

    def finish(work, command):
        task, hold = work.tasks.get(command.task_id), work.books.holds.get(command.task_id)
        if task and task.state.is_final and hold and task.epoch == command.epoch:
            for account in hold.path:
                decide._balance(work.books, account).pending += hold.amount
            work.books.holds[task.id] = replace(hold, state=HoldState.PENDING)
            work.tasks[task.id] = replace(task, state=TaskState.PROCESSING)
        return genuine_finish(work, command)

    patch.setattr(batch, "_lost", lost)
    patch.setattr(batch, "_finish", finish)


@plant
def repeated_start_counts_twice(patch: pytest.MonkeyPatch) -> None:
    """An attempt that was given again is in flight twice."""
    genuine = batch._start

    def start(work, attempts):
        for attempt in attempts:
            if attempt.id in work.attempts.get(attempt.task_id, {}):
                presumed = attempt.presumed_cost_microusd
                decide.send(
                    work.books, UPSTREAM, attempt.task_id, attempt.id, presumed, attempt.sent_at_ms, work.now_ms
                )
        genuine(work, attempts)

    patch.setattr(batch, "_start", start)


@plant
def repeated_end_counts_twice(patch: pytest.MonkeyPatch) -> None:
    """An attempt that ended, and was said to have ended again, is paid twice."""
    genuine = batch._end

    def end(work, attempts):
        for attempt in attempts:
            work.attempts.get(attempt.task_id, {}).pop(attempt.id, None)
        genuine(work, attempts)

    patch.setattr(batch, "_end", end)


@plant
def attempts_cost_dropped(patch: pytest.MonkeyPatch) -> None:
    """What an attempt cost is paid to nobody."""
    genuine = decide.pay

    def pay(books, upstream, task_id, attempt_id, presumed, cost, *moments):
        genuine(books, upstream, task_id, attempt_id, presumed, 0, *moments)

    patch.setattr(decide, "pay", pay)


@plant
def doubt_not_booked(patch: pytest.MonkeyPatch) -> None:
    """What nobody knows is taken for unpaid."""
    genuine = batch._end

    def end(work, attempts):
        genuine(
            work, [replace(a, state=AttemptState.FAILED) if a.state is AttemptState.UNKNOWN else a for a in attempts]
        )

    patch.setattr(batch, "_end", end)


@plant_in_the_store
def extension_revives_a_finished_task(patch: pytest.MonkeyPatch) -> None:
    """A sign of life makes finished tasks unfinished."""
    genuine = task_store.extend_leases
    revive = Statement(
        tasks.update()
        .where(tasks.c.owner == bindparam("me"), tasks.c.state == TaskState.FAILED.value)
        .values(state=TaskState.PROCESSING.value, finished_at_ms=null())
    )

    async def extend(connection, owner, until_ms):
        await genuine(connection, owner, until_ms)
        await connection.execute(revive, me=owner)

    patch.setattr(task_store, "extend_leases", extend)


@plant_in_the_store
def extension_for_everyone(patch: pytest.MonkeyPatch) -> None:
    """One process's sign of life keeps the tasks of dead ones."""
    everyone = Statement(
        tasks.update().where(tasks.c.finished_at_ms.is_(None)).values(lease_until_ms=bindparam("until"))
    )

    async def extend(connection, owner, until_ms):
        await connection.execute(everyone, until=until_ms)

    patch.setattr(task_store, "extend_leases", extend)


@plant_in_the_store
def hand_back_of_others_tasks(patch: pytest.MonkeyPatch) -> None:
    """A process that ends gives away what others work on."""
    anyones = Statement(
        tasks.update()
        .where(tasks.c.id == bindparam("task"), tasks.c.finished_at_ms.is_(None))
        .values(owner="", lease_until_ms=0, epoch=tasks.c.epoch + 1)
    )

    async def hand_back(connection, owner, ids):
        for task_id in ids:
            await connection.execute(anyones, task=task_id)
        return list(ids)

    patch.setattr(task_store, "hand_back", hand_back)


@plant
def sent_task_stays_pending(patch: pytest.MonkeyPatch) -> None:
    """Its first attempt does not show in its state."""
    patch.setattr(batch, "_record", _without_states(batch._record))


@plant
def jobs_id_lost(patch: pytest.MonkeyPatch) -> None:
    """An asynchronous upstream's job cannot be asked for again."""
    genuine = batch._decide

    def decided(work, command):
        outcome = genuine(work, command)
        work.submitted.clear()
        return outcome

    patch.setattr(batch, "_decide", decided)


@plant
def attempts_of_a_dropped_offer_go_out(patch: pytest.MonkeyPatch) -> None:
    """The plan that was held for does not have their offer."""
    genuine = batch._accept
    patch.setattr(
        batch,
        "_accept",
        lambda work, command: genuine(
            work, replace(command, options=tuple(replace(option, has_first_offer=True) for option in command.options))
        ),
    )


@plant
def unknown_task_is_recorded(patch: pytest.MonkeyPatch) -> None:
    """A worker whose acceptance was never committed hears that all is well."""
    genuine = batch._record
    patch.setattr(
        batch, "_record", lambda work, command: genuine(work, command) if command.task_id in work.tasks else Recorded()
    )


@plant
def results_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A completed task without its pictures."""
    genuine = batch._finish
    patch.setattr(batch, "_finish", lambda work, command: genuine(work, replace(command, results=())))


@plant
def failed_task_is_charged(patch: pytest.MonkeyPatch) -> None:
    """Nothing was delivered, and the caller pays."""
    genuine = decide.settle
    patch.setattr(
        decide,
        "release",
        lambda books, task_id, now_ms: genuine(books, task_id, books.holds[task_id].amount, now_ms),
    )


@plant_in_the_store
def usage_keeps_the_first_task_of_a_day(patch: pytest.MonkeyPatch) -> None:
    """A row of the daily sums that is there stays as it is."""
    columns = (*usage_store._KEYS, *usage_store._SUMS)
    patch.setattr(usage_store, "_ADD", insert_rows(usage_daily, columns, ignore_repeats=True))


@plant
def usage_counts_what_exceeds_the_hold(patch: pytest.MonkeyPatch) -> None:
    """Usage shows a caller what was ours to pay."""
    genuine, seen = batch._finish, {}

    def finish(work, command):
        seen[command.task_id] = command.charge
        return genuine(work, command)

    def rows_of(task, shares):
        return genuine_rows(
            replace(task, charged=seen.popitem()[1] if task.delivered and seen else task.charged), shares
        )

    genuine_rows = usage_store.rows_of
    patch.setattr(batch, "_finish", finish)
    patch.setattr(usage_store, "rows_of", rows_of)


@plant
def anybody_may_erase(patch: pytest.MonkeyPatch) -> None:
    """A stranger's wish is an administrator's."""
    genuine = batch._erase
    patch.setattr(batch, "_erase", lambda work, command: genuine(work, replace(command, account=None)))


@plant
def erased_under_way(patch: pytest.MonkeyPatch) -> None:
    """A task that its worker still needs loses its prompt."""

    def erase(work, command):
        task = work.tasks.get(command.task_id)
        if task is None or command.account not in (None, task.account):
            return NotErased(None)
        work.tasks[task.id] = task = erased(task, work.now_ms)
        work.erased.append(task)
        return Erased(task)

    patch.setattr(batch, "_erase", erase)


@plant
def erasure_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Said to be erased, and the row stays as it was."""
    genuine = batch._erase

    def erase(work, command):
        outcome = genuine(work, command)
        work.erased.clear()
        return outcome

    patch.setattr(batch, "_erase", erase)


@plant_in_the_store
def two_tasks_for_one_key(patch: pytest.MonkeyPatch) -> None:
    """What was accepted in an earlier batch is not looked up."""
    genuine = Repeats.know
    patch.setattr(Repeats, "know", lambda self, keyed=(), *left: genuine(self, (), *left))


@plant
def two_tasks_for_one_key_of_a_batch(patch: pytest.MonkeyPatch) -> None:
    """A batch does not see its own earlier commands."""
    genuine = Repeats.remember

    def remember(self, task, repeat):
        known = dict(self.by_key)
        genuine(self, task, repeat)
        self.by_key.clear()
        self.by_key.update(known)

    patch.setattr(Repeats, "remember", remember)


@plant_in_the_store
def anothers_task_is_replayed(patch: pytest.MonkeyPatch) -> None:
    """The word of a key is looked up without the account."""
    genuine_values, genuine_earlier = Asked.values, Repeats.earlier

    def earlier(self, account, repeat):
        words = {word: row for (_, word), row in self.by_key.items()}
        return Repeated(words[repeat.key].task_id) if repeat.key in words else genuine_earlier(self, account, repeat)

    patch.setattr(Asked, "values", lambda self, since: {**genuine_values(self, since), "key_accounts": sorted(KEYS)})
    patch.setattr(Repeats, "earlier", earlier)


@plant
def another_body_is_replayed(patch: pytest.MonkeyPatch) -> None:
    """The hash is not compared."""
    genuine = Repeats.earlier

    def earlier(self, account, repeat):
        found = genuine(self, account, repeat)
        return None if found is None else Repeated(found.task_id, getattr(found, "taken_up", False))

    patch.setattr(Repeats, "earlier", earlier)


@plant_in_the_store
def taken_up_twice(patch: pytest.MonkeyPatch) -> None:
    """That a retry took a task up is not written down."""
    genuine = repeat_store.taken
    patch.setattr(repeat_store, "taken", lambda ids, at_ms: genuine((), at_ms))


@plant
def taken_up_twice_in_a_batch(patch: pytest.MonkeyPatch) -> None:
    """Two retries that are decided together get one task."""
    genuine = Repeats._is_free

    def is_free(self, task_id, account):
        taken, self.taken = self.taken, {}
        try:
            return genuine(self, task_id, account)
        finally:
            self.taken = taken

    patch.setattr(Repeats, "_is_free", is_free)


@plant
def anybody_may_take_up(patch: pytest.MonkeyPatch) -> None:
    """A task that was found goes to whoever names it."""
    genuine = Repeats._is_free

    def is_free(self, task_id, account):
        return genuine(self, task_id, self.left[task_id].row.account if task_id in self.left else account)

    patch.setattr(Repeats, "_is_free", is_free)


@plant
def erased_body_still_answers(patch: pytest.MonkeyPatch) -> None:
    """The hash of erased words is kept."""
    patch.setattr(Repeats, "erase", lambda self, task_id: None)


@plant
def abandoned_task_answers(patch: pytest.MonkeyPatch) -> None:
    """A call whose caller was told that nothing was accepted keeps its key."""
    patch.setattr(Repeats, "forget", lambda self, task: None)


def _without_states(genuine: Callable[..., object]) -> Callable[..., object]:
    def record(work, command):
        outcome = genuine(work, command)
        work.states.clear()
        return outcome

    return record


@pytest.mark.parametrize(("kind", "name"), cases(PLANTS, IN_THE_STORE))
@pytest.mark.timeout(300)
def test_every_planted_bug_is_caught(
    kind: str, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """The machine fails with the bug in place."""
    ledger: TaskLedger = request.getfixturevalue(kind)
    PLANTS[name](monkeypatch)
    how = caught(lambda: seek(machine_on(ledger), drive_tasks, examples=300, steps=40))
    assert how is not None, "nobody noticed"
    show_mutants(proof, f"tasks on {kind}", PLANTS, how, name)


def test_there_are_enough_of_them() -> None:
    """At least eight, and each says what it breaks."""
    assert len(PLANTS) >= 8
    assert all(function.__doc__ for function in PLANTS.values())
