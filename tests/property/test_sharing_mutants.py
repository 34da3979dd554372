"""Bugs planted in the cache's commands, one at a time: the state machine of shared pictures must catch every one, or it proves nothing."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from dataclasses import replace

import pytest

from gateway.domain.money import NOTHING
from gateway.domain.tasks import TaskState
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger import usage as usage_store
from gateway.pipeline import apply as batch
from gateway.pipeline import batch as batch_rows
from gateway.pipeline.commands import Finish, Lead, Serve, SourceGone
from gateway.pipeline.repeating import Repeats
from gateway.tasks import store as task_store
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.sharing_driving import drive_sharing
from tests.property.task_machine import TaskLedger
from tests.property.test_task_machine import sharing_machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


@plant
def erased_pictures_are_served(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the source was erased."""
    genuine = batch._has_pictures

    def has_pictures(work, source, account):
        task = work.tasks.get(source)
        if task is None or task.erased_at_ms is None:
            return genuine(work, source, account)
        work.tasks[source] = replace(task, erased_at_ms=None)
        try:
            return genuine(work, source, account)
        finally:
            work.tasks[source] = task

    patch.setattr(batch, "_has_pictures", has_pictures)


@plant
def pictures_are_served_to_their_last_moment(patch: pytest.MonkeyPatch) -> None:
    """Whoever deletes what has expired meets whoever was just pointed to it."""
    patch.setattr(batch, "SHARED_MS_MIN", 0)


@plant
def pictures_of_the_unfinished_are_served(patch: pytest.MonkeyPatch) -> None:
    """Only that the source is there counts."""
    patch.setattr(batch, "_has_pictures", lambda work, source, account: source in work.tasks)


@plant
def followers_take_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    """The end of one who waited does not look at its source again."""
    genuine = batch._finish

    def finish(work, command):
        outcome = genuine(work, command)
        if not isinstance(outcome, SourceGone):
            return outcome
        known, work.tasks[command.task_id] = (
            command.source,
            replace(work.tasks[command.task_id], source=command.source),
        )
        return genuine(work, replace(command, source=None)) if known else outcome

    patch.setattr(batch, "_finish", finish)


@plant
def charge_is_not_held(patch: pytest.MonkeyPatch) -> None:
    """A hit is charged without a look at any budget."""
    genuine = batch._serve

    def serve(work, command):
        terms, work.books.terms = work.books.terms, {}
        try:
            return genuine(work, command)
        finally:
            work.books.terms = terms

    patch.setattr(batch, "_serve", serve)


@plant
def hit_is_free(patch: pytest.MonkeyPatch) -> None:
    """Its share of the price is given back instead of settled."""
    genuine_serve, genuine_settle = batch._serve, decide.settle

    def serve(work, command):
        patch.setattr(decide, "settle", lambda books, task_id, charge, now_ms: decide.release(books, task_id, now_ms))
        try:
            return genuine_serve(work, command)
        finally:
            patch.setattr(decide, "settle", genuine_settle)

    patch.setattr(batch, "_serve", serve)


@plant
def hit_has_no_repeats(patch: pytest.MonkeyPatch) -> None:
    """The same call with the same key is served, and charged, again."""
    genuine = batch._serve

    def serve(work, command):
        return genuine(work, replace(command, repeat=None))

    patch.setattr(batch, "_serve", serve)


@plant
def hit_is_remembered_under_no_key(patch: pytest.MonkeyPatch) -> None:
    """It looks for its own repeat, and leaves nothing for the next one."""
    genuine_serve, genuine_remember = batch._serve, Repeats.remember

    def serve(work, command):
        patch.setattr(Repeats, "remember", lambda self, task, repeat: None)
        try:
            return genuine_serve(work, command)
        finally:
            patch.setattr(Repeats, "remember", genuine_remember)

    patch.setattr(batch, "_serve", serve)


