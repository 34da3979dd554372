"""Every Prometheus metric of the gateway, declared once. Callers say what happened; names, labels and buckets stay in here.

Hot path: an event costs a dictionary look-up and an addition. Counters are plain integers that are read at scrape time (exact for
money, and cheaper than the client library's locks), and so are histograms. Everything runs on the event loop's thread.
Must not raise for any value of a label: what is new beyond a label's limit counts as `other`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.domain import money
from gateway.domain.accounts import Window
from gateway.domain.repeats import Replay
from gateway.domain.sharing import CacheResult
from gateway.telemetry.labels import BoundedLabel, BudgetFigure, tightest
from gateway.telemetry.machine import Machine
from gateway.telemetry.series import Counter, Gauges, Histograms

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `render` returns: Prometheus' text format, which every scraper of the last ten years reads."""

# 5 ms is a call that no upstream saw, 300 s is longer than the longest deadline (240 s).
_DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
# The gateway's own part: two commits and some parsing, well under 10 ms unless something is wrong.
_OVERHEAD_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# At once, after each of the retries (1, 3, 7 s), after a circuit's pauses, and the most that those may take.
_CALLBACK_LAG_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800)
# A round trip on a local network takes half a millisecond; nobody waits longer than 0.2 s.
_STATE_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2)
# The rule is that nothing blocks the loop for 50 ms; the buckets around that decide.
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)


C = TypeVar("C", bound=Collector)


