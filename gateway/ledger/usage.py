"""The daily sums of usage: what each ended task adds to them, and reading them by any of their dimensions.

A task's rows are written in the transaction that ends it: what they add is added by the database itself, in the order of the rows' keys, so that it
needs no lock besides. What is charged on them adds up to what is posted on the key, task by task. Never made from entries. Runs in the caller's
transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import add

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, case, cast, func, literal_column, select

from gateway.db.connection import BulkRows, Connection
from gateway.db.schema import accounts, usage_daily
from gateway.db.statements import BulkStatement, Statement, add_to_rows
from gateway.domain import money
from gateway.domain.ids import AccountId
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState
from gateway.domain.usage import Dimension, UsageLine, UsageQuery, with_implied
from gateway.domain.windows import day_of

ROWS_MAX = 10_000
"""Lines of one report: some 3 MB."""

_KEYS = ("day", "account_id", "model", "upstream", "caller")
_SUMS = (
    "tasks", "failed", "images", "charged_microcredits", "charged_microusd", "paid_microusd", "cache_hits", "cache_saved_microusd",
    "routing_saved_microusd",
)  # fmt: skip
_ADD = add_to_rows(usage_daily, _KEYS, _SUMS, making=True)


@dataclass(frozen=True, slots=True)
class Share:
    """What one upstream had to do with a task. One without delivered pictures has billed us for failures; with a weight, for what was cancelled."""

    upstream: str
    images: int = 0
    """Delivered."""
    weight: int = 0
    """The charge is divided like these: by cost, or by pictures."""
    paid_microusd: int = 0
    """For everything, losses included."""
    routing_saved_microusd: int = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What is added to one row of the daily sums."""

    day: str
    """ISO date."""
    account: AccountId
    """A key's."""
    model: str
    upstream: str
    """Empty: none made anything."""
    caller: str
    """Empty: not kept."""
    tasks: int = 0
    failed: int = 0
    charged: Amount = money.NOTHING
    paid_microusd: int = 0
    routing_saved_microusd: int = 0
    cache_hits: int = 0
    cache_saved_microusd: int = 0


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A task that ended, as far as usage is concerned. `zone` is its key's account's."""

    account: AccountId
    zone: str
    accepted_at_ms: int
    model: str
    caller: str
    charged: Amount
    delivered: bool
    shared_microusd: int | None = None
    """What its pictures had cost another task, whose they are; None: its own."""


def losses(attempts: Iterable[Attempt]) -> tuple[Share, ...]:
    """Of a task of which nothing was delivered: whoever billed us all the same."""
    paid: dict[str, int] = {}
    for attempt in attempts:
        if attempt.cost_microusd and attempt.state in (AttemptState.FAILED, AttemptState.SUCCEEDED):
            paid[attempt.upstream] = paid.get(attempt.upstream, 0) + attempt.cost_microusd
    return tuple(Share(upstream, paid_microusd=cost) for upstream, cost in paid.items())


def rows_of(task: EndedTask, shares: Sequence[Share]) -> list[UsageRow]:
    """One row an upstream, whose sums are exactly the task's. The task itself counts on that of the upstream with the most pictures."""
    makers = [share for share in shares if share.images or share.weight]
    if not makers:
        makers = [Share("")]
    main = max(range(len(makers)), key=lambda index: makers[index].images)  # of equals the first
    weights = [share.weight for share in makers]
    if not any(weights):
        weights = [share.images for share in makers]
    charged = zip(
        money.split(task.charged.microcredits, weights),
        money.split(task.charged.microusd, weights),
        money.split(task.charged.images, [share.images for share in makers]),
        strict=True,
    )
    empty = UsageRow(day_of(task.accepted_at_ms, task.zone), task.account, task.model, "", task.caller)
    rows = [
        replace(
            empty,
            upstream=share.upstream,
            tasks=int(index == main),
            failed=int(index == main and not task.delivered),
            charged=Amount(*amount),
            paid_microusd=share.paid_microusd,
            routing_saved_microusd=share.routing_saved_microusd,
            cache_hits=int(index == main and task.shared_microusd is not None),
            cache_saved_microusd=(task.shared_microusd or 0) if index == main else 0,
        )
        for index, (share, amount) in enumerate(zip(makers, charged, strict=True))
    ]
    only_paid = [share for share in shares if share not in makers and share.paid_microusd]
    return rows + [replace(empty, upstream=share.upstream, paid_microusd=share.paid_microusd) for share in only_paid]


