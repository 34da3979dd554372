"""`gateway tasks`, `backup` and `restore`, beside a running gateway and alone."""

import re
import sqlite3

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.settings import ACCOUNT, BY_SANDBOX, KEY, config

MARK = "xylophone-quartz"


@pytest.mark.parametrize("running", [True, False], ids=["beside", "alone"])
def test_tasks_are_listed_shown_and_erased(new_gateway: NewGateway, running: bool) -> None:
    """The prompt is shown only where it is asked for; erased, neither it nor the picture is left."""
    gateway = new_gateway(config(), key=KEY).start()
    assert gateway.generate(BY_SANDBOX, f"a {MARK}").status == 200
    if not running:
        assert gateway.terminate() == 0
    [listed] = gateway.rows("tasks", "list", "--org", "acme", "--state", "completed", "--limit", "5")
    assert (listed["account"], listed["erased"]) == (ACCOUNT, "no")
    task_id = str(listed["id"])
    shown = {row["what"]: row["is"] for row in gateway.rows("tasks", "show", task_id)}
    assert shown["state"] == "completed"
    assert str(shown["hold"]).startswith("settled")
    assert MARK not in str(shown)
    assert MARK in str(gateway.rows("tasks", "show", task_id, "--prompt"))
    erased = gateway.command("tasks", "erase", task_id)
    assert (erased.returncode, f"{task_id} is erased" in erased.stdout) == (0, True), erased.stderr
    assert "(not kept)" in str(gateway.rows("tasks", "show", task_id, "--prompt"))
    assert [
        path for path in (gateway.folder / "var/images").rglob("*") if path.is_file() and path.name != ".lock"
    ] == []
    unknown = gateway.command("tasks", "erase", "task-unified-1757165031-uyujaw3d")
    assert (unknown.returncode, "There is no such task" in unknown.stderr) == (1, True)


def test_a_backup_is_made_while_the_gateway_serves_and_restored_when_it_does_not(new_gateway: NewGateway) -> None:
    """The file is the database of that moment; a running gateway's is not touched; restored, the key works and the books are clean."""
    gateway = new_gateway(config(), key=KEY).start()
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    made = gateway.command("backup", "copy.db")
    assert made.returncode == 0, made.stderr
    assert "secret_key" in made.stdout
    assert (gateway.folder / "copy.db").stat().st_mode & 0o777 == 0o600
    refused = gateway.command("backup", "copy.db")
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    assert gateway.generate(BY_SANDBOX, "another cat").status == 200
    running = gateway.command("restore", "copy.db", "--force")
    assert (running.returncode, "stop the gateway first" in running.stderr) == (1, True)
    assert gateway.terminate() == 0

    there = gateway.command("restore", "copy.db")
    assert (there.returncode, "--force" in there.stderr) == (1, True)
    restored = gateway.command("restore", "copy.db", "--force")
    assert restored.returncode == 0, restored.stderr
    assert "The ledger is clean" in restored.stdout
    aside = re.search(r"is now (\S+)\.\n", restored.stdout)
    assert aside is not None
    with sqlite3.connect(gateway.folder / aside[1]) as before:
        assert before.execute("SELECT count(*) FROM tasks").fetchone() == (2,)
    gateway.start()
    assert len(gateway.rows("tasks", "list")) == 1
    assert gateway.generate(BY_SANDBOX, "a third cat").status == 200