class Metrics:
    """One instance a process, handed in by the root. `registry` is the one that `/metrics` renders."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry if registry is not None else CollectorRegistry()
        self._refreshers: list[Callable[[], None]] = []
        self._model, self._team, self._upstream = BoundedLabel(), BoundedLabel(), BoundedLabel()

        def kept(collector: C) -> C:
            registry.register(collector)
            return collector

        self._requests = kept(
            Counter("gateway_http_requests", "Answered HTTP requests by route.", ("route", "method", "status"))
        )
        self._credits = kept(
            Counter("gateway_credits", "Credits held, used and released.", ("kind", "model", "team"), money.MICRO)
        )
        self._cost = kept(
            Counter(
                "gateway_upstream_cost_usd", "What upstreams were paid, in USD.", ("upstream", "model"), money.MICRO
            )
        )
        self._savings = kept(Counter("gateway_savings_usd", "What was saved, in USD, by what.", ("by",), money.MICRO))
        self._attempts = kept(
            Counter("gateway_attempts", "Tries of offers; fault is none for a success.", ("upstream", "model", "fault"))
        )
        self._in_doubt_attempts = kept(
            Counter("gateway_attempts_in_doubt", "Tries of which nobody knows whether they are billed.", ("upstream",))
        )
        self._images, self._tokens, self._refusals = map(kept, _delivery_counters())
        self._skipped, self._last_resorts, self._cancels = map(kept, _routing_counters())
        self._limited = kept(
            Counter("gateway_limited_requests", "Calls refused by a limit, by the account's level.", ("kind", "level"))
        )
        self._limiter_failures = kept(
            Counter(
                "gateway_limiter_failures", "Calls that a limit could not count because its store was down.", ("kind",)
            )
        )
        self._repeats = kept(Counter("gateway_repeated_calls", "Calls that were made before, by how.", ("result",)))
        self._cache, self._cache_bytes = kept(_cache_requests()), kept(_cache_bytes())
        self._circuits = kept(
            Gauges("gateway_upstream_circuit_open", "1 while an offer is left alone.", ("upstream", "model"))
        )
        self._upstream_used, self._upstream_closed = map(kept, _upstream_budget_gauges())
        self._tasks = kept(Gauges("gateway_tasks", "Tasks by state.", ("state",)))
        self._task_ages = kept(
            Gauges("gateway_oldest_task_age_seconds", "Age of the oldest task of a state.", ("state",))
        )
        self._state = _State(registry)
        self._alerts = kept(Counter("gateway_alerts", "Tries to deliver alerts.", ("outcome",)))
        self._callbacks, self._retention = _Callbacks(registry), _Retention(registry)
        self._budgets = kept(_Budgets())
        self.machine = Machine(registry, self._upstream)

        self._keep_histograms(registry)
        self._bytes = Gauge("gateway_bytes_in_flight", "Picture bytes held in memory.", registry=registry)
        self._in_doubt = Gauge("gateway_in_doubt_usd", "Presumed cost of attempts in doubt.", registry=registry)
        self._differences = Gauge("gateway_ledger_differences", "Balances unlike their entries.", registry=registry)
        self._hold_age = Gauge("gateway_oldest_hold_age_seconds", "Age of the oldest open hold.", registry=registry)

        self._begin_at_zero()

    def _keep_histograms(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histograms:
            kept = Histograms(name, text, labels, buckets)
            registry.register(kept)
            return kept

        self._durations = histogram(
            "gateway_task_duration_seconds",
            "From acceptance to the final state.",
            ("model", "upstream", "contract", "outcome"),
            _DURATION_BUCKETS_S,
        )
        self._attempt_durations = histogram(
            "gateway_attempt_duration_seconds",
            "From the record of a try to its outcome.",
            ("upstream", "outcome"),
            _DURATION_BUCKETS_S,
        )
        self._overheads = histogram(
            "gateway_overhead_seconds",
            "The part of a call that is the gateway's own.",
            ("contract",),
            _OVERHEAD_BUCKETS_S,
        )
        self._loop_lag = histogram("gateway_event_loop_lag_seconds", "How late the loop woke.", (), _LAG_BUCKETS_S)

    def _begin_at_zero(self) -> None:
        self._savings.expect_all(("routing", "cache"))
        self._limiter_failures.expect_all(("rate", "concurrency", "upstream"))
        self._repeats.expect_all(Replay)
        self._cache.expect_all(CacheResult)
        self._alerts.expect_all(("sent", "failed", "dead"))
        self._callbacks.ended.expect_all(("sent", "dead", "postponed"))
        self._callbacks.tries.expect_all(("2xx", "4xx", "5xx"))
        self._retention.deleted.expect_all(("results", "prompts", "tasks", "uploads", "sessions"))
        for level in ("org", "team", "key"):
            for kind in ("rate", "concurrency"):
                self._limited.expect((kind, level))
            for window in Window:
                self._refusals.expect((level, window.value))

    def offer_known(self, *, upstream: str, model: str) -> None:
        """What operators are woken by stands at 0 for an offer until it happens."""
        upstream, model = self._upstream(upstream), self._model(model)
        for fault in ("credentials", "no_money"):
            self._attempts.expect((upstream, model, fault))
        self._cost.expect((upstream, model))
        self._in_doubt_attempts.expect((upstream,))
        for result in ("served", "failed"):
            self._last_resorts.expect((upstream, result))
        for outcome in ("unbilled", "billed", "unknown", "too_late"):
            self._cancels.expect((upstream, outcome))

    def request_answered(self, route: str, method: str, status: int) -> None:
        """`route` is a template of the route table, never a path."""
        self._requests.add((route, method, str(status)), 1)

    def task_finished(
        self, *, model: str, upstream: str | None, contract: str, outcome: str, duration_s: float
    ) -> None:
        """`outcome` is the final state; `upstream` delivered, None where nobody did."""
        labels = (self._model(model), self._upstream(upstream) if upstream else "none", contract, outcome)
        self._durations.observe(labels, duration_s)

    def served(
        self,
        *,
        model: str,
        team: str,
        contract: str,
        images: int,
        duration_s: float,
        charged_microcredits: int,
        full_microcredits: int,
        saved_microusd: int,
    ) -> None:
        """A task that ended with its acceptance, with pictures that were there. `full`: what they had cost their first caller, `saved`: us."""
        model, team = self._model(model), self._team(team)
        self._durations.observe((model, "none", contract, "completed"), duration_s)
        self._overheads.observe((contract,), duration_s)
        self._images.add((model, "none"), images)
        add = self._credits.add
        add(("held", model, team), charged_microcredits)
        add(("used", model, team), charged_microcredits)
        add(("released", model, team), 0)
        add(("saved", model, team), max(0, full_microcredits - charged_microcredits))
        self._savings.add(("cache",), saved_microusd)
        self._cache.add(("hit",), 1)

    def overhead(self, contract: str, overhead_s: float) -> None:
        self._overheads.observe((contract,), overhead_s)

    def credits(self, kind: str, *, model: str, team: str, microcredits: int) -> None:
        """`kind` is held, used or released; or saved: what shared pictures would have cost more."""
        self._credits.add((kind, self._model(model), self._team(team)), microcredits)

    def upstream_paid(self, *, upstream: str, model: str, microusd: int) -> None:
        self._cost.add((self._upstream(upstream), self._model(model)), microusd)

    def saved(self, by: str, microusd: int) -> None:
        """`by` is routing, or the cache."""
        self._savings.add((by,), microusd)

    def attempt_ended(self, *, upstream: str, model: str, fault: str | None) -> None:
        """`fault` None: it succeeded."""
        self._attempts.add((self._upstream(upstream), self._model(model), fault or "none"), 1)

    def attempt_took(self, *, upstream: str, outcome: str, duration_s: float) -> None:
        """`outcome` is its final state: succeeded, failed or unknown, which is in doubt."""
        self._attempt_durations.observe((self._upstream(upstream), outcome), duration_s)
        if outcome == "unknown":
            self._in_doubt_attempts.add((self._upstream(upstream),), 1)

    def delivered(self, *, model: str, upstream: str | None, images: int, tokens: Mapping[str, int]) -> None:
        """What a task's caller got. `tokens` by kind, where their number is known; `upstream` None: pictures of another call."""
        self._images.add((self._model(model), self._upstream(upstream) if upstream else "none"), images)
        for kind, count in tokens.items():
            self._tokens.add((self._model(model), kind), count)

    def budget_refused(self, level: str, window: str) -> None:
        """`level` is org, team or key, or upstream for one of its own."""
        self._refusals.add((level, window), 1)

    def offer_skipped(self, *, upstream: str, reason: str) -> None:
        """`reason` is a word of `domain.considered.Skip`."""
        self._skipped.add((self._upstream(upstream), reason), 1)

    def last_resort(self, *, upstream: str, served: bool) -> None:
        """A try of an offer that was left alone, with no other left."""
        self._last_resorts.add((self._upstream(upstream), "served" if served else "failed"), 1)

    def upstream_cancelled(self, *, upstream: str, outcome: str) -> None:
        """`outcome` is unbilled, billed, unknown or too_late."""
        self._cancels.add((self._upstream(upstream), outcome), 1)

    def limited(self, kind: str, level: str) -> None:
        """`kind` is rate or concurrency, `level` org, team or key."""
        self._limited.add((kind, level), 1)

    def limiter_failed(self, kind: str) -> None:
        self._limiter_failures.add((kind,), 1)

    def repeated(self, result: str) -> None:
        """`result` is a word of `domain.repeats.Replay`."""
        self._repeats.add((result,), 1)

    def cache_asked(self, result: str) -> None:
        """`result` is a word of `domain.sharing.CacheResult`."""
        self._cache.add((result,), 1)

    def cache_holds(self, count_bytes: int) -> None:
        self._cache_bytes.set((), count_bytes)

    def circuit(self, *, upstream: str, model: str, is_open: bool) -> None:
        self._circuits.set((self._upstream(upstream), self._model(model)), 1 if is_open else 0)

    def upstream_budgets(self, used: Mapping[tuple[str, str], float]) -> None:
        """Used / limit by upstream and window; one that is absent stands at 0 from now on."""
        self._upstream_used.replace({(self._upstream(name), window): ratio for (name, window), ratio in used.items()})

    def upstreams_closed(self, names: Collection[str]) -> None:
        """Those whose own budget leaves their offers out now; the others stand at 0 once they were."""
        self._upstream_closed.replace({(self._upstream(name),): 1 for name in names})

    def tasks(self, counts: Mapping[str, int], oldest_age_s: Mapping[str, float]) -> None:
        """By state; a state that is absent stands at 0 from now on."""
        self._tasks.replace({(state,): count for state, count in counts.items()})
        self._task_ages.replace({(state,): age for state, age in oldest_age_s.items()})

    def state_up(self, is_up: bool) -> None:
        """Of the shared state; without one it is never told."""
        self._state.failures.expect_all(("timeout", "lost", "error", "left_alone"))
        self._state.up.set((), 1 if is_up else 0)

    def state_answered(self, after_s: float) -> None:
        self._state.answers.observe((), after_s)

    def state_failed(self, reason: str) -> None:
        """`reason` is timeout, lost (the connection), error (the server's own) or left_alone (not asked)."""
        self._state.failures.add((reason,), 1)

    def alert(self, outcome: str) -> None:
        """`outcome` is sent, failed (it will be tried again) or dead."""
        self._alerts.add((outcome,), 1)

    def callback_tried(self, answer: str) -> None:
        """`answer` is 2xx to 5xx, or one of the few texts of a try without a status."""
        self._callbacks.tries.add((answer,), 1)

    def callback_ended(self, outcome: str, lag_s: float | None = None) -> None:
        """`outcome` is sent or dead; `lag_s` belongs to sent."""
        self._callbacks.ended.add((outcome,), 1)
        if lag_s is not None:
            self._callbacks.lag.observe((), lag_s)

    def callbacks_postponed(self, count: int) -> None:
        """Because their endpoint's circuit is open."""
        self._callbacks.ended.add(("postponed",), count)

    def callbacks_waiting(self, *, due: int, dead: int) -> None:
        """What the periodic look at the outbox found."""
        self._callbacks.due.set(due)
        self._callbacks.dead.set(dead)

    def retention_lag(self, kind: str, lag_s: float) -> None:
        """`kind` is results, prompts or tasks; how long the oldest of it should have been gone."""
        self._retention.lag.set((kind,), lag_s)

    def retention_deleted(self, kind: str, count: int) -> None:
        self._retention.deleted.add((kind,), count)

    def budgets(self, figures: Iterable[BudgetFigure]) -> None:
        """All there are: the accounts with the fullest keep their names, the rest is `other`. What is not among them has no series any more."""
        self._budgets.used, self._budgets.left = tightest(figures)

    def loop_lag(self, lag_s: float) -> None:
        self._loop_lag.observe((), lag_s)

    def bytes_in_flight(self, change_bytes: int) -> None:
        """Adds to, or with a negative number takes from, the picture bytes in memory."""
        self._bytes.inc(change_bytes)

    def books(self, *, in_doubt_microusd: int, differences: int, oldest_hold_age_s: float) -> None:
        """What the periodic look at the ledger found."""
        self._in_doubt.set(money.json_number(in_doubt_microusd))
        self._differences.set(differences)
        self._hold_age.set(oldest_hold_age_s)

    def on_scrape(self, refresh: Callable[[], None]) -> None:
        """Calls `refresh` before each rendering, for figures that are only worth counting when someone looks."""
        self._refreshers.append(refresh)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        # Not as a collector: those run in the order of registration, so most figures would be a scrape late.
        for refresh in self._refreshers:
            refresh()
        return generate_latest(self._registry)


