"""Who is signed in at the console: sessions of an administrator, of an API key, or of both, shared by all processes through the database.

A browser holds 32 random bytes in a cookie. The table has a digest of them, and the digests of the secrets that signed in: each request looks those
up among the keys and tokens that are valid at that moment, so a secret that was revoked, has expired or was rotated away ends its half at once,
without anybody telling sessions. Signing in makes a new id always, and deletes the one before (no fixation).

How it fails: InvalidKey and its kin where nobody is known by a secret; StorageUnavailable. What cannot be written about a session being in use is
tried again with its next request.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.administration import session_store
from gateway.administration import store as trail
from gateway.administration.session_store import StoredSession
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.accounts import Principal
from gateway.domain.administrators import Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import AuthenticationError, InvalidKey, MissingKey, Unavailable
from gateway.keys.admin_tokens import AdminTokenRecord, AdminTokens
from gateway.keys.authenticator import Authenticator, KeyRecord
from gateway.ledger.model import Grant

ID_BYTES = 32
SESSIONS_MAX = 50
"""Of one credential. One more ends the one that was not seen for longest."""
TRIMMED_MAX = 100
"""Of one credential, at one sign-in."""
SEEN_MS = 60_000
"""How often at most it is written down that a session is in use."""
CONFIGS = "config"
"""How the audit log calls the config's own token, which has no id."""
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class Part(StrEnum):
    """One half of a session."""

    KEY = "key"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts: without a request, and at the very most."""

    idle_ms: int
    absolute_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in at this moment: at least one of the two."""

    id: str
    csrf: str = field(repr=False)
    """What a request that changes something has to repeat in a header."""
    expires_at_ms: int
    """Unless it goes on being used."""
    stored: StoredSession = field(repr=False)
    principal: Principal | None
    key_display: str | None
    administrator: Administrator | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`cookie` is what the browser is to hold; it is nowhere else."""

    cookie: str = field(repr=False)
    session: Session


class Sessions:
    """The sessions of one gateway. `key` signs: it is derived from the gateway's secret key, for this alone."""

    def __init__(
        self,
        database: Database[Transact | Grant, object],
        authenticator: Authenticator,
        admin_tokens: AdminTokens,
        key: bytes,
        clock: Clock,
        lifetime: Lifetime,
    ) -> None:
        self._database = database
        self._authenticator = authenticator
        self._admin_tokens = admin_tokens
        self._key = key
        self._clock = clock
        self._lifetime = lifetime
        self._noting: set[str] = set()

    async def find(self, cookie: str, *, is_use: bool = True) -> Session | None:
        """None: unknown, ended, or nobody is left who signed in. `is_use`: whether its idle end moves on. Raises StorageUnavailable."""
        if _ID.fullmatch(cookie) is None:
            return None
        session_id = self._digest(cookie)
        stored = await self._database.read(lambda connection: session_store.read_session(connection, session_id))
        now_ms = self._clock.now_ms()
        if stored is None or now_ms >= self._ends_ms(stored, stored.seen_at_ms):
            return None
        session = self._session(cookie, stored)
        if session is not None and is_use and now_ms - stored.seen_at_ms >= SEEN_MS:
            await self._note(stored, now_ms)
        return session

    def use_key(self, session: Session) -> Principal:
        """The caller of a request. Raises MissingKey, InvalidKey, KeyDisabled, KeyExpired."""
        if session.stored.key_digest is None:
            raise MissingKey("No API key is signed in to this session: sign in with one.")
        return self._authenticator.admit_digest(session.stored.key_digest).principal

    def use_administrator(self, session: Session) -> Administrator:
        """The administrator of a request. Raises MissingKey, InvalidKey, KeyDisabled, KeyExpired."""
        if session.stored.administrator_digest is None:
            raise MissingKey("No administrator is signed in to this session: sign in with an admin token.")
        return self._admin_tokens.admit_digest(session.stored.administrator_digest).administrator

    async def sign_in(self, secret: str, before: Session | None, address: str) -> SignedIn:
        """Whoever this secret is of, in place of the same half of `before`, beside the other. `address`: where from, for the audit log.

        Raises InvalidKey, KeyDisabled, KeyExpired, StorageUnavailable.
        """
        token, key = self._known(secret.strip())
        cookie, now_ms = secrets.token_urlsafe(ID_BYTES), self._clock.now_ms()
        made: list[StoredSession] = []

        async def write(connection: Connection, at_ms: int) -> None:
            old = None if before is None else await session_store.lock_session(connection, before.id)
            kept = None if old is None else self._other_half(old, is_key=key is not None)
            session = StoredSession(
                self._digest(cookie),
                key.digest if key is not None else kept.key_digest if kept is not None else None,
                token.digest if token is not None else kept.administrator_digest if kept is not None else None,
                # A second credential does not prolong what the first one may do.
                now_ms if kept is None else kept.created_at_ms,
                now_ms,
                0,
            )
            session = replace(session, expires_at_ms=self._ends_ms(session, now_ms))
            gone = [old.id] if old is not None else []
            await session_store.delete_sessions(connection, gone)
            await session_store.delete_sessions(connection, await self._beyond(connection, session))
            await session_store.add_session(connection, session)
            if token is not None:
                await self._record(connection, at_ms, "session.sign_in", token, address)
            made[:] = [session]

        await self._database.write(Transact(write))
        session = self._session(cookie, made[0])
        if session is None:
            raise InvalidKey("This secret was revoked at this moment.")
        return SignedIn(cookie, session)

    async def sign_out(self, cookie: str, session: Session, part: Part | None, address: str) -> Session | None:
        """End a half of a session, or (None) all of it; what is left. Raises StorageUnavailable."""
        left: list[StoredSession] = []

        async def write(connection: Connection, at_ms: int) -> None:
            left.clear()
            old = await session_store.lock_session(connection, session.id)
            if old is None:
                return
            rest = None if part is None else self._other_half(old, is_key=part is Part.KEY)
            if rest is None:
                await session_store.delete_sessions(connection, [old.id])
            else:
                await session_store.set_halves(connection, rest)
                left.append(rest)
            token = self._token(old)
            if token is not None and part is not Part.KEY:
                await self._record(connection, at_ms, "session.sign_out", token, address)

        await self._database.write(Transact(write))
        return self._session(cookie, left[0]) if left else None

    def _known(self, secret: str) -> tuple[AdminTokenRecord | None, KeyRecord | None]:
        """One of the two. Raises InvalidKey, KeyDisabled, KeyExpired."""
        try:
            return self._admin_tokens.admit(secret), None
        except InvalidKey:
            pass
        try:
            return None, self._authenticator.admit(secret)
        except InvalidKey:
            raise InvalidKey(
                "This is neither an API key nor an admin token that is known here: check that it was copied whole.",
                param="secret",
            ) from None

    def _session(self, cookie: str, stored: StoredSession) -> Session | None:
        """None where nobody is left in it. What is not valid any more is as if it had not signed in."""
        key, token = self._key_of(stored), self._token(stored)
        if key is None and token is None:
            return None
        return Session(
            stored.id,
            hmac.digest(self._key, b"csrf:" + cookie.encode(), hashlib.sha256).hex(),
            self._ends_ms(stored, stored.seen_at_ms),
            stored,
            None if key is None else key.principal,
            None if key is None else key.display,
            None if token is None else token.administrator,
        )

    def _key_of(self, stored: StoredSession) -> KeyRecord | None:
        if stored.key_digest is None:
            return None
        try:
            return self._authenticator.admit_digest(stored.key_digest, is_use=False)
        except AuthenticationError:
            return None

    def _token(self, stored: StoredSession) -> AdminTokenRecord | None:
        if stored.administrator_digest is None:
            return None
        try:
            return self._admin_tokens.admit_digest(stored.administrator_digest, is_use=False)
        except AuthenticationError:
            return None

    def _other_half(self, stored: StoredSession, *, is_key: bool) -> StoredSession | None:
        """Without the key, or without the administrator; None where nobody is left."""
        if is_key:
            return replace(stored, key_digest=None) if self._token(stored) is not None else None
        return replace(stored, administrator_digest=None) if self._key_of(stored) is not None else None

    async def _beyond(self, connection: Connection, session: StoredSession) -> list[str]:
        return await session_store.read_beyond(
            connection, session.key_digest, session.administrator_digest, kept=SESSIONS_MAX - 1, size=TRIMMED_MAX
        )

    async def _record(
        self, connection: Connection, at_ms: int, action: str, token: AdminTokenRecord, address: str
    ) -> None:
        by = token.administrator
        await trail.record(connection, at_ms, by, action, token.id or CONFIGS, {"address": address}, org=by.org)

    async def _note(self, stored: StoredSession, now_ms: int) -> None:
        """That it is in use: its idle end moves on. Of several requests at once, one writes."""
        if stored.id in self._noting:
            return
        self._noting.add(stored.id)
        seen = replace(stored, seen_at_ms=now_ms, expires_at_ms=self._ends_ms(stored, now_ms))
        try:
            await self._database.write(Transact(lambda connection, _: session_store.set_seen(connection, seen)))
        except Unavailable:
            pass  # the next request tries again; this one only reads, perhaps
        finally:
            self._noting.discard(stored.id)

    def _ends_ms(self, stored: StoredSession, seen_at_ms: int) -> int:
        """By the present config, whatever it was when the session was seen."""
        return min(seen_at_ms + self._lifetime.idle_ms, stored.created_at_ms + self._lifetime.absolute_ms)

    def _digest(self, cookie: str) -> str:
        return hmac.digest(self._key, b"id:" + cookie.encode(), hashlib.sha256).hex()
