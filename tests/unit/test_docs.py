"""The documents say what the code does: every setting with its default, metric, error code, parameter, route, command and dependency.

Each check is a function from a text to what is missing in it. A parametrised test takes every documented thing out of a copy of the text, one by
one, and sees that its check notices.
"""

import ast
import io
import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path

import orjson
import pytest
import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

import gateway.api.errors  # noqa: F401 - it adds an error of its own to the tree
from gateway.api.routes import ROUTES
from gateway.api.schemas.generation import GenerationBody
from gateway.cli import main as cli
from gateway.config import load
from gateway.config_builtin import PROVIDER_VARIABLES
from gateway.config_reference import reference, walk
from gateway.config_schema import ConfigFile
from gateway.config_sections import ModelSection
from gateway.config_text import parse_duration_s
from gateway.domain.clock import SystemClock
from gateway.domain.errors import GatewayError
from gateway.domain.tasks import Fault, TaskErrorCode
from gateway.ledger.model import EntryKind
from gateway.telemetry.logs import CanonicalLog, JsonHandler, LineWriter
from gateway.upstreams.registry import KINDS
from tests.every_metric import types_and_labels

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NONE, EMPTY, REQUIRED = "none", "empty", "required"


def rows(text: str) -> dict[str, list[str]]:
    """The table rows by each name in backticks of their first cell."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found.setdefault(name, cells[1:])
    return found


def missing_settings(text: str) -> list[str]:
    """Settings of the config that have no row, or one with another default."""
    table = rows(text)
    wrong: list[str] = []
    for path, field in settings():
        if path not in table:
            wrong.append(path)
        elif not same_default(table[path][0].strip("`"), field):
            wrong.append(f"{path}: default is {field.default!r}, not {table[path][0]}")
    return wrong


def missing_metrics(text: str) -> list[str]:
    """Metrics that have no row, or one with another type, without one of their labels, or whose example is of another metric."""
    table = rows(text)
    wrong: list[str] = []
    for name, (kind, labels) in types_and_labels().items():
        cells = table.get(name, [])
        if len(cells) != 4 or cells[0] != kind or set(re.findall(r"`([^`]+)`", cells[1])) != labels:
            wrong.append(f"{name} ({kind}, {sorted(labels)})")
        elif not re.fullmatch(rf"`.*\b{name}(_bucket|_sum|_count)?\b.*`", cells[3]):
            wrong.append(f"{name}: its example is {cells[3]}")
    return wrong


def missing_errors(text: str) -> list[str]:
    """Error codes without a row that has their status and type, says when they come, rightly whether SDKs retry, and what to do; task errors and
    faults without a row."""
    table = rows(text.partition("## Errors of tasks")[0])
    wrong: list[str] = []
    for error in error_classes():
        status, kind, when, retry, remedy = (table.get(error.code, []) + [""] * 5)[:5]
        # OpenAI's SDKs: 408, 409, 429 and 5xx, unless x-should-retry says no.
        retried = error.should_retry is not False and (error.status in (408, 409, 429) or error.status >= 500)
        if str(error.status) not in status or kind != f"`{error.type}`" or not when or not remedy:
            wrong.append(error.code)
        elif retry != ("yes" if retried else "no"):
            wrong.append(f"{error.code}: retried {retried}")
    return wrong + [name for name in (*TaskErrorCode, *Fault) if name not in rows(text)]


def missing_routes(text: str) -> list[str]:
    """Routes and body parameters without a row."""
    table = rows(text)
    public = [f"{route.method} {route.path}" for route in ROUTES if route.scope is None]
    return [name for name in (*public, *GenerationBody.model_fields) if name not in table]


def missing_admin_routes(text: str) -> list[str]:
    """Admin routes without a row that names their scope."""
    table = rows(text)
    wanted = {f"{route.method} {route.path}": route.scope for route in ROUTES if route.scope is not None}
    return [name for name, scope in wanted.items() if table.get(name, [""])[0].strip("`") != scope]


def missing_commands(text: str) -> list[str]:
    """Commands without a row, and options that stand nowhere."""
    table = rows(text)
    wrong: list[str] = []
    for name, command in commands():
        options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
        wrong += [name] if name not in table else []
        wrong += [f"{name} {option}" for option in options if not re.search(rf"`{option}\b", text)]
    return wrong


def missing_dependencies(text: str) -> list[str]:
    """Runtime dependencies without a row that says why, instead of what, and by whom."""
    table = rows(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]["otel"]
    names = [re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in (*project["dependencies"], *optional)]
    return [name for name in names if not all(table.get(name, [""])) or len(table[name]) != 3]


def missing_spans(text: str) -> list[str]:
    """Spans, and attributes of spans, without a row."""
    known = set(rows(text)) | {name.partition(" ")[0] for name in rows(text)}
    return [name for name in sorted(traced_names()) if name not in known]


def missing_log_fields(text: str) -> list[str]:
    """Fields of every line and of a request's line without a row."""
    return [name for name in sorted(log_fields()) if name not in rows(text)]


