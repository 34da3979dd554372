"""Sessions of the console on both databases: what is stored, their bounds, their ends, and what two processes know of them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from gateway.administration import sessions as sessions_module
from gateway.administration.ended_sessions import EndedSessions
from gateway.administration.session_store import StoredSession, set_halves
from gateway.administration.sessions import ID_BYTES, SEEN_MS, Lifetime, Part, Session, Sessions
from gateway.db import schema
from gateway.db.connection import Row
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.accounts import Principal
from gateway.domain.administrators import Administrator, Scope
from gateway.domain.clock import SystemClock
from gateway.domain.errors import InvalidKey, KeyDisabled, KeyExpired, MissingKey, StorageUnavailable
from gateway.domain.ids import KeyId
from gateway.keys.admin_tokens import AdminTokenRecord, AdminTokens
from gateway.keys.authenticator import Authenticator, KeyRecord
from gateway.keys.secrets import digest
from tests.books import KEY as ACCOUNT
from tests.books import Gateway, opened

KEYS, TOKENS, SIGNING = b"pepper of keys", b"pepper of tokens", b"what sessions are signed with"
KEY, TOKEN = "a key of somebody", "an admin token of somebody"
IDLE_MS, ABSOLUTE_MS = 3_600_000, 10 * 3_600_000
HOME = "192.0.2.1"
ALL, LINES = (
    Statement(select(schema.sessions)),
    Statement(select(schema.audit_log.c.action, schema.audit_log.c.details)),
)


class ShiftedClock(SystemClock):
    shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


def key_record(**more: object) -> KeyRecord:
    principal = Principal(KeyId("key_1"), "ci", (ACCOUNT,), "acme", None)
    record = KeyRecord(principal.key_id, digest(KEYS, KEY), principal, display="a ke")
    return replace(record, **more)  # type: ignore[arg-type]  # as each test writes them


def token_record(**more: object) -> AdminTokenRecord:
    record = AdminTokenRecord(digest(TOKENS, TOKEN), Administrator("token:boss", frozenset(Scope)), "adm_1")
    return replace(record, **more)  # type: ignore[arg-type]  # as each test writes them


@dataclass
class Door:
    """Two processes on one database, which know the same key and the same token."""

    database: Gateway
    clock: ShiftedClock
    keys: Authenticator
    tokens: AdminTokens
    sessions: Sessions
    replica: Sessions

    async def rows(self) -> list[Row]:
        return list(await self.database.read(lambda connection: connection.fetch(ALL)))

    async def seen(self) -> Mapping[str, tuple[int, int]]:
        """Last seen and end, by id."""
        return {str(row[0]): (int(str(row[4])), int(str(row[5]))) for row in await self.rows()}

    async def found(self, cookie: str) -> Session:
        session = await self.sessions.find(cookie)
        assert session is not None
        return session


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    clock = ShiftedClock()
    database = await opened(database_url, clock)
    keys, tokens = Authenticator(KEYS, clock, [key_record()]), AdminTokens(TOKENS, clock)
    tokens.replace([token_record()])
    first, second = (Sessions(database, keys, tokens, SIGNING, clock, Lifetime(IDLE_MS, ABSOLUTE_MS)) for _ in range(2))
    yield Door(database, clock, keys, tokens, first, second)
    await database.close()


async def test_what_is_stored_signs_nobody_in(door: Door) -> None:
    """Digests alone: the cookie has 32 bytes and is not there, nor is its token or a secret; what is there is no cookie."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    both = await door.sessions.sign_in(TOKEN, signed_in.session, HOME)
    assert len(both.cookie) == len(signed_in.cookie) == (ID_BYTES * 8 + 5) // 6
    [row] = await door.rows()
    stored = "\n".join(map(str, row))
    for secret in (both.cookie, both.session.csrf, KEY, TOKEN):
        assert secret not in stored
        assert secret not in repr(both)
    assert row[0] == both.session.id != signed_in.session.id
    assert await door.sessions.find(both.session.id[:43]) is None
    for wrong in ("", "x", both.cookie[:-1], both.cookie + "A", "é" * 43, "../" * 15):
        assert await door.sessions.find(wrong) is None