def _cache_requests() -> Counter:
    return Counter("gateway_cache_requests", "Accepted calls, by what the cache was to them.", ("result",))


def _cache_bytes() -> Gauges:
    return Gauges("gateway_cache_bytes", "Base64 text of pictures kept in memory.", ())


def _delivery_counters() -> tuple[Counter, Counter, Counter]:
    """What callers got, and what budgets kept from them."""
    return (
        Counter("gateway_images", "Pictures delivered.", ("model", "upstream")),
        Counter("gateway_tokens", "Tokens of delivered pictures.", ("model", "kind")),
        Counter("gateway_budget_refusals", "What a budget had no room for.", ("level", "window")),
    )


def _routing_counters() -> tuple[Counter, Counter, Counter]:
    """Offers left out of the plan, and tried all the same; calls that upstreams were told to cancel."""
    return (
        Counter("gateway_offers_skipped", "Offers that a call was not to try, by why.", ("upstream", "reason")),
        Counter("gateway_last_resorts", "Tries of offers with an open circuit, by result.", ("upstream", "result")),
        Counter("gateway_upstream_cancels", "Calls told to be cancelled, by outcome.", ("upstream", "outcome")),
    )


def _upstream_budget_gauges() -> tuple[Gauges, Gauges]:
    """Used of each window, and closed."""
    what = "Paid, in flight and in doubt at an upstream, of its own budget."
    return (
        Gauges("gateway_upstream_budget_used_ratio", what, ("upstream", "window")),
        Gauges("gateway_upstream_budget_closed", "1 while an upstream's own budget has no room.", ("upstream",)),
    )


