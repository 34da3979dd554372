"""Findings as Markdown tables, ready for README.md. Pure."""

import statistics
from collections.abc import Sequence

from bench.results import BARE, Comparison, Findings, Pairs, StartUp


def markdown(found: Findings) -> str:
    """The whole report."""
    machine = found.machine
    head = (
        f"{machine.cores} cores, Python {machine.python}, aiohttp {machine.aiohttp}; load average before the run {machine.load_average:.2f}; "
        f"fsync of 4 KiB p50 {machine.fsync_p50_ms:.2f} ms;\n"
        f"stub and load generator: our own, on uvloop, {machine.stub_per_second:,.0f} answers/s or more with nothing between"
    )
    parts = [
        head,
        "Small answers (8x8 PNG)\n\n" + _compared(found.small, large=False),
        "Large answers (2 MB of base64)\n\n" + _compared(found.large, large=True),
        "Start-up\n\n" + (_starts(found.starts) if found.starts else "not measured"),
        "The writer alone\n\n" + _pairs(found.pairs),
    ]
    return "\n\n".join(parts)


def _compared(found: Comparison, *, large: bool) -> str:
    header = [
        "connections",
        "target",
        "answers/s",
        "ratio to bare (range)",
        "p50 ms",
        "p99 ms",
        "added p50 ms",
        "CPU µs/answer",
    ]
    rows = []
    for connections, target in found.runs:
        p50_ms = found.median(connections, target, lambda run: run.load.p50_ms)
        bare_ms = found.median(connections, BARE, lambda run: run.load.p50_ms)
        row = [
            str(connections),
            target,
            f"{found.median(connections, target, lambda run: run.load.per_second):,.0f}",
            "1" if target == BARE else _ratio(found.ratios(connections, target)),
            f"{p50_ms:.2f}",
            f"{found.median(connections, target, lambda run: run.load.p99_ms):.2f}",
            "" if target == BARE else f"{p50_ms - bare_ms:.2f}",
            f"{found.median(connections, target, lambda run: run.cpu_us):.0f}",
        ]
        if large:
            row += [
                f"{max(run.block_ms for run in found.runs[connections, target]):.0f}",
                f"{found.peaks_mb[target]:.0f}",
            ]
        rows.append(row)
    return _table([*header, "longest block ms", "peak RSS MB"] if large else header, rows)


def _starts(starts: Sequence[StartUp]) -> str:
    rows = [[start.database, f"{start.new_s:.2f}", f"{start.again_s:.2f}", f"{start.idle_mb:.0f}"] for start in starts]
    return _table(["database", "new database s", "again s", "idle RSS MB"], rows)


def _pairs(found: Sequence[Pairs]) -> str:
    rows = [
        [pairs.database, str(pairs.callers), f"{pairs.pairs_per_second:,.0f}", f"{pairs.refused_per_second:,.0f}"]
        for pairs in found
    ]
    return _table(["database", "callers", "accept + finish pairs/s", "refusals/s among them"], rows)


def _ratio(ratios: list[float]) -> str:
    middle = statistics.median(ratios)
    return f"{middle:.2f}" if len(ratios) == 1 else f"{middle:.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])
