"""`/admin/v1/accounts…`: accounts with their terms, grants, and the entries of the ledger."""

from decimal import Decimal

from aiohttp import web

from gateway.administration.account_wishes import KEPT, Wish
from gateway.administration.accounts import ENTRY_ID_MAX, AccountState
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import read_body, whole
from gateway.api.rendering import JsonMap
from gateway.api.schemas.admin_accounts import (
    AccountBody,
    AccountChangeBody,
    GrantBody,
    LimitsBody,
    TermsBody,
)
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain import money
from gateway.domain.accounts import AccountKind, Unit
from gateway.domain.errors import InvalidRequest
from gateway.domain.money import Amount

LIMIT, LIMIT_MAX = 100, 1_000


async def index(request: web.Request) -> web.Response:
    """An org's token sees that org, its teams and its keys."""
    limit = whole(request, "limit", LIMIT, LIMIT_MAX)
    kind = request.query.get("kind") or None
    if kind is not None and kind not in list(AccountKind):
        raise InvalidRequest(f"kind: must be one of {', '.join(AccountKind)}.", param="kind")
    states = await request.app[ADMINISTRATION].accounts.page(
        request[ADMINISTRATOR],
        org=request.query.get("org") or None,
        kind=None if kind is None else AccountKind(kind),
        after=request.query.get("after", ""),
        size=limit,
    )
    return json_answer(
        {"object": "list", "data": [account_answer(item) for item in states], "has_more": len(states) == limit}
    )


async def get(request: web.Request) -> web.Response:
    return await _shown(request, request.match_info["account"])


async def create(request: web.Request) -> web.Response:
    body = await read_body(request, AccountBody)
    made = await request.app[ADMINISTRATION].accounts.create(
        body.org, body.team, _wish(body), request[ADMINISTRATOR]
    )  # fmt: skip
    return await _shown(request, made.id, status=201)


async def change(request: web.Request) -> web.Response:
    body = await read_body(request, AccountChangeBody)
    wish = _wish(body, disabled=body.disabled, prepaid=body.prepaid)
    changed = await request.app[ADMINISTRATION].accounts.change(
        request.match_info["account"], wish, request[ADMINISTRATOR]
    )
    return await _shown(request, changed.id)


async def grant(request: web.Request) -> web.Response:
    """Granted once for an Idempotency-Key, however often it is sent."""
    body = await read_body(request, GrantBody)
    microcredits, why = _microcredits(body.credits), body.why.strip()
    if microcredits < 0 and not why:
        raise InvalidRequest("why: is required where credits are taken back; it is kept with the entry.", param="why")
    done = await request.app[ADMINISTRATION].accounts.grant(
        request.match_info["account"],
        microcredits,
        why or "granted",
        grant_id=request.headers.get("Idempotency-Key"),
        by=request[ADMINISTRATOR],
    )
    return json_answer(
        {
            "account": done.account.id,
            "credits": money.json_number(microcredits),
            "left_credits": money.json_number(done.left_microcredits),
            "repeated": done.repeated,
        },
        status=200 if done.repeated else 201,
    )


async def entries(request: web.Request) -> web.Response:
    found = await request.app[ADMINISTRATION].accounts.entries(
        request.match_info["account"],
        request[ADMINISTRATOR],
        task=request.query.get("task") or None,
        before=whole(request, "before", ENTRY_ID_MAX, ENTRY_ID_MAX),
        size=whole(request, "limit", LIMIT, LIMIT_MAX),
    )
    data: list[JsonMap] = [
        {
            "id": item.id,
            "account": item.entry.account,
            "kind": item.entry.kind.value,
            "at_ms": item.entry.at_ms,
            "task_id": item.entry.task_id,
            "attempt_id": item.entry.attempt_id,
            "posted": _amount(item.entry.posted),
            "pending": _amount(item.entry.pending),
            "note": item.entry.note,
        }
        for item in found.entries
    ]
    return json_answer(
        {"object": "list", "data": [*data], "has_more": found.before is not None, "before": found.before}
    )


async def _shown(request: web.Request, account: str, status: int = 200) -> web.Response:
    state = await request.app[ADMINISTRATION].accounts.state(account, request[ADMINISTRATOR])
    return json_answer(account_answer(state), status=status)


def _wish(body: TermsBody, *, disabled: bool | None = None, prepaid: bool | None = None) -> Wish:
    """What the body does not name stays; null takes a limit or the markup away."""
    limits = body.limits or LimitsBody()
    named = limits.model_fields_set
    return Wish(
        budgets=None if body.budgets is None else tuple(body.budgets),
        zone=body.timezone,
        markup=body.markup if "markup" in body.model_fields_set else KEPT,
        rpm=limits.rpm if "rpm" in named else KEPT,
        concurrency=limits.concurrency if "concurrency" in named else KEPT,
        models=tuple(limits.models or ("*",)) if "models" in named else None,
        sizes=tuple(limits.sizes or ("*",)) if "sizes" in named else None,
        n_max=limits.n_max if "n_max" in named else KEPT,
        disabled=disabled,
        prepaid=prepaid,
    )


def _microcredits(value: Decimal) -> int:
    try:
        microcredits = money.to_micro(abs(value)) * (-1 if value < 0 else 1)
    except (ValueError, ArithmeticError) as exc:
        raise InvalidRequest(f"credits: {exc}.", param="credits") from exc
    if not microcredits:
        raise InvalidRequest("credits: 0 changes nothing.", param="credits")
    return microcredits


def account_answer(state: AccountState) -> JsonMap:
    account, limits = state.account, state.account.limits
    return {
        "id": account.id,
        "kind": account.kind.value,
        "name": account.name,
        "parent": account.parent,
        "declared": account.declared,
        "disabled": account.disabled,
        "timezone": account.zone,
        "markup": None if account.markup is None else f"{account.markup:f}",
        "limits": {
            "rpm": limits.requests_per_minute,
            "concurrency": limits.concurrent_tasks,
            "models": [*limits.models],
            "sizes": [*limits.sizes],
            "n_max": limits.n_max,
        },
        "used": _amount(state.balance.posted),
        "held": _amount(state.balance.pending),
        "budgets": [
            {
                "budget": str(each.budget),
                "unit": each.budget.unit.value,
                "window": each.budget.window.value,
                "limit": _number(each.budget.limit, each.budget.unit),
                "used": _number(each.used, each.budget.unit),
                "held": _number(each.held, each.budget.unit),
                "left": _number(each.left, each.budget.unit),
                "resets_at_ms": each.resets_at_ms,
            }
            for each in state.budgets
        ],
        "prepaid": {
            "granted_credits": money.json_number(state.granted_microcredits),
            "left_credits": money.json_number(state.prepaid_left_microcredits),
        }
        if account.prepaid
        else None,
    }


def _amount(amount: Amount) -> JsonMap:
    return {
        "credits": money.json_number(amount.microcredits),
        "usd": money.json_number(amount.microusd),
        "images": amount.images,
    }


def _number(value: int, unit: Unit) -> float | int:
    return value if unit is Unit.IMAGES else money.json_number(value)
