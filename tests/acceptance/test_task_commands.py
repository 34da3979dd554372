"""`gateway tasks`, beside a running gateway and alone."""

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
