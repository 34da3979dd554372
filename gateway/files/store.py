"""The rows of callers' pictures. A file's id is its blob's name; a row is written before its blob and deleted after it, so no blob is forgotten.

Stores run in the caller's transaction, make no ids and read no clock. A file is gone for its owner when it has expired; deleting one makes it
expire. Its bytes go later (`read_due`): not while a task that has not ended names it. Pictures that a task fetched or converted for itself have the
task's id, and go with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, cast, exists, func, or_, select

from gateway.db.connection import Connection, Row
from gateway.db.schema import accounts, files, tasks
from gateway.db.statements import Statement, any_of, insert_rows
from gateway.db.values import number
from gateway.domain.files import Purpose, StoredFile
from gateway.domain.ids import AccountId, FileId, TaskId
from gateway.domain.images import Pixels
from gateway.files.quota import Kept

_COLUMNS = (
    "id", "account_id", "purpose", "filename", "content_type", "size_bytes", "width", "height", "has_alpha", "sha256", "created_at_ms",
    "expires_at_ms",
)  # fmt: skip
_columns = [files.c[name] for name in _COLUMNS]
_ADD = insert_rows(files, (*_COLUMNS, "task_id"))
_LOCK_ACCOUNT = Statement(
    # Two uploads of one key are counted one after the other. Rows that refer to the account are not kept waiting.
    select(accounts.c.id).where(accounts.c.id == bindparam("account")),
    postgresql_suffix="FOR NO KEY UPDATE",
)
_VISION = files.c.purpose == Purpose.VISION.value
_OWN = (files.c.account_id == bindparam("account"), files.c.expires_at_ms > bindparam("now"))
_KEPT = Statement(
    select(func.count(), cast(func.coalesce(func.sum(files.c.size_bytes), 0), BigInteger)).where(*_OWN, _VISION)
)
_READ = Statement(select(*_columns).where(files.c.account_id == bindparam("account"), any_of(files.c.id, "ids")))
_PAGE = Statement(
    select(*_columns)
    .where(
        *_OWN,
        _VISION,
        or_(
            files.c.created_at_ms < bindparam("before_ms"),
            (files.c.created_at_ms == bindparam("before_ms")) & (files.c.id < bindparam("before_id")),
        ),
    )
    .order_by(files.c.created_at_ms.desc(), files.c.id.desc())
    .limit(bindparam("size"))
)
_EXPIRE = Statement(
    files.update().where(*_OWN, files.c.id == bindparam("file")).values(expires_at_ms=bindparam("now")).returning(files.c.id)
)  # fmt: skip
_OF_TASKS = Statement(select(*_columns).where(any_of(files.c.task_id, "tasks")).order_by(files.c.id))
_LIVING = tasks.c.finished_at_ms.is_(None) & (tasks.c.account_id == files.c.account_id)
_NEEDED = or_(
    exists().where(_LIVING, tasks.c.id == files.c.task_id),
    files.c.task_id.is_(None) & exists().where(_LIVING, tasks.c.request.contains(files.c.id)),
)
_DUE = Statement(
    select(files.c.id)
    .where(files.c.expires_at_ms <= bindparam("before"), ~_NEEDED)
    .order_by(files.c.expires_at_ms, files.c.id)
    .limit(bindparam("size"))
)
_OLDEST_DUE = Statement(
    select(func.min(files.c.expires_at_ms)).where(files.c.expires_at_ms <= bindparam("before"), ~_NEEDED)
)
_DELETE = Statement(files.delete().where(any_of(files.c.id, "ids")))
_NAMED_BY = (
    any_of(tasks.c.id, "tasks")
    & (tasks.c.account_id == files.c.account_id)
    & tasks.c.request.contains(files.c.id)
)  # fmt: skip
_GIVE_TO_TASKS = Statement(
    files.update()
    .where(
        files.c.purpose == Purpose.CALL.value,
        files.c.task_id.is_(None),
        files.c.account_id.in_(select(tasks.c.account_id).where(any_of(tasks.c.id, "tasks"))),
        exists().where(_NAMED_BY),
    )
    .values(expires_at_ms=0, filename="", task_id=select(func.max(tasks.c.id)).where(_NAMED_BY).scalar_subquery())
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind this file."""

    created_at_ms: int
    id: str


