"""OpenAI's `x-ratelimit-*` headers, for the answers of image calls: https://platform.openai.com/docs/guides/rate-limits, "rate limits in headers".

They show the tightest account of the caller's path. Without a limit on the path there are none.
"""

import math
from collections.abc import Mapping

from aiohttp import web

from gateway.api.state import PIPELINE, PRINCIPAL, RATE_HEADERS
from gateway.domain.accounts import RateState
from gateway.domain.errors import RateLimited


async def take_rate(request: web.Request) -> None:
    """Counts the call; whatever it is answered says where its caller stands. Raises RateLimited."""
    try:
        state = await request.app[PIPELINE].take_rate(request[PRINCIPAL])
    except RateLimited as exc:
        request[RATE_HEADERS] = rate_headers(exc.rate)
        raise
    request[RATE_HEADERS] = rate_headers(state)


async def note_rate(request: web.Request) -> None:
    """For a call that is refused before it counts."""
    request[RATE_HEADERS] = rate_headers(await request.app[PIPELINE].rate(request[PRINCIPAL]))


def rate_headers(state: RateState | None) -> Mapping[str, str]:
    if state is None:
        return {}
    return {
        "x-ratelimit-limit-requests": str(state.limit),
        "x-ratelimit-remaining-requests": str(state.remaining),
        "x-ratelimit-reset-requests": duration(state.reset_s),
    }


def duration(seconds: float) -> str:
    """As OpenAI writes it, which is Go's way: `120ms`, `8.64s`, `1m0s`; to the millisecond, rounded up."""
    ms = math.ceil(round(seconds * 1000, 3))  # round: 0.12 s are 120 ms, not 121, in binary too
    if ms < 1000:
        return f"{ms}ms" if ms > 0 else "0s"
    minutes, rest_ms = divmod(ms, 60_000)
    text = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{text}s" if minutes else f"{text}s"