def missing_entries(text: str) -> list[str]:
    """Kinds of ledger entries without a row."""
    return [kind for kind in EntryKind if kind not in rows(text)]


def missing_kinds(text: str) -> list[str]:
    """Kinds of upstreams without a row that says what they speak and what becomes of a lost answer; usual variables that stand nowhere."""
    table = rows(text)
    unnamed = [variable for variable in PROVIDER_VARIABLES.values() if f"`{variable}`" not in text]
    return [kind for kind in KINDS if len(table.get(kind, ())) != 2] + unnamed


def missing_recoveries(text: str) -> list[str]:
    """Kinds of upstreams that no row of what follows a crash names."""
    return [kind for kind in KINDS if kind not in rows(text)]


Check = Callable[[str], list[str]]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("configuration.md", missing_settings),
    ("configuration.md", missing_kinds),
    ("metrics.md", missing_metrics),
    ("tracing.md", missing_spans),
    ("logs.md", missing_log_fields),
    ("errors.md", missing_errors),
    ("api.md", missing_routes),
    ("administration.md", missing_admin_routes),
    ("operations.md", missing_commands),
    ("operations.md", missing_recoveries),
    ("decisions.md", missing_dependencies),
    ("ledger.md", missing_entries),
)
IDS = [check.__name__.removeprefix("missing_") for _, check in CHECKS]