async def test_another_process_knows_it_and_its_end(door: Door) -> None:
    """Signed in here, used there; signed out there, gone here. Another signing key knows none of them."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    there = await door.replica.find(signed_in.cookie)
    assert there is not None
    assert (there.csrf, door.replica.use_key(there).key_name) == (signed_in.session.csrf, "ci")
    with pytest.raises(MissingKey):
        door.replica.use_administrator(there)
    other = Sessions(door.database, door.keys, door.tokens, b"another", door.clock, Lifetime(IDLE_MS, ABSOLUTE_MS))
    assert await other.find(signed_in.cookie) is None
    assert await door.replica.sign_out(signed_in.cookie, there, None, HOME) is None
    assert await door.sessions.find(signed_in.cookie) is None
    # Who held it when it ended neither ends it twice nor brings it back.
    assert await door.sessions.sign_out(signed_in.cookie, there, Part.KEY, HOME) is None
    again = await door.sessions.sign_in(TOKEN, there, HOME)
    assert again.session.principal is None


async def test_the_halves_are_what_is_valid_now(door: Door) -> None:
    """Each by its own record of this moment; nobody left: no session. A half that is dead does not come along to the next one."""
    one = await door.sessions.sign_in(KEY, None, HOME)
    both = (await door.sessions.sign_in(TOKEN, one.session, HOME)).cookie
    door.keys.replace([key_record(disabled=True)])
    session = await door.found(both)
    assert (session.principal, session.key_display) == (None, None)
    assert session.administrator is not None
    with pytest.raises(KeyDisabled):
        door.sessions.use_key(session)
    door.keys.replace([key_record(expires_at_ms=1)])
    with pytest.raises(KeyExpired):
        door.sessions.use_key(session)
    door.keys.replace([])
    with pytest.raises(InvalidKey):
        door.sessions.use_key(session)
    again = await door.sessions.sign_in(TOKEN, session, HOME)
    door.keys.replace([key_record()])
    assert (await door.found(again.cookie)).principal is None
    door.tokens.replace([token_record(disabled=True)])
    assert await door.sessions.find(again.cookie) is None
    with pytest.raises(KeyDisabled):
        await door.sessions.sign_in(TOKEN, None, HOME)
    with pytest.raises(InvalidKey, match="neither"):
        await door.sessions.sign_in("nobody's", None, HOME)


async def test_looking_at_a_session_uses_no_key(door: Door) -> None:
    """`used_at_ms` of a key and a token says when a call was made with it."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    both = await door.sessions.sign_in(TOKEN, signed_in.session, HOME)
    door.keys.used.take()
    door.tokens.used.take()
    session = await door.found(both.cookie)
    assert not door.keys.used.take()
    door.sessions.use_administrator(session)
    assert (set(door.tokens.used.take()), set(door.keys.used.take())) == ({"adm_1"}, set())
    door.sessions.use_key(session)
    assert set(door.keys.used.take()) == {"key_1"}


async def test_being_seen_is_written_once_a_minute(door: Door) -> None:
    """And not by who only asks; the end moves along, up to the absolute one. A database that takes no write lets the request pass."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    created = door.clock.now_ms()
    before = await door.seen()
    door.clock.shift_ms += SEEN_MS - 5_000
    await door.found(signed_in.cookie)
    assert await door.seen() == before
    door.clock.shift_ms += 10_000
    assert await door.sessions.find(signed_in.cookie, is_use=False) is not None
    assert await door.seen() == before
    await door.found(signed_in.cookie)
    [(seen, ends)] = (await door.seen()).values()
    assert (seen - before[signed_in.session.id][0] > SEEN_MS, ends - seen) == (True, IDLE_MS)
    for _ in range(11):
        door.clock.shift_ms += IDLE_MS * 5 // 6
        await door.found(signed_in.cookie)
    [(_, ends)] = (await door.seen()).values()
    assert abs(ends - created - ABSOLUTE_MS) < 60_000
    await door.database.close()
    with pytest.raises(StorageUnavailable):
        await door.sessions.find(signed_in.cookie)


async def test_a_second_credential_does_not_prolong_the_first(door: Door) -> None:
    """The absolute end is the first sign-in's as long as anything of it is left; a session of its own begins anew."""
    first = await door.sessions.sign_in(KEY, None, HOME)
    door.clock.shift_ms += IDLE_MS // 2
    both = await door.sessions.sign_in(TOKEN, first.session, HOME)
    assert both.session.stored.created_at_ms == first.session.stored.created_at_ms
    in_place = await door.sessions.sign_in(KEY, both.session, HOME)
    assert in_place.session.stored.created_at_ms == first.session.stored.created_at_ms
    anew = await door.sessions.sign_in(KEY, first.session, HOME)
    assert anew.session.stored.created_at_ms > first.session.stored.created_at_ms


