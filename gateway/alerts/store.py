"""The outbox's rows. Runs in the caller's transaction.

A row that is being sent has its `next_at_ms` in the future: that is the lease, and its value says whose. Whoever writes down how a try went must
still have it, so that a slow sender overwrites nobody.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, bindparam, func, or_, select, update

from gateway.db.connection import Connection, Row
from gateway.db.schema import budget_alerts
from gateway.db.statements import Statement, insert_rows
from gateway.domain.alerts import AlertState, BudgetAlert
from gateway.domain.ids import AccountId, org_account_id

_NAMES = (
    "id", "account_id", "budget", "window_start_ms", "threshold", "body", "created_at_ms", "state", "tries", "next_at_ms", "answer",
)  # fmt: skip
_COLUMNS = [budget_alerts.c[name] for name in _NAMES]
_DUE = (budget_alerts.c.state == AlertState.DUE.value, budget_alerts.c.next_at_ms <= bindparam("now"))

_ADD = insert_rows(budget_alerts, _NAMES, ignore_repeats=True)
_FIRST_DUE = Statement(select(budget_alerts.c.id).where(*_DUE).limit(bindparam("size")))
# Rows that another process is claiming in this very moment are left to it (SQLite has one process).
_CLAIM = Statement(
    update(budget_alerts)
    .where(
        budget_alerts.c.id.in_(
            select(budget_alerts.c.id)
            .where(*_DUE)
            .order_by(budget_alerts.c.next_at_ms, budget_alerts.c.threshold)
            .limit(bindparam("size"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(next_at_ms=bindparam("until"), tries=budget_alerts.c.tries + 1)
    .returning(*_COLUMNS)
)
_TRIED = Statement(
    update(budget_alerts)
    .where(
        budget_alerts.c.id == bindparam("alert"),
        budget_alerts.c.state == AlertState.DUE.value,
        budget_alerts.c.next_at_ms == bindparam("claimed_until"),
    )
    .values(state=bindparam("became"), next_at_ms=bindparam("again"), answer=bindparam("said", type_=Text()))
)
_RESEND = Statement(
    update(budget_alerts)
    .where(budget_alerts.c.id == bindparam("alert"))
    .values(state=AlertState.DUE.value, tries=0, next_at_ms=bindparam("again"))
)
_NEWEST = (
    select(*_COLUMNS)
    .where(or_(bindparam("before", type_=Text()) == "", budget_alerts.c.id < bindparam("before", type_=Text())))
    .order_by(budget_alerts.c.id.desc())
    .limit(bindparam("size"))
)
_ALL = Statement(_NEWEST)


def _begins_with(name: str) -> ColumnElement[bool]:
    prefix = bindparam(name, type_=Text())
    return func.substr(budget_alerts.c.account_id, 1, func.length(prefix)) == prefix


_OF_ORG = Statement(
    _NEWEST.where(
        or_(
            budget_alerts.c.account_id == bindparam("org_account"),
            _begins_with("team_prefix"),
            _begins_with("key_prefix"),
        )
    )
)
_ONE = Statement(select(*_COLUMNS).where(budget_alerts.c.id == bindparam("alert")))


async def add_alerts(connection: Connection, alerts: Sequence[BudgetAlert]) -> None:
    """Those that are not there yet; in one order everywhere, so that two processes who add the same do not wait for each other crosswise."""
    ordered = sorted(alerts, key=lambda a: (a.account, a.budget, a.window_start_ms, a.threshold_percent))
    await connection.write(
        _ADD,
        [
            (
                a.id, a.account, a.budget, a.window_start_ms, a.threshold_percent, a.body, a.created_at_ms, a.state.value, a.tries,
                a.next_at_ms, a.answer,
            )
            for a in ordered
        ],
    )  # fmt: skip


async def is_any_due(connection: Connection, now_ms: int) -> bool:
    return bool(await connection.fetch(_FIRST_DUE, now=now_ms, size=1))


async def claim_due(connection: Connection, *, now_ms: int, until_ms: int, size: int) -> list[BudgetAlert]:
    """Those that are due longest, counted as tried, and left alone by others until then; a budget's thresholds rising."""
    found = [_alert(row) for row in await connection.fetch(_CLAIM, now=now_ms, until=until_ms, size=size)]
    return sorted(found, key=lambda a: (a.created_at_ms, a.account, a.budget, a.threshold_percent))


async def mark_tried(
    connection: Connection, alert: BudgetAlert, state: AlertState, *, next_at_ms: int, answer: str
) -> None:
    """How a try of a claimed alert went; nothing where it is not this claim's any more."""
    await connection.execute(
        _TRIED, alert=alert.id, claimed_until=alert.next_at_ms, became=state.value, again=next_at_ms, said=answer
    )


async def resend(connection: Connection, alert_id: str, now_ms: int) -> None:
    """Due at once, with all its tries before it."""
    await connection.execute(_RESEND, alert=alert_id, again=now_ms)


async def read_alert(connection: Connection, alert_id: str) -> BudgetAlert | None:
    rows = await connection.fetch(_ONE, alert=alert_id)
    return _alert(rows[0]) if rows else None


async def read_alerts(connection: Connection, *, org: str | None, before_id: str, size: int) -> list[BudgetAlert]:
    """Below an id, newest first; an empty id: from the newest. `org`: of that one's accounts alone."""
    if org is None:
        return [_alert(row) for row in await connection.fetch(_ALL, before=before_id, size=size)]
    rows = await connection.fetch(
        _OF_ORG,
        before=before_id,
        size=size,
        org_account=org_account_id(org),
        team_prefix=f"team:{org}/",
        key_prefix=f"key:{org}/",
    )
    return [_alert(row) for row in rows]


def _alert(row: Row) -> BudgetAlert:
    alert_id, account, budget, start, threshold, body, created, state, tries, next_at, answer = row
    return BudgetAlert(
        str(alert_id), AccountId(str(account)), str(budget), int(start or 0), int(threshold or 0), str(body), int(created or 0),
        AlertState(str(state)), int(tries or 0), int(next_at or 0), None if answer is None else str(answer),
    )  # fmt: skip
