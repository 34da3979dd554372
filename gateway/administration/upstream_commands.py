"""`gateway upstreams …`."""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.administration.reports import Arguments, Command, Report, Row
from gateway.administration.upstreams import BudgetLeft, LiveUpstream, Upstreams, UpstreamState
from gateway.domain import money
from gateway.domain.administrators import COMMAND


class UpstreamCommands:
    """Texts in, rows out."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self.commands: Mapping[str, Command] = {"upstreams list": self._list, "upstreams test": self._test}

    async def _list(self, _: Arguments) -> Report:
        found = await self._upstreams.all(COMMAND)
        rows = tuple(_row(state) for state in found)
        if found and all(state.live is None for state in found):
            return Report(rows, "Circuits and calls in flight are known to a running gateway: GET /admin/v1/upstreams.")
        return Report(rows)

    async def _test(self, arguments: Arguments) -> Report:
        tested = await self._upstreams.test(arguments.get("name") or "", COMMAND)
        verdict = "passed" if tested.passed else "failed"
        return Report(message=f"{tested.upstream} ({tested.kind}) {verdict}: {tested.text}.", failed=not tested.passed)


def _row(state: UpstreamState) -> Row:
    return {
        "upstream": state.configured.name,
        "kind": state.configured.kind,
        "state": f"off: {state.configured.off_because}" if state.configured.off_because else "on",
        "calls": state.live.calls_in_flight if state.live else None,
        "in_flight_usd": money.format_micro(state.in_flight_microusd),
        "in_doubt_usd": money.format_micro(state.in_doubt_microusd),
        "paid_this_month_usd": money.format_micro(state.paid_this_month_microusd),
        "in_doubt_this_month_usd": money.format_micro(state.in_doubt_this_month_microusd),
        "budget": ", ".join(map(_budget, state.budgets)),
        "left_alone": _left_alone(state.live) if state.live else None,
    }


def _budget(item: BudgetLeft) -> str:
    text = f"{item.budget}: {money.format_micro(item.used)} used, {money.format_micro(item.left)} left"
    if not item.is_closed:
        return text
    if item.closed_until_ms is None:
        return f"{text}; closed"
    return f"{text}; closed until {datetime.fromtimestamp(item.closed_until_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _left_alone(live: LiveUpstream) -> str:
    return ", ".join(f"{name} ({item.why}, {item.reopens_in_s:.0f} s)" for name, item in live.left_alone.items())
