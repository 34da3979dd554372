"""The rows of keys. Only digests are stored; a secret is never in here. Runs in the caller's transaction."""

from collections.abc import Collection, Mapping, Sequence

import orjson
from sqlalchemy import bindparam, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import admin_tokens, keys
from gateway.db.statements import Statement, any_of, insert_rows, raise_rows, update_rows
from gateway.domain.administrators import AdminToken, Scope
from gateway.domain.ids import AccountId, KeyId
from gateway.domain.images import Contract
from gateway.domain.keys import StoredKey

KEYS_MAX = 100_000
"""Keys that one process keeps in memory."""

_ADDED = (
    "id", "account_id", "name", "digest", "display", "response", "models", "declared", "created_at_ms", "expires_at_ms", "disabled_at_ms",
    "choose_upstream", "cache",
)  # fmt: skip
_COLUMNS = [
    keys.c[name]
    for name in (*_ADDED, "old_digest", "old_until_ms", "used_at_ms", "callback_version", "callback_old_until_ms")
]
_ADD = insert_rows(keys, _ADDED, ignore_repeats=True)
_CHANGE_DECLARED = update_rows(
    keys,
    ("id",),
    ("digest", "display", "response", "models", "expires_at_ms", "disabled_at_ms", "choose_upstream", "cache"),
)
_CHANGE = update_rows(keys, ("id",), ("response", "models", "expires_at_ms", "choose_upstream", "cache"))
_ROTATE = update_rows(keys, ("id",), ("digest", "display", "old_digest", "old_until_ms"))
_ROTATE_CALLBACK = update_rows(keys, ("id",), ("callback_version", "callback_old_until_ms"))
_DISABLE = update_rows(keys, ("id",), ("disabled_at_ms",))
_TAKE_AWAY = update_rows(keys, ("id",), ("digest",))
_MARK_USED = raise_rows(keys, ("id",), "used_at_ms")
_ALL = Statement(select(*_COLUMNS).order_by(keys.c.created_at_ms, keys.c.id).limit(bindparam("size")))
_OF_ACCOUNTS = Statement(
    select(*_COLUMNS).where(any_of(keys.c.account_id, "accounts")).order_by(keys.c.created_at_ms, keys.c.id)
)
# Locked: of two changes at once, by two processes, the second begins with what the first made of it.
_ONE = Statement(select(*_COLUMNS).where(keys.c.id == bindparam("key")), postgresql_suffix="FOR UPDATE")


async def add_key(connection: Connection, key: StoredKey) -> None:
    await connection.write(_ADD, [_row(key)])


async def put_declared(connection: Connection, declared: Sequence[StoredKey], now_ms: int) -> None:
    """The config's keys: new ones are added, changed ones follow, those that are gone are disabled.

    A secret may move from one name to another, so old digests are taken away before new ones are written: a digest is unique.
    """
    stored = {key.id: key for key in await read_keys(connection) if key.declared}
    given = {key.id for key in declared}
    gone = [(f"gone:{key.id}", key.id) for key in stored.values() if key.id not in given]
    moved = [
        (f"moved:{key.id}", key.id) for key in declared if key.id in stored and stored[key.id].digest != key.digest
    ]
    await connection.write(_TAKE_AWAY, [*gone, *moved])
    await connection.write(_DISABLE, [(now_ms, key_id) for _, key_id in gone])
    await connection.write(_ADD, [_row(key) for key in declared if key.id not in stored])
    await connection.write(
        _CHANGE_DECLARED,
        [
            (key.digest, key.display, key.response.value if key.response else None, _models(key), key.expires_at_ms, None,
             int(key.choose_upstream), int(key.cache), key.id)
            for key in declared
            if key.id in stored
        ],
    )  # fmt: skip


async def lock_key(connection: Connection, key_id: str) -> StoredKey | None:
    """One key, which nobody else changes until the transaction ends."""
    rows = await connection.fetch(_ONE, key=key_id)
    return _key(rows[0]) if rows else None


async def change_key(connection: Connection, key: StoredKey) -> None:
    """Its response, models, end, choice of upstreams and use of the cache become those given."""
    response = key.response.value if key.response else None
    terms = (response, _models(key), key.expires_at_ms, int(key.choose_upstream), int(key.cache))
    await connection.write(_CHANGE, [(*terms, key.id)])


async def rotate_key(connection: Connection, key: StoredKey) -> None:
    """Its present and its old secret become those given; an older one is forgotten."""
    await connection.write(_ROTATE, [(key.digest, key.display, key.old_digest, key.old_until_ms, key.id)])


