"""`gateway usage`."""

from collections.abc import Mapping

from gateway.administration.reports import Arguments, Command, Report, Row, Value
from gateway.administration.usage import COLUMNS, MONEY, Usage, read_day, read_dimensions, sums_of
from gateway.administration.usage_csv import usage_csv
from gateway.domain import money
from gateway.domain.administrators import COMMAND
from gateway.domain.usage import UsageLine, UsageQuery


class UsageCommands:
    """Texts in, rows out; as CSV the whole text."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self.commands: Mapping[str, Command] = {"usage": self._show}

    async def _show(self, arguments: Arguments) -> Report:
        query = UsageQuery(
            by=read_dimensions([arguments.get("by") or "team"]),
            since=read_day("since", arguments.get("since")),
            until=read_day("until", arguments.get("until")),
            org=arguments.get("org") or "",
            team=arguments.get("team") or "",
            key=arguments.get("key") or "",
            model=arguments.get("model") or "",
        )
        report = await self._usage.report(query, COMMAND)
        if arguments.get("format") == "csv":
            return Report(message=usage_csv(report))
        exact = arguments.get("format") != "json"
        rows: list[Row] = [
            dict(zip(report.by, line.names, strict=True)) | _sums(line, exact=exact) for line in report.lines
        ]
        return Report(tuple(rows))


def _sums(line: UsageLine, *, exact: bool) -> dict[str, Value]:
    """`exact`: money as text, for people; else as numbers, for programs."""
    shown = money.format_micro if exact else money.json_number
    return {
        column: shown(value) if column in MONEY else value for column, value in zip(COLUMNS, sums_of(line), strict=True)
    }
