"""Each alert fires when it should and not when it should not: the rules as Prometheus evaluates them, over series that tell an incident.

One start of promtool for all cases. Values stand for minutes; `flat` and `rising` write them.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.alert_rules import FILE, alerts, groups, hurried, links, queries, rules
from tests.contract.test_prometheus_files import ROOT, names_in
from tests.every_metric import series_names
from tests.prometheus import promtool
from tests.unit.test_docs import commands
from tests.unit.test_links import anchors

HERE = 'namespace="n",job="JOB",instance="a"'
"""Each case is a job of its own, so that all share few evaluations; one without its series is an evaluation of its own."""
LONG_MINUTES = 100
SEVERITIES = {"critical", "warning", "info"}
Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """`fires`: series under which the alert fires after so many minutes; `silent`: a near miss."""

    fires: Series
    silent: Series
    minutes: int = 30


def flat(value: float, minutes: int = 60) -> str:
    return f"{value}+0x{minutes}"


def rising(a_minute: float, minutes: int = 60) -> str:
    return f"0+{a_minute}x{minutes}"


def of(name: str, value: str, labels: str = "") -> Series:
    return {f"{name}{{{HERE}{',' if labels else ''}{labels}}}": value}


def calls(name: str, label: str, bad: str, good: str, bad_rate: float, good_rate: float, more: str = "") -> Series:
    """Two counters that differ in one label."""
    return of(name, rising(bad_rate), f'{label}="{bad}"{more}') | of(name, rising(good_rate), f'{label}="{good}"{more}')


def times(name: str, at_most: float, labels: str = "") -> Series:
    """A histogram whose observations all lie in the bucket that ends there; the one below it is half as high."""
    more = f",{labels}" if labels else ""
    return (
        of(f"{name}_bucket", flat(0), f'le="{at_most / 2:g}"{more}')
        | of(f"{name}_bucket", rising(60), f'le="{at_most:g}"{more}')
        | of(f"{name}_bucket", rising(60), f'le="+Inf"{more}')
    )


def gauge(name: str, high: float, low: float, labels: str = "", minutes: int = 30) -> Case:
    """Above its bound; at it."""
    return Case(of(name, flat(high), labels), of(name, flat(low), labels), minutes)


def event(name: str, labels: str = "") -> Case:
    """A counter that stood at 0 and rose once, a while ago and still in sight; one that rose before and stands."""
    return Case(of(name, "0+0x20 1+0x40", labels), of(name, flat(3), labels), 27)


BUILD = of("gateway_build_info", flat(1), 'version="1"')
CIRCUIT = 'upstream="u",model="m"'
CASES: dict[str, Case] = {
    "GatewayLedgerDiffers": gauge("gateway_ledger_differences", 1, 0, minutes=1),
    "GatewayCostInDoubt": gauge("gateway_in_doubt_usd", 0.04, 0),
    "GatewayHoldStuck": gauge("gateway_oldest_hold_age_seconds", 901, 900),
    "GatewayBudgetNearlyUsed": gauge("gateway_budget_used_ratio", 0.8, 0.79, 'account="team:a/t",window="day"'),
    "GatewayBudgetUsedUp": gauge("gateway_budget_used_ratio", 1, 0.99, 'account="team:a/t",window="day"'),
    "GatewayUpstreamBudgetNearlyUsed": gauge("gateway_upstream_budget_used_ratio", 0.9, 0.7, 'upstream="u",window="day"'),
    "GatewaySpendJumped": Case(
        # A day at 1 USD an hour, then an hour at 30; and a day at 30.
        of("gateway_upstream_cost_usd_total", "0+0.0167x1440 24+0.5x120", 'upstream="u",model="m"'),
        of("gateway_upstream_cost_usd_total", "0+0.5x1560", 'upstream="u",model="m"'),
        1520,
    ),
    "GatewayUpstreamDown": Case(
        # It closes for a minute whenever a call may try.
        of("gateway_upstream_circuit_open", " ".join(["1+0x2", "0"] * 15), CIRCUIT),
        of("gateway_upstream_circuit_open", "1+0x2 0+0x57", CIRCUIT),
        20,
    ),
    "GatewayUpstreamNeedsYou": event("gateway_attempts_total", 'upstream="u",model="m",fault="no_money"'),
    "GatewayUpstreamFailing": Case(
        calls("gateway_attempts_total", "fault", "overloaded", "none", 6, 4, ',upstream="u",model="m"'),
        calls("gateway_attempts_total", "fault", "refused", "none", 6, 4, ',upstream="u",model="m"'),
    ),
    "GatewayUpstreamSlow": Case(
        times("gateway_attempt_duration_seconds", 180, 'upstream="u",outcome="succeeded"'),
        times("gateway_attempt_duration_seconds", 120, 'upstream="u",outcome="succeeded"'),
    ),
    "GatewayLastResorts": Case(
        of("gateway_last_resorts_total", rising(1), 'upstream="u",result="failed"'),
        of("gateway_last_resorts_total", "0+0x20 1+0x40", 'upstream="u",result="failed"'),  # one call alone
    ),
    "GatewayUpstreamQueue": gauge("gateway_upstream_waiting_attempts", 11, 10, 'upstream="u"'),
    "GatewayTaskStuck": gauge("gateway_oldest_task_age_seconds", 601, 600, 'state="processing"'),
    "GatewayTasksFailing": Case(
        calls("gateway_task_duration_seconds_count", "outcome", "failed", "completed", 3, 7),
        calls("gateway_task_duration_seconds_count", "outcome", "failed", "completed", 2, 8),
    ),
    "GatewayServerErrors": Case(
        calls("gateway_http_requests_total", "status", "503", "200", 6, 94),
        calls("gateway_http_requests_total", "status", "429", "200", 50, 50),
    ),
    "GatewayOverheadHigh": Case(times("gateway_overhead_seconds", 2.5), times("gateway_overhead_seconds", 1)),
    "GatewayCallbacksDead": event("gateway_callbacks_total", 'outcome="dead"'),
    "GatewayCallbacksPileUp": gauge("gateway_callbacks_due", 1001, 1000),
    "GatewayAlertsDead": event("gateway_alerts_total", 'outcome="dead"'),
    "GatewayAbsent": Case({}, BUILD),
    "GatewayRestarts": Case(
        BUILD | of("process_start_time_seconds", "1+1x60"), of("process_start_time_seconds", "1+1x60") # another program's
    ),
    "GatewayDatabaseDown": gauge("gateway_database_up", 0, 1),
    "GatewayDatabaseSlow": Case(
        times("gateway_database_commit_seconds", 1), times("gateway_database_commit_seconds", 0.5)
    ),
    "GatewayWritesQueue": gauge("gateway_database_queue_commands", 1001, 1000),
    "GatewayPicturesNotStored": event("gateway_blob_failures_total", 'operation="put_all"'),
    "GatewayStateDown": gauge("gateway_state_up", 0, 1),
    "GatewayLimitsNotShared": event("gateway_limiter_failures_total", 'kind="rate"'),
    "GatewayRetentionLate": gauge("gateway_retention_lag_seconds", 3601, 3600, 'kind="prompts"'),
    "GatewayLoopBlocked": Case(
        times("gateway_event_loop_lag_seconds", 0.1), times("gateway_event_loop_lag_seconds", 0.05)
    ),
    "GatewayDescriptorsNearlyUsed": Case(
        BUILD | of("process_open_fds", flat(900)) | of("process_max_fds", flat(1000)),
        of("process_open_fds", flat(900)) | of("process_max_fds", flat(1000)),
    ),
    "GatewayConfigRefused": gauge("gateway_config_last_reload_successful", 0, 1),
    "GatewayVersionsDiffer": Case(
        of("gateway_build_info", flat(1, 90), 'version="1"') | of("gateway_build_info", flat(1, 90), 'version="2"'),
        of("gateway_build_info", flat(1, 90), 'version="1"') | of("gateway_build_info", flat(1, 40), 'version="2"'),
        80,
    ),
}  # fmt: skip


def test_every_alert_has_a_case() -> None:
    """Those of the file, no more and no less."""
    assert set(CASES) == set(alerts())


def test_alerts_fire_and_keep_silent(tmp_path: Path) -> None:
    """Every case, in the incident and in the near miss; long ones are looked at less often."""
    short = {name: case for name, case in CASES.items() if case.minutes <= LONG_MINUTES and case.fires}
    long = {name: case for name, case in CASES.items() if case.minutes > LONG_MINUTES}
    bare = {name: case for name, case in CASES.items() if not case.fires}
    files: list[Path] = []
    for interval, cases in (("1m", [short, bare]), ("20m", [long])):
        tests = [together(some, fires=fires) for some in cases for fires in (True, False)]
        whole = {
            "rule_files": [str(FILE)],
            "evaluation_interval": interval,
            "group_eval_order": groups(),
            "tests": tests,
        }
        files.append(tmp_path / f"{interval}.yaml")
        files[-1].write_text(json.dumps(whole))  # noqa: TID251 - YAML is a superset of JSON
    promtool("test", "rules", *files)


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    """Those of the gateway, and what other rules record."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    own = [re.sub("|".join(recorded), "recorded", query) for query in queries()]
    assert names_in(own) <= series_names()


