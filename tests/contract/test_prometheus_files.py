"""What we hand to Prometheus and Grafana, read by Prometheus' own tools: metrics, example queries."""

import re
from pathlib import Path

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


def example_queries(text: str) -> list[str]:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return [cells[-1].strip().strip("`").replace("\\|", "|") for cells in rows]


def names_in(queries: list[str]) -> set[str]:
    """The metrics that queries ask for."""
    return {name for query in queries for name in re.findall(r"\b(?:gateway|process)_[a-z_]+", query)}
