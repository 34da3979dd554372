"""The file of rules that the chart brings, as the tests read and hurry it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "charts/image-gateway/files/rules.yaml"
_DURATION = re.compile(r"^(\d+)([smhd])$")
_RANGE = re.compile(r"\[(\d+[smhd])\]|offset (\d+[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MINUTES = "* 60"
"""How ages are written in the rules: `> 10 * 60`."""


def rules() -> list[dict[str, Any]]:
    """All rules, in order."""
    return [rule for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def groups() -> list[str]:
    """Names in the file's order: Prometheus may take any, promtool too, and alerts then see what was recorded the time before."""
    return [str(group["name"]) for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def queries() -> list[str]:
    return [rule["expr"] for rule in rules()]


def hurried(times: int = 60) -> str:
    """The same file in which a minute takes a second: every `for`, range, offset and age; a range of 5 s at least, to have samples in it."""
    whole = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for group in whole["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(lambda found: _shorter(found[0], times), rule["expr"])
            rule["expr"] = rule["expr"].replace(MINUTES, f"* {60 / times:g}")
            if "for" in rule:
                rule["for"] = _scaled(rule["for"], times, 1)
    text: str = yaml.safe_dump(whole)
    return text


def links() -> Iterator[tuple[str, str]]:
    """Of each alert where its page says what to do."""
    for name, rule in alerts().items():
        annotations: Mapping[str, str] = rule["annotations"]
        yield name, annotations["runbook_url"]


def _shorter(text: str, times: int) -> str:
    return re.sub(r"\d+[smhd]", lambda found: _scaled(found[0], times, 5), text)


def _scaled(duration: str, times: int, least_s: int) -> str:
    found = _DURATION.match(duration)
    assert found is not None, f"{duration}: write a number and one unit"
    return f"{max(least_s, int(found[1]) * _SECONDS[found[2]] // times)}s"
