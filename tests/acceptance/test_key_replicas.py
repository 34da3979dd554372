"""Two gateways on one PostgreSQL: what is done to keys at one is in force there at once, and at the other within 60 seconds.

They read their keys anew every 30 s; but for `make soak` every few, and have as much longer for it as the promise leaves.
"""

import time

import pytest

from gateway import app_keys
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.hurried import HURRIED, KEYS_RELOAD_S
from tests.acceptance.settings import KEY, SECRET_KEY, config

ADMIN = "an-admin-token-of-the-config"
EFFECTIVE_S_MAX = KEYS_RELOAD_S + 30.0
AT_ONCE_S_MAX = 1.0
TRIES = 4
"""A pause that the machine makes comes once, one that the gateway makes comes every time: the best of them counts."""


def status(gateway: GatewayProcess, secret: str) -> int:
    return gateway.request("GET", "/v1/models", key=secret).status


def post(gateway: GatewayProcess, path: str, **body: object) -> dict[str, str]:
    answer = gateway.request("POST", f"/admin/v1/{path}", body, key=ADMIN)
    assert answer.status in (200, 201), answer.body
    made: dict[str, str] = answer.json
    return made


@pytest.mark.slow
@pytest.mark.xdist_group("acceptance-key-replicas")
def test_what_is_done_to_keys_reaches_every_process(new_gateway: NewGateway, postgresql_database: str) -> None:
    """Made, rotated with and without overlap, expired and revoked by API, revoked by command, and an admin token revoked: every one is heard of."""
    settings = config(postgresql_database, admin_token=ADMIN)
    first = new_gateway(settings, key=KEY, target=HURRIED)
    first.migrate().start()
    names = ("revoked", "by-command", "overlapping", "at-once", "expired")
    keys = {name: post(first, "keys", org="acme", team="design", name=name) for name in names}
    token = post(first, "tokens", name="ops", scopes=["read"])
    second = new_gateway(settings, key=KEY, folder=first.folder, target=HURRIED).start()
    assert [status(second, key["secret"]) for key in keys.values()] == [200] * len(names)

    began_s = time.monotonic()
    post(first, f"keys/{keys['revoked']['id']}/revoke")
    new = post(first, f"keys/{keys['overlapping']['id']}/rotate", overlap_s=3600)["secret"]
    only = post(first, f"keys/{keys['at-once']['id']}/rotate", overlap_s=0)["secret"]
    ended = first.request("PATCH", f"/admin/v1/keys/{keys['expired']['id']}", {"expires_at_ms": 1}, key=ADMIN)
    assert ended.status == 200
    post(first, f"tokens/{token['id']}/revoke")
    made = post(first, "keys", org="acme", name="made")["secret"]
    secrets = {name: key["secret"] for name, key in keys.items()}
    wanted = {
        secrets["revoked"]: 401, secrets["at-once"]: 401, secrets["expired"]: 401, secrets["overlapping"]: 200, new: 200, only: 200, made: 200,
    }  # fmt: skip
    assert {secret: status(first, secret) for secret in wanted} == wanted
    assert time.monotonic() - began_s < 7 * AT_ONCE_S_MAX
    # A command opens the database itself: both processes hear of it from there.
    assert first.command("keys", "revoke", keys["by-command"]["id"]).returncode == 0
    wanted |= {secrets["by-command"]: 401}
    for gateway in (second, first):
        until(
            lambda here=gateway: {secret: status(here, secret) for secret in wanted} == wanted,  # type: ignore[misc]  # lambdas with defaults
            EFFECTIVE_S_MAX - (time.monotonic() - began_s), "a process has not heard of it", pause_s=0.5,
        )  # fmt: skip
        assert gateway.request("GET", "/admin/v1/tokens", key=token["secret"]).status == 401
    took_s = time.monotonic() - began_s
    assert took_s < EFFECTIVE_S_MAX
    assert app_keys.KEYS_RELOAD_S + 30.0 <= 60.0
    for gateway in (first, second):
        printed = gateway.output + gateway.log
        assert not [secret for secret in (*wanted, token["secret"], ADMIN, SECRET_KEY) if secret in printed]


@pytest.mark.parametrize("by", ["command", "api"])
def test_a_revocation_is_in_force_at_once(new_gateway: NewGateway, by: str) -> None:
    """By command beside a running gateway and by API: every time the call after it is refused, and the whole took less than a second."""
    gateway = new_gateway(config(admin_token=ADMIN), key=KEY).start()
    took_s = [revoked_s(gateway, by, f"new-{number}") for number in range(TRIES)]
    assert min(took_s) < AT_ONCE_S_MAX, took_s


def revoked_s(gateway: GatewayProcess, by: str, name: str) -> float:
    """How long a revocation and two refusals took; of a command, from its end."""
    key = post(gateway, "keys", org="acme", name=name)
    rotated = post(gateway, f"keys/{key['id']}/rotate")
    assert (status(gateway, key["secret"]), status(gateway, rotated["secret"])) == (200, 200)
    if by == "command":
        assert gateway.command("keys", "revoke", key["id"]).returncode == 0
        began_s = time.monotonic()
    else:
        began_s = time.monotonic()
        post(gateway, f"keys/{key['id']}/revoke")
    assert (status(gateway, key["secret"]), status(gateway, rotated["secret"])) == (401, 401)
    return time.monotonic() - began_s