def test_every_alert_says_what_to_do() -> None:
    """A severity, a summary, a description, and a place of the page of alerts."""
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
    pages = dict(links())
    assert pages == {name: f"docs/alerts.md#{name.lower()}" for name in pages}
    assert set(map(str.lower, pages)) <= anchors(ROOT / "docs/alerts.md")


def test_the_commands_of_the_page_exist() -> None:
    """Whoever is woken at night copies them."""
    named = re.findall(r"`(gateway [a-z][a-z -]+[a-z])", (ROOT / "docs/alerts.md").read_text(encoding="utf-8"))
    known = [name for name, _ in commands()]
    assert len(named) >= 10
    assert [text for text in named if not any(f"{text} ".startswith(f"{name} ") for name in known)] == []


def test_the_rules_may_be_hurried(tmp_path: Path) -> None:
    """As the acceptance test does, to the same rules with shorter times."""
    text = hurried()
    assert "[5s]" in text
    assert "10m" not in text
    assert "> 10 * 1" in text
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    promtool("check", "rules", file)


def together(cases: dict[str, Case], *, fires: bool) -> dict[str, object]:
    """As promtool reads it: how many alerts of each name fire in its own job at its minute."""
    series = {
        key.replace("JOB", name): values
        for name, case in cases.items()
        for key, values in (case.fires if fires else case.silent).items()
    }
    looks = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing",job=~"{name}|"}})',
            "eval_time": f"{case.minutes}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
        }
        for name, case in cases.items()
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": looks,
    }
