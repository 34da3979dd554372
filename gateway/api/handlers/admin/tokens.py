"""`/admin/v1/tokens…`: admin tokens themselves."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import read_body
from gateway.api.rendering import JsonMap
from gateway.api.schemas.admin import AdminTokenBody
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain.administrators import AdminToken
from gateway.domain.errors import AdministrationError, ScopeMissing, SubjectNotFound


async def index(request: web.Request) -> web.Response:
    administrator = request[ADMINISTRATOR]
    tokens = [token for token in await request.app[ADMINISTRATION].tokens.all() if administrator.sees(token.org)]
    return json_answer({"object": "list", "data": [_answer(token) for token in tokens]})


async def create(request: web.Request) -> web.Response:
    """Nobody hands out more than they have: neither a scope, nor another org, nor more time."""
    administrator, body = request[ADMINISTRATOR], await read_body(request, AdminTokenBody)
    missing = sorted(frozenset(body.scopes) - administrator.scopes)
    if missing:
        raise ScopeMissing(f"This admin token has no scope {missing[0]!r} to give.", param="scopes")
    org = administrator.org if body.org is None else body.org
    if not administrator.sees(org):
        raise SubjectNotFound("There is no such org.", param="org")
    ends_ms = administrator.expires_at_ms if body.expires_at_ms is None else body.expires_at_ms
    if ends_ms is not None and administrator.expires_at_ms is not None and ends_ms > administrator.expires_at_ms:
        text = f"expires_at_ms: this admin token ends at {administrator.expires_at_ms}, and what it makes not later."
        raise AdministrationError(text, param="expires_at_ms")
    service = request.app[ADMINISTRATION].tokens
    issued = await service.create(body.name, frozenset(body.scopes), org=org, expires_at_ms=ends_ms, by=administrator)
    made = next(token for token in await service.all() if token.id == issued.id)
    return json_answer({**_answer(made), "secret": issued.secret}, status=201)


async def revoke(request: web.Request) -> web.Response:
    service, token_id = request.app[ADMINISTRATION].tokens, request.match_info["token_id"]
    await service.revoke(token_id, request[ADMINISTRATOR])
    return json_answer(next(_answer(token) for token in await service.all() if token.id == token_id))


def _answer(token: AdminToken) -> JsonMap:
    return {
        "id": token.id,
        "name": token.name,
        "display": token.display,
        "scopes": [*sorted(token.scopes)],
        "org": token.org,
        "created_at_ms": token.created_at_ms,
        "expires_at_ms": token.expires_at_ms,
        "disabled_at_ms": token.disabled_at_ms,
        "used_at_ms": token.used_at_ms,
    }
