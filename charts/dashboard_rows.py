"""What the dashboard shows: rows of panels, each with its queries. dashboard.py makes Grafana's file of them.

`$s` in a query is the selector of the chosen gateways. Figures of the database are the same from each process: their maximum is shown, never their
sum. Pure.
"""

from dataclasses import dataclass, field

EVERY = "$__rate_interval"
"""Of rates: at least four scrapes, as Grafana knows them."""
SPAN = "$__range"
"""Of sums: what the dashboard shows."""


@dataclass(frozen=True)
class Panel:
    """`queries`: each with its legend. `kind` is Grafana's name for the picture."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    about: str = ""
    stacked: bool = False
    red_from: float | None = None
    """From here on the figure is bad."""


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def stat(title: str, unit: str, query: str, about: str = "", *, width: int = 4, red_from: float | None = None) -> Panel:
    return Panel(title, unit, ((query, ""),), "stat", width, about, red_from=red_from)


def lines(title: str, unit: str, *queries: tuple[str, str], about: str = "", width: int = 8) -> Panel:
    return Panel(title, unit, queries, width=width, about=about)


def areas(title: str, unit: str, *queries: tuple[str, str], about: str = "", width: int = 8) -> Panel:
    return Panel(title, unit, queries, width=width, about=about, stacked=True)


def bars(title: str, unit: str, query: str, legend: str, about: str = "", *, red_from: float | None = None) -> Panel:
    return Panel(title, unit, ((query, legend),), "bargauge", 8, about, red_from=red_from)


def rates(name: str, by: str = "", labels: str = "") -> str:
    """Of a counter a second, summed over all processes and whatever is not in `by`."""
    return f"{_sum(by)} (rate({_series(name, labels)}[{EVERY}]))"


def grown(name: str, by: str = "", labels: str = "") -> str:
    """How much a counter grew from point to point."""
    return f"{_sum(by)} (increase({_series(name, labels)}[{EVERY}]))"


def total(name: str, labels: str = "", by: str = "") -> str:
    """How much a counter grew in all that is shown."""
    return f"{_sum(by)} (increase({_series(name, labels)}[{SPAN}]))"


def ratio(part: str, whole: str) -> str:
    """Nothing where there is no whole."""
    return f"{part} / ({whole} > 0)"


def an_hour(a_second: str) -> str:
    return f"3600 * {a_second}"


def quantile(q: float, name: str, by: str = "", labels: str = "") -> str:
    """Of a histogram, over all processes."""
    return f"histogram_quantile({q}, {rates(f'{name}_bucket', f'le, {by}' if by else 'le', labels)})"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"


def _series(name: str, labels: str) -> str:
    return f"{name}{{$s,{labels}}}" if labels else f"{name}{{$s}}"


MONEY = Row(
    "Money: what is spent, by whom, on what, and what was saved",
    (
        stat("Paid to upstreams", "currencyUSD", total("gateway_upstream_cost_usd_total")),
        stat(
            "Charged to callers",
            "currencyUSD",
            total("gateway_credits_total", 'kind="used"') + " / max(gateway_credits_per_usd{$s})",
        ),
        stat(
            "Saved by routing",
            "currencyUSD",
            total("gateway_savings_usd_total", 'by="routing"'),
            "Against the dearest offer that could have been tried.",
        ),
        stat(
            "Saved by the cache",
            "currencyUSD",
            total("gateway_savings_usd_total", 'by="cache"'),
            "What upstreams had been paid for pictures that were shared.",
        ),
        stat("Pictures", "short", total("gateway_images_total")),
        stat(
            "Cost of a picture",
            "currencyUSD",
            ratio(total("gateway_upstream_cost_usd_total"), total("gateway_images_total")),
        ),
        areas(
            "Paid an hour, by upstream",
            "currencyUSD",
            (an_hour(rates("gateway_upstream_cost_usd_total", "upstream")), "{{upstream}}"),
        ),
        areas(
            "Paid an hour, by model",
            "currencyUSD",
            (an_hour(rates("gateway_upstream_cost_usd_total", "model")) + " > 0", "{{model}}"),
            about="Those that cost anything.",
        ),
        bars(
            "Credits used, by team",
            "short",
            "topk(10, " + total("gateway_credits_total", 'kind="used"', by="team") + ")",
            "{{team}}",
        ),
        lines(
            "Credits held, used and released",
            "short",
            (rates("gateway_credits_total", "kind"), "{{kind}}"),
            about="A second.",
        ),
        lines("Saved an hour", "currencyUSD", (an_hour(rates("gateway_savings_usd_total", "by")), "{{by}}")),
        areas("Tokens a second", "short", (rates("gateway_tokens_total", "kind"), "{{kind}}")),
    ),
)
TASKS = Row(
    "Calls and tasks: how long they take, what of it is ours, what is stuck",
    (
        areas(
            "Answers a second, by status",
            "reqps",
            (rates("gateway_http_requests_total", "status"), "{{status}}"),
            about="499: the client hung up.",
        ),
        areas(
            "Ended tasks a second, by outcome",
            "ops",
            (rates("gateway_task_duration_seconds_count", "outcome"), "{{outcome}}"),
        ),
        lines(
            "Time of completed tasks, by model",
            "s",
            (quantile(0.5, "gateway_task_duration_seconds", "model", 'outcome="completed"'), "half: {{model}}"),
            (quantile(0.95, "gateway_task_duration_seconds", "model", 'outcome="completed"'), "95 %: {{model}}"),
        ),
        lines(
            "The gateway's own part",
            "s",
            (quantile(0.5, "gateway_overhead_seconds"), "half"),
            (quantile(0.99, "gateway_overhead_seconds"), "99 %"),
            about="Of a call: the time in which nothing was at an upstream. A wait for a place there counts.",
        ),
        areas("Unfinished tasks", "short", ("max by (state) (gateway_tasks{$s})", "{{state}}")),
        lines(
            "Oldest unfinished task and hold",
            "s",
            ("max by (state) (gateway_oldest_task_age_seconds{$s})", "{{state}}"),
            ("max(gateway_oldest_hold_age_seconds{$s})", "hold"),
        ),
        areas(
            "Tasks in flight, by process",
            "short",
            ("gateway_tasks_in_flight{$s}", "{{instance}}"),
            about="What to scale by.",
        ),
        lines("Tasks taken up from other processes", "short", (grown("gateway_tasks_taken_up_total"), "taken up")),
        lines("Calls made before", "reqps", (rates("gateway_repeated_calls_total", "result"), "{{result}}")),
    ),
)
UPSTREAMS = Row(
    "Upstreams: which one is sick",
    (
        Panel(
            "Offers left alone",
            "short",
            (
                (
                    "count by (upstream) (avg by (upstream, model) (gateway_upstream_circuit_open{$s}) > 0.5)"
                    " or 0 * max by (upstream) (gateway_upstream_circuit_open{$s})",
                    "{{upstream}}",
                ),
            ),
            "bargauge",
            8,
            "Circuits that are open in most processes.",
            red_from=1,
        ),
        areas(
            "Failed tries a second, by upstream and fault",
            "ops",
            (rates("gateway_attempts_total", "upstream, fault", labels='fault!="none"'), "{{upstream}}: {{fault}}"),
        ),
        lines(
            "Part of tries that fail",
            "percentunit",
            (
                ratio(
                    rates("gateway_attempts_total", "upstream", 'fault!~"none|refused|bad_request|cancelled"'),
                    rates("gateway_attempts_total", "upstream"),
                ),
                "{{upstream}}",
            ),
            about="Refused words, bad parameters and cancelled calls are not the upstream's failures.",
        ),
        lines(
            "Time of a picture, nine of ten",
            "s",
            (quantile(0.9, "gateway_attempt_duration_seconds", "upstream", 'outcome="succeeded"'), "{{upstream}}"),
        ),
        areas("Tries a second", "ops", (rates("gateway_attempts_total", "upstream"), "{{upstream}}")),
        lines(
            "Places taken",
            "percentunit",
            (
                "sum by (upstream) (gateway_upstream_slots_taken{$s}) / sum by (upstream) (gateway_upstream_slots{$s})",
                "{{upstream}}",
            ),
            about="Of `concurrency` times processes.",
        ),
        areas(
            "Waiting for a place",
            "short",
            ("sum by (upstream) (gateway_upstream_waiting_attempts{$s})", "{{upstream}}"),
        ),
        areas(
            "Offers passed over, by reason",
            "ops",
            (rates("gateway_offers_skipped_total", "upstream, reason"), "{{upstream}}: {{reason}}"),
        ),
        lines(
            "Last resorts and cancelled calls",
            "short",
            (grown("gateway_last_resorts_total", "result"), "last resort: {{result}}"),
            (grown("gateway_upstream_cancels_total", "outcome"), "cancelled: {{outcome}}"),
        ),
    ),
)
CACHE = Row(
    "Cache: what is shared",
    (
        areas(
            "Calls, by what the cache was to them",
            "reqps",
            (rates("gateway_cache_requests_total", "result"), "{{result}}"),
        ),
        lines(
            "Part of calls with shared pictures",
            "percentunit",
            (
                ratio(
                    rates("gateway_cache_requests_total", labels='result=~"hit|joined"'),
                    rates("gateway_cache_requests_total"),
                ),
                "shared",
            ),
        ),
        lines("Pictures in memory for hits", "bytes", ("gateway_cache_bytes{$s}", "{{instance}}")),
    ),
)
BUDGETS = Row(
    "Budgets and limits: who is near the end",
    (
        bars(
            "Fullest budgets",
            "percentunit",
            "topk(10, max by (account, window) (gateway_budget_used_ratio{$s}))",
            "{{account}} {{window}}",
            red_from=0.8,
        ),
        bars(
            "Own budgets of upstreams",
            "percentunit",
            "max by (upstream, window) (gateway_upstream_budget_used_ratio{$s})",
            "{{upstream}} {{window}}",
            red_from=0.8,
        ),
        lines(
            "What the tightest have left",
            "short",
            (
                "bottomk(10, min by (account, window, unit) (gateway_budget_left{$s}))",
                "{{account}} {{window}} ({{unit}})",
            ),
        ),
        lines(
            "Refused by budgets",
            "short",
            (grown("gateway_budget_refusals_total", "level"), "{{level}}"),
        ),
        lines("Refused by limits", "short", (grown("gateway_limited_requests_total", "kind"), "{{kind}}")),
        lines(
            "Closed by their own budget",
            "short",
            (
                "max by (upstream) (gateway_upstream_budget_closed{$s})"
                " or 0 * max by (upstream) (gateway_upstream_slots{$s})",
                "{{upstream}}",
            ),
        ),
    ),
)
BOOKS = Row(
    "In doubt, and the ledger",
    (
        stat(
            "In doubt",
            "currencyUSD",
            "max(gateway_in_doubt_usd{$s})",
            "Presumed cost of calls whose outcome nobody knows.",
            width=4,
            red_from=0.000001,
        ),
        stat(
            "Ledger differences",
            "short",
            "max(gateway_ledger_differences{$s})",
            "By the audit of every ten minutes. Anything but 0 is an alarm.",
            width=4,
            red_from=1,
        ),
        lines("In doubt", "currencyUSD", ("max(gateway_in_doubt_usd{$s})", "USD"), width=8),
        lines(
            "Tries that fell into doubt",
            "short",
            (grown("gateway_attempts_in_doubt_total", "upstream"), "{{upstream}}"),
            width=8,
        ),
    ),
)
TOLD = Row(
    "Callbacks, alerts, retention: who was not told, what is not gone",
    (
        areas("Callbacks", "short", (grown("gateway_callbacks_total", "outcome"), "{{outcome}}")),
        areas("Answers of receivers", "short", (grown("gateway_callback_attempts_total", "answer"), "{{answer}}")),
        lines(
            "From a task's end to its callback",
            "s",
            (quantile(0.5, "gateway_callback_lag_seconds"), "half"),
            (quantile(0.95, "gateway_callback_lag_seconds"), "95 %"),
        ),
        lines(
            "Callbacks due, and given up",
            "short",
            ("max(gateway_callbacks_due{$s})", "due"),
            ("max(gateway_callbacks_dead{$s})", "given up"),
        ),
        lines("Alerts about budgets", "short", (grown("gateway_alerts_total", "outcome"), "{{outcome}}")),
        lines(
            "Retention: late, and deleted",
            "short",
            ("max by (kind) (gateway_retention_lag_seconds{$s})", "seconds late: {{kind}}"),
            (grown("gateway_retention_deleted_total", "kind"), "deleted: {{kind}}"),
        ),
    ),
)
RUNTIME = Row(
    "The process, and what it stands on",
    (
        stat("Processes", "short", "count(gateway_build_info{$s})"),
        Panel("Versions", "short", (("count by (version) (gateway_build_info{$s})", "{{version}}"),), "stat", 4),
        stat("Up since", "s", "time() - max(process_start_time_seconds{$s})", "The youngest process."),
        Panel(
            "Config refused",
            "short",
            (("sum(1 - gateway_config_last_reload_successful{$s})", ""),),
            "stat",
            4,
            "Processes that run with an old config.",
            red_from=1,
        ),
        Panel(
            "Database",
            "short",
            (("sum(1 - gateway_database_up{$s})", ""),),
            "stat",
            4,
            "Processes that cannot write it.",
            red_from=1,
        ),
        Panel(
            "Shared state",
            "short",
            (("sum(1 - gateway_state_up{$s}) or vector(0)", ""),),
            "stat",
            4,
            "Processes that it does not answer.",
            red_from=1,
        ),
        lines(
            "Event loop late, 99 of 100",
            "s",
            (quantile(0.99, "gateway_event_loop_lag_seconds", "instance"), "{{instance}}"),
            about="Above 50 ms something blocks it.",
        ),
        lines(
            "Processor",
            "percentunit",
            (rates("process_cpu_seconds_total", "instance"), "{{instance}}"),
            about="Of one core.",
        ),
        lines(
            "Memory",
            "bytes",
            ("process_resident_memory_bytes{$s}", "{{instance}}"),
            ("gateway_bytes_in_flight{$s}", "bodies and answers: {{instance}}"),
        ),
        lines("Open descriptors", "percentunit", ("process_open_fds{$s} / process_max_fds{$s}", "{{instance}}")),
        lines(
            "Database: one transaction",
            "s",
            (quantile(0.5, "gateway_database_commit_seconds"), "half"),
            (quantile(0.99, "gateway_database_commit_seconds"), "99 %"),
        ),
        lines(
            "Database: writes in one transaction, and waiting",
            "short",
            (
                ratio(rates("gateway_database_batch_commands_sum"), rates("gateway_database_batch_commands_count")),
                "in one",
            ),
            ("sum(gateway_database_queue_commands{$s})", "waiting"),
        ),
        lines(
            "Database: failures, and connections",
            "short",
            (grown("gateway_database_errors_total", "kind"), "failed: {{kind}}"),
            ("sum by (state) (gateway_database_connections{$s})", "connections: {{state}}"),
        ),
        lines(
            "Store of pictures: 95 of 100",
            "s",
            (quantile(0.95, "gateway_blob_operation_duration_seconds", "operation"), "{{operation}}"),
        ),
        lines(
            "Store of pictures: failures", "short", (grown("gateway_blob_failures_total", "operation"), "{{operation}}")
        ),
        lines("Shared state: 99 of 100", "s", (quantile(0.99, "gateway_state_seconds"), "answers")),
        lines(
            "Shared state: failures",
            "short",
            (grown("gateway_state_failures_total", "reason"), "{{reason}}"),
            (grown("gateway_limiter_failures_total", "kind"), "not counted: {{kind}}"),
        ),
    ),
)
ROWS = (MONEY, TASKS, UPSTREAMS, CACHE, BUDGETS, BOOKS, TOLD, RUNTIME)
