"""`gateway callbacks …` and `gateway keys callback-secret` on real databases: texts in, rows out."""

import base64
from collections.abc import AsyncIterator

import pytest

from gateway.administration.callback_commands import CallbackCommands
from gateway.administration.callback_secrets import CallbackSecrets
from gateway.administration.callbacks import Callbacks
from gateway.administration.keys import Keys
from gateway.administration.reports import Report
from gateway.domain.callbacks import CallbackState
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import AccountId
from gateway.keys.authenticator import Authenticator
from tests.contract.callback_world import World, callback_world

ROOT = b"the root of callback secrets"


class Desk:
    """The commands, and a key to ask about."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = Keys(world.database, Authenticator(b"pepper", world.clock), b"pepper", world.clock)
        self.secrets = CallbackSecrets(world.database, ROOT, lambda _: None, world.clock)
        self.commands = CallbackCommands(Callbacks(world.database, world.clock), self.secrets).commands

    async def run(self, command: str, **arguments: str) -> Report:
        return await self.commands[command](arguments)

    async def of(self, account: AccountId) -> list[bytes]:
        return list((await self.secrets.of([account]))[account])


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with callback_world(database_url) as world:
        yield Desk(world)


async def test_callbacks_are_listed_shown_and_sent_again(desk: Desk) -> None:
    """Without the URL's query; dead ones by their state; a resent one is due, with its tries kept."""
    desk.world.receiver.answers = [410]
    [dead] = await desk.world.add(url=desk.world.receiver.url + "&more=secret")
    await desk.world.deliverer().deliver_due()
    [due] = await desk.world.add()
    rows = (await desk.run("callbacks list")).rows
    assert {row["id"] for row in rows} == {dead.id, due.id}
    [row] = (await desk.run("callbacks list", state="dead")).rows
    assert (row["id"], row["state"], row["tries"], row["answer"]) == (dead.id, "dead", 1, "HTTP 410")
    assert "token" not in str(rows)
    shown = await desk.run("callbacks show", id=dead.id)
    assert [(made["status"], made["answer"]) for made in shown.rows] == [(410, None)]
    assert "token" not in shown.message
    assert dead.id in (await desk.run("callbacks resend", id=dead.id)).message
    found = (await desk.world.record(dead)).callback
    assert (found.state, found.tries) == (CallbackState.DUE, 0)
    for command in ("callbacks show", "callbacks resend"):
        with pytest.raises(SubjectNotFound):
            await desk.run(command, id="msg_0")
    with pytest.raises(AdministrationError, match="due, sent, dead"):
        await desk.run("callbacks list", state="lost")


async def test_a_secret_is_shown_and_rotated(desk: Desk) -> None:
    """The same as often as it is asked for; another for every key; two valid until the overlap ends, the newest first; never three."""
    one = await desk.keys.create(org="acme", team=None, name="one")
    other = await desk.keys.create(org="acme", team=None, name="two")

    async def shown(key: str, **more: str) -> bytes:
        [row] = (await desk.run("keys callback-secret", id=key, **more)).rows
        text = str(row["callback_secret"])
        assert text.startswith("whsec_")
        return base64.b64decode(text.removeprefix("whsec_"))

    first = await shown(one.id)
    assert first == await shown(one.id) != await shown(other.id)
    assert len(first) == 32
    second = await shown(one.id, rotate="yes", overlap="1h")
    third = await shown(one.id, rotate="yes", overlap="1h")
    assert await desk.of(one.account) == [third, second]
    assert await desk.of(other.account) == [await shown(other.id)]
    desk.world.clock.ms = 2**42
    assert await desk.of(one.account) == [third]
    with pytest.raises(AdministrationError, match="overlap"):
        await shown(one.id, rotate="yes", overlap="a while")
    with pytest.raises(AdministrationError, match="overlap"):
        await shown(one.id, rotate="yes", overlap="31d")
    with pytest.raises(SubjectNotFound):
        await shown("key_none")


async def test_a_key_made_anew_under_its_name_has_another_secret(desk: Desk) -> None:
    """A revoked key is not rotated, but shown still; what signs is the newest key's."""
    old = await desk.keys.create(org="acme", team=None, name="one")
    before = await desk.of(old.account)
    await desk.keys.revoke(old.id)
    assert await desk.of(old.account) == before, "accepted tasks are told all the same"
    with pytest.raises(Conflict, match="revoked"):
        await desk.run("keys callback-secret", id=old.id, rotate="yes")
    desk.world.clock.ms += 1
    new = await desk.keys.create(org="acme", team=None, name="one")
    assert new.account == old.account
    assert await desk.of(new.account) != before
