"""The repository's own rules, as tests: who may use which library, how large files grow, what an __init__ holds.

A rule is a row of RULES; each row carries a sample that breaks it, so that no rule can silently stop biting. Who may
import whom is checked by import-linter (`make lint`); here is shown that its contracts bite as well.
"""

import ast
import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 500  # a file; the aim is 150
FUNCTION_LINES_MAX = 70

Finder = Callable[[ast.Module], Iterator[int]]
"""Yields the line of every use that a rule is about."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`find` may only find something in the files that match `allowed`; with `scope`, only files in it are looked at."""

    name: str
    find: Finder
    allowed: tuple[str, ...]
    broken: str
    scope: str = "gateway/*"


def imports(*modules: str) -> Finder:
    """Imports of the modules or anything in them."""

    def find(tree: ast.Module) -> Iterator[int]:
        for line, name in _imported_names(tree):
            if any(name == module or name.startswith(f"{module}.") for module in modules):
                yield line

    return find


def uses(*names: str) -> Finder:
    """Uses of dotted names, however they were imported or renamed: `time.time`, `from time import time as now`."""

    def find(tree: ast.Module) -> Iterator[int]:
        aliases = _aliases(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                found = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute):
                found = [_dotted(node, aliases)]
            else:
                continue
            if any(name in names for name in found):
                yield node.lineno

    return find


