"""The table of values in the chart's README, made from values.yaml, where each value has its meaning above it in a line that begins with `# --`;
and the settings that `config` may have in values.schema.json, made from the gateway's own.

`python -m tests.chart.values_table` writes both. It fails with AssertionError where a value has no meaning.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.config_schema import ConfigFile
from tests.chart.tools import CHART

BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
README, VALUES, SCHEMA = CHART / "README.md", CHART / "values.yaml", CHART / "values.schema.json"
LONG_CHARS = 60
_CONFIG = re.compile(r'("config": \{.*?"properties": \{\n)(.*?)(\n *\}\n)', re.DOTALL)
_LINE = re.compile(r"( *)(?:# -- (?P<meaning>.+)|(?P<name>[A-Za-z0-9]+):.*)")


def meanings() -> Iterator[tuple[str, str]]:
    """The path of each value that has a meaning, such as `image.tag`, and the meaning; in the file's order."""
    path: list[str] = []
    meaning = ""
    for line in VALUES.read_text(encoding="utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        if match["meaning"]:
            assert not meaning, f"nothing stands below {meaning!r}"
            meaning = match["meaning"]
            continue
        path = [*path[: len(match[1]) // 2], match["name"]]
        if meaning:
            yield ".".join(path), meaning
            meaning = ""


def table() -> str:
    """The rows, with each value's default; a long one is said to be in values.yaml."""
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, meaning in meanings():
        default: Any = values
        for part in path.split("."):
            default = default[part]
        text = json.dumps(default)  # noqa: TID251 - for people
        shown = f"`{text}`" if len(text) <= LONG_CHARS else "see values.yaml"
        rows.append(f"| `{path}` | {shown} | {meaning} |")
    return "\n".join(rows)


def with_settings(schema: str) -> str:
    """The schema's text, with the gateway's settings as what `config` may have."""
    settings = ",\n".join(f'        "{name}": {{}}' for name in ConfigFile.model_fields)
    text, count = _CONFIG.subn(lambda match: match[1] + settings + match[3], schema, count=1)
    assert count == 1
    return text


def main() -> None:
    SCHEMA.write_text(with_settings(SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
