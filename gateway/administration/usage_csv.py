"""A usage report as CSV (RFC 4180): one header row, CRLF, every line the same number of cells.

A name that a spreadsheet would take for a formula gets an apostrophe before it: names are chosen by others than the one who opens the file.
"""

import csv
import io

from gateway.administration.usage import COLUMNS, MONEY, UsageReport, sums_of
from gateway.domain import money

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def usage_csv(report: UsageReport) -> str:
    """Numbers are plain decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*report.by, *COLUMNS])
    for line in report.lines:
        writer.writerow([*map(harmless, line.names), *map(_number, COLUMNS, sums_of(line))])
    return text.getvalue()


def harmless(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


def _number(column: str, value: int) -> str:
    return money.format_micro(value) if column in MONEY else str(value)
