"""What a failed answer says about itself, found in whichever envelope the vendor uses. Pure; judges nothing.

Known: OpenAI's `{"error": {…}}` and its copies; the same in a list of one, with Google's `details`; `{"error": "text"}`, alone or with fields
beside it (Ideogram, xAI, the web UIs); `{"code", "message"}` and `{"code", "msg"}` (Recraft, DashScope, kie); FastAPI's and fal's `detail` as
text, as a list, as a list alone; problem documents (Replicate); `{"name", "errors"}` (Stability); `{"errors": […]}` (Runware); `base_resp` (MiniMax).
A body that is none of them keeps the status only: fields that are not named here may quote the prompt, and are not looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from gateway.upstreams.waits import stated_s

ITEMS_MAX = 10
"""How many entries of a list of errors are looked at."""
WORD_CHARS_MAX = 100
MESSAGE_CHARS_MAX = 2000
_WORD_KEYS = ("code", "type", "status", "reason", "error_type", "reject_reason", "failure_reason")
_MESSAGE_KEYS = ("message", "msg", "detail", "errors", "status_msg", "title")
_WAIT_KEYS = ("retryDelay", "retry_after", "retry_after_seconds", "retryAfter")
_CODE_LIKE = re.compile(r"[\w.:-]+")
_OPEN_STATUSES = (408, 499, 504, *range(520, 529))
"""Statuses that leave the outcome open; said inside an answer, they are only the reason of a failure that is certain."""

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ApiError:
    """What a failed answer says about itself, in whichever envelope it came."""

    status: int
    """HTTP status; 0 where the error stands inside a successful answer, such as a failed task, and names none itself."""
    words: tuple[str, ...] = ()
    """Everything that is a code rather than prose (code, type, inner code), in lower case with underscores; numbers as text."""
    message: str = ""
    param: str | None = None
    from_api: bool = False
    """The body is the API's own, not a page of something in front of it."""
    retry_after_s: float | None = None
    """How long to wait, where a field of the body says so."""


def read_error(status: int, body: bytes | bytearray) -> ApiError:
    """Finds code, type, message and param in any of the known envelopes; a body that is none of them keeps the status only."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ApiError(status, message="answered with a page that is not JSON")
    if isinstance(document, str):
        return ApiError(status, message=document[:MESSAGE_CHARS_MAX])
    if isinstance(document, list) and document and isinstance(document[0], dict):
        first = document[0]
        document = first if "error" in first else {"detail" if "loc" in first or "msg" in first else "errors": document}
    if not isinstance(document, dict):
        return ApiError(status, message="answered with JSON that is no error object")
    return read_error_object(status, document)


def read_error_object(status: int, document: Fields) -> ApiError:
    """Like `read_error`, of a parsed body. Where `status` is that of a success, or 0, a code like 402 in the body counts as the status."""
    detail = document.get("detail")
    if isinstance(detail, dict):
        document = detail if "error" in detail else {"error": detail}
    error = document.get("error")
    inner: Fields = error if isinstance(error, dict) else document
    entries = list(_entries(inner, document))
    said = _message(inner) or next(filter(None, map(_message, entries)), "")
    text = error if isinstance(error, str) else ""
    return ApiError(
        _status(status, inner),
        words=tuple(dict.fromkeys(word for entry in entries for word in _words(entry))),
        message=": ".join(filter(None, (text, said)))[:MESSAGE_CHARS_MAX],
        param=next(filter(None, map(_param, entries)), None),
        from_api=_is_from_api(document),
        retry_after_s=next(filter(None, map(_wait_s, [*entries, document])), None),
    )


def _is_from_api(document: Fields) -> bool:
    """A JSON body with nothing but a message is what API gateways and CDNs say on their own behalf."""
    if "cloudflare_error" in document:
        return False
    pairs = (("code", "message"), ("code", "msg"), ("name", "errors"))
    alone = ("error", "errors", "base_resp")
    return (
        any(document.get(key) for key in alone)
        or "detail" in document
        or any(one in document and other in document for one, other in pairs)
    )


def _entries(inner: Fields, document: Fields) -> Iterator[Fields]:
    """The objects that describe the error: itself, what is nested in it, and the entries of its lists."""
    yield inner
    for nested in (inner.get("inner_error"), inner.get("innererror"), document.get("base_resp")):
        if isinstance(nested, dict):
            yield nested
    for key in ("details", "detail", "errors", "invalid_fields"):
        listed = inner.get(key)
        for entry in listed[:ITEMS_MAX] if isinstance(listed, list) else ():
            if isinstance(entry, dict):
                yield entry
                yield from _violations(entry)


def _violations(entry: Fields) -> Iterator[Fields]:
    """Of Google's QuotaFailure and BadRequest."""
    for key in ("violations", "fieldViolations"):
        listed = entry.get(key)
        yield from (one for one in (listed if isinstance(listed, list) else ())[:ITEMS_MAX] if isinstance(one, dict))


def _words(entry: Fields) -> Iterable[str]:
    for key in _WORD_KEYS:
        value = entry.get(key)
        if isinstance(value, (str, int)) and value != "":
            yield _word(str(value))
    error, kind = entry.get("error"), entry.get("error_type")
    if isinstance(error, str) and _CODE_LIKE.fullmatch(error):
        yield _word(error)
    if isinstance(kind, str) and "detail" in entry:
        yield _word(f"fal.{kind}")  # the platform's own errors, whose meaning is documented
    if "errors" in entry and isinstance(entry.get("name"), str):
        yield _word(str(entry["name"]))
    if isinstance(entry.get("status_code"), int):
        yield f"base_resp.{entry['status_code']}"  # numbers of one vendor, which mean something else to others
    if entry.get("quotaValue") in ("0", 0):
        yield "quota_of_zero"


def _word(text: str) -> str:
    return re.sub(r"[\s-]", "_", text[:WORD_CHARS_MAX].lower())


def _status(status: int, inner: Fields) -> int:
    code = inner.get("code")
    if status and not 200 <= status < 300:
        return status
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and re.fullmatch(r"[45]\d\d", code)) else 0
    return number if 400 <= number < 600 and number not in _OPEN_STATUSES else status


def _message(error: Fields) -> str:
    for key in _MESSAGE_KEYS:
        value = error.get(key)
        if isinstance(value, list) and value:
            first = value[0]
            value = (first.get("msg") or first.get("message")) if isinstance(first, dict) else first
        if isinstance(value, str) and value:
            return value[:MESSAGE_CHARS_MAX]
    return ""


def _param(entry: Fields) -> str | None:
    for key in ("param", "field", "parameter"):
        value = entry.get(key)
        if isinstance(value, str) and value not in ("", "None"):  # the text is what a gateway makes of a missing one
            return value[:WORD_CHARS_MAX]
    location = entry.get("loc")
    last = location[-1] if isinstance(location, list) and location else None
    return str(last)[:WORD_CHARS_MAX] if isinstance(last, (str, int)) else None


def _wait_s(entry: Fields) -> float | None:
    return next((wait for key in _WAIT_KEYS if (wait := stated_s(entry.get(key))) is not None), None)
