"""`GET /admin/v1/usage`: what was made, charged and paid, in sums."""

from aiohttp import web

from gateway.administration.usage import COLUMNS, MONEY, UsageReport, read_day, read_dimensions, sums_of
from gateway.administration.usage_csv import usage_csv
from gateway.api.answers import json_answer
from gateway.api.rendering import JsonMap
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money
from gateway.domain.errors import InvalidRequest
from gateway.domain.usage import UsageLine, UsageQuery

FORMATS = ("json", "csv")
_NAMES = ("org", "team", "key", "model")


async def index(request: web.Request) -> web.Response:
    """An org's token sees the usage of that org. Without `by` there is one line: the sums over everything."""
    given = request.query
    form = given.get("format") or "json"
    if form not in FORMATS:
        raise InvalidRequest(f"format: must be one of {', '.join(FORMATS)}.", param="format")
    query = UsageQuery(
        by=read_dimensions(given.getall("by", [])),
        since=read_day("since", given.get("since")),
        until=read_day("until", given.get("until")),
        **{name: given.get(name, "") for name in _NAMES},
    )
    report = await request.app[ADMINISTRATION].usage.report(query, request[ADMINISTRATOR])
    if form == "csv":
        return web.Response(
            text=usage_csv(report),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": 'attachment; filename="usage.csv"'},
        )
    return json_answer(
        {
            "object": "list",
            "by": [*report.by],
            "data": [_line(report, line) for line in report.lines],
            "has_more": False,
        }
    )


def _line(report: UsageReport, line: UsageLine) -> JsonMap:
    names: JsonMap = dict(zip(report.by, line.names, strict=True))
    sums = zip(COLUMNS, sums_of(line), strict=True)
    return names | {column: money.json_number(value) if column in MONEY else value for column, value in sums}
