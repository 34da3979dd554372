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
    idle_mb: dict[str, float] = field(default_factory=dict)
    """By target, before the first call."""
    peaks_mb: dict[str, float] = field(default_factory=dict)
    """By target, over all rounds."""

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
    pairs_per_second: Sequence[float]
    """One of each round, and so below."""
    refused_per_second: Sequence[float]


@dataclass(frozen=True, slots=True)
class HeldCalls:
    """Calls that waited for their upstream together."""

    target: str
    calls: int
    held: int
    """The most that waited at the upstream at once."""
    answered: int
    first_failure: str
    idle_mb: float
    held_mb: float
    """The process's memory at the latest moment when the most waited."""
    block_ms: float
    """The longest from the first call to the last answer."""

    @property
    def kb_per_call(self) -> float:
        """Both sockets, the task, and what the ledger keeps in memory."""
        return (self.held_mb - self.idle_mb) * 1024 / max(self.held, 1)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures depend on."""

    date: str
    commit: str
    stub: str
    """What answered as the upstream, and so below."""
    load: str
    cores: int
    python: str
    aiohttp: str
    load_average: float
    stub_per_second: float
    """The load generator straight at the stub: the least of three looks, for nothing in front of the stub can be faster."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All of a run."""

    machine: Machine
    fsyncs_p50_ms: Sequence[float]
    """Before the small answers, after them, and at the end: the machine's disk, like its processors, is busy with other things, too."""
    small: Comparison
    large: Comparison
    hits: Comparison
    held: Sequence[HeldCalls]
    not_held: str
    """Why no calls were held, or nothing."""
    starts: Sequence[StartUp]
    pairs: Sequence[Pairs]
