"""The figures that the gateway promises, and whether a run held them. Pure.

Measured is the median of the rounds, except peak memory: that is the highest of the whole run.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.results import BARE, Comparison, Findings, HeldCalls, Pairs, StartUp

RATIO_MIN, RATIO_CONNECTIONS = 0.60, 32
ADDED_P50_MS_MAX, FSYNCS_ADDED = 2.5, 3
HIT_RATIO_MIN, HIT_P99_MS = 0.45, 30.0
HELD_KB_MAX = 64.0
BLOCK_MS_MAX = 50.0
PEAK_ABOVE_IDLE_MB_MAX = 300.0
READY_S_MAX = 1.5
IDLE_MB_MAX = 110.0
PAIRS_PER_S_MIN = 3_000.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise on one target."""

    figure: str
    target: str
    promised: str
    measured: str
    holds: bool


def verdicts(found: Findings) -> list[Verdict]:
    """Of everything that was measured; what was not has none."""
    return [
        *_small(found.small, statistics.median(found.fsyncs_p50_ms)),
        *_large(found.large),
        *_hits(found.hits),
        *_held(found.held),
        *_starts(found.starts),
        *_pairs(found.pairs),
    ]


def _small(found: Comparison, fsync_p50_ms: float) -> Iterator[Verdict]:
    for target in _gateways(found, RATIO_CONNECTIONS):
        ratio = statistics.median(found.ratios(RATIO_CONNECTIONS, target))
        figure = f"answers/s against bare, {RATIO_CONNECTIONS} connections"
        yield Verdict(figure, target, f"≥ {RATIO_MIN:.2f}", f"{ratio:.2f}", ratio >= RATIO_MIN)
    added_max_ms = ADDED_P50_MS_MAX + FSYNCS_ADDED * fsync_p50_ms
    for target in _gateways(found, 1):
        added_ms = found.median(1, target, lambda run: run.load.p50_ms) - found.median(
            1, BARE, lambda run: run.load.p50_ms
        )
        promised = f"≤ {added_max_ms:.2f} ms ({ADDED_P50_MS_MAX} ms + {FSYNCS_ADDED} fsyncs)"
        yield Verdict("added p50, 1 connection", target, promised, f"{added_ms:.2f} ms", added_ms <= added_max_ms)


def _large(found: Comparison) -> Iterator[Verdict]:
    for connections, target in found.runs:
        if target == BARE:
            continue
        block_ms = found.median(connections, target, lambda run: run.block_ms)
        yield Verdict(
            "longest block, 2 MB answers",
            target,
            f"≤ {BLOCK_MS_MAX:.0f} ms",
            f"{block_ms:.0f} ms",
            block_ms <= BLOCK_MS_MAX,
        )
        above_mb = found.peaks_mb[target] - found.idle_mb[target]
        promised = f"≤ {PEAK_ABOVE_IDLE_MB_MAX:.0f} MB"
        measured = f"{above_mb:.0f} MB"
        yield Verdict(
            "peak RSS above idle, 2 MB answers", target, promised, measured, above_mb <= PEAK_ABOVE_IDLE_MB_MAX
        )


def _hits(found: Comparison) -> Iterator[Verdict]:
    for connections, target in found.runs:
        if target == BARE:
            continue
        ratio = statistics.median(found.ratios(connections, target))
        figure = f"cached hits/s against a bare answer, {connections} connections"
        yield Verdict(figure, target, f"≥ {HIT_RATIO_MIN:.2f}", f"{ratio:.2f}", ratio >= HIT_RATIO_MIN)
        p99_ms = found.median(connections, target, lambda run: run.load.p99_ms)
        promised, measured = f"< {HIT_P99_MS:.0f} ms", f"{p99_ms:.1f} ms"
        yield Verdict("p99 of a cached hit", target, promised, measured, p99_ms < HIT_P99_MS)


def _held(found: Sequence[HeldCalls]) -> Iterator[Verdict]:
    by_target: dict[str, list[HeldCalls]] = {}
    for run in found:
        if run.target != BARE:
            by_target.setdefault(run.target, []).append(run)
    for target, runs in by_target.items():
        kb = statistics.median(run.kb_per_call for run in runs)
        figure = f"memory of a held call, {runs[0].calls:,} of them"
        yield Verdict(figure, target, f"≤ {HELD_KB_MAX:.0f} KB", f"{kb:.0f} KB", kb <= HELD_KB_MAX)
        answered, calls = sum(run.answered for run in runs), sum(run.calls for run in runs)
        yield Verdict("held calls answered", target, f"{calls:,}", f"{answered:,}", answered == calls)
        held = min(run.held for run in runs)
        yield Verdict("held at once", target, f"{runs[0].calls:,}", f"{held:,}", held == runs[0].calls)


def _starts(found: Sequence[StartUp]) -> Iterator[Verdict]:
    for start in found:
        target = f"gateway, {start.database}"
        ready_s = max(start.new_s, start.again_s)
        yield Verdict("ready after start", target, f"≤ {READY_S_MAX} s", f"{ready_s:.2f} s", ready_s <= READY_S_MAX)
        idle_mb = start.idle_mb
        yield Verdict("idle RSS", target, f"≤ {IDLE_MB_MAX:.0f} MB", f"{idle_mb:.0f} MB", idle_mb <= IDLE_MB_MAX)


def _pairs(found: Sequence[Pairs]) -> Iterator[Verdict]:
    """Of the numbers of callers the one with which the writer does most: the promise is about what it can do."""
    for database in dict.fromkeys(pairs.database for pairs in found if "processes" not in pairs.database):
        per_s, callers = max(
            (statistics.median(pairs.pairs_per_second), pairs.callers) for pairs in found if pairs.database == database
        )
        measured = f"{per_s:,.0f} ({callers} callers)"
        promised = f"≥ {PAIRS_PER_S_MIN:,.0f}"
        yield Verdict("accept + finish pairs/s", f"writer, {database}", promised, measured, per_s >= PAIRS_PER_S_MIN)


def _gateways(found: Comparison, connections: int) -> list[str]:
    return [target for count, target in found.runs if count == connections and target != BARE]
