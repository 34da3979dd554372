"""`gateway ledger …`, `gateway in-doubt …` and `gateway audit-log …`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from gateway.administration.audit_log import AuditLog
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.administrators import COMMAND
from gateway.ledger.audit import audit
from gateway.ledger.model import Grant
from gateway.tasks import store as task_store


class BookCommands:
    """Texts in, rows out."""

    def __init__(self, database: Database[Transact | Grant, object]) -> None:
        self._database = database
        self.commands: Mapping[str, Command] = {
            "in-doubt list": self._in_doubt_list,
            "ledger audit": self._ledger_audit,
            "audit-log list": self._audit_log_list,
        }

    async def _in_doubt_list(self, _: Arguments) -> Report:
        found = await self._database.read(lambda connection: task_store.read_in_doubt(connection, ROWS_MAX))
        rows: list[Row] = [
            {
                "attempt": attempt.id,
                "task": attempt.task_id,
                "offer": attempt.offer_id,
                "images": attempt.n,
                "presumed_usd": money.format_micro(attempt.presumed_cost_microusd),
                "sent_at_ms": attempt.sent_at_ms,
                "message": attempt.message,
            }
            for attempt in found
        ]
        return Report(tuple(rows))

    async def _ledger_audit(self, _: Arguments) -> Report:
        report = await audit(self._database)
        rows: list[Row] = [
            {"account": d.account, "what": d.what, "stored": d.stored, "expected": d.expected}
            for d in report.differences
        ]
        looked_at = f"{report.accounts} accounts, {report.entries} entries, {report.holds_pending} pending holds"
        if rows:
            return Report(tuple(rows), f"{len(rows)} differences in {looked_at}.", failed=True)
        return Report(message=f"The ledger is clean: {looked_at}, no differences.")

    async def _audit_log_list(self, arguments: Arguments) -> Report:
        by = replace(COMMAND, org=arguments.get("org"))
        lines = await AuditLog(self._database).lines(by, size=ROWS_MAX)
        rows: list[Row] = [
            {
                "id": line.id,
                "at": datetime.fromtimestamp(line.at_ms / 1000, UTC).isoformat(timespec="seconds"),
                "actor": line.actor,
                "action": line.action,
                "subject": line.subject,
                "details": orjson.dumps(line.details).decode(),
            }
            for line in lines
        ]
        return Report(tuple(rows))
