"""What we hand to Prometheus and Grafana, read by Prometheus' own tools: metrics, example queries, the dashboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charts import dashboard
from tests.every_metric import everything, series_names
from tests.prometheus import parses, promtool

ROOT = Path(__file__).parents[2]


def test_the_metrics_follow_the_conventions() -> None:
    """promtool has nothing to say about names, units and help texts."""
    promtool("check", "metrics", stdin=everything().render().decode())


def test_the_example_queries_are_good() -> None:
    """Every example of the page is PromQL, over metrics that there are."""
    queries = example_queries((ROOT / "docs/metrics.md").read_text(encoding="utf-8"))
    assert len(queries) > 50
    parses(queries)
    assert names_in(queries) <= series_names()


def test_the_dashboard_is_what_its_code_says() -> None:
    """`python -m charts.dashboard` was run after the last change."""
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.render()


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Every query is PromQL once Grafana has put its variables in, over metrics that there are; each is asked of the chosen gateways alone."""
    queries = [query for panel in panels() for query in queries_of(panel)]
    assert len(queries) > 60
    parses(queries)
    assert names_in(queries) <= series_names()
    for query in queries:
        assert len(names_in([query])) <= query.count('{job=~"')


def test_the_dashboard_is_laid_out() -> None:
    """Panels have numbers of their own, lie side by side within Grafana's 24 columns and never over each other, and say what they show."""
    whole = json.loads(dashboard.FILE.read_text(encoding="utf-8"))
    numbers = [panel["id"] for panel in whole["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        place = panel["gridPos"]
        assert panel["title"]
        assert place["x"] + place["w"] <= dashboard.WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    titles = [panel["title"] for panel in panels()]
    assert len(titles) - len(set(titles)) <= 1  # what is in doubt: now, and over time
    assert {variable["name"] for variable in whole["templating"]["list"]} == {"datasource", "job"}


def panels() -> Iterator[dict[str, Any]]:
    """Those with queries."""
    for panel in json.loads(dashboard.FILE.read_text(encoding="utf-8"))["panels"]:
        if panel["type"] != "row":
            yield panel


def queries_of(panel: dict[str, Any], *, job: str = ".+", rates_over: str = "1m", shown: str = "6h") -> list[str]:
    """As Grafana sends them."""
    values = {"$job": job, "$__rate_interval": rates_over, "$__range": shown}
    found: list[str] = []
    for target in panel["targets"]:
        query: str = target["expr"]
        for name, value in values.items():
            query = query.replace(name, value)
        assert "$" not in query, query
        found.append(query)
    return found


def example_queries(text: str) -> list[str]:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return [cells[-1].strip().strip("`").replace("\\|", "|") for cells in rows]


def names_in(queries: list[str]) -> set[str]:
    """The metrics that queries ask for."""
    return {name for query in queries for name in re.findall(r"\b(?:gateway|process)_[a-z_]+", query)}
