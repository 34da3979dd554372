"""kill -9 between an alert and its delivery: the next process delivers it, to the receiver as the documentation has it."""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import until
from tests.acceptance.settings import BY_SANDBOX, KEY, config
from tests.ports import free_port
from tests.webhook_receiver import SECRET

DOCUMENT = Path(__file__).parents[2] / "docs/administration.md"
TOLD_S_MAX = 60.0


def test_an_alert_survives_kill_9(new_gateway: NewGateway, database: str) -> None:
    """Nobody listens, the process is killed; with a receiver and a new process it arrives, once, and the command says so."""
    port = free_port()
    team = {"team": "design", "budgets": ["0.03usd/day"], "keys": [{"name": "ci", "secret": KEY}]}
    settings = config(
        database,
        accounts=[{"org": "acme", "teams": [team]}],
        alerts={"url": f"http://127.0.0.1:{port}/", "secret": SECRET},
    )
    gateway = new_gateway(settings, key=KEY).migrate().start()
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    [due] = until(lambda: gateway.ask("alerts list")["rows"], TOLD_S_MAX, "no alert was made")
    assert (due["account"], due["percent"], due["state"]) == ("team:acme/design", 50, "due")
    gateway.kill()
    [example] = [
        code
        for code in re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
        if "webhook-signature" in code
    ]
    with ExitStack() as stack:
        receiver = subprocess.Popen(
            [sys.executable, "-u", "-c", example],
            env={"ALERTS_SECRET": SECRET, "PORT": str(port)},
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(receiver.communicate)
        stack.callback(receiver.kill)
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "listening\n"
        gateway.start()
        assert receiver.stdout.readline() == "team:acme/design has used 0.02 of 0.03 usd (0.03usd/day)\n"
        sent = until(
            lambda: [row for row in gateway.rows("alerts", "list") if row["state"] == "sent"], TOLD_S_MAX, "not noted"
        )
        assert [(row["id"], row["answer"]) for row in sent] == [(due["id"], "HTTP 204")]
        resent = gateway.command("alerts", "resend", due["id"])
        assert (resent.returncode, due["id"] in resent.stdout) == (0, True)
        assert gateway.command("alerts", "resend", "alr_0").returncode == 1
        assert gateway.terminate() == 0
