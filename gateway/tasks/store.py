"""The rows of tasks and results; those of attempts are in attempt_store.py.

Stores run in the caller's transaction, make no ids and read no clock. Task rows are locked after balance rows, in the order of their ids. What may
follow what is decided by the caller; the epoch in its hands is compared there, under the lock. What a batch writes is given as bulk statements
with their rows (`added_tasks` and so on), for the caller to run together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson
from sqlalchemy import bindparam, func, null, select

from gateway.db.connection import BulkRows, Connection, Row
from gateway.db.schema import attempts, results, tasks
from gateway.db.statements import BulkStatement, Statement, any_of, insert_rows, update_rows
from gateway.db.values import number, optional_number, optional_text, storable, text
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.images import Contract, ImageResult, Usage
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import Task, TaskError, TaskErrorCode, TaskState

Write = tuple[BulkStatement, BulkRows]

_TASK_COLUMNS = (
    "id", "account_id", "path", "state", "contract", "model", "n", "user_group", "created_at_ms", "deadline_at_ms", "finished_at_ms",
    "reserved_microcredits", "used_microcredits", "used_microusd", "prompt", "request", "plan", "owner", "epoch", "cancel_requested",
    "error_code", "error_message", "usage", "result_count", "results_expire_at_ms", "caller", "callback_url", "cache", "source_id",
)  # fmt: skip
_TASK_READ = (*_TASK_COLUMNS, "erased_at_ms")
_TASK_FINISH = (
    "state", "finished_at_ms", "used_microcredits", "used_microusd", "error_code", "error_message", "usage", "result_count",
    "results_expire_at_ms", "cache", "source_id",
)  # fmt: skip
_RESULT_COLUMNS = (
    "task_id", "position", "blob", "content_type", "extension", "size_bytes", "width", "height", "sha256", "revised_prompt",
)  # fmt: skip

_all_task_columns = [tasks.c[name] for name in _TASK_READ]
LOCK = select(*_all_task_columns).where(any_of(tasks.c.id, "tasks")).order_by(tasks.c.id).with_for_update()
"""`tasks` without their results, for `tasks_of`; locked until the transaction ends. Give sorted ids."""
_READ = Statement(select(*_all_task_columns).where(any_of(tasks.c.id, "ids")))
_READ_OWN = Statement(
    select(*_all_task_columns).where(any_of(tasks.c.id, "ids"), tasks.c.account_id == bindparam("account"))
)
_PAGE_FILTERS = (
    tasks.c.account_id == bindparam("account"),
    (bindparam("state") == "") | (tasks.c.state == bindparam("state")),
    (bindparam("model") == "") | (tasks.c.model == bindparam("model")),
)
_PAGE = Statement(
    select(*_all_task_columns)
    .where(*_PAGE_FILTERS)
    .order_by(tasks.c.created_at_ms.desc(), tasks.c.id.desc())
    .limit(bindparam("size"))
    .offset(bindparam("skip"))
)
_COUNT = Statement(select(func.count()).select_from(tasks).where(*_PAGE_FILTERS))
_NEWEST_IDS = (
    select(tasks.c.id).where(tasks.c.id < bindparam("before")).order_by(tasks.c.id.desc()).limit(bindparam("scanned"))
).subquery()
_SPAN = Statement(select(func.min(_NEWEST_IDS.c.id), func.count()).select_from(_NEWEST_IDS))
_IN_SPAN = Statement(
    # Ids begin with the second in which they were made, so their index is in the order of time.
    select(*_all_task_columns)
    .where(
        tasks.c.id >= bindparam("oldest"),
        tasks.c.id < bindparam("before"),
        (bindparam("account") == "") | (tasks.c.account_id == bindparam("account")),
        func.substr(tasks.c.account_id, 1, bindparam("below_length")) == bindparam("below"),
        (bindparam("state") == "") | (tasks.c.state == bindparam("state")),
        (bindparam("model") == "") | (tasks.c.model == bindparam("model")),
    )
    .order_by(tasks.c.id.desc())
    .limit(bindparam("size"))
)
_UNFINISHED = select(*_all_task_columns).where(tasks.c.finished_at_ms.is_(None))
_CLAIMABLE = Statement(
    _UNFINISHED.where(tasks.c.lease_until_ms < bindparam("before"), tasks.c.owner != bindparam("me"))
    .order_by(tasks.c.created_at_ms, tasks.c.id)
    .limit(bindparam("size")),
    postgresql_suffix="FOR UPDATE SKIP LOCKED",
)
_LIVING = tasks.alias("living")
_EXTEND_LEASES = Statement(
    # Rows that others hold locked are being changed anyway; waiting for them, out of their order, could end in a deadlock.
    tasks.update()
    .where(
        tasks.c.id.in_(
            select(_LIVING.c.id)
            .where(_LIVING.c.owner == bindparam("me"), _LIVING.c.finished_at_ms.is_(None))
            .with_for_update(skip_locked=True)
        )
    )
    .values(lease_until_ms=bindparam("until"))
)
_HAND_BACK = Statement(
    # No owner: no late sign of life of this one takes it back; a new epoch: nothing that it still writes counts. Locked rows are skipped as above.
    tasks.update()
    .where(
        tasks.c.id.in_(
            select(_LIVING.c.id)
            .where(any_of(_LIVING.c.id, "ids"), _LIVING.c.owner == bindparam("me"), _LIVING.c.finished_at_ms.is_(None))
            .with_for_update(skip_locked=True)
        )
    )
    .values(owner="", lease_until_ms=0, epoch=tasks.c.epoch + 1)
    .returning(tasks.c.id)
)
_WISHES_OF = Statement(
    select(tasks.c.id, tasks.c.state)
    .where(tasks.c.owner == bindparam("me"), tasks.c.cancel_requested == 1)
    .where(tasks.c.finished_at_ms.is_(None) | (tasks.c.finished_at_ms > bindparam("since")))
    .limit(bindparam("size"))
)
_UNFINISHED_OF = Statement(
    select(tasks.c.id)
    .where(tasks.c.owner == bindparam("me"), tasks.c.finished_at_ms.is_(None))
    .limit(bindparam("size"))
)
_ENDED = Statement(select(tasks.c.id).where(any_of(tasks.c.id, "ids"), tasks.c.finished_at_ms.is_not(None)))
_STATES = Statement(
    select(tasks.c.state, func.count(), func.min(tasks.c.created_at_ms))
    .where(tasks.c.finished_at_ms.is_(None))
    .group_by(tasks.c.state)
)
_RESULTS = Statement(
    select(*(results.c[name] for name in _RESULT_COLUMNS))
    .where(any_of(results.c.task_id, "ids"))
    .order_by(results.c.task_id, results.c.position)
)
_ADD_TASKS = insert_rows(tasks, (*_TASK_COLUMNS, "lease_until_ms"))
_FINISH = update_rows(tasks, ("id",), _TASK_FINISH)
_SET_STATE = update_rows(tasks, ("id",), ("state",))
_SET_PLAN = update_rows(tasks, ("id",), ("plan",))
_LEAD = update_rows(tasks, ("id",), ("plan", "reserved_microcredits", "cache", "source_id"))
_WISH = update_rows(tasks, ("id",), ("cancel_requested",))
_CLAIM = update_rows(tasks, ("id",), ("owner", "epoch", "lease_until_ms"))
_ADD_RESULTS = insert_rows(results, _RESULT_COLUMNS)
_ERASE = update_rows(tasks, ("id",), ("prompt", "request", "error_message", "callback_url", "erased_at_ms"))
_ERASE_MESSAGES = Statement(attempts.update().where(any_of(attempts.c.task_id, "ids")).values(message=null()))
_ERASE_RESULTS = Statement(results.delete().where(any_of(results.c.task_id, "ids")))
_ERASING = Statement(
    select(tasks.c.id)
    .where(tasks.c.erased_at_ms.is_not(None), tasks.c.pictures_erased_at_ms.is_(None))
    .order_by(tasks.c.erased_at_ms)
    .limit(bindparam("size"))
)
_PICTURES_ERASED = Statement(
    # Rows that others hold locked are left for the next round; waiting for them, out of their order, could end in a deadlock.
    tasks.update()
    .where(tasks.c.id.in_(select(_LIVING.c.id).where(any_of(_LIVING.c.id, "ids")).with_for_update(skip_locked=True)))
    .values(pictures_erased_at_ms=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks of all accounts. Empty texts match all; `below` is what the account's id begins with."""

    account: str = ""
    below: str = ""
    state: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many unfinished tasks are in a state, and when the oldest was accepted."""

    state: TaskState
    count: int
    oldest_created_at_ms: int


def tasks_of(rows: Sequence[Row]) -> dict[TaskId, Task]:
    """From the rows of LOCK."""
    return {task.id: task for task in map(_task, rows)}


def added_tasks(new: Sequence[tuple[Task, int]]) -> Write:
    """Each with the end of its lease."""
    return _ADD_TASKS, [(*_task_row(task), lease_until_ms) for task, lease_until_ms in new]


def finished_tasks(finished: Sequence[Task]) -> Write:
    """The end of tasks; their results are `added_results`."""
    return _FINISH, [
        (
            task.state.value, task.finished_at_ms, task.used_microcredits, task.used_microusd,
            task.error.code.value if task.error else None, task.error.message if task.error else None,
            _usage_text(task.usage), len(task.results), task.results_expire_at_ms, _cache_text(task), task.source, task.id,
        )
        for task in finished
    ]  # fmt: skip


def added_results(finished: Sequence[Task]) -> Write:
    shared: dict[int, list[tuple[str | int | None, ...]]] = {}
    """By the identity of the results: tasks that share pictures have them together."""
    rows = []
    for task in finished:
        parts = shared.get(id(task.results))
        if parts is None:
            parts = shared[id(task.results)] = list(map(_result_parts, task.results))
        rows += [(task.id, position, *part) for position, part in enumerate(parts)]
    return _ADD_RESULTS, rows


def changed_states(changed: Sequence[tuple[TaskId, TaskState]]) -> Write:
    return _SET_STATE, [(state.value, task_id) for task_id, state in changed]


def changed_plans(changed: Mapping[TaskId, str]) -> Write:
    return _SET_PLAN, [(plan_json, task_id) for task_id, plan_json in changed.items()]


def leading_tasks(leading: Sequence[Task]) -> Write:
    """Tasks that waited for another's pictures, and make their own; of one that is there twice the last."""
    return _LEAD, [
        (task.plan_json, task.reserved_microcredits, _cache_text(task), task.source, task.id)
        for task in {task.id: task for task in leading}.values()
    ]


