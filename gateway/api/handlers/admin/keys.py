"""`/admin/v1/keys…`: API keys."""

from dataclasses import replace

from aiohttp import web

from gateway.administration.key_records import KeyView
from gateway.administration.key_terms import KeyTerms
from gateway.administration.keys import IssuedKey
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import choice, read_body, whole
from gateway.api.rendering import JsonMap
from gateway.api.schemas.admin_keys import KeyBody, KeyChangeBody, KeyRotateBody, KeyTermsBody
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain.accounts import ANY, parse_budget
from gateway.domain.keys import KeyState

LIMIT, LIMIT_MAX = 100, 1_000


async def index(request: web.Request) -> web.Response:
    """An org's token sees the keys of that org."""
    page = await request.app[ADMINISTRATION].keys.page(
        request[ADMINISTRATOR],
        org=request.query.get("org") or None,
        team=request.query.get("team") or None,
        state=choice(request, "state", KeyState),
        after=request.query.get("after") or None,
        size=whole(request, "limit", LIMIT, LIMIT_MAX),
    )
    return json_answer({"object": "list", "data": [_answer(view) for view in page.keys], "has_more": page.more})


async def get(request: web.Request) -> web.Response:
    view = await request.app[ADMINISTRATION].keys.find(request.match_info["key_id"], request[ADMINISTRATOR])
    return json_answer(_answer(view))


async def create(request: web.Request) -> web.Response:
    """The secret stands in this answer alone."""
    body = await read_body(request, KeyBody)
    terms = _changed(KeyTerms(), body)
    issued = await request.app[ADMINISTRATION].keys.create(
        org=body.org,
        team=body.team,
        name=body.name,
        budgets=terms.budgets,
        models=terms.models,
        response=terms.response,
        expires_at_ms=terms.expires_at_ms,
        limits=terms.limits,
        choose_upstream=terms.choose_upstream,
        cache=terms.cache,
        by=request[ADMINISTRATOR],
    )
    return await _issued(request, issued, status=201)


async def change(request: web.Request) -> web.Response:
    """A key's budget only narrows what its team and org allow, so the scope `keys` is enough to raise one."""
    body = await read_body(request, KeyChangeBody)
    view = await request.app[ADMINISTRATION].keys.change(
        request.match_info["key_id"], lambda terms: _changed(terms, body), request[ADMINISTRATOR]
    )
    return json_answer(_answer(view))


async def rotate(request: web.Request) -> web.Response:
    body = await read_body(request, KeyRotateBody) if request.can_read_body else KeyRotateBody()
    issued = await request.app[ADMINISTRATION].keys.rotate(
        request.match_info["key_id"], body.overlap_s, request[ADMINISTRATOR]
    )
    return await _issued(request, issued, status=200)


async def revoke(request: web.Request) -> web.Response:
    service, key_id = request.app[ADMINISTRATION].keys, request.match_info["key_id"]
    await service.revoke(key_id, request[ADMINISTRATOR])
    return json_answer(_answer(await service.find(key_id, request[ADMINISTRATOR])))


async def _issued(request: web.Request, issued: IssuedKey, *, status: int) -> web.Response:
    view = await request.app[ADMINISTRATION].keys.find(issued.id, request[ADMINISTRATOR])
    return json_answer({**_answer(view), "secret": issued.secret}, status=status, headers={"Cache-Control": "no-store"})


def _changed(terms: KeyTerms, body: KeyTermsBody) -> KeyTerms:
    """What the body names, in place of what was; null is no limit."""
    given = body.model_fields_set
    if "budgets" in given:
        terms = replace(terms, budgets=tuple(map(parse_budget, body.budgets or ())))
    if "models" in given:
        terms = replace(terms, models=ANY if body.models is None else tuple(body.models))
    if "sizes" in given:
        terms = replace(terms, sizes=ANY if body.sizes is None else tuple(body.sizes))
    return replace(
        terms,
        n_max=body.n_max if "n_max" in given else terms.n_max,
        rpm=body.rpm if "rpm" in given else terms.rpm,
        concurrency=body.concurrency if "concurrency" in given else terms.concurrency,
        response=body.response if "response" in given else terms.response,
        expires_at_ms=body.expires_at_ms if "expires_at_ms" in given else terms.expires_at_ms,
        choose_upstream=bool(body.choose_upstream) if "choose_upstream" in given else terms.choose_upstream,
        cache=body.cache is not False if "cache" in given else terms.cache,
    )


def _answer(view: KeyView) -> JsonMap:
    key, account = view.key, view.account
    limits = account.limits
    return {
        "id": key.id,
        "name": key.name,
        "org": view.org,
        "team": view.team,
        "account": key.account,
        "display": key.display,
        "state": view.state.value,
        "declared": key.declared,
        "budgets": [str(budget) for budget in account.budgets],
        "models": [*key.models],
        "sizes": [*limits.sizes],
        "n_max": limits.n_max,
        "rpm": limits.requests_per_minute,
        "concurrency": limits.concurrent_tasks,
        "response": key.response.value if key.response else None,
        "created_at_ms": key.created_at_ms,
        "expires_at_ms": key.expires_at_ms,
        "choose_upstream": key.choose_upstream,
        "cache": key.cache,
        "revoked_at_ms": key.disabled_at_ms,
        "old_until_ms": view.overlap_until_ms,
        "used_at_ms": key.used_at_ms,
    }
