"""A config that changes while the gateway serves: by SIGHUP or by itself, under load, good or bad, on both databases."""

import copy
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.hurried import HURRIED, KEYS_RELOAD_S
from tests.acceptance.settings import ACCOUNT, BY_SANDBOX, KEY, SQLITE, config

ART_KEY, NEW_KEY = "a-key-of-the-art-team", "a-key-that-comes-later"
READ_S_MAX = 60.0
LIMIT = 40
CLIENTS = 4


class Load:
    """Clients that call all the time; what they were answered."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway
        self.made = 0
        self.refusals: list[str] = []
        self.others: list[bytes] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            answer = self.gateway.generate(BY_SANDBOX, "a cat")
            with self._lock:
                if answer.status == 200:
                    self.made += 1
                elif answer.status == 429:
                    self.refusals.append(answer.json["error"]["message"])
                else:
                    self.others.append(answer.body)
            if answer.status != 200:
                self._over.wait(0.05)

    @contextmanager
    def going_on(self) -> Iterator["Load"]:
        clients = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield self
        finally:
            self._over.set()
            for client in clients:
                client.join()


def write(gateway: GatewayProcess, settings: object) -> None:
    assert gateway.config_path is not None
    gateway.config_path.write_text(json.dumps(settings), encoding="utf-8")  # noqa: TID251 - YAML is a superset of JSON


def reads(gateway: GatewayProcess, event: str = "the config was read again") -> int:
    return sum(event in line["event"] for line in gateway.log_lines())


def reread(gateway: GatewayProcess, settings: object, event: str = "the config was read again") -> None:
    """Write it and send SIGHUP, until it was read."""
    before = reads(gateway, event)
    write(gateway, settings)
    gateway.send(signal.SIGHUP)
    until(lambda: reads(gateway, event) > before, READ_S_MAX, f"nothing new about {event!r}: {gateway.log}")


def started(new_gateway: NewGateway, database: str) -> tuple[GatewayProcess, Any]:
    settings: Any = copy.deepcopy(config(database))
    settings["accounts"][0]["teams"].append({"team": "art", "keys": [{"name": "brush", "secret": ART_KEY}]})
    gateway = new_gateway(settings, key=KEY, target=HURRIED)
    if database != SQLITE:
        gateway.migrate()
    return gateway.start(), settings


def status_of(gateway: GatewayProcess, key: str) -> int:
    return gateway.request("GET", "/v1/models", key=key).status


@pytest.mark.xdist_group("acceptance-postgresql")
def test_budgets_and_keys_change_under_load(new_gateway: NewGateway, database: str) -> None:
    """A budget bites from then on, a new key works, a team that is gone refuses its keys and comes back; every picture is booked once."""
    gateway, settings = started(new_gateway, database)
    with Load(gateway).going_on() as load:
        until(lambda: load.made >= CLIENTS, READ_S_MAX, f"nothing is made: {load.others}")
        changed = copy.deepcopy(settings)
        team, art = changed["accounts"][0]["teams"]
        team["budgets"] = [f"{LIMIT}images/total"]
        team["keys"].append({"name": "later", "secret": NEW_KEY})
        changed["accounts"][0]["teams"] = [team]
        assert (status_of(gateway, ART_KEY), status_of(gateway, NEW_KEY)) == (200, 401)
        reread(gateway, changed)
        made_before = load.made
        assert (status_of(gateway, ART_KEY), status_of(gateway, NEW_KEY)) == (401, 200)
        until(lambda: load.refusals, 60, f"{load.made} made, none refused: {load.others}")
    assert load.others == []
    assert {
        f"The budget {LIMIT}images/total of the team 'design' has 0 images left" in text for text in load.refusals
    } == {True}
    # Those that were under way when the budget came count as well: it takes nothing from anybody.
    assert LIMIT <= load.made <= max(LIMIT, made_before + CLIENTS)
    rows = {row["account"]: row for row in gateway.rows("accounts", "list")}
    assert rows[ACCOUNT]["images"] == rows["team:acme/design"]["images"] == load.made
    assert {row["held_credits"] for row in rows.values()} == {"0"}
    assert rows["team:acme/art"]["state"] == "disabled"
    team["budgets"] = []
    changed["accounts"][0]["teams"] = [team, art]
    write(gateway, changed)  # and no signal
    until(lambda: status_of(gateway, ART_KEY) == 200, READ_S_MAX, "the changed file is not noticed")
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    assert gateway.command("ledger", "audit").returncode == 0
    changes = {(row["actor"], row["action"], row["subject"]) for row in gateway.rows("audit-log", "list")}
    assert {
        ("config", "account.change", "team:acme/design"),
        ("config", "account.disable", "team:acme/art"),
        ("config", "account.enable", "team:acme/art"),
        ("config", "key.create", "declared:key:acme/design/later"),
        ("config", "key.revoke", "declared:key:acme/art/brush"),
    } <= changes
    assert gateway.terminate() == 0


@pytest.mark.xdist_group("acceptance-postgresql")
def test_a_bad_file_changes_nothing(new_gateway: NewGateway, database: str) -> None:
    """Not even what is good in it: every problem is logged, without secrets, and the gateway serves as before."""
    gateway, settings = started(new_gateway, database)
    bad = copy.deepcopy(settings)
    bad["accounts"][0]["teams"] = [
        {"team": "new", "keys": [{"name": "n", "secret": NEW_KEY}, {"name": "m", "secret": NEW_KEY}]}
    ]
    bad["deadline"], bad["servr"] = "soon", {}
    lines = len(gateway.rows("audit-log", "list"))
    reread(gateway, bad, "the config was refused whole")
    problems = [line["problem"] for line in gateway.log_lines() if "problem" in line]
    assert sorted(problem.partition(":")[0] for problem in problems)[-2:] == ["deadline", "servr"]
    write(gateway, "{ not: [a config")
    gateway.send(signal.SIGHUP)
    until(lambda: reads(gateway, "the config was refused whole") >= 2, READ_S_MAX, "the second one is not refused")
    assert (status_of(gateway, KEY), status_of(gateway, ART_KEY), status_of(gateway, NEW_KEY)) == (200, 200, 401)
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    write(gateway, settings)  # commands read the file as well
    assert len(gateway.rows("audit-log", "list")) == lines
    assert NEW_KEY not in gateway.log
    assert gateway.terminate() == 0


def test_prices_and_models_follow(new_gateway: NewGateway) -> None:
    """A markup, a rate and a model of the catalogue take effect at once; what needs a restart is said by its name."""
    gateway, settings = started(new_gateway, SQLITE)
    changed = copy.deepcopy(settings)
    changed["credits_per_usd"], changed["markup"] = 100, 2
    changed["models"]["new-model"] = settings["models"][BY_SANDBOX]
    changed["server"]["drain"] = "19s"
    changed["upstreams"]["sandbox"]["latency"] = "1ms"
    reread(gateway, changed)
    warning = gateway.logged("wait for a restart")
    assert warning["settings"] == "server, upstreams.sandbox.latency"
    assert gateway.generate("new-model", "a cat").status == 200
    [row] = [row for row in gateway.rows("accounts", "list") if row["account"] == ACCOUNT]
    assert (row["used_credits"], row["used_usd"]) == ("4", "0.04")
    assert gateway.terminate() == 0


@pytest.mark.slow
@pytest.mark.xdist_group("acceptance-postgresql")
def test_another_process_hears_of_it(new_gateway: NewGateway, postgresql_database: str) -> None:
    """What one process declares, another of the same database knows with its next look at it: every 30 s, here sooner."""
    first, settings = started(new_gateway, postgresql_database)
    second = new_gateway(settings, key=KEY, target=HURRIED).start()
    changed = copy.deepcopy(settings)
    changed["accounts"][0]["teams"][0]["keys"].append({"name": "later", "secret": NEW_KEY})
    del changed["accounts"][0]["teams"][1]
    reread(first, changed)
    assert (status_of(first, NEW_KEY), status_of(first, ART_KEY)) == (200, 401)
    until(
        lambda: (status_of(second, NEW_KEY), status_of(second, ART_KEY)) == (200, 401),
        KEYS_RELOAD_S + 15,
        "the other does not hear of it",
    )
    for gateway in (first, second):
        assert gateway.terminate() == 0
