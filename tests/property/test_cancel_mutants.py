"""Bugs planted in what becomes of a wish to cancel, one at a time: the state machine of tasks must catch every one."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from dataclasses import replace

import pytest

from gateway.domain.money import NOTHING
from gateway.domain.tasks import TaskState
from gateway.pipeline import apply as batch
from gateway.pipeline import cancel_rules
from gateway.pipeline.cancel_rules import Wish
from gateway.tasks import store as task_store
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.task_driving import drive_tasks
from tests.property.task_machine import TaskLedger
from tests.property.test_task_machine import machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


@plant
def wish_after_send_ends_the_task(patch: pytest.MonkeyPatch) -> None:
    """What is out at an upstream that can cancel is forgotten: its bill, or its picture, comes for nobody."""
    genuine = cancel_rules.decided
    patch.setattr(batch, "decided", lambda *known: Wish.GRANTED if (w := genuine(*known)) is Wish.NOTED else w)


@plant
def paid_picture_thrown_away(patch: pytest.MonkeyPatch) -> None:
    """Only what is out counts, not what is there."""
    genuine = cancel_rules.decided
    patch.setattr(
        batch,
        "decided",
        lambda task, attempts, offers: genuine(task, [one for one in attempts if one.state.is_open], offers),
    )


@plant
def wish_is_not_written(patch: pytest.MonkeyPatch) -> None:
    """The caller hears that it was noted, and nobody else does."""
    genuine = batch._cancel

    def cancel(work, command):
        outcome = genuine(work, command)
        work.wishes.clear()
        return outcome

    patch.setattr(batch, "_cancel", cancel)


@plant
def sent_after_the_wish(patch: pytest.MonkeyPatch) -> None:
    """The next offer is tried although nobody wants the picture."""
    genuine = batch._record

    def record(work, command):
        task = work.tasks.get(command.task_id)
        if task is not None:
            work.tasks[task.id] = replace(task, cancel_requested=False)
        return genuine(work, command)

    patch.setattr(batch, "_record", record)


@plant
def the_end_of_what_was_cancelled_is_lost(patch: pytest.MonkeyPatch) -> None:
    """Where a start is refused, the end that came with it is not written."""
    genuine = batch._record

    def record(work, command):
        task = work.tasks.get(command.task_id)
        wished = task is not None and task.cancel_requested and command.started
        return genuine(work, replace(command, ended=()) if wished else command)

    patch.setattr(batch, "_record", record)


@plant
def billed_cancel_is_our_loss_as_well(patch: pytest.MonkeyPatch) -> None:
    """The caller pays for it, and so do we."""
    patch.setattr(batch, "was_cancelled_and_billed", lambda attempt: False)


@plant
def billed_cancel_is_free(patch: pytest.MonkeyPatch) -> None:
    """What a cancelled task was billed is not charged."""
    genuine = batch._finish
    patch.setattr(
        batch,
        "_finish",
        lambda work, command: genuine(
            work, replace(command, charge=NOTHING) if command.state is TaskState.CANCELLED else command
        ),
    )


@plant
def cancelled_wins_over_completed(patch: pytest.MonkeyPatch) -> None:
    """A wish that came too late takes the picture, and its charge, back."""
    genuine = batch._finish

    def finish(work, command):
        task = work.tasks.get(command.task_id)
        late = task is not None and task.cancel_requested and command.state is TaskState.COMPLETED
        return genuine(work, replace(command, state=TaskState.CANCELLED, charge=NOTHING) if late else command)

    patch.setattr(batch, "_finish", finish)


@plant
def second_wish_is_refused(patch: pytest.MonkeyPatch) -> None:
    """Cancelled twice is not as once."""
    genuine = cancel_rules.decided
    patch.setattr(batch, "decided", lambda *known: Wish.REFUSED if (w := genuine(*known)) is Wish.HEARD else w)


@plant
def every_upstream_can_cancel(patch: pytest.MonkeyPatch) -> None:
    """A wish is noted for a picture that cannot be called back."""
    genuine = cancel_rules.decided
    patch.setattr(batch, "decided", lambda task, attempts, _: genuine(task, attempts, {"u/m", "u/c"}))


@plant_in_the_store
def wish_of_everybody(patch: pytest.MonkeyPatch) -> None:
    """A task that was accepted is wished away at once."""
    genuine = task_store._task_row
    patch.setattr(task_store, "_task_row", lambda task: genuine(replace(task, cancel_requested=True)))


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
    show_mutants(proof, f"cancels on {kind}", PLANTS, how, name)
