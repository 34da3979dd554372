"""`/admin/v1/callbacks…`: what was told of ended tasks; and what signs it."""

from aiohttp import web

from gateway.administration.callback_secrets import CallbackSecret
from gateway.administration.callbacks import CallbackRecord
from gateway.api.answers import json_answer
from gateway.api.handlers.admin.query import choice, read_body, whole
from gateway.api.rendering import JsonMap
from gateway.api.schemas.admin_keys import KeyRotateBody
from gateway.api.state import ADMINISTRATION, ADMINISTRATOR
from gateway.domain.callbacks import Callback, CallbackState
from gateway.domain.errors import InvalidRequest

LIMIT, LIMIT_MAX = 100, 1_000
ID_CHARS_MAX = 64


async def index(request: web.Request) -> web.Response:
    """An org's token sees the callbacks of that org's keys."""
    limit, before_id = whole(request, "limit", LIMIT, LIMIT_MAX), request.query.get("before", "")
    if len(before_id) > ID_CHARS_MAX or not before_id.isascii() or (before_id and not before_id.isprintable()):
        raise InvalidRequest("before: must be the id of a callback.", param="before")
    found = await request.app[ADMINISTRATION].callbacks.page(
        request[ADMINISTRATOR], state=choice(request, "state", CallbackState), before_id=before_id, size=limit + 1
    )
    data = [callback_item(callback) for callback in found[:limit]]
    return json_answer({"object": "list", "data": [*data], "has_more": len(found) > limit})


async def get(request: web.Request) -> web.Response:
    service = request.app[ADMINISTRATION].callbacks
    return json_answer(_answer(await service.show(_id(request), request[ADMINISTRATOR])))


async def resend(request: web.Request) -> web.Response:
    """A body is neither needed nor read."""
    service = request.app[ADMINISTRATION].callbacks
    return json_answer(_answer(await service.resend(_id(request), request[ADMINISTRATOR])))


async def secret(request: web.Request) -> web.Response:
    """Not to the key itself: whoever has a leaked key must not be able to sign what its owner trusts."""
    service = request.app[ADMINISTRATION].callback_secrets
    return _secret(await service.show(request.match_info["key_id"], request[ADMINISTRATOR]))


async def rotate_secret(request: web.Request) -> web.Response:
    body = await read_body(request, KeyRotateBody) if request.can_read_body else KeyRotateBody()
    service = request.app[ADMINISTRATION].callback_secrets
    return _secret(await service.rotate(request.match_info["key_id"], body.overlap_s, request[ADMINISTRATOR]))


def callback_item(callback: Callback) -> JsonMap:
    return {
        "id": callback.id,
        "task_id": callback.task,
        "account": callback.account,
        "url": callback.shown_url,
        "state": callback.state.value,
        "tries": callback.tries,
        "next_at_ms": callback.next_at_ms if callback.state is CallbackState.DUE else None,
        "created_at_ms": callback.created_at_ms,
        "answer": callback.answer,
    }


def _answer(record: CallbackRecord) -> JsonMap:
    return {
        **callback_item(record.callback),
        "attempts": [
            {"at_ms": made.at_ms, "status": made.status, "ms": made.took_ms, "answer": made.answer}
            for made in record.tries
        ],
    }


def _secret(found: CallbackSecret) -> web.Response:
    answer: JsonMap = {
        "key_id": found.key,
        "account": found.account,
        "secret": found.secret,
        "declared": found.declared,
        "version": found.version,
        "old_until_ms": found.old_until_ms,
    }
    return json_answer(answer, headers={"Cache-Control": "no-store"})


def _id(request: web.Request) -> str:
    return request.match_info["callback_id"].replace("\0", "")  # PostgreSQL has no such text