def wished_tasks(ids: Sequence[TaskId]) -> Write:
    """That their callers want them cancelled."""
    return _WISH, [(1, task_id) for task_id in ids]


async def read_wishes(connection: Connection, owner: str, since_ms: int, size: int) -> list[tuple[TaskId, TaskState]]:
    """An owner's tasks whose callers want them cancelled: those that are unfinished, and those that ended after a moment. In no order."""
    rows = await connection.fetch(_WISHES_OF, me=owner, since=since_ms, size=size)
    return [(TaskId(text(row[0])), TaskState(text(row[1]))) for row in rows]


async def erase_tasks(connection: Connection, erased: Sequence[Task]) -> None:
    """What their callers, and upstreams about it, said. Each with its `erased_at_ms`; its row must be locked. Results go with their rows."""
    rows = [
        (task.prompt, task.request_json, task.error.message if task.error else None, task.callback_url, task.erased_at_ms, task.id)
        for task in erased
    ]  # fmt: skip
    ids = [task.id for task in erased]
    await connection.write(_ERASE, rows)
    await connection.execute(_ERASE_MESSAGES, ids=ids)
    await connection.execute(_ERASE_RESULTS, ids=ids)


async def read_erasing(connection: Connection, size: int) -> list[TaskId]:
    """Erased tasks whose pictures may still be there, oldest first."""
    return [TaskId(text(row[0])) for row in await connection.fetch(_ERASING, size=size)]


