"""Usage as administrators see it: sums of the daily rows, by any of their dimensions. Reads only.

How it fails: AdministrationError for a question that cannot be answered whole; StorageUnavailable. Never a part of the sums in silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from gateway.db.writer import Database, Transact
from gateway.domain.administrators import Administrator
from gateway.domain.errors import AdministrationError
from gateway.domain.usage import Dimension, UsageLine, UsageQuery, with_implied
from gateway.ledger import usage as usage_store
from gateway.ledger.model import Grant
from gateway.ledger.usage import ROWS_MAX

MONEY = ("credits", "charged_usd", "paid_usd", "cache_saved_usd", "routing_saved_usd")
"""Columns in millionths."""
COLUMNS = (
    "tasks", "failed", "images", "credits", "charged_usd", "paid_usd", "cache_hits", "cache_saved_usd", "routing_saved_usd",
)  # fmt: skip
NOBODY = "/"
"""A name that no org can have: an org's administrator who asks for another one is answered as if that did not exist."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Lines under the names of `by`; each has the sums of COLUMNS."""

    by: tuple[str, ...]
    lines: tuple[UsageLine, ...]


def sums_of(line: UsageLine) -> tuple[int, ...]:
    """In the order of COLUMNS; money in millionths."""
    return (
        line.tasks, line.failed, line.images, line.charged_microcredits, line.charged_microusd, line.paid_microusd, line.cache_hits,
        line.cache_saved_microusd, line.routing_saved_microusd,
    )  # fmt: skip


def read_dimensions(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """`team,day` or each by itself. Raises AdministrationError."""
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    try:
        return tuple(map(Dimension, words))
    except ValueError as exc:
        known = ", ".join(Dimension)
        raise AdministrationError(f"by: {exc.args[0].split(' is ')[0]} is none of {known}", param="by") from exc


def read_day(name: str, text: str | None) -> str:
    """An ISO date as it is stored; nothing is nothing. Raises AdministrationError."""
    if not text:
        return ""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError as exc:
        raise AdministrationError(f"{name}: {text!r} is no day; write 2026-11-01", param=name) from exc


class Usage:
    """The usage of one gateway."""

    def __init__(self, database: Database[Transact | Grant, object]) -> None:
        self._database = database

    async def report(self, query: UsageQuery, by: Administrator) -> UsageReport:
        """Sums over what this administrator sees. Raises AdministrationError where there would be more than ROWS_MAX lines."""
        if query.since and query.until and query.since > query.until:
            raise AdministrationError(f"since: {query.since} is after until, {query.until}", param="since")
        if by.org is not None:
            query = replace(query, org=by.org if query.org in ("", by.org) else NOBODY)
        found = await self._database.read(lambda connection: usage_store.read_usage(connection, query))
        if len(found) > ROWS_MAX:
            raise AdministrationError(
                f"by: this has more than {ROWS_MAX} lines; ask for fewer days, for one org, team or key, or by less",
                param="by",
            )
        return UsageReport(tuple(dimension.value for dimension in with_implied(query.by)), tuple(found))
