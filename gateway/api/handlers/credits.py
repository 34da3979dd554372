"""`GET /v1/credits`: what is left for this key, and for the account it belongs to."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.state import PIPELINE, PRINCIPAL
from gateway.domain import money


async def get(request: web.Request) -> web.Response:
    """`remaining_credits` is null where no budget sets a limit."""
    found = await request.app[PIPELINE].credits(request[PRINCIPAL])
    token_left, user_left = found.key_remaining_microcredits, found.account_remaining_microcredits
    return json_answer(
        {
            "success": True,
            "message": "",
            "data": {
                "token": {
                    "remaining_credits": _left(token_left),
                    "unlimited_credits": token_left is None,
                    "used_credits": money.json_number(found.key_used_microcredits),
                },
                "user": {
                    "remaining_credits": _left(user_left),
                    "used_credits": money.json_number(found.account_used_microcredits),
                },
            },
        }
    )


def _left(microcredits: int | None) -> float | int | None:
    return None if microcredits is None else money.json_number(microcredits)