async def mark_pictures_erased(connection: Connection, ids: Sequence[TaskId], at_ms: int) -> None:
    await connection.execute(_PICTURES_ERASED, ids=ids, at=at_ms)


async def claim_tasks(connection: Connection, owner: str, *, before_ms: int, until_ms: int, size: int) -> list[Task]:
    """Take over unfinished tasks of others whose lease ended before a time; each gets a new epoch. Rows that others hold locked are skipped."""
    found = [_task(row) for row in await connection.fetch(_CLAIMABLE, before=before_ms, me=owner, size=size)]
    await connection.write(_CLAIM, [(owner, task.epoch + 1, until_ms, task.id) for task in found])
    return [replace(task, owner=owner, epoch=task.epoch + 1) for task in found]


async def extend_leases(connection: Connection, owner: str, until_ms: int) -> None:
    await connection.execute(_EXTEND_LEASES, me=owner, until=until_ms)


async def hand_back(connection: Connection, owner: str, ids: Sequence[TaskId]) -> list[TaskId]:
    """Give up these tasks, as far as they are the owner's and unfinished; says which. Each gets a new epoch."""
    return [TaskId(text(row[0])) for row in await connection.fetch(_HAND_BACK, me=owner, ids=ids)]


async def read_unfinished_of(connection: Connection, owner: str, size: int) -> list[TaskId]:
    """Unfinished tasks of one owner, in no particular order."""
    return [TaskId(text(row[0])) for row in await connection.fetch(_UNFINISHED_OF, me=owner, size=size)]


