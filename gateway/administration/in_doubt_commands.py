"""`gateway in-doubt …`."""

from collections.abc import Mapping

from gateway.administration.in_doubt import InDoubt
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row
from gateway.domain import money
from gateway.domain.administrators import COMMAND
from gateway.domain.errors import AdministrationError


class InDoubtCommands:
    """Texts in, rows out."""

    def __init__(self, in_doubt: InDoubt) -> None:
        self._in_doubt = in_doubt
        self.commands: Mapping[str, Command] = {"in-doubt list": self._list, "in-doubt resolve": self._resolve}

    async def _list(self, arguments: Arguments) -> Report:
        found = await self._in_doubt.doubts(COMMAND, size=ROWS_MAX, after=arguments.get("after"))
        rows: list[Row] = [
            {
                "attempt": doubt.attempt.id,
                "task": doubt.attempt.task_id,
                "org": doubt.org,
                "offer": doubt.attempt.offer_id,
                "upstream_ref": doubt.attempt.upstream_ref,
                "images": doubt.attempt.n,
                "presumed_usd": money.format_micro(doubt.attempt.presumed_cost_microusd),
                "sent_at_ms": doubt.attempt.sent_at_ms,
                "message": doubt.attempt.message,
            }
            for doubt in found
        ]
        more = f"There may be more: --after {found[-1].attempt.id}" if len(found) == ROWS_MAX else ""
        return Report(tuple(rows), more)

    async def _resolve(self, arguments: Arguments) -> Report:
        outcome, cost = arguments.get("outcome"), arguments.get("cost_usd")
        if outcome not in ("paid", "unpaid"):
            raise AdministrationError("say --paid or --unpaid, and not both")
        try:
            cost_microusd = money.to_micro(cost) if cost else None
        except ValueError as exc:
            raise AdministrationError(f"cost-usd {exc}") from exc
        done = await self._in_doubt.resolve(
            arguments.get("id") or "",
            paid=outcome == "paid",
            cost_microusd=cost_microusd,
            why=arguments.get("why") or "",
        )
        at = f"{done.attempt.id} at {done.attempt.upstream}"
        if done.paid:
            return Report(message=f"{at} was paid: {money.format_micro(done.cost_microusd)} USD, booked as our loss.")
        return Report(
            message=f"{at} was not paid: {money.format_micro(done.attempt.presumed_cost_microusd)} USD are free again."
        )
