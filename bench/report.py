"""Findings as Markdown, ready to be pasted into README.md as it is. Pure."""

import statistics
from collections.abc import Sequence

from bench.results import BARE, Comparison, Findings, HeldCalls, Machine, Pairs, StartUp
from bench.verdicts import Verdict, verdicts


def markdown(found: Findings) -> str:
    """The whole report."""
    parts = [
        _head(found.machine, found.fsyncs_p50_ms),
        "#### Small answers (8x8 PNG)\n\n" + _compared(found.small, large=False),
        "#### Large answers (2 MB of base64)\n\n" + _compared(found.large, large=True),
        "#### Cached hits (bare: an aiohttp server that reads the call and answers a line)\n\n"
        + _compared(found.hits, large=False),
        "#### Held calls\n\n" + (_held(found.held) if found.held else f"Not measured: {found.not_held}."),
        "#### Start-up\n\n" + (_starts(found.starts) if found.starts else "Not measured."),
        "#### The writer alone\n\n" + _pairs(found.pairs),
        "#### Promised and measured\n\n" + _verdicts(verdicts(found)),
    ]
    return "\n\n".join(parts)


def _head(machine: Machine, fsyncs_p50_ms: Sequence[float]) -> str:
    return (
        f"**{machine.date}**, commit {machine.commit}: {machine.cores} cores, Python {machine.python}, aiohttp {machine.aiohttp}; "
        f"load average before the run {machine.load_average:.2f}; fsync of 4 KiB p50 {_spread(fsyncs_p50_ms, '.2f')} ms.\n"
        f"Upstream: {machine.stub}. Load generator: {machine.load}. "
        f"With nothing between them {machine.stub_per_second:,.0f} answers/s or more at 32 connections."
    )


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
            "1" if target == BARE else _spread(found.ratios(connections, target), ".2f"),
            f"{p50_ms:.2f}",
            f"{found.median(connections, target, lambda run: run.load.p99_ms):.2f}",
            "" if target == BARE else f"{p50_ms - bare_ms:.2f}",
            f"{found.median(connections, target, lambda run: run.cpu_us):.0f}",
        ]
        if large:
            peak_mb, idle_mb = found.peaks_mb[target], found.idle_mb[target]
            blocks_ms = [run.block_ms for run in found.runs[connections, target]]
            row += [_spread(blocks_ms, ".0f"), f"{peak_mb:.0f}", f"{peak_mb - idle_mb:.0f}"]
        rows.append(row)
    return _table([*header, "longest block ms (range)", "peak RSS MB", "above idle MB"] if large else header, rows)


def _held(found: Sequence[HeldCalls]) -> str:
    rows = [
        [
            run.target,
            f"{run.calls:,}",
            f"{run.held:,}",
            f"{run.answered:,}",
            f"{run.idle_mb:.0f}",
            f"{run.held_mb:.0f}",
            f"{run.kb_per_call:.1f}",
            f"{run.block_ms:.0f}",
        ]
        for run in found
    ]
    header = [
        "target",
        "calls",
        "held at once",
        "answered",
        "RSS before MB",
        "RSS held MB",
        "KB/call",
        "longest block ms",
    ]
    failures = "".join(f"\n\nFirst failure of {run.target}: {run.first_failure}" for run in found if run.first_failure)
    return _table(header, rows) + failures


def _starts(starts: Sequence[StartUp]) -> str:
    rows = [[start.database, f"{start.new_s:.2f}", f"{start.again_s:.2f}", f"{start.idle_mb:.0f}"] for start in starts]
    return _table(["database", "new database s", "again s", "idle RSS MB"], rows)


def _pairs(found: Sequence[Pairs]) -> str:
    rows = [
        [
            pairs.database,
            str(pairs.callers),
            _spread(pairs.pairs_per_second, ",.0f"),
            f"{statistics.median(pairs.refused_per_second):,.0f}",
        ]
        for pairs in found
    ]
    return _table(["database", "callers", "accept + finish pairs/s (range)", "refusals/s among them"], rows)


def _verdicts(found: Sequence[Verdict]) -> str:
    rows = [
        [verdict.figure, verdict.target, verdict.promised, verdict.measured, "holds" if verdict.holds else "**misses**"]
        for verdict in found
    ]
    return _table(["figure", "target", "promised", "measured", ""], rows)


def _spread(values: Sequence[float], form: str) -> str:
    """The median, and the range where there is one."""
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}–{max(values):{form}})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])
