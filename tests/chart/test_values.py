"""The chart's values: each documented, each checked, none misspelt."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import __version__
from gateway.config_schema import ConfigFile
from tests.chart.tools import CHART, ROOT, HelmFailed, render, yaml_blocks
from tests.chart.value_sets import PRODUCTION
from tests.chart.values_table import BEGIN, END, README, meanings, table

pytestmark = pytest.mark.xdist_group("chart")
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_every_value_has_a_meaning() -> None:
    """Down to what is no section any more; lists and free mappings have one as a whole."""
    assert [path for path, _ in meanings()] == list(_leaves(VALUES, SCHEMA))


def test_the_readme_has_the_table_of_values() -> None:
    """Remade by `python -m tests.chart.values_table`."""
    text = README.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table()


def test_the_schema_knows_every_value_and_refuses_all_others() -> None:
    """Every section of it is closed, but for those that Kubernetes or an operator names."""
    for path, schema, values in _sections("", SCHEMA, VALUES):
        assert schema["additionalProperties"] is False, path
        assert schema["properties"].keys() - {"global"} == values.keys(), path


def test_config_takes_the_settings_of_the_gateway() -> None:
    """Remade by `python -m tests.chart.values_table`, too."""
    assert SCHEMA["properties"]["config"]["properties"].keys() == ConfigFile.model_fields.keys()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 3}, "additional properties 'replicas' not allowed"),
        ({"image": {"tags": "1"}}, "at '/image': additional properties 'tags' not allowed"),
        ({"config": {"upstream": {}}}, "at '/config': additional properties 'upstream' not allowed"),
        ({"networkPolicy": {"internet": {"expect": []}}}, "at '/networkPolicy/internet'"),
        ({"mode": "prod"}, "at '/mode': value must be one of 'embedded', 'production'"),
        ({"replicaCount": "3"}, "at '/replicaCount': got string, want integer"),
        ({"drain": {"seconds": "240s"}}, "at '/drain/seconds'"),
        ({"publicUrl": "images.example.com"}, "at '/publicUrl'"),
        ({"publicUrl": "https://images.example.com/"}, "at '/publicUrl'"),
        ({"ports": {"http": 80}}, "at '/ports/http': minimum"),
        ({"image": {"digest": "sha256:12"}}, "at '/image/digest'"),
        ({"persistence": {"size": "ten"}}, "at '/persistence/size'"),
        ({"secrets": {"keys": {"secretKey": ""}}}, "at '/secrets/keys/secretKey'"),
        ({"networkPolicy": {"database": {"to": []}}}, "at '/networkPolicy/database/to'"),
    ],
)
def test_typing_errors_are_refused(values: dict[str, Any], said: str) -> None:
    """By name of the value, before anything is installed."""
    with pytest.raises(HelmFailed) as refused:
        render(values)
    assert said in str(refused.value)


@pytest.mark.parametrize("page", [README, ROOT / "docs/kubernetes.md"], ids=lambda page: page.name)
def test_the_values_of_the_pages_are_values(page: Path) -> None:
    """Every block of YAML, over those of a production."""
    blocks = [yaml.safe_load(block) for block in yaml_blocks(page)]
    assert len(blocks) >= 2
    for block in blocks:
        assert render({**PRODUCTION, **block})


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


def _sections(path: str, schema: dict[str, Any], values: Any) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    if "properties" in schema and path != ".config":
        yield path, schema, values
        for name, value in values.items():
            yield from _sections(f"{path}.{name}", schema["properties"][name], value)


def _leaves(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        inner = schema["properties"][name]
        if "properties" in inner and path + name != "config":
            yield from _leaves(value, inner, f"{path}{name}.")
        else:
            yield path + name