async def test_a_credential_has_so_many_sessions(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more ends the one that was seen longest ago; those of another credential stay."""
    monkeypatch.setattr(sessions_module, "SESSIONS_MAX", 3)
    other = await door.sessions.sign_in(TOKEN, None, HOME)
    cookies = []
    for _ in range(3):
        door.clock.shift_ms += SEEN_MS + 1
        cookies.append((await door.sessions.sign_in(KEY, None, HOME)).cookie)
    door.clock.shift_ms += SEEN_MS + 1
    await door.found(cookies[0])
    door.clock.shift_ms += SEEN_MS + 1
    cookies.append((await door.sessions.sign_in(KEY, None, HOME)).cookie)
    there = [await door.sessions.find(cookie, is_use=False) is not None for cookie in cookies]
    assert there == [True, False, True, True]
    await door.found(other.cookie)


async def test_what_has_ended_is_swept(door: Door) -> None:
    """By the clock of the sweep, in bites; what was seen in time stays."""
    gone = await door.sessions.sign_in(KEY, None, HOME)
    kept = await door.sessions.sign_in(TOKEN, None, HOME)
    sweep = EndedSessions(door.database)
    assert await sweep.oldest_ms(door.clock.now_ms()) is None
    assert await sweep.bite(door.clock.now_ms()) == 0
    door.clock.shift_ms += IDLE_MS - 60_000
    await door.found(kept.cookie)
    door.clock.shift_ms += 120_000
    assert await sweep.oldest_ms(door.clock.now_ms()) == gone.session.stored.expires_at_ms
    assert await sweep.bite(door.clock.now_ms()) == 1
    assert set(await door.seen()) == {kept.session.id}


async def test_a_shorter_lifetime_holds_for_old_sessions(door: Door) -> None:
    """The config's of now, whatever it was when they were made."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    door.clock.shift_ms += 120_000
    short = Sessions(door.database, door.keys, door.tokens, SIGNING, door.clock, Lifetime(60_000, ABSOLUTE_MS))
    assert await short.find(signed_in.cookie) is None
    assert await door.sessions.find(signed_in.cookie) is not None


async def test_administrators_stand_in_the_audit_log(door: Door) -> None:
    """Signing in and out, with where from; keys' sessions do not, nor does a half that only came along."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    both = await door.sessions.sign_in(TOKEN, signed_in.session, HOME)
    keyed = await door.sessions.sign_in(KEY, both.session, HOME)
    left = await door.sessions.sign_out(keyed.cookie, keyed.session, Part.KEY, HOME)
    assert left is not None
    assert (left.principal, left.csrf) == (None, keyed.session.csrf)
    assert await door.sessions.sign_out(keyed.cookie, left, Part.ADMINISTRATOR, HOME) is None
    lines = await door.database.read(lambda connection: connection.fetch(LINES))
    details = '{"address":"192.0.2.1"}'
    assert [tuple(line) for line in lines] == [("session.sign_in", details), ("session.sign_out", details)]
    assert await door.rows() == []


async def test_a_session_without_anybody_cannot_be_stored(door: Door) -> None:
    """The database refuses it."""
    signed_in = await door.sessions.sign_in(KEY, None, HOME)
    nobody: StoredSession = replace(signed_in.session.stored, key_digest=None)
    with pytest.raises(Exception, match="holder"):
        await door.database.write(Transact(lambda connection, _: set_halves(connection, nobody)))