async def rotate_callback_secret(connection: Connection, key: StoredKey) -> None:
    """Its version, and until when the one before signs, too, become those given."""
    await connection.write(_ROTATE_CALLBACK, [(key.callback_version, key.callback_old_until_ms, key.id)])


async def disable_key(connection: Connection, key_id: KeyId, now_ms: int) -> None:
    await connection.write(_DISABLE, [(now_ms, key_id)])


async def mark_keys_used(connection: Connection, used: Mapping[str, int]) -> None:
    """Of several processes, the one that saw the later use wins."""
    await connection.write(_MARK_USED, [(at_ms, key_id) for key_id, at_ms in sorted(used.items())])


async def read_keys_of(connection: Connection, accounts: Collection[AccountId]) -> dict[AccountId, StoredKey]:
    """The newest key of each account: one that was revoked and made again under its name is another key."""
    found = [_key(row) for row in await connection.fetch(_OF_ACCOUNTS, accounts=sorted(accounts))]
    return {key.account: key for key in found}


async def read_keys(connection: Connection) -> list[StoredKey]:
    """All keys, oldest first."""
    return [_key(row) for row in await connection.fetch(_ALL, size=KEYS_MAX)]


def _row(key: StoredKey) -> tuple[str | int | None, ...]:
    return (
        key.id, key.account, key.name, key.digest, key.display, key.response.value if key.response else None, _models(key), int(key.declared),
        key.created_at_ms, key.expires_at_ms, key.disabled_at_ms, int(key.choose_upstream), int(key.cache),
    )  # fmt: skip


def _key(row: Row) -> StoredKey:
    (
        key_id, account, name, digest, display, response, models, declared, created, expires, disabled, choose, cache, old_digest, old_until,
        used, version, version_until,
    ) = row  # fmt: skip
    return StoredKey(
        KeyId(str(key_id)),
        AccountId(str(account)),
        str(name),
        str(digest),
        str(display),
        None if response is None else Contract(str(response)),
        tuple(orjson.loads(str(models))),
        bool(declared),
        int(created or 0),
        None if expires is None else int(expires),
        None if disabled is None else int(disabled),
        None if old_digest is None else str(old_digest),
        None if old_until is None else int(old_until),
        None if used is None else int(used),
        bool(choose),
        bool(cache),
        int(version or 1),
        None if version_until is None else int(version_until),
    )


def _models(key: StoredKey) -> str:
    return orjson.dumps(key.models).decode()


_TOKEN_COLUMNS = (
    "id", "name", "digest", "display", "scopes", "org", "created_at_ms", "expires_at_ms", "disabled_at_ms", "used_at_ms",
)  # fmt: skip
_ADD_TOKEN = insert_rows(admin_tokens, _TOKEN_COLUMNS)
_DISABLE_TOKEN = update_rows(admin_tokens, ("id",), ("disabled_at_ms",))
_MARK_TOKEN_USED = raise_rows(admin_tokens, ("id",), "used_at_ms")
_ALL_TOKENS = Statement(
    select(*(admin_tokens.c[name] for name in _TOKEN_COLUMNS))
    .order_by(admin_tokens.c.created_at_ms, admin_tokens.c.id)
    .limit(bindparam("size"))
)
ADMIN_TOKENS_MAX = 10_000


async def add_admin_token(connection: Connection, token: AdminToken) -> None:
    await connection.write(
        _ADD_TOKEN,
        [
            (
                token.id, token.name, token.digest, token.display, orjson.dumps(sorted(token.scopes)).decode(), token.org, token.created_at_ms,
                token.expires_at_ms, token.disabled_at_ms, token.used_at_ms,
            )
        ],
    )  # fmt: skip


async def disable_admin_token(connection: Connection, token_id: str, now_ms: int) -> None:
    await connection.write(_DISABLE_TOKEN, [(now_ms, token_id)])


async def mark_admin_tokens_used(connection: Connection, used: Mapping[str, int]) -> None:
    await connection.write(_MARK_TOKEN_USED, [(at_ms, token_id) for token_id, at_ms in sorted(used.items())])


async def read_admin_tokens(connection: Connection) -> list[AdminToken]:
    """All of them, oldest first."""
    return [_token(row) for row in await connection.fetch(_ALL_TOKENS, size=ADMIN_TOKENS_MAX)]


def _token(row: Row) -> AdminToken:
    token_id, name, token_digest, display, scopes, org, created, expires, disabled, used = row
    return AdminToken(
        str(token_id),
        str(name),
        str(token_digest),
        str(display),
        frozenset(map(Scope, orjson.loads(str(scopes)))),
        None if org is None else str(org),
        int(created or 0),
        None if expires is None else int(expires),
        None if disabled is None else int(disabled),
        None if used is None else int(used),
    )
