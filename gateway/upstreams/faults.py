"""What a failed answer means: one table from (status, words, message) to a Fault and whether it cost money. Pure.

Rows are read top-down and the first match wins: what an upstream says in a code counts before what its prose says, and prose before the
bare status. Texts of providers drift, so every status has a row of its own at the end. In doubt the verdict is UNKNOWN: a try that was
taken for unpaid is made again, and paid twice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import orjson

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure

RETRY_AFTER_S_MAX = 86_400.0
"""A day: whatever is longer is an operator's matter, and a header may hold any number."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """What a failed answer says about itself, in whichever envelope it came."""

    status: int
    """HTTP status; 0 where the error stands inside a successful answer, such as a failed task."""
    words: tuple[str, ...] = ()
    """Everything that is a code rather than prose (code, type, inner code), in lower case; numbers as text."""
    message: str = ""
    param: str | None = None
    from_api: bool = False
    """The body is the API's own, not a page of something in front of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; every condition that is given must hold."""

    fault: Fault
    billed: Billed = Billed.NO
    statuses: Iterable[int] | None = None
    words: str | None = None
    """Regular expression that matches one word whole."""
    message: str | None = None
    """Regular expression found in the message."""
    from_api: bool | None = None

    def matches(self, error: ApiError) -> bool:
        return (
            (self.statuses is None or error.status in self.statuses)
            and (self.from_api is None or self.from_api is error.from_api)
            and (self.words is None or any(re.fullmatch(self.words, word) for word in error.words))
            and (self.message is None or re.search(self.message, error.message, re.IGNORECASE) is not None)
        )


_CLIENT_SIDE = (400, 403, 422, 451)

