"""The ledger against an independent model: on SQLite, on PostgreSQL, and on both with every outcome compared."""

import pytest

from tests.proofs import Proof
from tests.property.driving import drive
from tests.property.ledger_driving import drive_ledger
from tests.property.ledger_machine import VISITS, WINDOWS
from tests.property.ledger_model import CALENDAR, UNITS
from tests.property.ledger_world import Ledger
from tests.property.ledgers import BothLedgers, PostgresqlLedger, SqliteLedger
from tests.property.machines import SOAK, run, show_visits
from tests.property.upstream_machine import UpstreamMachine

UNFINISHED, FINISHED = ("pending", "processing"), ("completed", "failed", "cancelled")
PAIRS = {
    ("none", "accept"), ("none", "accept refused"), ("processing", "end attempt"),
    *((state, operation) for state in (*UNFINISHED, *FINISHED) for operation in (
        "send", "stale send", "complete", "fail", "stale complete", "stale fail", "cancel", "foreign cancel", "take over",
    )),
    *((what, f"ended in {when} {window}") for what in ("task", "attempt", "doubt") for when in ("the same", "another") for window in CALENDAR),
    *(("refused by", f"{unit}/{window}") for unit in UNITS for window in WINDOWS), ("refused by", "credits/granted"),
    *((what, how) for what in ("prepaid", "not prepaid") for how in ("grant", "take", "refused take")),
    *(("upstream refused by", window) for window in WINDOWS), ("parts", "sent"), ("parts", "wait"),
    *((what, how) for what in ("last micro-dollar", "fail over") for how in ("sent", "refused")),
    *((state, f"resolve {how}") for state in ("processing", *FINISHED) for how in ("paid", "unpaid")),
    ("doubt", "resolved again"), ("in flight", "resolve"),
}  # fmt: skip


def machine_on(ledger: Ledger) -> type[UpstreamMachine]:
    class Machine(UpstreamMachine):
        make_ledger = staticmethod(lambda: ledger)

    return Machine


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_ledger_is_its_model_and_every_pair_is_visited(sqlite: SqliteLedger, proof: Proof) -> None:
    """All operations in all states, each pair at least 20 times: outcomes, balances, states and audit are the model's."""
    VISITS.clear()
    drive(machine_on(sqlite), drive_ledger, runs=240 if SOAK else 48)
    run(machine_on(sqlite), examples=1500 if SOAK else 40, steps=50)
    show_visits(proof, "ledger on sqlite", VISITS, PAIRS)


if SOAK:  # PostgreSQL alone as often as SQLite takes minutes; `make test` has the comparison below

    @pytest.mark.slow
    @pytest.mark.timeout(1200)
    def test_the_ledger_on_postgresql_visits_every_pair_as_well(postgresql: PostgresqlLedger, proof: Proof) -> None:
        """The same machine in full on the other database."""
        VISITS.clear()
        run(machine_on(postgresql), examples=1000, steps=50)
        show_visits(proof, "ledger on postgresql", VISITS, PAIRS)


@pytest.mark.timeout(600)
def test_both_databases_do_the_same(sqlite: SqliteLedger, postgresql: PostgresqlLedger) -> None:
    """Differentially: the same batches, the same outcomes, the same books."""
    both = machine_on(BothLedgers(sqlite, postgresql))
    drive(both, drive_ledger, runs=60 if SOAK else 6)
    run(both, examples=250 if SOAK else 2, steps=30)
