"""Do the daily sums of usage agree with the ledger? For every key, what usage says it was charged must be what is posted on it."""

from collections import Counter

from sqlalchemy import select

from gateway.db.connection import Connection
from gateway.db.schema import accounts, balances, usage_daily
from gateway.db.statements import Statement
from gateway.domain.windows import day_of

_AMOUNTS = ("microcredits", "microusd", "images")
_POSTED = Statement(
    select(
        accounts.c.id, accounts.c.zone, balances.c.time_window, balances.c.window_start_ms,
        *(balances.c[f"posted_{unit}"] for unit in _AMOUNTS),
    )
    .join(balances, balances.c.account_id == accounts.c.id)
    .where(accounts.c.kind == "key")
)  # fmt: skip
_CHARGED = Statement(
    select(
        usage_daily.c.account_id, usage_daily.c.day, usage_daily.c.charged_microcredits, usage_daily.c.charged_microusd, usage_daily.c.images
    )
)  # fmt: skip


async def usage_differences(connection: Connection, *, by_day: bool) -> list[str]:
    """Of keys, and with `by_day` of each of their days: only where no account moved to another time zone. Empty: all agree."""
    posted: Counter[tuple[str, str, str]] = Counter()
    for account, zone, window, start_ms, *amounts in await connection.fetch(_POSTED):
        if window == "total" or (window == "day" and by_day):
            when = "" if window == "total" else day_of(int(start_ms or 0), str(zone))
            for unit, amount in zip(_AMOUNTS, amounts, strict=True):
                posted[str(account), when, unit] += int(amount or 0)
    charged: Counter[tuple[str, str, str]] = Counter()
    for account, day, *amounts in await connection.fetch(_CHARGED):
        for unit, amount in zip(_AMOUNTS, amounts, strict=True):
            charged[str(account), "", unit] += int(amount or 0)
            if by_day:
                charged[str(account), str(day), unit] += int(amount or 0)
    return [
        f"{' '.join(key)}: {charged[key]} in usage, {posted[key]} posted"
        for key in sorted(posted.keys() | charged.keys())
        if charged[key] != posted[key]
    ]