NEWEST = Place(1 << 62, "")


async def lock_account(connection: Connection, account: AccountId) -> None:
    """Until the transaction ends no other counts this key's files."""
    await connection.fetch(_LOCK_ACCOUNT, account=account)


async def read_kept(connection: Connection, account: AccountId, now_ms: int) -> Kept:
    """What counts towards the key's quota."""
    [(count, size_bytes)] = await connection.fetch(_KEPT, account=account, now=now_ms)
    return Kept(number(count), number(size_bytes))


async def add(connection: Connection, file: StoredFile, task_id: TaskId | None = None) -> None:
    row = (
        file.id, file.account, file.purpose.value, file.filename, file.content_type, file.size_bytes, file.pixels.width, file.pixels.height,
        int(file.has_alpha), file.sha256, file.created_at_ms, file.expires_at_ms, task_id,
    )  # fmt: skip
    await connection.write(_ADD, [row])


async def read(connection: Connection, account: AccountId, ids: Sequence[FileId]) -> dict[FileId, StoredFile]:
    """Those of this account, expired ones as well while they are still here: a task may need them."""
    found = map(_file, await connection.fetch(_READ, account=account, ids=list(ids)))
    return {file.id: file for file in found}


async def read_page(
    connection: Connection, account: AccountId, *, now_ms: int, behind: Place, size: int
) -> list[StoredFile]:
    """The key's uploads, newest first."""
    rows = await connection.fetch(
        _PAGE, account=account, now=now_ms, before_ms=behind.created_at_ms, before_id=behind.id, size=size
    )
    return [_file(row) for row in rows]


async def expire(connection: Connection, account: AccountId, file_id: FileId, now_ms: int) -> bool:
    """Gone for its owner from now on; False: it was already."""
    return bool(await connection.fetch(_EXPIRE, account=account, file=file_id, now=now_ms))


async def read_of_tasks(connection: Connection, ids: Sequence[TaskId]) -> list[StoredFile]:
    """What these tasks fetched or converted for themselves, and what was given to them by `give_to_tasks`."""
    return [_file(row) for row in await connection.fetch(_OF_TASKS, tasks=list(ids))]


async def read_due(connection: Connection, *, before_ms: int, size: int) -> list[FileId]:
    """Expired before that time and needed by no unfinished task, the longest first."""
    return [FileId(str(row[0])) for row in await connection.fetch(_DUE, before=before_ms, size=size)]


async def read_oldest_due_ms(connection: Connection, before_ms: int) -> int | None:
    """When the one that should have gone first expired."""
    [(oldest,)] = await connection.fetch(_OLDEST_DUE, before=before_ms)
    return None if oldest is None else number(oldest)


async def delete(connection: Connection, ids: Sequence[FileId]) -> None:
    await connection.execute(_DELETE, ids=list(ids))


async def give_to_tasks(connection: Connection, ids: Sequence[TaskId]) -> None:
    """Parts of these tasks' calls become theirs and expire, before the tasks forget which they were."""
    await connection.execute(_GIVE_TO_TASKS, tasks=list(ids))


def _file(row: Row) -> StoredFile:
    id_, account, purpose, filename, content_type, size, width, height, alpha, sha256, created, expires = row
    return StoredFile(
        FileId(str(id_)), AccountId(str(account)), Purpose(str(purpose)), str(filename), str(content_type), number(size),
        Pixels(number(width), number(height)), bool(alpha), str(sha256), number(created), number(expires),
    )  # fmt: skip
