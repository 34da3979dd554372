"""What signs the callbacks of each key: shown to administrators who may make keys, and rotated.

A key's secret is derived from the gateway's own secret key, the key's id and a version, so that nothing secret is stored; a declared key may have
one of its own in the config instead, which is used as it is. How it fails: SubjectNotFound, Conflict, AdministrationError; StorageUnavailable.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.administration import store as trail
from gateway.administration.keys import NO_SUCH_KEY
from gateway.db.connection import Connection
from gateway.db.writer import Database, Transact
from gateway.domain.administrators import COMMAND, Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError, Conflict, SubjectNotFound
from gateway.domain.ids import AccountId, KeyId, org_of
from gateway.domain.keys import OVERLAP_S, OVERLAP_S_MAX, StoredKey
from gateway.keys import store as key_store
from gateway.ledger.model import Grant
from gateway.webhooks.signing import secret_text

DeclaredSecret = Callable[[AccountId], bytes | None]
"""A declared key's own secret, where the config has one."""


@dataclass(frozen=True, slots=True)
class CallbackSecret:
    """As an administrator sees it. `secret` is what receivers' libraries take."""

    key: KeyId
    account: AccountId
    secret: str = field(repr=False)
    declared: bool
    """It stands in the config."""
    version: int
    old_until_ms: int | None
    """Until then messages are signed with the version before, too."""


class CallbackSecrets:
    """Of all keys of one gateway. `root` is for nothing else."""

    def __init__(
        self, database: Database[Transact | Grant, object], root: bytes, declared: DeclaredSecret, clock: Clock
    ) -> None:
        self._database = database
        self._root = root
        self._declared = declared
        self._clock = clock

    async def of(self, accounts: Collection[AccountId]) -> Mapping[AccountId, Sequence[bytes]]:
        """What signs the messages of these keys' accounts now: the present secret first; an account without a key is absent."""
        keys = await self._database.read(partial(key_store.read_keys_of, accounts=accounts))
        return {account: self._valid(key) for account, key in keys.items()}

    async def show(self, key_id: str, by: Administrator = COMMAND) -> CallbackSecret:
        """Raises SubjectNotFound."""
        for key in await self._database.read(key_store.read_keys):
            if key.id == key_id and by.sees(org_of(key.account)):
                return self._shown(key)
        raise SubjectNotFound(NO_SUCH_KEY)

    async def rotate(self, key_id: str, overlap_s: int = OVERLAP_S, by: Administrator = COMMAND) -> CallbackSecret:
        """The next secret of a key; for `overlap_s` messages are signed with the one before, too.

        Raises SubjectNotFound, AdministrationError, and Conflict where the config has it or the key is revoked.
        """
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            most = f"{OVERLAP_S_MAX // 86_400} days"
            raise AdministrationError(f"overlap: at most {most}, and 0 for none", param="overlap_s")
        rotated: list[StoredKey] = []

        async def write(connection: Connection, at_ms: int) -> None:
            key = await key_store.lock_key(connection, key_id)
            if key is None or not by.sees(org_of(key.account)):
                raise SubjectNotFound(NO_SUCH_KEY)
            if self._declared(key.account) is not None and key.declared:
                raise Conflict(f"the callback secret of {key.name!r} is declared in the config: change it there")
            if key.disabled_at_ms is not None:
                raise Conflict(f"the key {key.name!r} is revoked, for good: make a new one")
            until_ms = at_ms + overlap_s * 1000
            fresh = replace(key, callback_version=key.callback_version + 1, callback_old_until_ms=until_ms)
            rotated[:] = [fresh]
            await key_store.rotate_callback_secret(connection, fresh)
            details: dict[str, trail.Detail] = {"version": fresh.callback_version, "old_until_ms": until_ms}
            await trail.record(
                connection, at_ms, by, "key.rotate_callback_secret", key.id, details, org=org_of(key.account)
            )

        await self._database.write(Transact(write))
        return self._shown(rotated[0])

    def _valid(self, key: StoredKey) -> tuple[bytes, ...]:
        declared = self._declared(key.account) if key.declared else None
        if declared is not None:
            return (declared,)
        present = self._derived(key, key.callback_version)
        overlaps = key.callback_old_until_ms is not None and key.callback_old_until_ms > self._clock.now_ms()
        return (present, self._derived(key, key.callback_version - 1)) if overlaps else (present,)

    def _derived(self, key: StoredKey, version: int) -> bytes:
        return hmac.digest(self._root, f"{key.id}\n{version}".encode(), hashlib.sha256)

    def _shown(self, key: StoredKey) -> CallbackSecret:
        valid = self._valid(key)
        declared = key.declared and self._declared(key.account) is not None
        old_until_ms = key.callback_old_until_ms if len(valid) > 1 else None
        return CallbackSecret(key.id, key.account, secret_text(valid[0]), declared, key.callback_version, old_until_ms)
