"""From a file's text to plain values: YAML or JSON, `${…}` replaced, nothing interpreted yet.

Owns the reading and the form of a config error; knows no key of the config. Collects every problem it can and goes on; a file that is not
readable at all is one problem. Numbers with a point stay decimal (they may be money), and YAML is read by the rules of YAML 1.2, so that `1:1` is
text and `no` is text. Values of secrets never enter a message.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import yaml

Plain = bool | int | Decimal | str | None | list["Plain"] | dict[str, "Plain"]

FILE_BYTES_MAX = 1 << 20
"""A config or a secret file above a megabyte is a wrong path."""
SHOWN_CHARS_MAX = 240

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
DURATION_S_MAX = 3660 * 86_400
"""Ten years: what is longer is a typing error."""

_SECRET_KEYS = ("api_key", "secret", "secret_key", "admin_token", "callback_secret", "proxy", "url")
"""`url` is where alerts go: such URLs often hold a token."""
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
_SUBSTITUTION = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)\}")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a config: which key, its value (secrets hidden), why, and what to write instead."""

    key: str
    value: str
    why: str
    fix: str

    def __str__(self) -> str:
        return (
            f"{self.key}: {self.value}: {self.why}. {self.fix}" if self.value else f"{self.key}: {self.why}. {self.fix}"
        )