def row_of_shared(task: EndedTask) -> UsageRow:
    """The one row of a task that had nothing made, as `rows_of` gives it."""
    return UsageRow(
        day_of(task.accepted_at_ms, task.zone), task.account, task.model, "", task.caller, 1, 0, task.charged,
        cache_hits=1, cache_saved_microusd=task.shared_microusd or 0,
    )  # fmt: skip


def late_payment(
    *, account: AccountId, zone: str, accepted_at_ms: int, model: str, caller: str, upstream: str, paid_microusd: int
) -> UsageRow:
    """For an attempt that was in doubt when its task ended, and turned out to be billed: the task's day pays for it.

    Add it to the batch's `Daily`.
    """
    return UsageRow(day_of(accepted_at_ms, zone), account, model, upstream, caller, paid_microusd=paid_microusd)


class Daily:
    """What one batch adds. No row twice, so that one statement can add them all."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], list[int]] = {}

    def add(self, rows: Iterable[UsageRow]) -> None:
        for row in rows:
            added = (
                row.tasks, row.failed, row.charged.images, row.charged.microcredits, row.charged.microusd, row.paid_microusd, row.cache_hits,
                row.cache_saved_microusd, row.routing_saved_microusd,
            )  # fmt: skip
            key = (row.day, row.account, row.model, row.upstream, row.caller)
            before = self._sums.get(key)
            self._sums[key] = [*added] if before is None else [*map(add, before, added)]

    def write(self) -> tuple[BulkStatement, BulkRows]:
        """In the order of their keys, as every process locks them."""
        return _ADD, [(*key, *sums) for key, sums in sorted(self._sums.items())]


async def read_usage(connection: Connection, query: UsageQuery) -> list[UsageLine]:
    """Ordered by their names; at most one more than ROWS_MAX, by which one knows that there are too many."""
    by = with_implied(query.by)
    rows = await connection.fetch(
        _statement(by), since=query.since, until=query.until, in_org=query.org, in_team=query.team, of_key=query.key,
        of_model=query.model, size=ROWS_MAX + 1,
    )  # fmt: skip
    return [
        UsageLine(tuple(str(name) for name in row[: len(by)]), *(int(value or 0) for value in row[len(by) :]))
        for row in rows
    ]


_KEY, _PARENT, _ORG = accounts.alias("of_key"), accounts.alias("parent"), accounts.alias("org")
# In words of SQL, not as parameters: PostgreSQL must see that what is selected is what is grouped by.
_TEAM_NAME = case((_PARENT.c.kind == literal_column("'team'"), _PARENT.c.name), else_=literal_column("''"))
_COLUMNS: dict[Dimension, ColumnElement[str]] = {
    Dimension.DAY: usage_daily.c.day,
    Dimension.ORG: _ORG.c.name,
    Dimension.TEAM: _TEAM_NAME,
    Dimension.KEY: _KEY.c.name,
    Dimension.MODEL: usage_daily.c.model,
    Dimension.UPSTREAM: usage_daily.c.upstream,
    Dimension.CALLER: usage_daily.c.caller,
}


@lru_cache(maxsize=128)  # there are no more
def _statement(by: tuple[Dimension, ...]) -> Statement:
    columns = [_COLUMNS[dimension] for dimension in by]
    filters = (
        (usage_daily.c.day, "since"), (usage_daily.c.day, "until"), (_ORG.c.name, "in_org"), (_TEAM_NAME, "in_team"), (_KEY.c.name, "of_key"),
        (usage_daily.c.model, "of_model"),
    )  # fmt: skip
    query = (
        select(*columns, *(cast(func.sum(usage_daily.c[name]), BigInteger) for name in _SUMS))
        .select_from(usage_daily)
        .join(_KEY, _KEY.c.id == usage_daily.c.account_id)
        .join(_PARENT, _PARENT.c.id == _KEY.c.parent_id)
        .join(_ORG, _ORG.c.id == func.coalesce(_PARENT.c.parent_id, _PARENT.c.id))
        .where(*((bindparam(name) == "") | _matches(column, name) for column, name in filters))
        .limit(bindparam("size"))
    )
    # Without dimensions this is one row of sums: NULL where there is no usage, which reads as 0.
    return Statement(query.group_by(*columns).order_by(*columns) if columns else query)


def _matches(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    given = bindparam(name, type_=Text())
    return column >= given if name == "since" else column <= given if name == "until" else column == given
