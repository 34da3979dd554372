"""Metrics to which everything has happened once: what the tests of documents, rules and dashboards compare with."""

import re

from gateway.telemetry.labels import BudgetFigure
from gateway.telemetry.metrics import Metrics


def everything() -> Metrics:
    """One sample at least of each metric that there is."""
    metrics = Metrics()
    metrics.request_answered("/r", "GET", 200)
    metrics.task_finished(model="m", upstream="u", contract="image", outcome="completed", duration_s=2.5)
    metrics.overhead("image", 0.1)
    metrics.credits("held", model="m", team="t", microcredits=1)
    metrics.upstream_paid(upstream="u", model="m", microusd=1)
    metrics.saved("routing", 1)
    metrics.delivered(model="m", upstream="u", images=1, tokens={"output": 1})
    metrics.budget_refused("team", "day")
    metrics.cache_asked("hit")
    metrics.cache_holds(1)
    metrics.attempt_ended(upstream="u", model="m", fault=None)
    metrics.attempt_took(upstream="u", outcome="unknown", duration_s=1.0)
    metrics.offer_skipped(upstream="u", reason="not_able")
    metrics.last_resort(upstream="u", served=True)
    metrics.limited("rate", "key")
    metrics.limiter_failed("rate")
    metrics.repeated("joined")
    metrics.circuit(upstream="u", model="m", is_open=False)
    metrics.upstream_budgets({("u", "day"): 0.5})
    metrics.upstreams_closed(["u"])
    metrics.tasks({"pending": 1}, {"pending": 1.0})
    metrics.budgets([BudgetFigure("team:a/t", "day", "usd", 0.5, 10.0)])
    metrics.alert("sent")
    metrics.state_up(True)
    metrics.state_answered(0.001)
    metrics.state_failed("timeout")
    metrics.callback_tried("2xx")
    metrics.callback_ended("sent", 0.5)
    metrics.callbacks_waiting(due=1, dead=1)
    metrics.retention_lag("results", 1.0)
    metrics.retention_deleted("results", 1)
    metrics.upstream_cancelled(upstream="u", outcome="unbilled")
    machine = metrics.machine
    machine.build("1.0")
    machine.in_hand(1)
    machine.taken_up(1)
    machine.config(is_latest=True, credits_per_usd=1000.0)
    machine.database(is_up=True, queued=1, connections={"idle": 1})
    machine.batch(1, 0.001, {"unavailable": 1})
    machine.blob("put", 0.001, failed=True)
    machine.places("u", most=2, taken=1, waiting=1)
    return metrics


def types_and_labels() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every metric, by what that instance renders."""
    found: dict[str, tuple[str, set[str]]] = {}
    text = everything().render().decode()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        if not name.endswith("_created"):
            sample = re.search(rf"^{name}(?:_count)?(?:\{{(.*)\}})? ", text, re.MULTILINE)
            assert sample is not None, f"{name}: make it happen above"
            found[name] = kind, set(re.findall(r'(\w+)="', sample[1] or ""))
    return found


def series_names() -> set[str]:
    """The names that queries use: of a histogram its buckets, sum and count."""
    found: set[str] = set()
    for name, (kind, _) in types_and_labels().items():
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found
