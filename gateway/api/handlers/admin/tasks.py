"""`/admin/v1/tasks…`: the tasks of all callers, and erasing them."""

import dataclasses
from decimal import Decimal

from aiohttp import web

from gateway.administration.tasks import ShownPlan, TaskDossier, TaskFilter
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.callbacks import callback_item
from gateway.api.handlers.admin.query import whole
from gateway.api.rendering import JsonMap, JsonValue, considered_offer
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money
from gateway.domain.errors import InvalidRequest
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, Task, TaskState

LIMIT, LIMIT_MAX = 100, 1_000


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
        "error": None if task.error is None else {"code": task.error.code.value, "message": task.error.message},
    }


def _plan(plan: ShownPlan) -> JsonMap:
    return {
        "offers": [
            {
                "id": offer.id,
                "upstream": offer.upstream,
                "model": offer.upstream_model,
                "price": {name: _plain(value) for name, value in dataclasses.asdict(offer.price).items()},
            }
            for offer in plan.offers
        ],
        "charge_credits": None if plan.charge_microcredits is None else money.json_number(plan.charge_microcredits),
        "markup": float(plan.markup),
        "credits_per_usd": float(plan.credits_per_usd),
        "considered": [{"offer": item.offer, **considered_offer(item)} for item in plan.considered],
    }


def _plain(value: object) -> JsonValue:
    """A price's parts: decimals as numbers, rows of a table as objects."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, (str, int)) else str(value)


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
