"""Admin tokens: made by command or API, shown once, stored as digests; the config may declare one that may do everything.

How it fails: AdministrationError and its kin with what is wrong; StorageUnavailable.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.administration import store as trail
from gateway.administration.keys import tell_nobody
from gateway.administration.names import check_names
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import COMMAND, Administrator, AdminToken, Scope
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import new_admin_token_id
from gateway.keys import store as key_store
from gateway.keys.admin_tokens import AdminTokenRecord, AdminTokens
from gateway.keys.secrets import digest, display_prefix, new_admin_token
from gateway.ledger.model import Grant

EVERYTHING = frozenset(Scope)
CONFIGS = "config"
"""How the config's own token is called."""


@dataclass(frozen=True, slots=True)
class IssuedAdminToken:
    """A token just made. The secret is shown once."""

    id: str
    secret: str = field(repr=False)


class AdminTokenAdministration:
    """The admin tokens of one gateway. `declared` is the config's, where it has one."""

    def __init__(
        self,
        database: Database[Transact | Grant, object],
        known: AdminTokens,
        pepper: bytes,
        clock: Clock,
        declared: str | None,
    ) -> None:
        self._database = database
        self._known = known
        self._pepper = pepper
        self._clock = clock
        self._declared = declared
        self.tell: Callable[[], Awaitable[None]] = tell_nobody
        """Has other processes read what changed; the root puts it in. It must not raise."""

    async def create(
        self,
        name: str,
        scopes: frozenset[Scope],
        *,
        org: str | None = None,
        expires_at_ms: int | None = None,
        secret: str | None = None,
        by: Administrator = COMMAND,
    ) -> IssuedAdminToken:
        """Make a token. `secret`: for who must keep it before it is valid.

        Raises AdministrationError, and Conflict where the name is taken: among its org's, or among those for all orgs.
        """
        check_names(("name", name), ("org", org))
        if org is None and name == CONFIGS:
            raise AdministrationError(
                "name 'config': the audit log calls the config's token so; choose another", param="name"
            )
        secret = secret or new_admin_token()
        token = AdminToken(
            new_admin_token_id(), name, digest(self._pepper, secret), display_prefix(secret), scopes, org, self._clock.now_ms(), expires_at_ms
        )  # fmt: skip

        async def write(connection: Connection, at_ms: int) -> None:
            for other in await key_store.read_admin_tokens(connection):
                # An org's token must not learn of others by a name that is taken.
                if (other.name, other.org) == (name, org) and other.disabled_at_ms is None:
                    raise Conflict(f"the admin token {name!r} exists already ({other.id}); choose another name")
            await key_store.add_admin_token(connection, token)
            details: dict[str, trail.Detail] = {"name": name, "scopes": sorted(scopes)}
            await trail.record(connection, at_ms, by, "admin_token.create", token.id, details, org=org)

        await self._database.write(Transact(write))
        await self.reload()
        await self.tell()
        return IssuedAdminToken(token.id, secret)

    async def revoke(self, token_id: str, by: Administrator = COMMAND) -> None:
        """Refused from now on in this process. Once more changes nothing. Raises SubjectNotFound."""
        found = [token for token in await self.all() if token.id == token_id and by.sees(token.org)]
        if not found:
            raise SubjectNotFound(f"there is no admin token {token_id!r}; `gateway admin-tokens list` shows them")

        async def write(connection: Connection, at_ms: int) -> None:
            if any(
                token.id == token_id and token.disabled_at_ms for token in await key_store.read_admin_tokens(connection)
            ):
                return
            await key_store.disable_admin_token(connection, token_id, at_ms)
            await trail.record(connection, at_ms, by, "admin_token.revoke", token_id, org=found[0].org)

        await self._database.write(Transact(write))
        await self.reload()
        await self.tell()

    async def all(self) -> list[AdminToken]:
        return await self._database.read(key_store.read_admin_tokens)

    def declare(self, secret: str | None) -> None:
        """The config's token from the next reload of tokens on; None: it has none."""
        self._declared = secret

    async def keep_used(self) -> None:
        """Write down when tokens were last used. Raises StorageUnavailable: what was noted waits for the next time."""
        used = self._known.used.take()
        if not used:
            return
        try:
            await self._database.write(
                Transact(lambda connection, _: key_store.mark_admin_tokens_used(connection, used))
            )
        except BaseException:
            self._known.used.put_back(used)
            raise

    async def reload(self) -> None:
        """Read all tokens into the gate of the admin routes."""
        records = [
            AdminTokenRecord(
                token.digest,
                Administrator(_actor(token), token.scopes, token.org, token.expires_at_ms),
                token.id,
                token.expires_at_ms,
                token.disabled_at_ms is not None,
            )
            for token in await self.all()
        ]
        if self._declared is not None:
            administrator = Administrator(f"token:{CONFIGS}", EVERYTHING)
            records.append(AdminTokenRecord(digest(self._pepper, self._declared), administrator))
        self._known.replace(records)


def _actor(token: AdminToken) -> str:
    """No token can take another one's name in the audit log: a name has no `/`."""
    return f"token:{token.name}" if token.org is None else f"token:{token.org}/{token.name}"
