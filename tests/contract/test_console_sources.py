"""The console's own tests pass, and its types are those of the routes. Both need what `make console` fetches."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "console"
TYPES = CONSOLE / "src/api/schema.ts"


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    """What a program prints that ends well; AssertionError with all it said where it does not."""
    done = subprocess.run(command, cwd=CONSOLE, input=stdin, capture_output=True, check=False, timeout=110)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout


@pytest.fixture(autouse=True)
def _fetched() -> None:
    if not (CONSOLE / "node_modules/.bin/vitest").exists():
        pytest.fail("console/node_modules is missing: `make console` fetches it, with Node 20 or newer")


def test_the_types_are_those_of_the_routes(tmp_path: Path) -> None:
    """`make console-types` would change nothing."""
    document = run(sys.executable, CONSOLE / "scripts/openapi.py")
    run("node", "scripts/types.mjs", str(tmp_path / "schema.ts"), stdin=document)
    made = (tmp_path / "schema.ts").read_text(encoding="utf-8")
    assert made == TYPES.read_text(encoding="utf-8"), "the routes have changed: `make console-types`, and commit"


def test_the_consoles_own_tests_pass() -> None:
    """Drafts, events, snippets, references and addresses, in Node."""
    assert b"passed" in run("npm", "test", "--silent")
