"""The request headers by which a call is told from its repeat, and the hash of what it asks for.

`Idempotency-Key` is the caller's own. OpenAI's SDKs say in `X-Stainless-Retry-Count` that they try again by themselves; `X-Gateway-Retry: new` tells
that such a try shall be a call of its own.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.api.body import JsonObject
from gateway.api.state import EARLY, PRINCIPAL, REFUSALS
from gateway.domain.errors import GatewayError, InvalidRequest
from gateway.domain.repeats import Repeat

HEADER: Final = "Idempotency-Key"
RETRY_HEADER: Final = "X-Gateway-Retry"
COUNT_HEADER: Final = "X-Stainless-Retry-Count"
SDK_RETRIES: Final = 2
"""Of the SDKs as they come: who was refused for the third time gives up."""
REPLAYED: Final[Mapping[str, str]] = {"Idempotency-Replayed": "true"}
_KEY = re.compile(r"[ -~]{1,255}")
_RETRIED = (408, 409, 429)
"""Besides 5xx: what SDKs try again."""
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")


def repeat_of(request: web.Request, body: JsonObject) -> Repeat | None:
    """What the call may be told by; None: it is a new one, whatever came before. Raises InvalidRequest, which names the header."""
    keys = request.headers.getall(HEADER, [])
    if keys:
        if len(keys) > 1 or _KEY.fullmatch(keys[0]) is None:
            raise InvalidRequest(
                f"{HEADER}: must be one header of 1 to 255 printable ASCII characters, for example a UUID.",
                param=HEADER,
            )
        return Repeat(body_sha256(request.path, body), keys[0])
    if _is_declined(request) or "X-Stainless-Lang" not in request.headers:
        return None
    retries = request.headers.get(COUNT_HEADER, "")
    return Repeat(body_sha256(request.path, body), is_retry=_COUNT.fullmatch(retries.strip()) is not None)


def as_refused_before(request: web.Request, repeat: Repeat | None) -> Repeat | None:
    """A retry whose first try was refused, as the first try that it is; anything else as it came."""
    if repeat is None or repeat.key or not repeat.is_retry:
        return repeat
    refused = request.app[REFUSALS].take(request[PRINCIPAL].account, repeat.body_sha256)
    return replace(repeat, is_retry=False) if refused else repeat


@contextmanager
def noting_refusal(request: web.Request, repeat: Repeat | None) -> Iterator[None]:
    """Around what accepts a new call."""
    try:
        yield
    except GatewayError as exc:
        note_refusal(request, repeat, exc)
        raise


def note_refusal(request: web.Request, repeat: Repeat | None, error: GatewayError) -> None:
    """For an error that left nothing behind which could be paid for."""
    retried = error.status in _RETRIED or error.status >= 500
    if repeat is None or repeat.key or not retried or error.should_retry is False or EARLY in request:
        return  # nobody tries again
    count = request.headers.get(COUNT_HEADER, "").strip()
    if count.isascii() and count.isdigit() and int(count[:9]) < SDK_RETRIES:
        request.app[REFUSALS].note(request[PRINCIPAL].account, repeat.body_sha256)


def body_sha256(path: str, body: JsonObject) -> str:
    """Of the path and the body's canonical JSON: keys sorted, no white space; numbers as Python reads them. Raises InvalidRequest."""
    try:
        text = _ENCODER.encode(body)
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.") from exc
    return hashlib.sha256(f"{path}\n{text}".encode()).hexdigest()


def _is_declined(request: web.Request) -> bool:
    text = request.headers.get(RETRY_HEADER)
    if text is not None and text.strip().lower() != "new":
        raise InvalidRequest(f"{RETRY_HEADER}: must be new, or be left out.", param=RETRY_HEADER)
    return text is not None


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Not orjson's: bodies may have integers of any length."""