ROWS: tuple[Row, ...] = (
    # The upstream itself does not know, or knows this key from a call whose answer was lost.
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, words=r"(paid_)?outcome_unknown|idempotency_(key_)?conflict"),
    # Refusals by code.
    Row(
        Fault.REFUSED,
        words=r"moderation_blocked|content_?policy_?violation|content_?filter(ed)?|responsibleaipolicyviolation"
        r"|image_generation_user_error|content_moderat\w*|content_moderated|data_?inspection_?failed"
        r"|\w*sensitive_?content\w*|prohibited_content|nsfw\w*|safety_(error|violation|filter\w*)",
    ),
    # Out of money by code, status and text; before rate limits, because it often comes as 429.
    Row(
        Fault.NO_MONEY,
        words=r"insufficient_(user_|token_)?(quota|balance|credits?|funds)(_error)?|account_balance_insufficient|quota_not_enough"
        r"|key_quota_exhausted|\w*daily_quota_exceeded|credit_balance_exhausted|\w*(spend|usage)_limit_exceeded"
        r"|billing_hard_limit_reached|billing_not_active|not_enough_credits|payment_required|arrearage|account_?overdue(error)?",
    ),
    Row(Fault.NO_MONEY, statuses=(402,)),
    Row(Fault.NO_MONEY, statuses=(429,), words="1113"),  # Zhipu's "account in arrears"
    Row(
        Fault.NO_MONEY,
        statuses=(400, 403, 429),
        message=r"exceeded your current quota|insufficient (account )?(balance|credits?|quota|funds)|out of credits|billing hard limit"
        r"|(balance|credits?|quota) (is |are )?(insufficient|exhausted|not enough|too low)|user is locked",
    ),
    # No capacity, whatever the status says (EvoLink answers 400 no_available_channel).
    Row(
        Fault.OVERLOADED,
        words=r"no_available_channel|model_unavailable|channel_selection_failed|(server_?|engine_)?overloaded(error|_error)?"
        r"|model_capacity_exhausted|service_unavailable(_error)?|all_upstreams_unavailable|shutting_down|runner_scheduling_failure",
    ),
    Row(
        Fault.OVERLOADED,
        statuses=(400, 429, 500, 502, 503, 529),
        message=r"overloaded|no available channel|at capacity",
    ),
    Row(
        Fault.RATE_LIMITED,
        words=r"rate_?limit\w*|too_?many_?requests|throttling[\w.]*|concurrency_limit_exceeded|resource_exhausted",
    ),
    Row(Fault.RATE_LIMITED, statuses=(429,)),
    # The operator must act: key, permission, model name.
    Row(
        Fault.CREDENTIALS,
        words=r"(missing|invalid)_api_key|api_key_invalid|invalid_authentication|authentication_error|key_(expired|disabled)"
        r"|(key_)?model_not_allowed|model_not_found|deployment_?not_?found|model_?not_?open|account_deactivated|unsupported_country\w*",
    ),
    Row(
        Fault.CREDENTIALS,
        statuses=(400, 403, 404),
        message=r"api key not valid|(incorrect|invalid) (api|subscription) key|must be verified"
        r"|(model|deployment)\b.{0,100}\b(does not exist|not found|not exist)",
    ),
    # Parameters by code or by the usual phrases; before the refusals by text, because "Unknown parameter: 'moderation'" is none.
    Row(
        Fault.BAD_REQUEST,
        statuses=(400, 422),
        words=r"(unknown|unsupported|invalid|missing_required)_parameters?|(invalid|unsupported)_(value|type|size)|prompt_too_long"
        r"|(string|array|integer|decimal)_\w+_(max|min)\w*|(string|array)_too_(long|short)",
    ),
    Row(
        Fault.BAD_REQUEST,
        statuses=(400, 422),
        message=r"(unknown|unsupported|unrecognized|unexpected) (request )?(parameter|argument|field|value)|extra (inputs|fields)",
    ),
    # Refusals by text: sure ones at any status (gateways rewrite it), likely ones where a client's fault is meant.
    Row(
        Fault.REFUSED,
        message=r"rejected by (the|our) safety system|safety_violations|content.?policy.?violation|responsibleai",
    ),
    Row(
        Fault.REFUSED,
        statuses=_CLIENT_SIDE,
        message=r"safety|moderat|content.?policy|nsfw|(?<!case.)sensitive|prohibited",
    ),
    # By status alone.
    Row(
        Fault.NO_ANSWER, Billed.UNKNOWN, statuses=(408, 504, *range(520, 529))
    ),  # 52x: a CDN that lost sight of its origin
    Row(Fault.OVERLOADED, statuses=(503, 529)),
    Row(Fault.CREDENTIALS, statuses=(401, 403, 404, 405, *range(300, 400))),  # a wrong base_url answers like this, too
    Row(Fault.FAILED, statuses=(409, 423, 425)),
    Row(Fault.BAD_REQUEST, statuses=range(400, 500)),
    Row(Fault.FAILED, statuses=range(500, 600), from_api=True),
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, statuses=range(500, 600)),  # a proxy's page: the API behind it may have worked
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, statuses=range(100, 200)),
)


def classify(error: ApiError, rows: tuple[Row, ...] = ()) -> tuple[Fault, Billed]:
    """The first matching row of `rows` (an adapter's own, read first) and ROWS. An error inside a 2xx answer that no row knows: FAILED, unbilled."""
    for row in (*rows, *ROWS):
        if row.matches(error):
            return row.fault, row.billed
    return Fault.FAILED, Billed.NO


def failure(error: ApiError, headers: Mapping[str, str], rows: tuple[Row, ...] = ()) -> UpstreamFailure:
    """The exception for a failed HTTP answer."""
    fault, billed = classify(error, rows)
    words = " ".join(dict.fromkeys(error.words))
    wait = retry_after_s(headers, error.message) if fault in (Fault.RATE_LIMITED, Fault.OVERLOADED) else None
    return UpstreamFailure(
        fault, billed, f"HTTP {error.status} {words}: {error.message}", retry_after_s=wait, param=error.param
    )


