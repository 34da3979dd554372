"""The table of values in the chart's README: made from values.yaml, where each value has its meaning above it in a line that begins with `# --`.

`python -m tests.chart.values_table` writes it into the README. It fails with AssertionError where a value has no meaning.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.chart.tools import CHART

BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
README, VALUES = CHART / "README.md", CHART / "values.yaml"
LONG_CHARS = 60
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


def main() -> None:
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
