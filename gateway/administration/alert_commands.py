"""`gateway alerts …`."""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.administration.alerts import Alerts
from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row
from gateway.domain.administrators import COMMAND


class AlertCommands:
    """Texts in, rows out."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self.commands: Mapping[str, Command] = {"alerts list": self._list, "alerts resend": self._resend}

    async def _list(self, _: Arguments) -> Report:
        rows: list[Row] = [
            {
                "id": alert.id,
                "at": datetime.fromtimestamp(alert.created_at_ms / 1000, UTC).isoformat(timespec="seconds"),
                "account": alert.account,
                "budget": alert.budget,
                "percent": alert.threshold_percent,
                "state": alert.state.value,
                "tries": alert.tries,
                "answer": alert.answer,
            }
            for alert in await self._alerts.all(COMMAND, size=ROWS_MAX)
        ]
        return Report(tuple(rows))

    async def _resend(self, arguments: Arguments) -> Report:
        alert = await self._alerts.resend(arguments.get("id") or "")
        return Report(message=f"{alert.id} is due: a running gateway sends it within seconds.")