def read_error(status: int, body: bytes | bytearray) -> ApiError:
    """Finds code, type, message and param in any of the known envelopes; a body that is none of them keeps the status only."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ApiError(status, message="answered with a page that is not JSON")
    if not isinstance(document, dict):
        return ApiError(status, message="answered with JSON that is no error object")
    return read_error_object(status, document)


def read_error_object(status: int, document: Mapping[str, object]) -> ApiError:
    """Like `read_error`, of a parsed body: `{"error": {…}}`, `{"error": "text"}`, `{"code", "message"}`, or FastAPI's `{"detail"}`."""
    error = document.get("error")
    inner: Mapping[str, object] = error if isinstance(error, dict) else document
    # A JSON body with nothing but a message is what API gateways and CDNs say on their own behalf.
    from_api = bool(error) or "detail" in document or ("code" in document and "message" in document)
    return ApiError(
        status,
        words=tuple(_words(inner)),
        message=error if isinstance(error, str) else _message(inner),
        param=_param(inner),
        from_api=from_api and "cloudflare_error" not in document,
    )


def _words(error: Mapping[str, object]) -> Iterable[str]:
    nested = error.get("inner_error") or error.get("innererror")
    for source in (error, nested if isinstance(nested, dict) else {}):
        for key in ("code", "type", "status", "reason"):
            value = source.get(key)
            if isinstance(value, (str, int)) and value != "":
                yield str(value).lower()[:100]


def _message(error: Mapping[str, object]) -> str:
    for key in ("message", "msg", "detail", "errors", "title"):
        value = error.get(key)
        if isinstance(value, list) and value:
            first = value[0]
            value = (first.get("msg") or first.get("message")) if isinstance(first, dict) else first
        if isinstance(value, str) and value:
            return value[:2000]
    return ""


def _param(error: Mapping[str, object]) -> str | None:
    param = error.get("param")
    if isinstance(param, str) and param:
        return param[:100]
    detail = error.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        location = detail[0].get("loc")
        if isinstance(location, list) and location:
            return str(location[-1])[:100]
    return None


_SPAN = r"(?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)(?![a-z])\s*)"
_SPANS_IN_TEXT = re.compile(
    rf"(?:again|retry|after|wait|in|~)\W{{0,3}}(?:after|in|about|for|~)?\s*~?({_SPAN}+)", re.IGNORECASE
)
_COMPACT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|s|m|h)", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def retry_after_s(headers: Mapping[str, str], message: str) -> float | None:
    """How long to leave the upstream alone: `retry-after-ms`, `Retry-After` (seconds or a date), OpenAI's reset headers, or the message."""
    for value in (
        _number(headers.get("Retry-After-Ms"), 0.001),
        _number(headers.get("Retry-After"), 1.0),
        _until(headers),
        _reset(headers),
        _in_text(message),
    ):
        if value is not None:
            return min(value, RETRY_AFTER_S_MAX)
    return None


def _number(text: str | None, scale: float) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,12}(\.\d{0,6})?\s*", text):
        return None
    return float(text) * scale


def _until(headers: Mapping[str, str]) -> float | None:
    """Retry-After as a date, measured from the answer's own Date, so that the clocks need not agree."""
    try:
        until, now = (parsedate_to_datetime(headers[name]) for name in ("Retry-After", "Date"))
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _reset(headers: Mapping[str, str]) -> float | None:
    for what in ("Requests", "Tokens", "Images"):
        if headers.get(f"X-Ratelimit-Remaining-{what}") == "0":
            return _span(headers.get(f"X-Ratelimit-Reset-{what}", ""))
    return None


def _in_text(message: str) -> float | None:
    found = _SPANS_IN_TEXT.search(message)
    return _span(found[1]) if found else None


def _span(text: str) -> float | None:
    """`6m0s`, `500ms`, `20 seconds` -> seconds."""
    parts = _COMPACT.findall(text)
    return sum(float(number) * _UNIT_S[unit.lower()] for number, unit in parts) if parts else None
