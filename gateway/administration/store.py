"""The rows of the audit log. Runs in the caller's transaction: a change and its line are written together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import audit_log
from gateway.db.statements import Statement, insert_rows
from gateway.domain.administrators import Administrator
from gateway.domain.ids import AccountId, org_of

Detail = str | int | bool | None | list[str]

_ADD = insert_rows(audit_log, ("at_ms", "actor", "action", "subject", "org", "details"))
_COLUMNS = [audit_log.c[name] for name in ("id", "at_ms", "actor", "action", "subject", "org", "details")]
_NEWEST = (
    select(*_COLUMNS)
    .where(audit_log.c.id < bindparam("before"))
    .order_by(audit_log.c.id.desc())
    .limit(bindparam("size"))
)
_ALL = Statement(_NEWEST)
_OF_ORG = Statement(_NEWEST.where(audit_log.c.org == bindparam("of_org")))


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One change: who did what to what."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    org: str | None
    details: Mapping[str, Detail]


async def record(
    connection: Connection,
    at_ms: int,
    by: Administrator,
    action: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
    *,
    org: str | None = None,
) -> None:
    """Write a line. `org` is whose the subject is, where its id does not say. Never give secrets to `details`."""
    whose = org or org_of(AccountId(subject))
    await connection.write(_ADD, [(at_ms, by.name, action, subject, whose, orjson.dumps(details or {}).decode())])


async def read_lines(connection: Connection, *, org: str | None, before_id: int, size: int) -> list[AuditLine]:
    """Lines below an id, newest first. `org`: of that one alone."""
    if org is None:
        rows = await connection.fetch(_ALL, before=before_id, size=size)
    else:
        rows = await connection.fetch(_OF_ORG, before=before_id, size=size, of_org=org)
    return [_line(row) for row in rows]


def _line(row: Row) -> AuditLine:
    line_id, at_ms, actor, action, subject, org, details = row
    return AuditLine(
        int(line_id or 0),
        int(at_ms or 0),
        str(actor),
        str(action),
        str(subject),
        None if org is None else str(org),
        orjson.loads(str(details)),
    )
