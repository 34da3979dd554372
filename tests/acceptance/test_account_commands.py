"""`gateway accounts …` and `gateway ledger entries` beside a running gateway: what is changed holds for the very next call."""

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.settings import BY_SANDBOX, KEY, config


@pytest.fixture
def gateway(new_gateway: NewGateway) -> GatewayProcess:
    return new_gateway(config(), key=KEY).start()


def said(gateway: GatewayProcess, *arguments: str) -> str:
    done = gateway.command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def draw(gateway: GatewayProcess, key: str) -> tuple[int, str]:
    """Status and error code of a call."""
    body = {"model": BY_SANDBOX, "prompt": "a cat", "size": "1024x1024"}
    answer = gateway.request("POST", "/v1/images/generations", body, key=key)
    return answer.status, "" if answer.status == 200 else str(answer.json["error"]["code"])


def test_limits_and_disabling_hold_for_the_next_call(gateway: GatewayProcess) -> None:
    """Set, changed one by one, taken away; a disabled team refuses its key; markup is the org's alone."""
    terms = ("--rpm", "1", "--n-max", "2", "--sizes", "1:1,auto,1024x1024")
    text = said(gateway, "accounts", "create", "--org", "globex", "--team", "web", *terms)
    assert (
        text
        == 'team:globex/web is made: no budget, UTC, limits {"rpm":1,"sizes":["1:1","auto","1024x1024"],"n_max":2}.'
    )
    [made] = gateway.rows("keys", "create", "--name", "site", "--org", "globex", "--team", "web")
    key = made["key"]
    assert draw(gateway, key) == (200, "")
    assert draw(gateway, key) == (429, "rate_limit_exceeded")
    text = said(gateway, "accounts", "set", "globex/web", "--rpm", "none", "--sizes", "none", "--n-max", "none")
    assert text == "team:globex/web is changed: no budget, UTC."
    assert draw(gateway, key) == (200, "")
    assert said(gateway, "accounts", "set", "globex", "--models", BY_SANDBOX, "--markup", "1.5", "--disable").endswith(
        f'limits {{"models":["{BY_SANDBOX}"]}}, markup 1.5, disabled.'
    )
    assert draw(gateway, key) == (401, "key_disabled")
    said(gateway, "accounts", "set", "globex", "--enable", "--markup", "none")
    assert draw(gateway, key) == (200, "")
    done = gateway.command("accounts", "set", "acme", "--rpm", "5")
    assert (done.returncode, "declared in the config: change it there" in done.stderr) == (1, True)


def test_an_account_is_shown(gateway: GatewayProcess) -> None:
    """A row a budget with used, held, left and when it begins anew; the prepaid credits besides; a grant with an id counts once."""
    said(gateway, "accounts", "create", "--org", "globex", "--budget", "20usd/day", "--budget", "9images/total")
    [made] = gateway.rows("keys", "create", "--name", "site", "--org", "globex")
    assert draw(gateway, made["key"]) == (200, "")
    text = said(gateway, "accounts", "grant", "globex", "5credits", "--id", "invoice-7")
    assert text == "org:globex has 5 credits left. It is prepaid from now on."
    text = said(gateway, "accounts", "grant", "globex", "5credits", "--id", "invoice-7")
    assert text == "org:globex has 5 credits left. This grant was made before; nothing changed."
    day, total, prepaid = gateway.rows("accounts", "show", "globex")
    assert (day["used"], day["held"], day["left"]) == ("0.02usd", "0usd", "19.98usd")
    assert day["begins_anew"].endswith("T00:00:00+00:00")
    assert (total["left"], total["begins_anew"]) == ("8images", "never")
    assert (prepaid["budget"], prepaid["left"]) == ("6.44credits granted", "5credits")
    _, row = gateway.rows("accounts", "list", "--org", "globex")
    assert (row["account"], row["left"], row["state"]) == ("org:globex", "19.98usd, 8images", "active")


def test_an_accounts_entries_are_shown(gateway: GatewayProcess) -> None:
    """Newest first, from below an id, of one task alone; where there may be more, how to go on is said."""
    assert draw(gateway, KEY) == (200, "")
    said(gateway, "accounts", "grant", "acme", "5credits")
    entries = gateway.rows("ledger", "entries", "acme")
    assert [item["kind"] for item in entries] == ["grant", "adjust", "settle", "hold"]
    assert (entries[0]["posted"], entries[0]["note"]) == ("5credits", "granted")
    settle = entries[2]
    before = ("--before", str(entries[1]["id"]), "--limit", "1", "--task", str(settle["task"]))
    assert gateway.rows("ledger", "entries", "acme", *before) == [settle]
    assert "older ones: --before" in said(gateway, "ledger", "entries", "acme", *before).lower()
