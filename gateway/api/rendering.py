"""Tasks as answers: the task contract's envelope, OpenAI's images answer, and the headers both carry. Pure.

Base64 text is never parsed, copied into a string or run through a JSON encoder: it stands as bytes between encoded parts.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

import orjson

from gateway.api.ports import TaskView
from gateway.domain import money
from gateway.domain.considered import Considered, upstream_and_model
from gateway.domain.images import Background, ImageRequest, ImageResult, Quality, ResponseFormat, Usage
from gateway.domain.sharing import CacheResult
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.pipeline.picture_texts import PictureText
from gateway.telemetry.redaction import without_keys

JsonValue = str | int | float | bool | None | dict[str, "JsonValue"] | list["JsonValue"]
JsonMap = dict[str, JsonValue]

FIRST_POLL_S_MAX = 15
"""Polling is cheap; a model that takes minutes is still worth a look every quarter of a minute."""
_STRICT_SIZES = frozenset({"1024x1024", "1024x1536", "1536x1024"})
"""openai-python 1.x, validating strictly, refuses an answer that names any other size; without a size it is content."""
_STRICT_QUALITIES = frozenset({Quality.LOW, Quality.MEDIUM, Quality.HIGH})
_CANCELLED_TEXT = "The task was cancelled by the caller."


def task_created(view: TaskView) -> JsonMap:
    """The answer of a create: exactly the fields of the contract."""
    task = view.task
    return {
        "created": task.created_at_ms // 1000,
        "id": task.id,
        "model": task.model,
        "object": "image.generation.task",
        "progress": view.progress,
        "status": task.state.value,
        "task_info": {"can_cancel": view.can_cancel, "estimated_time": view.estimated_time_s},
        "type": "image",
        "usage": {
            "billing_rule": "per_call",
            "credits_reserved": money.json_number(task.reserved_microcredits),
            "user_group": task.user_group,
        },
    }


def task_answer(view: TaskView) -> JsonMap:
    """The answer of a query, and the body of a callback: the same envelope, and what the state adds."""
    task = view.task
    answer = task_created(view)
    if task.state.is_final:
        answer["usage"] = {**_map(answer["usage"]), **_final_usage(task)}
    elif task.cancel_requested:
        answer["task_info"] = {**_map(answer["task_info"]), "cancel_requested": True}
    if task.state is TaskState.COMPLETED:
        links: list[JsonValue] = list(view.links)
        expires_at = None if task.results_expire_at_ms is None else task.results_expire_at_ms // 1000
        answer["results"] = links
        answer["result_data"] = [{"image_url": link, "expires_at": expires_at} for link in links]
    elif task.error is not None:
        answer["error"] = {"code": task.error.code.value, "message": task.error.message}
    elif task.state is TaskState.CANCELLED:
        answer["error"] = {"code": "request_cancelled", "message": _CANCELLED_TEXT}
    elif task.state is TaskState.FAILED:
        answer["error"] = {"code": "unknown_error", "message": "The picture could not be made."}
    if task.erased_at_ms is not None:
        answer["erased_at"] = task.erased_at_ms // 1000
    answer["attempts"] = [_attempt(attempt) for attempt in view.attempts]
    at_last = view.last_resorts
    answer["routing"] = {
        "offers": [considered_offer(item) for item in view.considered],
        "attempts": [_routed(attempt, last_resort=attempt.id in at_last) for attempt in view.attempts],
    }
    return answer


def considered_offer(item: Considered) -> JsonMap:
    """What an offer would have cost, and why it was not to be tried, as in a quote."""
    upstream, model = upstream_and_model(item.offer)
    return {
        "upstream": upstream,
        "model": model,
        "expected_usd": None if item.expected_microusd is None else money.json_number(item.expected_microusd),
        "most_usd": None if item.most_microusd is None else money.json_number(item.most_microusd),
        "skipped": None if item.skipped is None else {"reason": item.skipped, "message": item.why or ""},
    }


def plain(value: object) -> JsonValue:
    """The parts of a price: decimals as numbers, rows of a table as objects."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return value if value is None or isinstance(value, (str, int)) else str(value)