class _Callbacks:
    """All about callbacks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter("gateway_callbacks", "Callbacks by what became of them.", ("outcome",))
        self.tries = Counter("gateway_callback_attempts", "Tries to deliver callbacks, by the answer.", ("answer",))
        text = "From a task's end to its callback's delivery."
        self.lag = Histograms("gateway_callback_lag_seconds", text, (), _CALLBACK_LAG_BUCKETS_S)
        for collector in (self.ended, self.tries, self.lag):
            registry.register(collector)
        self.due = Gauge("gateway_callbacks_due", "Callbacks still to be delivered.", registry=registry)
        self.dead = Gauge("gateway_callbacks_dead", "Callbacks that were given up.", registry=registry)


class _State:
    """The state that processes share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauges("gateway_state_up", "1 while the shared state answers.", ())
        self.failures = Counter("gateway_state_failures", "Calls that the shared state did not answer.", ("reason",))
        self.answers = Histograms("gateway_state_seconds", "Until the shared state answered.", (), _STATE_BUCKETS_S)
        for collector in (self.up, self.failures, self.answers):
            registry.register(collector)


class _Retention:
    """What has had its time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        late = "How long the oldest of a kind should have been gone."
        self.lag = Gauges("gateway_retention_lag_seconds", late, ("kind",))
        self.deleted = Counter("gateway_retention_deleted", "What was deleted, its time being over.", ("kind",))
        registry.register(self.lag)
        registry.register(self.deleted)


class _Budgets(Collector):
    """Of the latest look at all budgets, and of nothing before."""

    def __init__(self) -> None:
        self.used: Mapping[tuple[str, ...], float] = {}
        self.left: Mapping[tuple[str, ...], float] = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, text, labels, values in (
            ("gateway_budget_used_ratio", "Charged part of the fullest budget.", ("account", "window"), self.used),
            ("gateway_budget_left", "What the tightest budget has left.", ("account", "window", "unit"), self.left),
        ):
            family = GaugeMetricFamily(name, text, labels=labels)
            for of, value in values.items():
                family.add_metric(of, value)
            yield family
