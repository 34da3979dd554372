"""The operator's commands, beside a running gateway and without one; and what a gateway refuses to start with."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.settings import ACCOUNT, BY_SANDBOX, KEY, SECRET_KEY, config

BAD = """
servr: {port: 1}
database: mysql://somewhere
deadline: soon
upstreams: {openai: {kind: opanai, api_key: "${NOT_SET_ANYWHERE}"}}
"""


def test_commands_work_through_the_socket_of_a_running_gateway(new_gateway: NewGateway) -> None:
    """A key made works at once and is listed without its secret, a revoked one is refused at once; accounts, audit and doubts answer."""
    gateway = new_gateway(config(), key=KEY).start()
    assert (gateway.folder / "var/gateway.sock").stat().st_mode & 0o777 == 0o600
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    [made] = gateway.rows(
        "keys", "create", "--name", "tmp", "--org", "acme", "--team", "design", "--budget", "1usd/total"
    )
    assert gateway.request("GET", "/v1/models", key=made["key"]).status == 200
    listed = {row["id"]: row for row in gateway.rows("keys", "list")}
    assert listed[made["id"]]["state"] == "active"
    printed = gateway.command("keys", "list")
    assert made["key"] not in printed.stdout
    assert_the_same(printed, gateway.command("keys", "list", installed=True))
    assert gateway.command("keys", "revoke", made["id"]).returncode == 0
    assert gateway.request("GET", "/v1/models", key=made["key"]).status == 401
    assert_books_and_doubts(gateway)
    assert ACCOUNT in gateway.command("accounts", "list").stdout
    assert "Nothing to list" in gateway.command("in-doubt", "list").stdout
    assert gateway.terminate() == 0
    assert not (gateway.folder / "var/gateway.sock").exists()


def test_commands_work_without_a_running_gateway(new_gateway: NewGateway) -> None:
    """They open the database themselves, before the first start and after a kill -9; what they did holds at the next start."""
    gateway = new_gateway(config(), key=KEY)
    [made] = gateway.rows("keys", "create", "--name", "early")
    gateway.start()
    assert gateway.request("GET", "/v1/models", key=made["key"]).status == 200
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    gateway.kill()
    assert (gateway.folder / "var/gateway.sock").exists()  # nobody could remove it
    assert_books_and_doubts(gateway)
    assert_the_same(*(gateway.command("accounts", "list", installed=installed) for installed in (False, True)))
    assert gateway.command("keys", "revoke", made["id"]).returncode == 0
    gateway.start()
    assert gateway.request("GET", "/v1/models", key=made["key"]).status == 401


def assert_the_same(forked: CompletedProcess[str], installed: CompletedProcess[str]) -> None:
    """What a forked process does and says is what the installed command does and says."""
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        installed.returncode, installed.stdout, installed.stderr,
    )  # fmt: skip


def assert_books_and_doubts(gateway: GatewayProcess) -> None:
    """After one drawing: one picture on the key, the ledger clean, no doubt."""
    [row] = [row for row in gateway.rows("accounts", "list") if row["account"] == ACCOUNT]
    assert (row["images"], row["used_usd"], row["held_usd"]) == (1, "0.02", "0")
    audit = gateway.command("ledger", "audit")
    assert (audit.returncode, "The ledger is clean" in audit.stdout) == (0, True)
    assert gateway.rows("in-doubt", "list") == []


@pytest.mark.parametrize("running", [True, False], ids=["beside", "alone"])
def test_accounts_are_made_changed_and_granted(new_gateway: NewGateway, running: bool) -> None:
    """An org with a time zone, a team that inherits it, budgets changed; credits granted, taken back with a reason, and spent to the last."""
    gateway = new_gateway(config(), key=KEY)
    if running:
        gateway.start()
    for arguments, said in (
        (("create", "--org", "globex", "--timezone", "Asia/Tokyo", "--budget", "20usd/day"), "org:globex is made: 20usd/day, Asia/Tokyo."),
        (("create", "--org", "globex", "--team", "web", "--budget", "9images/month"), "team:globex/web is made: 9images/month, Asia/Tokyo."),
        (("set", "globex", "--budget", "30usd/week", "--budget", "9usd/total"), "org:globex is changed: 30usd/week, 9usd/total, Asia/Tokyo."),
        (("set", "globex/web", "--budget", "none"), "team:globex/web is changed: no budget, Asia/Tokyo."),
        (("grant", "globex/web", "5credits"), "team:globex/web has 5 credits left. It is prepaid from now on."),
        (("adjust", "globex/web", "-2.12credits", "--why", "a mistake"), "team:globex/web has 2.88 credits left."),
    ):  # fmt: skip
        done = gateway.command("accounts", *arguments)
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
    [made] = gateway.rows("keys", "create", "--name", "site", "--org", "globex", "--team", "web")
    if not running:
        gateway.start()
    # A drawing is 0.02 USD, 1.44 credits.
    body = {"model": BY_SANDBOX, "prompt": "a cat", "size": "1024x1024"}
    answers = [gateway.request("POST", "/v1/images/generations", body, key=made["key"]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert "The prepaid balance of the team 'web' has 0 credits left" in answers[2].json["error"]["message"]
    rows = {row["account"]: row for row in gateway.rows("accounts", "list")}
    assert rows["team:globex/web"]["used_credits"] == "2.88"
    assert {row["timezone"] for name, row in rows.items() if "globex" in name} == {"Asia/Tokyo"}
    assert gateway.command("ledger", "audit").returncode == 0


WISHES_WITH_REMEDY = (
    (("create", "--org", "a/b"), "write a name of 1 to 64 characters without / and :"),
    (("create", "--org", "acme", "--timezone", "Mars"), "write one such as UTC or Europe/Berlin"),
    (("create", "--org", "new", "--budget", "5usd/year"), "(day|week|month|total)"),
    (("create", "--org", "acme"), "gateway accounts set org:acme"),
    (("set", "nobody", "--budget", "5usd/day"), "gateway accounts list"),
    (("set", "acme", "--prepaid"), "gateway accounts grant org:acme 500credits"),
    (("grant", "acme", "5usd"), "write credits such as 500credits"),
    (("grant", "acme", "0credits"), "changes nothing"),
    (("adjust", "acme", "-5credits", "--why", "x"), "is not prepaid"),
    (("adjust", "acme", "-5credits"), "--why"),
)


def test_wishes_for_accounts_that_cannot_be_fulfilled(new_gateway: NewGateway) -> None:
    """Each says what is wrong and what may be written instead."""
    gateway = new_gateway(config(), key=KEY).start()
    gateway.command("accounts", "create", "--org", "acme")
    for arguments, remedy in WISHES_WITH_REMEDY:
        done = gateway.command("accounts", *arguments)
        assert done.returncode != 0, arguments
        assert remedy in " ".join(done.stderr.split()), arguments


@pytest.mark.parametrize("running", [True, False], ids=["beside", "alone"])
def test_a_command_that_cannot_be_done_fails_with_the_remedy(new_gateway: NewGateway, running: bool) -> None:
    """Exit code 1 and one sentence on the error output, nothing on the other."""
    gateway = new_gateway(config(), key=KEY)
    if running:
        gateway.start()
    done = gateway.command("keys", "revoke", "key_nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gateway keys list" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_gateway_on_the_same_file_is_refused(new_gateway: NewGateway) -> None:
    """Exit code 1 with one sentence that names the file; the first one serves on, and its end frees the file."""
    first = new_gateway(config(), key=KEY).start()
    second = new_gateway(config(), key=KEY, folder=first.folder)
    second.launch("--port", "0")
    assert second.wait() == 1
    assert "var/gateway.db.lock is held by a running gateway" in second.log
    assert "Traceback" not in second.log
    assert second.output == ""
    assert first.generate(BY_SANDBOX, "a cat").status == 200
    migrate = first.command("migrate")
    assert migrate.returncode == 1
    assert "held by a running gateway" in migrate.stderr
    first.kill()
    second.start("--port", "0")
    assert second.generate(BY_SANDBOX, "a dog").status == 200


def test_a_taken_port_is_refused(new_gateway: NewGateway) -> None:
    """Exit code 1 with what to do; nothing is left locked."""
    first = new_gateway(config(), key=KEY).start()
    second = new_gateway(config(), key=KEY)
    port = first.base_url.rpartition(":")[2].partition("/")[0]
    second.launch("--port", port)
    assert second.wait() == 1
    assert "--port" in second.log
    assert "Traceback" not in second.log
    second.start()


def test_check_config(new_gateway: NewGateway, tmp_path: Path) -> None:
    """A good config: exit 0 and what it serves. A bad one: exit 2 and every error; `serve` refuses it with the same. A short drain it serves with."""
    good = new_gateway(config(server={"port": 0})).command("check-config", installed=True)
    assert good.returncode == 0
    assert "The config is good." in good.stdout
    assert f"model {BY_SANDBOX}: sandbox/sandbox" in good.stdout
    short = new_gateway(config(server={"port": 0, "drain": "20s"}), key=KEY)
    refused = short.command("check-config")
    assert refused.returncode == 2
    assert "server.drain: 20s: " in refused.stderr
    assert "Write 210s or more, or a shorter upstreams.sandbox.timeout." in refused.stderr
    assert "server.drain: 20s: " in short.start().output
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    gateway = new_gateway(path)
    bad = gateway.command("check-config")
    assert_the_same(bad, gateway.command("check-config", installed=True))
    assert bad.returncode == 2
    for place in ("servr", "database", "deadline", "upstreams.openai.kind", "NOT_SET_ANYWHERE"):
        assert place in bad.stderr
    gateway.launch()
    assert gateway.wait() == 2
    assert gateway.log == bad.stderr
    assert not (gateway.folder / "var").exists()


@pytest.mark.xdist_group("acceptance-postgresql")
def test_postgresql_is_migrated_by_command_only(new_gateway: NewGateway, empty_postgresql_database: str) -> None:
    """`serve` refuses an unmigrated database with the hint; after `migrate` it serves, commands reach it, and nothing secret is printed or made."""
    gateway = new_gateway(config(empty_postgresql_database), key=KEY)
    gateway.launch()
    assert gateway.wait() == 1
    assert "run `gateway migrate` first" in gateway.log
    assert "Traceback" not in gateway.log
    assert "run `gateway migrate` first" in gateway.command("keys", "list").stderr
    first, again = gateway.command("migrate"), gateway.command("migrate")
    assert (first.returncode, again.returncode) == (0, 0)
    assert "from nothing to" in first.stdout
    assert "The schema is at" in again.stdout
    gateway.start()
    assert gateway.generate(BY_SANDBOX, "a cat").status == 200
    assert_books_and_doubts(gateway)
    [made] = gateway.rows("keys", "create", "--name", "tmp")
    assert gateway.terminate() == 0
    for text in (gateway.output, gateway.log):
        assert "igw_" not in text
        assert KEY not in text
        assert SECRET_KEY not in text
    gateway.start()
    assert gateway.request("GET", "/v1/models", key=made["key"]).status == 200
    assert not [path for path in (gateway.folder / "var").iterdir() if path.name != "images"]


@pytest.mark.xdist_group("acceptance-postgresql")
def test_postgresql_without_declared_keys_makes_none(new_gateway: NewGateway, postgresql_database: str) -> None:
    """Nobody may call, and nothing secret is printed: the operator makes the keys."""
    gateway = new_gateway({**config(postgresql_database), "accounts": []})
    assert gateway.command("migrate").returncode == 0
    gateway.start()
    assert "API key" not in gateway.output
    assert "igw_" not in gateway.output + gateway.log
    assert gateway.rows("keys", "list") == []
    assert gateway.request("GET", "/v1/models", key="").status == 401


def test_postgresql_needs_a_shared_secret(new_gateway: NewGateway) -> None:
    """Without secret_key the config is refused: several processes must share it."""
    gateway = new_gateway({**config("postgresql://postgres@127.0.0.1:1/none"), "secret_key": ""})
    done = gateway.command("check-config")
    assert done.returncode == 2
    assert "secret_key" in done.stderr


def test_a_database_that_does_not_answer_is_said(new_gateway: NewGateway) -> None:
    """Exit code 1 with one sentence, no traceback, no password."""
    gateway = new_gateway(config("postgresql://someone:pass-of-the-database@127.0.0.1:1/none"))
    for command in (("migrate",), ("accounts", "list")):
        done = gateway.command(*command)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "pass-of-the-database" not in done.stderr
        assert done.stderr.startswith("gateway: the database ")
