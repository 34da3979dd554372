"""What a run found, as values. Pure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.load import Measurement

BARE = "bare"


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement, with what the measured process used for it."""

    load: Measurement
    cpu_us: float
    """Processor time of the target's process for one answer, all its threads."""
    block_ms: float
    """The longest block of its event loop; 0 where no probe ran."""


@dataclass(slots=True)
class Comparison:
    """Runs by connections and target, in the order they were made: the same index is the same round."""

    runs: dict[tuple[int, str], list[Run]] = field(default_factory=dict)
    peaks_mb: dict[str, float] = field(default_factory=dict)

    def add(self, connections: int, target: str, run: Run) -> None:
        self.runs.setdefault((connections, target), []).append(run)

    def median(self, connections: int, target: str, value: Callable[[Run], float]) -> float:
        return statistics.median(value(run) for run in self.runs[connections, target])

    def ratios(self, connections: int, target: str) -> list[float]:
        """Answers a second against the bare pass-through of the same round."""
        pairs = zip(self.runs[connections, target], self.runs[connections, BARE], strict=True)
        return [run.load.per_second / bare.load.per_second for run, bare in pairs]


@dataclass(frozen=True, slots=True)
class StartUp:
    """From the command to the first 200 of /readyz: on a new database, and on one that is there."""

    database: str
    new_s: float
    again_s: float
    idle_mb: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """What the writer alone does."""

    database: str
    callers: int
    pairs_per_second: float
    refused_per_second: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures depend on."""

    cores: int
    python: str
    aiohttp: str
    load_average: float
    fsync_p50_ms: float
    stub_per_second: float
    """The load generator straight at the stub: the least of three looks, for nothing in front of the stub can be faster."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All of a run."""

    machine: Machine
    small: Comparison
    large: Comparison
    starts: Sequence[StartUp]
    pairs: Sequence[Pairs]
