"""What metrics are made of: sums, values and histograms by label values, in plain Python objects that are read at scrape time.

An event costs a dictionary look-up and an addition, a tenth of the client library's. No locks: each is written by one thread, the event loop's, and
labels are bounded by who writes. Cannot fail.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Counter(Collector):
    """Integer sums by label values, read at scrape time; `unit` is how many of them are one of the metric's (a million for money)."""

    def __init__(self, name: str, text: str, labels: Sequence[str], unit: int = 1) -> None:
        self._name, self._text, self._labels, self._unit = name, text, labels, unit
        self._sums: dict[tuple[str, ...], int] = {}

    def add(self, labels: tuple[str, ...], amount: int) -> None:
        self._sums[labels] = self._sums.get(labels, 0) + amount

    def expect(self, labels: tuple[str, ...]) -> None:
        """Stands at 0 until something happens: of a series that begins at 1 nobody can see the increase."""
        self._sums.setdefault(labels, 0)

    def expect_all(self, values: Iterable[str]) -> None:
        """The same, of all values of its one label."""
        for value in values:
            self.expect((value,))

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, total in self._sums.items():
            family.add_metric(labels, float(Decimal(total) / self._unit))
        yield family


class Gauges(Collector):
    """Values by label values that are set or replaced as a whole."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, labels: tuple[str, ...], value: float) -> None:
        self._values[labels] = value

    def replace(self, values: Mapping[tuple[str, ...], float]) -> None:
        self._values = dict.fromkeys(self._values, 0.0) | dict(values)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class _Observed:
    """What was seen of one set of labels: how often in each bucket, and the sum."""

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.sum = 0.0


class Histograms(Collector):
    """Counted here and added up at scrape time: an observation is a search and two additions, a tenth of the client library's."""

    def __init__(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, tuple(buckets)
        self._seen: dict[tuple[str, ...], _Observed] = {}
        if not labels:
            self._seen[()] = _Observed(len(self._bounds))

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        seen = self._seen.get(labels)
        if seen is None:
            seen = self._seen[labels] = _Observed(len(self._bounds))
        seen.counts[bisect_left(self._bounds, value)] += 1
        seen.sum += value

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, seen in self._seen.items():
            family.add_metric(labels, list(zip(bounds, accumulate(seen.counts), strict=True)), seen.sum)
        yield family
