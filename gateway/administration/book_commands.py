"""`gateway ledger …` and `gateway audit-log …`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from gateway.administration.audit_log import AuditLog
from gateway.administration.holds import Holds
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row
from gateway.db.writer import Database, Transact
from gateway.domain import money
from gateway.domain.administrators import COMMAND
from gateway.ledger.audit import audit
from gateway.ledger.model import Grant


class BookCommands:
    """Texts in, rows out."""

    def __init__(self, database: Database[Transact | Grant, object], holds: Holds) -> None:
        self._database = database
        self._holds = holds
        self.commands: Mapping[str, Command] = {
            "ledger audit": self._ledger_audit,
            "ledger holds": self._ledger_holds,
            "audit-log list": self._audit_log_list,
        }

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

    async def _ledger_holds(self, _: Arguments) -> Report:
        found = await self._holds.stranded(COMMAND, size=ROWS_MAX)
        rows: list[Row] = [
            {
                "task": hold.task_id,
                "task_state": hold.task_state or "missing",
                "account": hold.path[0],
                "held_credits": money.format_micro(hold.amount.microcredits),
                "held_usd": money.format_micro(hold.amount.microusd),
                "images": hold.amount.images,
                "at": _utc(hold.created_at_ms),
            }
            for hold in found
        ]
        if rows:
            return Report(tuple(rows), f"{len(rows)} holds that nothing will end.", failed=True)
        return Report(message="Every pending hold has a task that is under way.")

    async def _audit_log_list(self, arguments: Arguments) -> Report:
        by = replace(COMMAND, org=arguments.get("org"))
        lines = await AuditLog(self._database).lines(by, size=ROWS_MAX)
        rows: list[Row] = [
            {
                "id": line.id,
                "at": _utc(line.at_ms),
                "actor": line.actor,
                "action": line.action,
                "subject": line.subject,
                "details": orjson.dumps(line.details).decode(),
            }
            for line in lines
        ]
        return Report(tuple(rows))


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
