"""What is left of a task when it is erased: what it cost and how it went, and nothing that its caller said. Pure."""

from dataclasses import replace

import orjson

from gateway.domain.tasks import Task, TaskError

ERASED_TEXT = "The task was erased; only its code is kept."


def erased(task: Task, at_ms: int) -> Task:
    """Sizes, counts and qualities of the request stay; parameters with words of the caller's own (`user`, `style`, …) go."""
    error = None if task.error is None else TaskError(task.error.code, ERASED_TEXT)
    return replace(
        task,
        prompt=None,
        request_json=without_words(task.request_json),
        error=error,
        results=(),
        callback_url=None,
        erased_at_ms=at_ms,
    )


def without_words(request_json: str) -> str:
    """A task's request, without what its caller said in words."""
    try:
        request = orjson.loads(request_json)
    except orjson.JSONDecodeError:
        return "{}"
    if not isinstance(request, dict):
        return "{}"
    return orjson.dumps({**request, "prompt": "", "options": [], "images": [], "mask": None}).decode()
