"""`gateway usage` and `gateway quote`, beside a running gateway and without one."""

import csv
import io

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.settings import BY_SANDBOX, KEY, config


@pytest.mark.parametrize("running", [True, False], ids=["beside", "alone"])
def test_usage_is_shown_as_table_json_and_csv(new_gateway: NewGateway, running: bool) -> None:
    """The same sums in each; numbers for programs; a question that cannot be answered fails with what may be written."""
    gateway = new_gateway(config(), key=KEY).start()
    for _ in range(2):
        assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    if not running:
        assert gateway.terminate() == 0
    [row] = gateway.rows("usage")
    assert row == {
        "org": "acme", "team": "design", "tasks": 2, "failed": 0, "images": 2, "credits": 2.88, "charged_usd": 0.04, "paid_usd": 0.04,
        "cache_hits": 0, "cache_saved_usd": 0, "routing_saved_usd": 0,
    }  # fmt: skip
    table = gateway.command("usage", "--by", "upstream", "--by", "key").stdout
    assert {"sandbox", "design", "ci", "2.88"} <= set(table.split())
    text = gateway.command("usage", "--by", "model", "--format", "csv").stdout
    header, line = csv.reader(io.StringIO(text))
    assert (header[0], line[:5]) == ("model", [BY_SANDBOX, "2", "0", "2", "2.88"])
    assert gateway.rows("usage", "--since", "2999-01-01") == []
    wrong = gateway.command("usage", "--by", "price")
    assert (wrong.returncode, "org, team, key" in wrong.stderr) == (1, True)


@pytest.mark.parametrize("running", [True, False], ids=["beside", "alone"])
def test_a_quote_by_command_names_prices_hold_and_verdict(new_gateway: NewGateway, running: bool) -> None:
    """For nobody prices only; for an account what it has left, and 1 where the call would be refused; nothing is made."""
    gateway = new_gateway(config(), key=KEY)
    assert gateway.command("accounts", "create", "--org", "globex", "--budget", "0.05usd/day").returncode == 0
    if running:
        gateway.start()
    asked = ("quote", "--model", BY_SANDBOX, "--size", "1024x1024")
    plain = gateway.command(*asked, "a cat")
    assert plain.returncode == 0, plain.stderr
    assert "sandbox/sandbox" in plain.stdout
    said = " ".join(plain.stdout.split())
    assert "Holds 1.44 credits (0.02 USD) for 1 image. The call would be accepted." in said
    tight = gateway.command(*asked, "--org", "globex", "--n", "3", "a cat")
    said = " ".join(tight.stdout.split())
    assert tight.returncode == 1
    assert "Tightest: 0.05usd/day of the org 'globex', 0.05 usd left." in said
    assert "The call would be refused with insufficient_quota: The budget 0.05usd/day" in said
    unknown = gateway.command(*asked, "--org", "nobody", "a cat")
    assert (unknown.returncode, "gateway accounts list" in unknown.stderr) == (1, True)
    assert gateway.command("quote", "--model", "no such", "a cat").returncode == 1
    assert gateway.rows("usage") == []