def task_item(view: TaskView) -> JsonMap:
    """One row of the list of tasks."""
    task = view.task
    finished = task.finished_at_ms
    # A list need not have loaded the results.
    count = max(task.result_count, len(task.results)) if task.erased_at_ms is None else 0
    return {
        "id": task.id,
        "model": task.model,
        "type": "image",
        "status": task.state.value,
        "progress": view.progress,
        "created_at": task.created_at_ms // 1000,
        "has_results": count > 0,
        "result_count": count,
        "has_error": task.state is TaskState.FAILED or task.error is not None,
        "credits_used": money.json_number(task.used_microcredits),
        "duration": None
        if finished is None
        else max(0, finished - task.created_at_ms) / 1000,  # the clock may have been set back
        **({} if task.erased_at_ms is None else {"erased_at": task.erased_at_ms // 1000}),
    }


def image_answer(
    view: TaskView, request: ImageRequest, wish: ResponseFormat | None, pictures: Sequence[PictureText]
) -> list[PictureText]:
    """OpenAI's images answer as parts of one body. `pictures` is base64 text in the order of the results; unused for a wish of `url`.

    Only what is known and resolved is said besides: SDKs that validate strictly refuse `auto`, `jpg` or half a usage.
    """
    task = view.task
    parts: list[PictureText] = [b'{"created":%d,"data":[' % (task.created_at_ms // 1000)]
    for index, result in enumerate(task.results):
        parts.append(b"{" if index == 0 else b",{")
        fields: JsonMap = {}
        if wish is not ResponseFormat.B64_JSON and index < len(view.links):
            fields["url"] = view.links[index]
        if result.revised_prompt:
            fields["revised_prompt"] = result.revised_prompt
        rest = orjson.dumps(fields)[1:]  # without its opening brace
        if wish is not ResponseFormat.URL:
            parts += (b'"b64_json":"', pictures[index], b'",' if fields else b'"')
        parts.append(rest)
    parts.append(_end_of_images(task.results, task.usage, view.dropped, request.quality, request.background))
    return parts


@lru_cache(maxsize=256)  # small: it holds pictures' rows; calls that are answered with the same pictures come together
def _end_of_images(
    results: tuple[ImageResult, ...],
    usage: Usage | None,
    dropped: tuple[str, ...],
    quality: Quality,
    background: Background,
) -> bytes:
    about = _about(results, usage, dropped, quality, background)
    return b"]," + orjson.dumps(about)[1:] if about else b"]}"


def task_headers(view: TaskView, also_dropped: Sequence[str] = ()) -> dict[str, str]:
    """What every answer about one task says in its headers."""
    task = view.task
    cache = CacheResult.BYPASS if task.cache is None else task.cache
    headers = {"X-Task-Id": str(task.id), "X-Cache": cache.value, "Age": str(view.age_s)}
    if view.upstream is not None:
        headers["X-Upstream"] = view.upstream
    if task.state.is_final:
        headers["X-Credits-Used"] = money.format_micro(task.used_microcredits)
    if view.remaining_microcredits is not None:
        headers["X-Credits-Remaining"] = money.format_micro(view.remaining_microcredits)
    if view.dropped or also_dropped:
        dropped = sorted({*view.dropped, *also_dropped})
        headers["X-Dropped-Params"] = without_keys(", ".join(dropped))  # names as the caller sent them
    return headers


def created_headers(view: TaskView) -> dict[str, str]:
    """Where to poll, and when first: at half the usual time."""
    first_poll_s = max(1, min(view.estimated_time_s // 2, FIRST_POLL_S_MAX))
    return {"Location": f"/v1/tasks/{view.task.id}", "Retry-After": str(first_poll_s)}


def _final_usage(task: Task) -> JsonMap:
    used = money.json_number(task.used_microcredits)
    usage: JsonMap = {"credits_used": used}
    if task.state is TaskState.COMPLETED or task.used_microcredits:
        usage["cost"] = {"credits": used, "usd": money.json_number(task.used_microusd)}
    return usage


def _attempt(attempt: Attempt) -> JsonMap:
    ended = attempt.ended_at_ms
    return {
        "upstream": attempt.upstream,
        "status": attempt.state.value,
        "fault": attempt.fault.value if attempt.fault is not None else None,
        "cost_usd": money.json_number(attempt.cost_microusd),
        "ms": None if ended is None else ended - attempt.sent_at_ms,
    }


def _routed(attempt: Attempt, *, last_resort: bool) -> JsonMap:
    """An attempt with its times. What the upstream said is an operator's: it may name our account there."""
    upstream, model = upstream_and_model(attempt.offer_id)
    return {
        "upstream": upstream,
        "model": model,
        "n": attempt.n,
        "images": attempt.images,
        "status": attempt.state.value,
        "fault": None if attempt.fault is None else attempt.fault.value,
        "billed": None if attempt.billed is None else attempt.billed.value,
        "cost_usd": money.json_number(attempt.cost_microusd),
        "sent_at_ms": attempt.sent_at_ms,
        "ended_at_ms": attempt.ended_at_ms,
        "last_resort": last_resort,
    }


def about_pictures(task: Task, dropped: Sequence[str], request: ImageRequest) -> JsonMap:
    """What the pictures are, as far as it is known: sizes and formats by the stored bytes, the rest as it was asked for and not left out."""
    return _about(task.results, task.usage, dropped, request.quality, request.background)


def _about(
    results: Sequence[ImageResult],
    usage: Usage | None,
    dropped: Sequence[str],
    quality: Quality,
    background: Background,
) -> JsonMap:
    about: JsonMap = {}
    size = _common(f"{result.width}x{result.height}" for result in results)
    content_type = _common(result.content_type for result in results)
    if size in _STRICT_SIZES:
        about["size"] = size
    if content_type in ("image/png", "image/jpeg", "image/webp"):
        about["output_format"] = content_type.removeprefix("image/")
    if quality in _STRICT_QUALITIES and "quality" not in dropped:
        about["quality"] = quality.value
    if background is not Background.AUTO and "background" not in dropped:
        about["background"] = background.value
    if usage is not None:
        about["usage"] = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "input_tokens_details": {"image_tokens": usage.input_image_tokens, "text_tokens": usage.input_text_tokens},
        }
    return about


def _common(values: Iterable[str]) -> str:
    """The one value that all share, or an empty text."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else ""


def _map(value: JsonValue) -> JsonMap:
    assert isinstance(value, dict)
    return value