@plant_in_the_store
def hits_have_no_results(patch: pytest.MonkeyPatch) -> None:
    """The rows of those that are served are forgotten: links to nothing."""
    genuine = task_store.added_results
    patch.setattr(task_store, "added_results", lambda ended: genuine([task for task in ended if task.cache != "hit"]))


@plant
def hits_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Usage does not tell a hit from a picture that was made."""
    genuine = usage_store.row_of_shared
    patch.setattr(usage_store, "row_of_shared", lambda task: replace(genuine(task), cache_hits=0))


@plant
def every_hit_is_taken_for_free(patch: pytest.MonkeyPatch) -> None:
    """What a hit costs is neither locked, nor held, nor charged."""
    patch.setattr(Serve, "is_free", property(lambda command: True))


@plant
def followers_save_nothing(patch: pytest.MonkeyPatch) -> None:
    """What a joined call did not cost is in no report."""
    genuine = batch._finish
    patch.setattr(batch, "_finish", lambda work, command: genuine(work, replace(command, saved_microusd=0)))


@plant
def follower_settles_more_than_it_holds(patch: pytest.MonkeyPatch) -> None:
    """The difference to its part of the price is booked as ours, as if somebody had been paid for it."""
    genuine = batch._finish

    def finish(work, command):
        source = work.tasks.get(command.source) if command.source else None
        task = work.tasks.get(command.task_id)  # none where its acceptance was never committed
        if source is None or task is None or not batch._has_pictures(work, source.id, task.account):
            return genuine(work, command)
        return genuine(work, replace(command, source=None))

    patch.setattr(batch, "_finish", finish)


@plant
def the_whole_is_added_to_the_part(patch: pytest.MonkeyPatch) -> None:
    """Who leads holds the price beside its part of it, and not in place of it."""
    genuine = decide.raise_hold

    def raise_hold(books, task_id, options, *rest):
        hold = books.holds[task_id]
        return genuine(books, task_id, [option + hold.amount for option in options], *rest)

    patch.setattr(decide, "raise_hold", raise_hold)


@plant
def one_account_of_the_path_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The org does not hold what the key of a leader holds."""
    genuine_raise, genuine_hold = decide.raise_hold, decide._hold

    def raise_hold(*given):
        patch.setattr(
            decide, "_hold", lambda books, path, windows, *rest: genuine_hold(books, path[:-1], windows[:-1], *rest)
        )
        try:
            return genuine_raise(*given)
        finally:
            patch.setattr(decide, "_hold", genuine_hold)

    patch.setattr(decide, "raise_hold", raise_hold)


@plant
def lead_without_a_look_at_budgets(patch: pytest.MonkeyPatch) -> None:
    """Whoever waited may make pictures that nobody can pay for."""
    genuine = decide.raise_hold

    def raise_hold(books, *rest):
        terms, books.terms = books.terms, {}
        try:
            return genuine(books, *rest)
        finally:
            books.terms = terms

    patch.setattr(decide, "raise_hold", raise_hold)


@plant
def lead_is_asked_for_the_whole(patch: pytest.MonkeyPatch) -> None:
    """What is held already does not count towards the price, so that a call is refused which fits."""
    genuine_raise, genuine_refusal = decide.raise_hold, decide._refusal

    def raise_hold(books, task_id, *rest):
        held = books.holds[task_id].amount
        patch.setattr(
            decide, "_refusal", lambda books, path, amount, moment: genuine_refusal(books, path, amount + held, moment)
        )
        try:
            return genuine_raise(books, task_id, *rest)
        finally:
            patch.setattr(decide, "_refusal", genuine_refusal)

    patch.setattr(decide, "raise_hold", raise_hold)


@plant_in_the_store
def raised_hold_is_not_written(patch: pytest.MonkeyPatch) -> None:
    """The balances have it, the row of the hold does not."""
    genuine = ledger_store.changes

    def changes(books):
        books.raised.clear()
        return genuine(books)

    patch.setattr(ledger_store, "changes", changes)


