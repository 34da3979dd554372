"""`/admin/v1/tasks…`: the tasks of all callers, and erasing them."""

import dataclasses

import orjson
from aiohttp import web

from gateway.administration.tasks import ShownPlan, TaskDossier, TaskFilter
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.callbacks import callback_item
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap, JsonValue, considered_offer, plain
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money
from gateway.domain.errors import InvalidRequest
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, Task, TaskState

LIMIT, LIMIT_MAX = 100, 1_000
_REQUEST = ("operation", "size", "quality", "background", "output_format", "prompt_tokens", "partial_images")


async def index(request: web.Request) -> web.Response:
    """Newest first."""
    wanted = TaskFilter(
        _text(request, "org"), _text(request, "team"), _text(request, "key"), _state(request), _text(request, "model")
    )
    page = await request.app[ADMINISTRATION].tasks.page(
        wanted,
        before=_text(request, "before"),
        size=whole(request, "limit", LIMIT, LIMIT_MAX),
        by=request[ADMINISTRATOR],
    )
    data: list[JsonValue] = [_item(task) for task in page.tasks]
    return json_answer(
        {"object": "list", "data": data, "has_more": page.next_before is not None, "next_before": page.next_before}
    )


async def get(request: web.Request) -> web.Response:
    """With its prompt where `prompt=true` asks for it."""
    asked = request.query.get("prompt", "false")
    if asked not in ("true", "false", ""):
        raise InvalidRequest("prompt: must be true or false.", param="prompt")
    dossier = await request.app[ADMINISTRATION].tasks.show(request.match_info["task_id"], request[ADMINISTRATOR])
    return json_answer(_whole_task(dossier, with_prompt=asked == "true"))


async def erase(request: web.Request) -> web.Response:
    """A body is neither needed nor read."""
    tasks, by = request.app[ADMINISTRATION].tasks, request[ADMINISTRATOR]
    erased = await tasks.erase(request.match_info["task_id"], by)
    return json_answer(_whole_task(await tasks.show(erased.id, by), with_prompt=False))


def _whole_task(dossier: TaskDossier, *, with_prompt: bool) -> JsonMap:
    task, hold = dossier.task, dossier.history.hold
    return {
        **_item(task),
        "deadline_at_ms": task.deadline_at_ms,
        "results_expire_at_ms": task.results_expire_at_ms,
        "prompt": task.prompt if with_prompt else None,
        "request": _request(task),
        "results": [
            {
                "content_type": result.content_type,
                "width": result.width,
                "height": result.height,
                "size_bytes": result.size_bytes,
                "sha256": result.sha256,
            }
            for result in task.results
        ],
        "plan": None if dossier.plan is None else _plan(dossier.plan),
        "attempts": [_attempt(attempt) for attempt in dossier.attempts],
        "hold": None
        if hold is None
        else {
            "state": hold.state.value,
            "held": _amount(hold.amount),
            "settled": _amount(hold.settled),
            "created_at_ms": hold.created_at_ms,
            "ended_at_ms": hold.ended_at_ms,
        },
        "entries": [
            {
                "id": entry.id,
                "account": entry.account,
                "attempt_id": entry.attempt_id,
                "kind": entry.kind,
                "posted": _amount(entry.posted),
                "pending": _amount(entry.pending),
                "at_ms": entry.at_ms,
                "note": entry.note,
            }
            for entry in dossier.history.entries
        ],
        "entries_whole": dossier.history.whole,
        "callback": None if dossier.callback is None else callback_item(dossier.callback),
    }


def _request(task: Task) -> JsonMap:
    """What was asked for, besides the prompt; pictures are counted, not named."""
    found = orjson.loads(task.request_json)
    return {
        **{name: found.get(name) for name in _REQUEST},
        "images": len(found.get("images") or ()),
        "mask": found.get("mask") is not None,
    }


def _item(task: Task) -> JsonMap:
    return {
        "id": task.id,
        "account": task.account,
        "model": task.model,
        "n": task.n,
        "contract": task.contract.value,
        "state": task.state.value,
        "created_at_ms": task.created_at_ms,
        "finished_at_ms": task.finished_at_ms,
        "erased_at_ms": task.erased_at_ms,
        "reserved_credits": money.json_number(task.reserved_microcredits),
        "charged": _amount(Amount(task.used_microcredits, task.used_microusd, task.result_count)),
        "result_count": task.result_count,
        "cache": None if task.cache is None else task.cache.value,
        "source": task.source,
        "error": None if task.error is None else {"code": task.error.code.value, "message": task.error.message},
    }


def _plan(plan: ShownPlan) -> JsonMap:
    return {
        "offers": [
            {
                "id": offer.id,
                "upstream": offer.upstream,
                "model": offer.upstream_model,
                "price": plain(dataclasses.asdict(offer.price)),
            }
            for offer in plan.offers
        ],
        "charge_credits": None if plan.charge_microcredits is None else money.json_number(plan.charge_microcredits),
        "markup": float(plan.markup),
        "credits_per_usd": float(plan.credits_per_usd),
        "considered": [{"offer": item.offer, **considered_offer(item)} for item in plan.considered],
    }


def _attempt(attempt: Attempt) -> JsonMap:
    ended = attempt.ended_at_ms
    return {
        "id": attempt.id,
        "parent_id": attempt.parent_id,
        "offer": attempt.offer_id,
        "upstream": attempt.upstream,
        "upstream_ref": attempt.upstream_ref,
        "n": attempt.n,
        "images": attempt.images,
        "state": attempt.state.value,
        "fault": None if attempt.fault is None else attempt.fault.value,
        "billed": None if attempt.billed is None else attempt.billed.value,
        "cost_usd": money.json_number(attempt.cost_microusd),
        "presumed_usd": money.json_number(attempt.presumed_cost_microusd),
        "sent_at_ms": attempt.sent_at_ms,
        "ended_at_ms": ended,
        "ms": None if ended is None else ended - attempt.sent_at_ms,
        "message": attempt.message,
    }


def _amount(amount: Amount) -> JsonMap:
    return {
        "credits": money.json_number(amount.microcredits),
        "usd": money.json_number(amount.microusd),
        "images": amount.images,
    }


def _text(request: web.Request, name: str) -> str | None:
    return request.query.get(name) or None


def _state(request: web.Request) -> TaskState | None:
    text = _text(request, "state")
    try:
        return TaskState(text) if text else None
    except ValueError as exc:
        raise InvalidRequest(f"state: must be one of {', '.join(TaskState)}.", param="state") from exc