@pytest.mark.parametrize(("page", "check"), CHECKS, ids=IDS)
def test_everything_is_documented(page: str, check: Check) -> None:
    """What the code knows stands in the document that promises to list it."""
    assert check((DOCS / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("page", "check"), CHECKS, ids=IDS)
def test_what_is_taken_out_is_missed(page: str, check: Check) -> None:
    """Without its row, each thing is reported: on an empty page all of them, and each alone when its row is gone."""
    text = (DOCS / page).read_text(encoding="utf-8")
    everything = check("")
    assert len(everything) >= 5
    for item in {re.split(r"[ (:]", name)[0] if check is missing_metrics else name for name in everything}:
        cut = text.replace(f"`{item}`", "`x`").replace(f"`{item.rpartition(' ')[2]}", "`x")
        assert check(cut), f"nobody would miss {item}"


def test_a_wrong_default_is_noticed() -> None:
    """A default that changed in the code, or in the text alone, does not pass."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for name, default, other in (
        ("server.port", "8080", "80"),
        ("deadline", "240s", "1m"),
        ("server.host", "127", "0"),
    ):
        changed = text.replace(f"| `{name}` | `{default}", f"| `{name}` | `{other}")
        assert changed != text
        assert [item.partition(":")[0] for item in missing_settings(changed)] == [name]


def test_the_config_examples_are_good(tmp_path: Path) -> None:
    """Every YAML example of the configuration page is accepted as it stands."""
    examples = re.findall(r"^```yaml\n(.*?)^```", (DOCS / "configuration.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(examples) >= 2
    for example in examples:
        file = tmp_path / "gateway.yaml"
        file.write_text(example, encoding="utf-8")
        load(
            file,
            {"CI_GATEWAY_KEY": "a key for the example", "ALERTS_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        )


def test_the_configuration_reference_is_made_from_the_code() -> None:
    """`make reference` writes it; nobody does by hand."""
    page = (DOCS / "configuration-reference.md").read_text(encoding="utf-8")
    assert page == reference(), "write it anew: make reference"
    assert [path for path, _ in settings() if f"| `{path}` |" not in page and f"## {path}\n" not in page] == []


def test_the_reference_says_types_and_bounds() -> None:
    """In words of the config file, not of Python; a bound that changes in the code changes the page."""
    table = rows(reference())
    assert table["server.port"][:2] == ["whole number, 0 to 65535", "`8080`"]
    assert table["server.drain"][:2] == ["duration", "`4m`"]
    assert table["upstreams.NAME.budget"][:2] == ["budget in USD", "none"]
    assert table["tracing.sample"][:2] == ["number, 0 to 1", "none"]
    assert table["log.format"][:2] == ["`auto`, `json`, `text`", "`auto`"]
    assert table["accounts[].teams[].keys[].expires"][0] == "day or moment"
    assert table["server.public_url"][0] == "URL"
    assert table["server.keep_alive_bytes"][0] == "duration, 1s to 5m"
    assert table["lease"] == ["duration, 2s to 1h", "`45s`", "Write a duration from 2s to 1h, such as 45s.", "restart"]
    assert not [name for name, cells in table.items() if re.search(r"[<>]|typing|\bstr\b|None", cells[0])]


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its full name. Keys directly under an org are the same section as a team's, so they are named once."""
    for path, field in walk(ConfigFile, ""):
        if not path.startswith("accounts[].keys[]."):
            yield path, field
    yield from walk(ModelSection, "models.NAME.")


def same_default(cell: str, field: FieldInfo) -> bool:
    """Whether a table's cell says the field's default."""
    if field.is_required():
        return cell == REQUIRED
    default = field.get_default(call_default_factory=True, validated_data={})
    match default:
        case None:
            return cell == NONE
        case "" | () | {}:
            return cell == EMPTY
        case tuple():
            return cell == ", ".join(str(item) for item in default)
        case StrEnum():
            return cell == default.value
        case bool():
            return cell == str(default).lower()
        case float():
            return parse_duration_s(cell) == default
        case int() | Decimal():
            return Decimal(cell) == default
        case _:
            return cell == str(default)


@cache
def traced_names() -> set[str]:
    """Names of spans, without what is filled in, and of attributes, as they stand in the code."""
    found: set[str] = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "gateway.telemetry.traces" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and re.fullmatch(
                r"(gateway|gen_ai|http|server|error)(\.[a-z_]+)+", str(node.value)
            ):
                found.add(str(node.value))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "span":
                name = node.args[0]
                part = name.values[0] if isinstance(name, ast.JoinedStr) else name
                assert isinstance(part, ast.Constant)
                found.add(str(part.value).strip())
    return found


@cache
def log_fields() -> set[str]:
    """Fields of the canonical line by the code that sets them, and those of every line."""
    found: set[str] = set()
    for path in (ROOT / "gateway/api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "request[LOG].update":
                found |= {str(word.arg) for word in node.keywords}
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "request.app[CANONICAL]":
                [fields] = node.args
                assert isinstance(fields, ast.Dict)
                found |= {str(key.value) for key in fields.keys if isinstance(key, ast.Constant)}
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.slice, ast.Constant)
            ):
                of_the_line = ast.unparse(node.value) == "request[LOG]"
                if of_the_line or (ast.unparse(node.value) == "fields" and path.name == "middlewares.py"):
                    found.add(str(node.slice.value))
    stream = io.BytesIO()
    writer = LineWriter(stream)
    CanonicalLog(writer, SystemClock())({})
    JsonHandler(writer).emit(logging.makeLogRecord({"exc_info": (ValueError, ValueError(), None)}))
    writer.close()
    return found.union(*(orjson.loads(line) for line in stream.getvalue().splitlines()), {"trace_id", "span_id"})


def error_classes() -> list[type[GatewayError]]:
    """The gateway's own error tree, its root included."""
    found = [GatewayError]
    for error in found:
        found += [child for child in error.__subclasses__() if child.__module__.startswith("gateway.")]
    return found


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Every command of the command line, with its full name."""

    def walk(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
        if isinstance(command, TyperGroup):
            for child, inner in command.commands.items():
                yield from walk(inner, f"{name} {child}")
        else:
            assert isinstance(command, TyperCommand)
            yield name, command

    yield from walk(typer.main.get_command(cli.app), "gateway")
