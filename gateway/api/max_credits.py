"""The request header `X-Max-Credits`: the most that a caller lets this call hold."""

import re

from aiohttp import web

from gateway.domain import money
from gateway.domain.errors import InvalidRequest

HEADER = "X-Max-Credits"
_DECIMAL = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")


def max_microcredits(request: web.Request) -> int | None:
    """None where the header is absent. Raises InvalidRequest for what is no number of credits."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    try:
        if _DECIMAL.fullmatch(text.strip()) is None:
            raise ValueError(text)
        return money.to_micro(text.strip())
    except ValueError as exc:
        raise InvalidRequest(
            f"{HEADER}: must be a number of credits such as 2.5, with at most six decimals.", param=HEADER
        ) from exc
