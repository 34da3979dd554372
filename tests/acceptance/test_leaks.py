"""A gateway as its operators run it, through everything that touches a secret or a prompt; then its outputs, tables and files are searched.

What the tests of the application do for each of their own scenarios (tests/integration/gateway_app.py), here with the process: standard output and
error, commands, the control socket, and a PostgreSQL that other processes wrote to.
"""

import asyncio
import http.client
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.app_office import open_office
from gateway.config import load
from gateway.db.url import Dialect
from gateway.domain.clock import SystemClock
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import Answer, GatewayProcess, until
from tests.acceptance.hurried import HURRIED
from tests.acceptance.invariants import all_final
from tests.acceptance.settings import BY_OPENAI, BY_SANDBOX, KEY, config
from tests.emulators import behaviours as b
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess
from tests.leaks import Leaks, forms_in, secrets_of

ADMIN = "an-admin-token-of-the-config"
ALERTS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PROMPT = "a zebracrossing beside a quicksilver lake"


class Watched:
    """A gateway, all of whose answers and printed texts are searched as they come."""

    def __init__(self, gateway: GatewayProcess, leaks: Leaks) -> None:
        self.gateway = gateway
        self.leaks = leaks

    def call(self, method: str, path: str, body: object = None, *, key: str = KEY, **headers: str) -> Answer:
        answer = self.gateway.request(method, path, body, key=key, headers=headers)
        self.leaks.answer(method, path, answer.status, answer.headers, answer.body)
        return answer

    def admin(self, method: str, path: str, body: object = None, *, key: str = ADMIN) -> Any:
        """The answer's object. Every change must succeed."""
        answer = self.call(method, f"/admin/v1/{path}", body, key=key)
        assert answer.status in (200, 201), answer.body
        return answer.json

    def command(self, *arguments: str, code: int = 0) -> None:
        """One that shows no secret, as a process."""
        done = self.gateway.command(*arguments)
        assert done.returncode == code, done.stderr
        self.leaks.look(f"what `gateway {' '.join(arguments[:2])}` prints", (done.stdout + done.stderr).encode())

    def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        """One that shows no secret, without a process for it: its answer or its error."""
        answer = self.gateway.ask(command, **arguments)
        self.leaks.look(f"the answer of `{command}`", str(answer).encode())
        return answer

    def shown(self, command: str, column: str, **arguments: str) -> dict[str, Any]:
        """One that shows a secret: from then on it may stand nowhere."""
        [row] = self.gateway.ask(command, **arguments)["rows"]
        assert isinstance(row, dict)
        for number, secret in enumerate(forms_in(row[column])):
            self.leaks.secret(f"the secret shown by `{command}`: {row[column][:12]}… ({number})", secret)
        return row

    def ask_socket(self, body: bytes) -> None:
        """Bytes to the control socket, as they are."""
        path = self.gateway.folder / "var/gateway.sock"
        if not path.exists():
            return  # on PostgreSQL there is none
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("POST", "/command", body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        connection.close()
        self.leaks.look("an answer of the control socket", answer)


def administer(watched: Watched) -> tuple[str, str]:
    """Keys and tokens, by command and by API; secrets that were valid once, and one that still is."""
    by_command = watched.shown("keys create", "key", name="by-command", org="acme")
    rotated = watched.shown("keys rotate", "key", id=by_command["id"], overlap="1h")
    token = watched.shown("admin-tokens create", "token", name="ops", scopes="read,keys")
    for more in ({}, {"rotate": "yes", "overlap": "1h"}):
        watched.shown("keys callback-secret", "callback_secret", id=by_command["id"], **more)
    watched.ask("keys set", id=by_command["id"], rpm="60", budgets="5usd/day")
    watched.command("keys", "list")
    watched.ask("admin-tokens list")
    # The token was made by command, of which other processes hear later.
    ops = (
        token["token"]
        if watched.gateway.request("GET", "/admin/v1/tokens", key=token["token"]).status == 200
        else ADMIN
    )
    by_api = watched.admin("POST", "keys", {"org": "acme", "team": "design", "name": "by-api"})
    again = watched.admin("POST", f"keys/{by_api['id']}/rotate", {"overlap_s": 0}, key=ops)["secret"]
    watched.admin("GET", f"keys/{by_api['id']}/callback-secret", key=ops)
    watched.admin("PATCH", f"keys/{by_api['id']}", {"n_max": 2})
    watched.admin("GET", f"keys/{by_api['id']}")
    watched.admin("POST", "tokens", {"name": "reader", "scopes": ["read"], "org": "acme"})
    for path in ("keys", "tokens", "audit-log"):
        watched.admin("GET", path, key=ADMIN)
    watched.ask("keys revoke", id=by_command["id"])
    watched.ask("admin-tokens revoke", id=token["id"])
    watched.ask("audit-log list")
    return rotated["key"], again


def be_refused(watched: Watched, revoked: str, valid: str) -> None:
    """Wrong keys and tokens everywhere, and secrets where they do not belong: in paths, names, bodies and headers."""
    # Revoked by command: on PostgreSQL a running process hears of it with its next look.
    until(lambda: watched.call("GET", "/v1/models", key=revoked).status == 401, 60, "a revoked key is valid", pause_s=1)
    for key in (revoked, revoked + "x", valid[:-1] + "?", "a wrong key of somebody", "iga_" + "0" * 38):
        assert watched.call("GET", "/v1/models", key=key).status == 401
    for key in ("", KEY, valid, "iga_" + "0" * 38):
        assert watched.call("GET", "/admin/v1/keys", key=key).status == 401
    generations = "/v1/images/generations"
    bodies: tuple[object, ...] = (
        {"model": valid, "prompt": PROMPT},
        {"model": BY_SANDBOX, "prompt": PROMPT, "size": valid},
        {"model": BY_SANDBOX, "prompt": PROMPT, "quality": PROMPT},
        {"model": BY_SANDBOX, "prompt": PROMPT, "n": valid},
        {"model": BY_SANDBOX, "prompt": PROMPT, valid: 1},
        {"model": BY_SANDBOX, "prompt": PROMPT, "callback_url": f"https://10.0.0.1/?key={valid}"},
        {"model": BY_SANDBOX, "prompt": PROMPT * 2_000},
        [PROMPT, valid],
        valid,
    )
    for body in bodies:
        watched.call("POST", generations, body)
    for path in (
        f"/v1/models/{valid}",
        f"/v1/tasks/{valid}",
        f"/{valid}",
        f"/v1/results/{valid}/0.png",
        f"/v1/models?key={valid}",
    ):
        watched.call("GET", path)
    watched.call("GET", "/v1/models", **{"X-Request-Id": valid, "User-Agent": valid})
    watched.call("GET", f"/admin/v1/keys/{valid}", key=ADMIN)
    watched.call("GET", f"/admin/v1/keys?after={valid}&state={valid}", key=ADMIN)
    names: tuple[object, ...] = (
        {"org": "acme", "name": valid},
        {"org": valid, "name": "x"},
        {"org": "acme", "name": "x", valid: "y"},
        {"name": [valid]},
    )
    for body in names:
        assert watched.call("POST", "/admin/v1/keys", body, key=ADMIN).status == 400
        assert watched.call("POST", "/admin/v1/accounts", body, key=ADMIN).status == 400
    unknown = watched.call("GET", f"/admin/v1/accounts/{valid}", key=ADMIN)
    assert unknown.status == 404
    watched.command("keys", "revoke", valid, code=1)
    asked: tuple[tuple[str, dict[str, str]], ...] = (
        ("keys create", {"name": valid}),
        ("keys create", {"name": "x", "org": valid, "models": valid, "sizes": valid}),
        ("keys rotate", {"id": valid, "overlap": valid}),
        ("keys list", {"state": valid}),
        ("admin-tokens create", {"name": valid}),
        ("admin-tokens revoke", {"id": valid}),
        ("accounts set", {"name": valid}),
        (valid, {}),
    )
    for command, arguments in asked:
        assert "error" in watched.ask(command, **arguments)
    for raw in (b"{", f'{{"command": "{valid}"}}'.encode(), f'{{"command": 5, "arguments": ["{valid}"]}}'.encode()):
        watched.ask_socket(raw)


def make_pictures(watched: Watched, openai: EmulatorProcess) -> None:
    """Success, refusals that quote the prompt and the upstream's key, a page instead of an answer, and an answer that never comes."""
    echo = f"Incorrect API key {openai.api_key} for the prompt '{PROMPT}'"
    openai.next(
        b.Succeed(), b.Error(status=400, code="invalid_value", message=echo), b.Error(status=401, message=echo), b.Refuse(),
        b.Error(status=500, body=echo, content_type="text/plain"), b.WrongImage(), b.Reset(), b.MalformedJson(),
    )  # fmt: skip
    body = {"model": BY_OPENAI, "prompt": PROMPT, "size": "1024x1024", "quality": "low"}
    statuses = [watched.call("POST", "/v1/images/generations", body, Prefer="wait=60").status for _ in range(8)]
    assert statuses[0] == 200
    assert 200 not in statuses[1:5]
    drawn = watched.call("POST", "/v1/images/generations", {**body, "model": BY_SANDBOX}, Prefer="respond-async")
    all_final(watched.gateway, 60)
    watched.call("GET", f"/v1/tasks/{drawn.json['id']}")
    watched.call("GET", "/v1/tasks")
    watched.call("GET", "/v1/credits")
    for command in ("in-doubt list", "accounts list", "ledger audit"):
        watched.ask(command)


async def search(folder: Path, path: Path, leaks: Leaks) -> None:
    """Tables, the database's file, and pictures, of a gateway that has stopped."""
    settings = load(path)
    async with open_office(settings, SystemClock(), migrating=settings.database.dialect is Dialect.SQLITE) as office:
        await office.database.read(leaks.database)
    leaks.files(folder / "var/images")
    if settings.database.dialect is Dialect.SQLITE:
        leaks.database_file(settings.database.path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_leaks_from_a_process(
    new_gateway: NewGateway,
    emulator_process: StartProcess,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys by command and API, rotations, wrong keys, failing upstreams, doubt, admin routes, secrets in wrong places, a kill: nothing is found."""
    openai = emulator_process("openai")
    alerts = {"url": "https://alerts.example/hook", "secret": ALERTS}
    settings = config(database, openai=openai, admin_token=ADMIN, alerts=alerts, server={"port": 0})
    gateway = new_gateway(settings, key=KEY, target=HURRIED)
    monkeypatch.chdir(gateway.folder)
    assert gateway.config_path is not None
    leaks = Leaks()
    for name, secret in secrets_of(load(gateway.config_path)).items():
        leaks.secret(name, secret)
    leaks.prompt(PROMPT)
    watched = Watched(gateway, leaks)
    watched.command("check-config")
    gateway.migrate().start()
    revoked, valid = administer(watched)
    make_pictures(watched, openai)
    be_refused(watched, revoked, valid)
    leaks.look("the metrics", watched.call("GET", "/metrics", key="").body)
    printed = [gateway.output, gateway.log]
    gateway.kill()
    gateway.start()
    assert watched.call("GET", "/v1/models", key=valid).status == 200
    assert gateway.terminate() == 0
    for text in (*printed, gateway.output, gateway.log):
        leaks.look("what the process printed", text.encode())
    asyncio.run(search(gateway.folder, gateway.config_path, leaks))
    assert len(printed[1].splitlines()) > 40
    leaks.assert_none()