class ConfigError(Exception):
    """The config cannot be used. `errors` are all problems that were found, not only the first."""

    def __init__(self, errors: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


@dataclass(slots=True)
class Problems:
    """Collects problems; one key is reported once, because what follows from a problem is noise."""

    found: dict[str, Problem] = field(default_factory=dict)

    def add(self, key: str, value: object, why: str, fix: str) -> None:
        self.found.setdefault(key, Problem(key, shown(key, value), why, fix))

    def raise_if_any(self) -> None:
        if self.found:
            raise ConfigError(tuple(self.found.values()))


def shown(key: str, value: object) -> str:
    """A value for a message: short, secrets and passwords in URLs hidden; containers say what they are."""
    if value is None or value == "":
        return "" if value is None else "(empty)"
    if re.sub(r"\[\d+\]$", "", key).rpartition(".")[2] in _SECRET_KEYS:
        return "(hidden)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = _PASSWORD.sub("***@", str(value))
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"


def join(parent: str, part: str | int) -> str:
    """`accounts` + 0 -> `accounts[0]`; `accounts[0]` + `org` -> `accounts[0].org`."""
    if isinstance(part, int):
        return f"{parent}[{part}]"
    return f"{parent}.{part}" if parent else part


def parse_duration_s(value: object) -> float:
    """`240s`, `5m`, `24h`, `30d`, `500ms`, or a number of seconds. Raises ValueError."""
    match = _DURATION.fullmatch(str(value)) or _DURATION.fullmatch(f"{value}s")
    if match is None or isinstance(value, bool):
        raise ValueError("is no duration")
    seconds = Decimal(match[1]) * _UNIT_S[match[2]]
    if seconds > DURATION_S_MAX:
        raise ValueError("is longer than ten years")
    return float(seconds)


def read_file(path: Path, environ: Mapping[str, str], problems: Problems, key: str) -> dict[str, Plain]:
    """The mapping in a file, substitutions done; `${file:…}` paths are relative to it. `key` names the file in problems. Empty where unreadable."""
    fix = "Name a readable YAML or JSON file of at most a megabyte."
    try:
        text = _read_text(path)
    except (OSError, ValueError) as exc:
        problems.add(key, str(path), f"cannot be read: {_os_reason(exc)}", fix)
        return {}
    value = parse(text, problems, key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(key, str(path), "is not a mapping of keys to values", "Start with a key such as `server:`.")
        return {}
    try:
        replaced = substitute(value, environ, path.parent, problems)
    except RecursionError:
        _report_endless(problems, key)
        return {}
    assert isinstance(replaced, dict)
    return replaced


def parse(text: str, problems: Problems, key: str) -> Plain:
    """YAML, or JSON where the text starts like it (YAML would stumble over tabs and JSON's surrogate escapes)."""
    if text.lstrip().startswith("{"):
        duplicates: list[str] = []
        try:
            value: Plain = json.loads(
                text, parse_float=Decimal, object_pairs_hook=lambda pairs: _object(pairs, duplicates)
            )
        except (ValueError, RecursionError):
            pass  # perhaps YAML's flow style; if not, YAML's message has line and column
        else:
            for name in duplicates:
                _report_duplicate(problems, name, "")
            return value
    try:
        value, twice = _yaml(text)
    except yaml.YAMLError as exc:
        problems.add(key, None, f"is not valid YAML: {' '.join(str(exc).split())}", "Correct the file at that place.")
        return {}
    except RecursionError:
        _report_endless(problems, key)
        return {}
    for name, line in twice:
        _report_duplicate(problems, name, f" in line {line}")
    return value


@lru_cache(maxsize=2)  # the catalogue is read with every config, and the same each time
def _yaml(text: str) -> tuple[Plain, tuple[tuple[str, int], ...]]:
    """What it says, not to be changed by anybody, and the keys that stand in it twice, with their lines."""
    loader = _Loader(text)  # looks at every character
    try:
        value: Plain = loader.get_single_data()
        return value, tuple(loader.duplicates)
    finally:
        loader.dispose()


def substitute(value: Plain, environ: Mapping[str, str], folder: Path, problems: Problems, key: str = "") -> Plain:
    """`${NAME}`, `${NAME:-default}` (for unset or empty) and `${file:path}` replaced in every text; `$${` is a literal `${`. One pass: what comes
    out of a variable or file is never looked at again."""
    if isinstance(value, dict):
        return {name: substitute(item, environ, folder, problems, join(key, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, environ, folder, problems, join(key, index)) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replace(match: re.Match[str]) -> str:
        body = match["body"]
        return "${" if body is None else _resolve(body, environ, folder, problems, key)

    return _SUBSTITUTION.sub(replace, value)


def _resolve(body: str, environ: Mapping[str, str], folder: Path, problems: Problems, key: str) -> str:
    if body.startswith("file:"):
        path = folder / body.removeprefix("file:")
        try:
            return _read_text(path).rstrip("\r\n")
        except (OSError, ValueError) as exc:
            why = f"the file cannot be read: {_os_reason(exc)}"
            problems.found.setdefault(
                key, Problem(key, f"${{{body}}}", why, "Create it, or correct the path and its permissions.")
            )
            return ""
    match = _VARIABLE.fullmatch(body)
    if match is None:
        why, fix = "is no substitution", "Write ${NAME}, ${NAME:-default} or ${file:/path}; $${ is a literal ${."
        problems.found.setdefault(key, Problem(key, f"${{{body}}}", why, fix))
        return ""
    name, default = match["name"], match["default"]
    found = environ.get(name)
    if default is not None:
        return found or default
    if found is None:
        why, fix = f"the variable {name} is not set", f"Set {name}, or give a default: ${{{name}:-…}}."
        problems.found.setdefault(key, Problem(key, f"${{{body}}}", why, fix))
        return ""
    return found


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError("it is larger than a megabyte")
    return data.decode("utf-8-sig")


def _os_reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _object(pairs: list[tuple[str, Plain]], duplicates: list[str]) -> dict[str, Plain]:
    names = [name for name, _ in pairs]
    duplicates += sorted({name for name in names if names.count(name) > 1})
    return dict(pairs)


def _report_endless(problems: Problems, key: str) -> None:
    problems.add(
        key,
        None,
        "is nested too deeply, or holds itself",
        "Take out lists in lists, and aliases (`*name`) of what they stand in.",
    )


def _report_duplicate(problems: Problems, name: str, where: str) -> None:
    problems.add(name, None, f"this key stands twice in one mapping{where}", "Keep one of the two.")


class _Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2's core schema, decimals kept exact, and a memory of repeated keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own class attribute, filled below

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:  # type: ignore[override]  # PyYAML is typed wider than what a mapping node gives
        seen: set[str] = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key_node.tag != "tag:yaml.org,2002:merge":
                key_node.tag = "tag:yaml.org,2002:str"
                if key_node.value in seen:
                    self.duplicates.append((key_node.value, line))
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)  # type: ignore[return-value]  # the same

    def construct_decimal(self, node: yaml.ScalarNode) -> Decimal:
        return Decimal(self.construct_scalar(node))

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, 0) if text.startswith(("0x", "0o")) else int(text)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_decimal)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
