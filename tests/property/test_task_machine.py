"""Tasks against an independent model: on SQLite, on PostgreSQL, and on both with every answer compared."""

import pytest

from gateway.pipeline.commands import HoldOption, Lead, RecordAttempts
from tests.proofs import Proof
from tests.property.driving import drive
from tests.property.ledger_world import KEYS, RATE
from tests.property.ledgers import BothLedgers, PostgresqlLedger, SqliteLedger
from tests.property.machines import SOAK, run, show_visits
from tests.property.sharing_machine import SHARED, SHARED_PAIRS, SharingMachine
from tests.property.task_commands import amount, cancel_of
from tests.property.task_driving import drive_tasks
from tests.property.task_machine import LIVING_MS, OWNERS, PAIRS, VISITS, TaskLedger, TaskMachine


def machine_on(ledger: TaskLedger) -> type[TaskMachine]:
    class Machine(TaskMachine):
        make_ledger = staticmethod(lambda: ledger)

    return Machine


def sharing_machine_on(ledger: TaskLedger) -> type[SharingMachine]:
    class Machine(SharingMachine):
        make_ledger = staticmethod(lambda: ledger)

    return Machine


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tasks_are_their_model_and_every_pair_is_visited(sqlite: SqliteLedger, proof: Proof) -> None:
    """All commands in all states, each pair at least 20 times: answers, tasks, attempts, balances and audit are the model's."""
    VISITS.clear()
    drive(machine_on(sqlite), drive_tasks, runs=200 if SOAK else 38)
    run(machine_on(sqlite), examples=900 if SOAK else 40, steps=50)
    show_visits(proof, "tasks on sqlite", VISITS, PAIRS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_shared_pictures_are_the_models_and_every_pair_is_visited(sqlite: SqliteLedger, proof: Proof) -> None:
    """Hits, followers and leaders among all the rest, each pair at least 20 times: also usage, and whose pictures anybody has."""
    SHARED.clear()
    run(sharing_machine_on(sqlite), examples=400 if SOAK else 50, steps=25)
    show_visits(proof, "the cache on sqlite", SHARED, SHARED_PAIRS)


if SOAK:  # PostgreSQL alone as often as SQLite takes minutes; `make test` has the comparison below

    @pytest.mark.slow
    @pytest.mark.timeout(1200)
    def test_tasks_on_postgresql_visit_every_pair_as_well(postgresql: PostgresqlLedger, proof: Proof) -> None:
        """The same machine in full on the other database."""
        VISITS.clear()
        run(machine_on(postgresql), examples=450, steps=50)
        show_visits(proof, "tasks on postgresql", VISITS, PAIRS)


@pytest.mark.timeout(600)
def test_both_databases_treat_tasks_alike(sqlite: SqliteLedger, postgresql: PostgresqlLedger) -> None:
    """Differentially: the same batches, the same answers, the same rows."""
    run(machine_on(BothLedgers(sqlite, postgresql)), examples=150 if SOAK else 10, steps=30)
    run(sharing_machine_on(BothLedgers(sqlite, postgresql)), examples=100 if SOAK else 8, steps=20)


def test_the_last_of_two_leads_in_a_batch_is_the_one_that_is_written(
    sqlite: SqliteLedger, postgresql: PostgresqlLedger
) -> None:
    """The first had room for the cheaper plan alone; by the second, another call had ended. And what is recorded after a lead stays."""
    both = BothLedgers(sqlite, postgresql)
    machine = sharing_machine_on(both)()
    machine.limit(org=12, key=None)
    for size in (9, 1):
        machine._accept_once(KEYS[0], (size,), 0, OWNERS[0], LIVING_MS, cancelled=False)
    other, task = (machine.model.tasks[task_id] for task_id in machine.order)
    lead = Lead(
        task.id, task.epoch, (HoldOption(amount(8), "0"), HoldOption(amount(2), "1")), RATE, task.path, task.created
    )
    machine._do(lead, cancel_of(other.id, other.path[0]), lead, RecordAttempts(task.id, task.epoch, plan_json="7"))
    task.plan = "7"
    machine.the_database_says_what_the_model_says()
    machine.teardown()