def calls(name: str) -> Finder:
    """Calls of something with this last name: `ClientSession(`, `aiohttp.ClientSession(`."""

    def find(tree: ast.Module) -> Iterator[int]:
        aliases = _aliases(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _dotted(node.func, aliases).rpartition(".")[2] == name:
                yield node.lineno

    return find


def imports_beyond_the_standard_library(tree: ast.Module) -> Iterator[int]:
    """Imports that are neither Python's nor domain's own."""
    for line, name in _imported_names(tree):
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("gateway.domain"):
            yield line


def unowned_tasks(tree: ast.Module) -> Iterator[int]:
    """Tasks that nobody keeps: the loop holds them weakly and their errors vanish. A TaskGroup (named so) keeps its own."""
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            continue
        owner, _, name = _dotted(node.value.func, aliases).rpartition(".")
        if name == "ensure_future" or (name == "create_task" and not owner.endswith("group")):
            yield node.lineno


RULES = [
    Rule(
        name="aiohttp.web only at the HTTP edge",
        find=imports("aiohttp.web", "aiohttp.web_request", "aiohttp.web_response", "aiohttp.web_exceptions"),
        allowed=("gateway/api/*", "gateway/app.py", "gateway/app_shutdown.py"),
        broken="from aiohttp import web",
    ),
    Rule(
        name="HTTP sessions are opened in one place, behind the guard",
        find=calls("ClientSession"),
        allowed=("gateway/egress/session.py",),
        broken="import aiohttp\nsession = aiohttp.ClientSession()",
    ),
    Rule(
        name="SQL and drivers only in db, stores and the ledger",
        find=imports("sqlalchemy", "alembic", "asyncpg", "sqlite3", "aiosqlite"),
        allowed=("gateway/db/*", "gateway/*/store.py", "gateway/*/*_store.py", "gateway/ledger/*"),
        broken="from sqlalchemy.ext import asyncio",
    ),
    Rule(
        name="metrics are declared in telemetry",
        find=imports("prometheus_client"),
        allowed=("gateway/telemetry/*", "gateway/api/handlers/metrics.py"),
        broken="from prometheus_client import Counter",
    ),
    Rule(
        name="OpenTelemetry is imported where tracing is on, and nowhere else",
        find=imports("opentelemetry"),
        allowed=("gateway/telemetry/otlp.py",),
        broken="from opentelemetry import trace",
    ),
    Rule(
        name="the environment is read by the configuration only",
        find=uses("os.environ", "os.getenv", "os.environb"),
        allowed=("gateway/config.py", "gateway/config_socket.py", "gateway/config/*"),
        broken="import os as system\nhome = system.environ['HOME']",
    ),
    Rule(
        name="the time comes from the clock that was handed in",
        find=uses(
            "time.time",
            "time.time_ns",
            "time.monotonic",
            "time.monotonic_ns",
            "datetime.datetime.now",
            "datetime.datetime.utcnow",
            "datetime.datetime.today",
            "datetime.date.today",
        ),
        allowed=("gateway/domain/clock.py",),
        broken="from datetime import datetime\nnow = datetime.now()",
    ),
    Rule(
        name="every task has an owner",
        find=unowned_tasks,
        allowed=(),
        broken="import asyncio\nasync def f():\n    asyncio.create_task(g())",
    ),
    Rule(
        name="domain needs nothing but Python",
        find=imports_beyond_the_standard_library,
        allowed=(),
        broken="import pydantic",
        scope="gateway/domain/*",
    ),
]


@cache
def parsed(source: str) -> ast.Module:
    """Each file once, however many rules look at it."""
    return ast.parse(source)


def violations(rule: Rule, sources: dict[str, str]) -> list[str]:
    """`path:line` of every use that the rule does not allow. `*` in a pattern crosses folders."""
    looked_at = (
        (path, source)
        for path, source in sorted(sources.items())
        if fnmatch.fnmatch(path, rule.scope) and not any(fnmatch.fnmatch(path, pattern) for pattern in rule.allowed)
    )
    return [f"{path}:{line}" for path, source in looked_at for line in rule.find(parsed(source))]


def python_sources(*folders: str) -> dict[str, str]:
    """Path from the root to text, of all our Python in the folders."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}


@pytest.mark.xdist_group("rules")  # where the files have been parsed
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    """No file of the package breaks it."""
    assert violations(rule, python_sources("gateway")) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_bites(rule: Rule) -> None:
    """Its broken sample is found in an ordinary file, and accepted in each place that it allows."""
    path = rule.scope.replace("*", "broken.py")
    assert violations(rule, {path: rule.broken}) != []
    for pattern in rule.allowed:
        assert violations(rule, {pattern.replace("*", "inner"): rule.broken}) == []


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("from time import time as now", True),
        ("import time\nx = time.perf_counter()", False),
        ("import datetime as d\nx = d.datetime.now()", True),
        ("def f(clock):\n    return clock.time()", False),
    ],
)
def test_the_clock_rule_sees_through_names(sample: str, expected: bool) -> None:
    """Renamed imports are found; measuring a duration and methods of that name are left alone."""
    rule = next(rule for rule in RULES if rule.name.startswith("the time"))
    assert bool(violations(rule, {"gateway/x.py": sample})) == expected


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("loop.create_task(f())", True),
        ("asyncio.ensure_future(f())", True),
        ("task = asyncio.create_task(f())", False),
        ("group.create_task(f())", False),
        ("self._group.create_task(f())", False),
    ],
)
def test_the_task_rule_knows_owners(sample: str, expected: bool) -> None:
    """A task kept in a name or made by a task group has an owner."""
    rule = next(rule for rule in RULES if rule.name.startswith("every task"))
    assert bool(violations(rule, {"gateway/x.py": sample})) == expected


def test_every_init_holds_only_a_docstring() -> None:
    """Names are imported from the module that owns them. The package's own __init__ also has the version."""
    wrong = []
    for path, source in python_sources("gateway", "tests").items():
        if not path.endswith("__init__.py"):
            continue
        tree = parsed(source)
        rest = tree.body[1:] if ast.get_docstring(tree) else tree.body
        if path == "gateway/__init__.py":
            rest = [node for node in rest if not ast.unparse(node).startswith("__version__ = ")]
        if rest or (path.startswith("gateway/") and not ast.get_docstring(tree)):
            wrong.append(path)
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    """Each module of the package starts with a docstring."""
    silent = [path for path, source in python_sources("gateway").items() if not ast.get_docstring(parsed(source))]
    assert silent == []


def test_files_and_functions_stay_small() -> None:
    """At most 500 lines a file, 70 a function of the package. A migration is a frozen list of tables, not logic."""
    sources = python_sources("gateway", "tests", "bench")
    large = [path for path, source in sources.items() if source.count("\n") > LINES_MAX]
    for path, source in python_sources("gateway").items():
        if path.startswith("gateway/db/migrations/versions/"):
            continue
        for node in ast.walk(parsed(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                large += [f"{path}:{node.lineno} {node.name}"] if lines > FUNCTION_LINES_MAX else []
    assert large == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's business: a lock or a script that names a host breaks on a mirror."""
    # Put together here, so that this file does not name them either.
    hosts = [
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
    ]
    named = [
        path for path in tracked_files() if any(host in (ROOT / path).read_text(errors="ignore") for host in hosts)
    ]
    assert named == []


def test_the_locks_are_complete_and_neutral() -> None:
    """Every locked package is pinned with hashes, and no lock points at a folder, an index or a machine."""
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins, lock.name
        assert all("==" in pin and pin.endswith("\\") for pin in pins), lock.name
        assert text.count("--hash=sha256:") >= len(pins), lock.name
        assert not any(word in text for word in ("://", "file:", "--index", "--find-links", " @ ")), lock.name


def test_every_locked_requirement_is_declared_for_run() -> None:
    """What pyproject.toml asks for is in the lock that `make run` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[>=<~!; ]", requirement)[0].lower() for requirement in project["dependencies"]}
    lock = (ROOT / "requirements/run.txt").read_text()
    locked = {line.partition("==")[0] for line in lock.splitlines() if "==" in line}
    assert wanted - locked == set()


@pytest.fixture
def package_copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, with every listed package present."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    for name in contract_packages():
        if not (tmp_path / f"gateway/{name}").exists() and not (tmp_path / f"gateway/{name}.py").exists():
            (tmp_path / f"gateway/{name}").mkdir()
            (tmp_path / f"gateway/{name}/__init__.py").touch()
    return tmp_path


def contract_packages() -> set[str]:
    """Every name in the layers contract."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {word.strip(" ()") for layer in layers for word in layer.replace("|", ":").split(":")}


FORBIDDEN = [
    ("domain", "telemetry", "layers"),
    ("telemetry", "db", "layers"),
    ("egress", "blobs", "layers"),
    ("db", "ledger", "layers"),
    ("keys", "ledger", "layers"),
    ("routing", "tasks", "layers"),
    ("upstreams", "pipeline", "layers"),
    ("pipeline", "administration", "layers"),
    ("pipeline", "api", "layers"),
    ("administration", "config", "layers"),
    ("api", "app", "layers"),
    ("api", "ledger", "edge"),
    ("api", "db", "edge"),
]
"""Who must not import whom, and the contract that says so: some of the table's many."""


@pytest.mark.parametrize("contract", ["layers", "edge"])
def test_forbidden_imports_fail_the_lint(package_copy: Path, contract: str) -> None:
    """Each import against the table "who may import whom" is named."""
    planted = [(importer, imported) for importer, imported, broken in FORBIDDEN if broken == contract]
    for importer, imported in planted:
        (package_copy / f"gateway/{importer}/trespasser_to_{imported}.py").write_text(f"import gateway.{imported}\n")
    done = lint_imports(package_copy, contract)
    assert done.returncode != 0
    told = [f"gateway.{importer}.trespasser_to_{imported} -> gateway.{imported}" for importer, imported in planted]
    assert [line for line in told if line not in done.stdout] == []


def test_a_new_package_must_take_its_place_in_the_layers(package_copy: Path) -> None:
    """A package that the contract does not list fails it."""
    (package_copy / "gateway/helpers").mkdir()
    (package_copy / "gateway/helpers/__init__.py").touch()
    done = lint_imports(package_copy, "layers")
    assert done.returncode != 0
    assert "helpers" in done.stdout


def test_the_package_keeps_the_contracts(package_copy: Path) -> None:
    """The package as it is passes both contracts (with packages that are still missing added empty)."""
    for contract in ("layers", "edge"):
        done = lint_imports(package_copy, contract)
        assert done.returncode == 0, done.stdout


COMMAND_BESIDE_A_GATEWAY = """
import pathlib, sys
from gateway.cli import main, operator
pathlib.Path("var").mkdir()
pathlib.Path("var/gateway.sock").touch()
operator._ask = lambda *asked: {"asked": asked[1]}
assert operator.answer_of("accounts list", {}, None) == {"asked": "accounts list"}
heavy = {"aiohttp", "alembic", "asyncio", "asyncpg", "PIL", "rich", "sqlalchemy", "tiktoken", "uvloop"}
print(sorted(heavy & sys.modules.keys()), sorted(name for name in sys.modules if name.startswith("gateway.") and ".cli" not in name))
"""


def test_a_command_beside_a_running_gateway_imports_only_what_it_needs(tmp_path: Path) -> None:
    """It asks through the socket: what opens a database or serves would make every command take twice as long to start."""
    command = [sys.executable, "-c", COMMAND_BESIDE_A_GATEWAY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    ours = ["gateway.config_socket", "gateway.config_text", "gateway.db", "gateway.db.url"]
    assert (done.stdout, done.stderr) == (f"[] {ours}\n", "")


def lint_imports(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter in a folder, as `make lint` does."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache", "--contract", contract]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def tracked_files() -> list[str]:
    """What git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"these rules are about what is in git: {done.stderr}"
    return [path for path in done.stdout.split("\0") if path and (ROOT / path).is_file()]


def _imported_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Local name to the full name it was imported from."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _dotted(node: ast.expr, aliases: dict[str, str]) -> str:
    """`a.b.c` with imported names spelt out; what is not a name becomes `?`."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, aliases)}.{node.attr}"
    return aliases.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


IGNORES = re.compile(r"#\s*(?:type: ignore\[[a-z, -]+\]|noqa: [A-Z0-9]+(?:, ?[A-Z0-9]+)*)(?P<reason>.*)")


def unexplained(text: str) -> list[str]:
    """Lines that silence a tool without a word on why: `# type: ignore[code]  # reason`, `# noqa: CODE - reason`."""
    return [
        line.strip()
        for line in text.splitlines()
        if (match := IGNORES.search(line)) and not re.search(r"[a-z]{3}", match["reason"])
    ]


def test_every_ignore_has_a_reason() -> None:
    """In the package, the tests and the benchmark."""
    paths = [path for folder in ("gateway", "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): unexplained(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_an_ignore_without_a_reason_is_noticed() -> None:
    """The check can fail."""
    silent = "x = 1  # type: ignore" + "[misc]\ny = 2  # noqa" + ": E501"
    spoken = "x = 1  # type: ignore" + "[misc]  # the stub is wrong\ny = 2  # noqa" + ": E501 - a long address"
    assert len(unexplained(silent)) == 2
    assert unexplained(spoken) == []
