"""The accounts that the state machines pay from, and what they need of a database."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import orjson
from sqlalchemy import bindparam, update

from gateway.db.connection import Connection
from gateway.db.schema import accounts
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.tasks import TaskState
from gateway.ledger.model import Grant, Granted
from gateway.pipeline.commands import Command, Outcome, Recorded
from tests.property.ledger_model import Limit, Row, Triple

RATE = Decimal(72)
KEYS = (AccountId("key:o/t/a"), AccountId("key:o/t/b"), AccountId("key:o//c"))
TEAM, ORG = AccountId("team:o/t"), AccountId("org:o")
PATHS = {KEYS[0]: (KEYS[0], TEAM, ORG), KEYS[1]: (KEYS[1], TEAM, ORG), KEYS[2]: (KEYS[2], ORG)}
UPSTREAM, OURS = AccountId("upstream:u"), AccountId("ours")
PAYERS = (*KEYS, TEAM, ORG)
ROWS: tuple[tuple[str, str, str, str | None], ...] = (
    (ORG, "org", "o", None), (TEAM, "team", "t", ORG), (KEYS[0], "key", "a", TEAM), (KEYS[1], "key", "b", TEAM), (KEYS[2], "key", "c", ORG),
    (UPSTREAM, "upstream", "u", None), (OURS, "ours", "ours", None),
)  # fmt: skip
SET_TERMS = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(budgets=bindparam("texts"), zone=bindparam("in_zone"), prepaid=bindparam("is_prepaid"))
)


class Ledger(Protocol):
    """What the machine drives: one database, emptied for every run."""

    def reset(self) -> None: ...

    def run(self, commands: Sequence[Command]) -> list[Outcome | Exception]:
        """One batch, committed."""
        ...

    def rows(self) -> dict[Row, tuple[Triple, Triple]]:
        """Every balance row, in the model's words."""
        ...

    def balances(self) -> dict[AccountId, tuple[Triple, Triple]]:
        """The totals."""
        ...

    def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]: ...

    def differences(self) -> list[str]: ...


def set_budget(ledger: Ledger, account: AccountId, limit: int | None) -> None:
    """As an operator would, in whole credits; None takes the budget away."""
    set_terms(ledger, account, () if limit is None else (Limit(limit, "credits", "total"),), "UTC", False)


def set_terms(ledger: Ledger, account: AccountId, limits: Sequence[Limit], zone: str, prepaid: bool) -> None:
    texts = orjson.dumps([str(limit) for limit in limits]).decode()

    async def write(connection: Connection, _: int) -> None:
        await connection.execute(SET_TERMS, account=account, texts=texts, in_zone=zone, is_prepaid=int(prepaid))

    assert ledger.run([Transact(write)]) == [Recorded()]


def grant(ledger: Ledger, account: AccountId, microcredits: int) -> int | None:
    """Prepaid credits, as an operator gives or takes them; what is left then. None where it is refused."""
    [granted] = ledger.run([Grant(account, microcredits, "a test")])
    assert isinstance(granted, Granted), granted
    return None if granted.refused else granted.left_microcredits
