"""`/v1/tasks…`: query, list, batch, cancel and erase. A key sees its own tasks only; the pipeline makes sure of that."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.body import read_json
from gateway.api.rendering import task_answer, task_headers, task_item
from gateway.api.state import LOG, PIPELINE, PRINCIPAL
from gateway.domain.errors import InvalidRequest, InvalidTaskId
from gateway.domain.ids import is_task_id
from gateway.domain.tasks import TaskState

PAGE_SIZE_MAX = 100
PAGE_SIZE = 20
PAGE_MAX = 100_000
BATCH_MAX = 50
WAIT_S_MAX = 300
"""Longer than a task's whole deadline as it is shipped; many proxies cut an answer that takes more than 60 s."""


async def get(request: web.Request) -> web.Response:
    """At once, or with `wait` when the task has ended, at most so many seconds later."""

    def has_gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    task_id, wait_s = _task_id(request), _wait_s(request)
    view = await request.app[PIPELINE].task_at_end(request[PRINCIPAL], task_id, wait_s, has_gone)
    if has_gone():
        raise ConnectionResetError("the caller hung up")
    return json_answer(task_answer(view), headers=task_headers(view))


async def cancel(request: web.Request) -> web.Response:
    """Cancels what can still be cancelled; a body is neither needed nor read."""
    view = await request.app[PIPELINE].cancel(request[PRINCIPAL], _task_id(request))
    return json_answer(task_answer(view), headers=task_headers(view))


async def erase(request: web.Request) -> web.Response:
    """Deletes prompt and pictures; what the task cost stays. A body is neither needed nor read."""
    view = await request.app[PIPELINE].erase(request[PRINCIPAL], _task_id(request))
    return json_answer(task_answer(view), headers=task_headers(view))


async def index(request: web.Request) -> web.Response:
    """The key's tasks, newest first."""
    query = request.query
    page = _whole(request, "page", 1, PAGE_MAX)
    page_size = _whole(request, "page_size", PAGE_SIZE, PAGE_SIZE_MAX)
    found = await request.app[PIPELINE].tasks(
        request[PRINCIPAL],
        state=_state(query.get("status")),
        model=query.get("model", "").replace("\0", "") or None,  # PostgreSQL has no such text
        page=page,
        page_size=page_size,
    )
    return json_answer(
        {
            "object": "list",
            "total": found.total,
            "page": page,
            "page_size": page_size,
            "data": [task_item(view) for view in found.tasks],
        }
    )


async def batch(request: web.Request) -> web.Response:
    """Up to 50 tasks at once; what is unknown, foreign or no id at all is absent from the answer."""
    ids = (await read_json(request)).get("task_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(value, str) for value in ids):
        raise InvalidRequest("task_ids: send a list of task ids.", param="task_ids")
    if len(ids) > BATCH_MAX:
        raise InvalidRequest(f"task_ids: at most {BATCH_MAX} ids in one call; these are {len(ids)}.", param="task_ids")
    wanted = [value for value in dict.fromkeys(ids) if is_task_id(value)]
    views = await request.app[PIPELINE].tasks_by_id(request[PRINCIPAL], wanted) if wanted else ()
    return json_answer({"code": 200, "data": [task_answer(view) for view in views]})


def _task_id(request: web.Request) -> str:
    task_id = request.match_info["task_id"]
    if not is_task_id(task_id):
        raise InvalidTaskId(
            "task_id: this is not a task id; it looks like task-unified-1757165031-uyujaw3d.", param="task_id"
        )
    request[LOG]["task_id"] = task_id
    return task_id


def _wait_s(request: web.Request) -> int:
    texts = request.query.getall("wait", ["0"])
    text = texts[0]
    if len(texts) > 1 or not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= WAIT_S_MAX):
        raise InvalidRequest(f"wait: must be one whole number of seconds from 0 to {WAIT_S_MAX}.", param="wait")
    return int(text)


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise InvalidRequest(f"{name}: must be a whole number from 1 to {most}.", param=name)
    return int(text)


def _state(text: str | None) -> TaskState | None:
    if not text:
        return None
    try:
        return TaskState(text)
    except ValueError as exc:
        raise InvalidRequest(f"status: must be one of {', '.join(TaskState)}.", param="status") from exc