async def read_tasks(connection: Connection, ids: Sequence[TaskId], account: AccountId | None = None) -> list[Task]:
    """Tasks with their results; with an account, only its own. In no particular order."""
    wanted_of = {} if account is None else {"account": account}
    found = list(map(_task, await connection.fetch(_READ if account is None else _READ_OWN, ids=ids, **wanted_of)))
    wanted = [task.id for task in found if task.result_count]
    by_task: dict[str, list[ImageResult]] = {}
    for row in await connection.fetch(_RESULTS, ids=wanted) if wanted else []:
        by_task.setdefault(str(row[0]), []).append(_result(row))
    return [replace(task, results=tuple(by_task.get(task.id, ()))) for task in found]


async def read_ended(connection: Connection, ids: Sequence[TaskId]) -> list[TaskId]:
    """Those of these tasks that have ended, in no particular order."""
    return [TaskId(text(row[0])) for row in await connection.fetch(_ENDED, ids=ids)]


async def read_page(
    connection: Connection, account: AccountId, *, state: str, model: str, page: int, page_size: int
) -> tuple[int, list[Task]]:
    """The number of an account's tasks and one page of them, newest first, without results. Empty texts match all."""
    total = await connection.fetch(_COUNT, account=account, state=state, model=model)
    rows = await connection.fetch(
        _PAGE, account=account, state=state, model=model, size=page_size, skip=(page - 1) * page_size
    )
    return number(total[0][0]), [_task(row) for row in rows]


async def read_newest(
    connection: Connection, wanted: Wanted, *, before: str, scanned: int, size: int
) -> tuple[list[Task], str | None]:
    """Of the `scanned` tasks below an id, those wanted, newest first and at most `size`, without results; and the oldest id that was looked at.

    None for that: there are no older ones.
    """
    oldest, count = (await connection.fetch(_SPAN, before=before, scanned=scanned))[0]
    if oldest is None:
        return [], None
    rows = await connection.fetch(
        _IN_SPAN, oldest=oldest, before=before, account=wanted.account, below=wanted.below, below_length=len(wanted.below),
        state=wanted.state, model=wanted.model, size=size,
    )  # fmt: skip
    return [_task(row) for row in rows], text(oldest) if number(count) == scanned else None