@plant_in_the_store
def lead_is_not_written(patch: pytest.MonkeyPatch) -> None:
    """The row still says for whom the task waits, and what it held before."""
    genuine = task_store.leading_tasks
    patch.setattr(task_store, "leading_tasks", lambda leading: genuine(()))


@plant
def leader_keeps_its_source(patch: pytest.MonkeyPatch) -> None:
    """After a crash it waits again for a task that is over."""
    genuine = batch._lead

    def lead(work, command):
        before = work.tasks.get(command.task_id)
        outcome = genuine(work, command)
        work.leading = [
            replace(task, source=before.source) if before and task.id == before.id else task for task in work.leading
        ]
        return outcome

    patch.setattr(batch, "_lead", lead)


@plant
def replaced_worker_leads(patch: pytest.MonkeyPatch) -> None:
    """The epoch of a lead is not compared."""
    genuine = batch._lead

    def lead(work, command):
        task = work.tasks.get(command.task_id)
        return genuine(work, replace(command, epoch=task.epoch) if task else command)

    patch.setattr(batch, "_lead", lead)


@plant
def follower_keeps_no_source(patch: pytest.MonkeyPatch) -> None:
    """Nobody can tell any more whose pictures it has, and they are deleted with their maker."""
    genuine = batch._ended

    def ended(work, task, before, ended, charged, command, shares):
        shared = isinstance(command, Finish) and command.source is not None
        return genuine(work, replace(task, source=None) if shared else task, before, ended, charged, command, shares)

    patch.setattr(batch, "_ended", ended)


@plant
def batch_does_not_look_up_the_source(patch: pytest.MonkeyPatch) -> None:
    """The row of a follower's source is not read under lock."""
    genuine = batch_rows._named

    def named(commands):
        return genuine([replace(one, source=None) if isinstance(one, Finish) else one for one in commands])

    patch.setattr(batch_rows, "_named", named)


@plant
def lead_takes_any_option(patch: pytest.MonkeyPatch) -> None:
    """The plan of the dearest option, whichever was held for."""
    genuine = batch._lead

    def lead(work, command: Lead):
        first = command.options[0].plan_json
        return genuine(work, replace(command, options=tuple(replace(one, plan_json=first) for one in command.options)))

    patch.setattr(batch, "_lead", lead)


@plant
def served_task_is_unfinished(patch: pytest.MonkeyPatch) -> None:
    """A hit is stored as it was accepted, for somebody to work on."""
    genuine = batch._serve

    def serve(work, command):
        outcome = genuine(work, command)
        work.added = [
            (replace(task, state=TaskState.PENDING, finished_at_ms=None), until)
            if task in work.served
            else (task, until)
            for task, until in work.added
        ]
        return outcome

    patch.setattr(batch, "_serve", serve)


@plant
def follower_is_charged_nothing(patch: pytest.MonkeyPatch) -> None:
    """Its part of the price is held, and never taken."""
    genuine = batch._finish
    patch.setattr(
        batch,
        "_finish",
        lambda work, command: genuine(work, replace(command, charge=NOTHING) if command.source else command),
    )


@pytest.mark.parametrize(("kind", "name"), cases(PLANTS, IN_THE_STORE))
@pytest.mark.timeout(300)
def test_every_planted_bug_is_caught(
    kind: str, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """The machine fails with the bug in place."""
    ledger: TaskLedger = request.getfixturevalue(kind)
    PLANTS[name](monkeypatch)
    how = caught(lambda: seek(sharing_machine_on(ledger), drive_sharing, examples=60, steps=25))
    assert how is not None, "nobody noticed"
    show_mutants(proof, f"the cache on {kind}", PLANTS, how, name)


def test_there_are_enough_of_them() -> None:
    """At least ten, and each says what it breaks."""
    assert len(PLANTS) >= 10
    assert all(function.__doc__ for function in PLANTS.values())
