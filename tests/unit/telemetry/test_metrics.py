"""Names, labels and exactness of the metrics that operators rely on."""

import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.clock import SystemClock
from gateway.telemetry import loop_lag
from gateway.telemetry.labels import DISTINCT_VALUES_MAX, OTHER, BoundedLabel, BudgetFigure, tightest
from gateway.telemetry.metrics import Metrics

PROMISED = {
    "gateway_task_duration_seconds": {"model", "upstream", "contract", "outcome"},
    "gateway_overhead_seconds": {"contract"},
    "gateway_credits": {"kind", "model", "team"},
    "gateway_upstream_cost_usd": {"upstream", "model"},
    "gateway_attempts": {"upstream", "model", "fault"},
    "gateway_upstream_circuit_open": {"upstream", "model"},
    "gateway_tasks": {"state"},
    "gateway_oldest_task_age_seconds": {"state"},
    "gateway_in_doubt_usd": set(),
    "gateway_budget_used_ratio": {"account", "window"},
    "gateway_budget_left": {"account", "window", "unit"},
    "gateway_alerts": {"outcome"},
    "gateway_ledger_differences": set(),
    "gateway_oldest_hold_age_seconds": set(),
    "gateway_event_loop_lag_seconds": set(),
    "gateway_bytes_in_flight": set(),
}