async def count_unfinished(connection: Connection) -> list[StateCount]:
    return [StateCount(TaskState(str(s)), number(n), number(o)) for s, n, o in await connection.fetch(_STATES)]


def _task_row(task: Task) -> tuple[str | int | None, ...]:
    return (
        task.id, task.account, _path_text(task.path), task.state.value, task.contract.value, task.model, task.n, task.user_group,
        task.created_at_ms, task.deadline_at_ms, task.finished_at_ms, task.reserved_microcredits, task.used_microcredits, task.used_microusd,
        task.prompt, task.request_json, task.plan_json, task.owner, task.epoch, int(task.cancel_requested),
        task.error.code.value if task.error else None, task.error.message if task.error else None, _usage_text(task.usage),
        task.result_count, task.results_expire_at_ms, task.caller or None, task.callback_url,
        _cache_text(task), task.source,
    )  # fmt: skip


def _task(row: Row) -> Task:
    values = dict(zip(_TASK_READ, row, strict=True))
    error = values["error_code"]
    return Task(
        id=TaskId(text(values["id"])),
        account=AccountId(text(values["account_id"])),
        path=tuple(AccountId(account) for account in orjson.loads(text(values["path"]))),
        state=TaskState(text(values["state"])),
        contract=Contract(text(values["contract"])),
        model=text(values["model"]),
        n=number(values["n"]), user_group=text(values["user_group"]), created_at_ms=number(values["created_at_ms"]),
        deadline_at_ms=number(values["deadline_at_ms"]), reserved_microcredits=number(values["reserved_microcredits"]),
        prompt=optional_text(values["prompt"]), request_json=text(values["request"]), plan_json=text(values["plan"]),
        owner=text(values["owner"]), epoch=number(values["epoch"]), cancel_requested=bool(values["cancel_requested"]),
        finished_at_ms=optional_number(values["finished_at_ms"]), used_microcredits=number(values["used_microcredits"]),
        used_microusd=number(values["used_microusd"]),
        error=None if error is None else TaskError(TaskErrorCode(text(error)), text(values["error_message"])),
        usage=None if values["usage"] is None else Usage(*orjson.loads(text(values["usage"]))),
        result_count=number(values["result_count"]), results_expire_at_ms=optional_number(values["results_expire_at_ms"]),
        caller=optional_text(values["caller"]) or "", callback_url=optional_text(values["callback_url"]),
        erased_at_ms=optional_number(values["erased_at_ms"]),
        cache=None if values["cache"] is None else CacheResult(text(values["cache"])),
        source=None if values["source_id"] is None else TaskId(text(values["source_id"])),
    )  # fmt: skip


def _result_parts(result: ImageResult) -> tuple[str | int | None, ...]:
    return (
        result.blob, result.content_type, result.extension, result.size_bytes, result.width, result.height, result.sha256,
        storable(result.revised_prompt),
    )  # fmt: skip


def _result(row: Row) -> ImageResult:
    _, _, blob, content_type, extension, size, width, height, sha256, revised = row
    return ImageResult(
        text(blob), text(content_type), text(extension), number(size), number(width), number(height), text(sha256), optional_text(revised)
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _path_text(path: tuple[AccountId, ...]) -> str:
    return orjson.dumps(path).decode()


@lru_cache(maxsize=1024)
def _usage_text(usage: Usage | None) -> str | None:
    if usage is None:
        return None
    counts = [usage.input_text_tokens, usage.input_image_tokens, usage.output_tokens]
    return orjson.dumps(counts + ([usage.output_text_tokens] if usage.output_text_tokens else [])).decode()


def _cache_text(task: Task) -> str | None:
    return None if task.cache is None else task.cache.value
