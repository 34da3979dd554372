"""The ledger against an independent model, on SQLite, and on both databases with every outcome compared."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.ledger_machine import VISITS, Ledger, LedgerMachine
from tests.property.ledgers import BothLedgers, PostgresqlLedger, SqliteLedger

VISITS_MIN = 20
UNFINISHED, FINISHED = ("pending", "processing"), ("completed", "failed", "cancelled")
PAIRS = {
    ("none", "accept"), ("none", "accept refused"), ("processing", "end attempt"),
    *((state, operation) for state in (*UNFINISHED, *FINISHED) for operation in (
        "send", "stale send", "complete", "fail", "stale complete", "stale fail", "cancel", "foreign cancel", "take over",
    )),
}  # fmt: skip


def run(ledger: Ledger, *, examples: int, steps: int, shrinking: bool = True) -> None:
    """Drive a ledger through so many runs. Without shrinking the first failure is enough."""

    class Machine(LedgerMachine):
        make_ledger = staticmethod(lambda: ledger)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            report_multiple_bugs=False,
            phases=tuple(Phase) if shrinking else (Phase.generate,),
        ),
    )


@pytest.fixture
def postgresql(postgresql_database: str) -> Iterator[PostgresqlLedger]:
    ledger = PostgresqlLedger(postgresql_database)
    yield ledger
    ledger.close()


def test_the_ledger_is_its_model_and_every_pair_is_visited() -> None:
    """All operations in all states, each pair at least 20 times: outcomes, balances, states and audit are the model's."""
    VISITS.clear()
    run(SqliteLedger(), examples=900, steps=50)
    rare = {pair: VISITS[pair] for pair in PAIRS if VISITS[pair] < VISITS_MIN}
    assert rare == {}
    assert set(VISITS) <= PAIRS, "a pair that nobody thought of"


def test_both_databases_do_the_same(postgresql: PostgresqlLedger) -> None:
    """Differentially: the same batches, the same outcomes, the same books."""
    run(BothLedgers(SqliteLedger(), postgresql), examples=25, steps=30)