def _samples(metrics: Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def _with_everything() -> Metrics:
    metrics = Metrics()
    metrics.task_finished(model="m", upstream="u", contract="task", outcome="completed", duration_s=2.5)
    metrics.overhead("image", 0.002)
    metrics.credits("used", model="m", team="t", microcredits=1_500_000)
    metrics.upstream_paid(upstream="u", model="m", microusd=20_800)
    metrics.attempt_ended(upstream="u", model="m", fault=None)
    metrics.circuit(upstream="u", model="m", is_open=True)
    metrics.tasks({"pending": 3}, {"pending": 1.5})
    metrics.budgets([BudgetFigure("team:a/t", "day", "usd", 0.5, 10.0)])
    metrics.alert("sent")
    metrics.loop_lag(0.003)
    metrics.bytes_in_flight(5)
    metrics.books(in_doubt_microusd=20_800, differences=0, oldest_hold_age_s=7)
    return metrics


def test_the_promised_metrics_have_their_labels() -> None:
    """Every name of the operators' list is there with exactly its labels."""
    families = {family.name: family for family in text_string_to_metric_families(_with_everything().render().decode())}
    assert set(PROMISED) <= set(families)
    for name, labels in PROMISED.items():
        found = {label for sample in families[name].samples for label in sample.labels} - {"le"}
        assert found == labels, name


def test_values_arrive() -> None:
    """Counters, gauges and money have the value that was told."""
    samples = _samples(_with_everything())
    assert samples["gateway_credits_total"] == [({"kind": "used", "model": "m", "team": "t"}, 1.5)]
    assert samples["gateway_upstream_cost_usd_total"][0][1] == 0.0208
    assert samples["gateway_attempts_total"] == [({"upstream": "u", "model": "m", "fault": "none"}, 1.0)]
    assert samples["gateway_upstream_circuit_open"][0][1] == 1
    assert samples["gateway_in_doubt_usd"][0][1] == 0.0208
    assert samples["gateway_bytes_in_flight"][0][1] == 5
    assert samples["gateway_task_duration_seconds_sum"][0][1] == 2.5


def test_money_is_summed_exactly() -> None:
    """A hundred thousand additions of a tenth are ten thousand, not nearly."""
    metrics = Metrics()
    for _ in range(100_000):
        metrics.upstream_paid(upstream="u", model="m", microusd=100_000)
    assert _samples(metrics)["gateway_upstream_cost_usd_total"][0][1] == 10_000.0


def test_duration_buckets_span_5_ms_to_300_s() -> None:
    """The bounds that dashboards are drawn with."""
    bounds = [labels["le"] for labels, _ in _samples(_with_everything())["gateway_task_duration_seconds_bucket"]]
    assert (bounds[0], bounds[-2], bounds[-1]) == ("0.005", "300.0", "+Inf")


def test_a_bucket_counts_up_to_its_bound() -> None:
    """A value on a bound belongs to it, one above all bounds to +Inf alone; counts add up from bucket to bucket."""
    metrics = Metrics()
    for seconds in (0.0, 0.0005, 0.0006, 30.0, 31.0):
        metrics.overhead("image", seconds)
    samples = _samples(metrics)
    counts = {labels["le"]: count for labels, count in samples["gateway_overhead_seconds_bucket"]}
    assert (counts["0.0005"], counts["0.001"], counts["10.0"], counts["30.0"], counts["+Inf"]) == (2, 3, 3, 4, 5)
    assert samples["gateway_overhead_seconds_count"][0][1] == 5
    assert samples["gateway_overhead_seconds_sum"][0][1] == pytest.approx(61.0011)


def test_labels_are_bounded() -> None:
    """The first 200 values keep their names, later ones are `other`; earlier ones go on counting."""
    label = BoundedLabel()
    names = [f"team-{index}" for index in range(DISTINCT_VALUES_MAX + 50)]
    kept = [label(name) for name in names]
    assert kept[:DISTINCT_VALUES_MAX] == names[:DISTINCT_VALUES_MAX]
    assert set(kept[DISTINCT_VALUES_MAX:]) == {"other"}
    assert label("team-0") == "team-0"


def figure(account: str, ratio: float, window: str = "day", unit: str = "usd", left: float = 1.0) -> BudgetFigure:
    return BudgetFigure(account, window, unit, ratio, left)


def test_the_fullest_budgets_keep_their_names() -> None:
    """Of two hundred and fifty accounts the two hundred fullest; the others are one, at the fullest and tightest of them."""
    figures = [figure(f"team:a/{number:03d}", number / 250, left=250 - number) for number in range(250)]
    used, left = tightest(figures)
    assert len(used) == len(left) == DISTINCT_VALUES_MAX + 1
    assert used["team:a/249", "day"] == 249 / 250
    assert (used[OTHER, "day"], left[OTHER, "day", "usd"]) == (49 / 250, 201)
    assert ("team:a/049", "day") not in used


def test_of_several_budgets_of_a_window_the_tightest_is_shown() -> None:
    """The fullest ratio of a window; what is left by unit."""
    figures = [figure("org:a", 0.5, left=3), figure("org:a", 0.9, left=7), figure("org:a", 0.1, unit="images", left=2)]
    assert tightest(figures) == (
        {("org:a", "day"): 0.9},
        {("org:a", "day", "usd"): 3, ("org:a", "day", "images"): 2},
    )


def test_budgets_that_are_gone_have_no_series() -> None:
    """A changed window, and an account without budgets, do not stay at their last figure."""
    metrics = Metrics()
    metrics.budgets([figure("org:a", 0.5), figure("team:a/t", 0.25)])
    metrics.budgets([figure("org:a", 0.75, window="month")])
    samples = _samples(metrics)
    assert samples["gateway_budget_used_ratio"] == [({"account": "org:a", "window": "month"}, 0.75)]
    assert samples["gateway_budget_left"] == [({"account": "org:a", "window": "month", "unit": "usd"}, 1.0)]


def test_a_state_without_tasks_falls_to_zero() -> None:
    """A gauge does not keep the last number of a state that is gone."""
    metrics = Metrics()
    metrics.tasks({"pending": 3}, {"pending": 9.0})
    metrics.tasks({}, {})
    assert _samples(metrics)["gateway_tasks"] == [({"state": "pending"}, 0.0)]


def test_figures_can_be_counted_at_scrape_time() -> None:
    """What is registered for the scrape runs at each rendering and not before."""
    metrics, calls = Metrics(), []
    metrics.on_scrape(lambda: calls.append(1))
    assert calls == []
    metrics.render()
    metrics.render()
    assert len(calls) == 2


def test_what_is_counted_at_a_scrape_is_in_that_scrape() -> None:
    """A figure refreshed for a rendering stands in this one, not only in the next."""
    metrics = Metrics()
    metrics.on_scrape(lambda: metrics.circuit(upstream="u", model="m", is_open=True))
    assert b'gateway_upstream_circuit_open{model="m",upstream="u"} 1.0' in metrics.render()


async def test_a_blocked_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lag is the time by which a tick came after it was due."""
    seen: list[float] = []
    monkeypatch.setattr(loop_lag, "asyncio", SimpleNamespace(sleep=_at_once))

    def observe(lag_s: float) -> None:
        seen.append(round(lag_s, 6))
        if len(seen) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await loop_lag.watch_loop_lag(observe, 0.1, _Times(10.0, 10.1, 20.0, 20.5))
    assert seen == [0.0, 0.4]  # due at 10.1 and came then; due at 20.1 and came 0.4 s late


class _Times(SystemClock):
    """A clock that says these monotonic times, one after the other."""

    def __init__(self, *times_s: float) -> None:
        self._times_s = iter(times_s)

    def monotonic_s(self) -> float:
        return next(self._times_s)


async def _at_once(_: float) -> None:
    return None
