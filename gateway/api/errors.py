"""Errors as callers see them: one envelope for both contracts, the headers that steer SDK retries, and a reason phrase that says something.

Only this module turns an exception into an answer. It never shows more than the exception's public text.
"""

import re
from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import web
from pydantic import ValidationError

from gateway.api.rendering import JsonMap
from gateway.domain.errors import (
    AllUpstreamsUnavailable,
    ContentRefused,
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    RequestCancelled,
    RequestTimeout,
    RequestTooLarge,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.domain.images import Contract
from gateway.domain.tasks import Task, TaskErrorCode, TaskState
from gateway.telemetry.redaction import without_keys

_REASON_CHARS_MAX = 180
_ALL_BUSY_RETRY_AFTER_S = 10
"""Circuits open for 30 s; two or three of the SDKs' tries fall into that time."""


_TASK_ERRORS: Final[Mapping[TaskErrorCode, type[GatewayError]]] = {
    TaskErrorCode.CONTENT_POLICY_VIOLATION: ContentRefused,
    TaskErrorCode.INVALID_PARAMETERS: InvalidRequest,
    TaskErrorCode.IMAGE_PROCESSING_ERROR: InvalidRequest,
    TaskErrorCode.IMAGE_DIMENSION_MISMATCH: InvalidRequest,
    TaskErrorCode.REQUEST_CANCELLED: RequestCancelled,
    TaskErrorCode.GENERATION_FAILED_NO_CONTENT: UpstreamError,
    TaskErrorCode.SERVICE_ERROR: UpstreamError,
    TaskErrorCode.GENERATION_TIMEOUT: UpstreamTimeout,
    TaskErrorCode.RESOURCE_EXHAUSTED: AllUpstreamsUnavailable,
    TaskErrorCode.SERVICE_UNAVAILABLE: AllUpstreamsUnavailable,
    TaskErrorCode.UNKNOWN_ERROR: UpstreamError,
    TaskErrorCode.OUTCOME_UNKNOWN: OutcomeUnknown,
}

# The word that leads the reason phrase; a client that shows nothing else then shows this and the message.
_REASONS = {
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip

_SERVES = (
    "This gateway makes images: POST /v1/images/generations, then GET /v1/tasks/{id}; GET /v1/models lists the models."
)
_OTHER_APIS = re.compile(
    r"/(?:v1/)?(?:chat/completions|completions|responses|embeddings|audio|videos|realtime)(?:/.*)?"
)


def error_of_task(task: Task) -> GatewayError:
    """What the image contract answers for a task that ended without a picture."""
    error = task.error
    if task.state is TaskState.CANCELLED:
        return RequestCancelled(error.message if error else "The task behind this call was cancelled.")
    if error is None:
        return UpstreamError("The picture could not be made.")
    kind = _TASK_ERRORS[error.code]
    retry_after_s = _ALL_BUSY_RETRY_AFTER_S if kind is AllUpstreamsUnavailable else None
    return kind(error.message, retry_after_s=retry_after_s)


def error_of_http(exc: web.HTTPException, method: str, path: str) -> GatewayError:
    """The router's and the server's own refusals in our envelope."""
    if exc.status == 405:
        allowed = exc.headers.get("Allow", "")
        return MethodNotAllowed(
            f"{method} is not possible here; use {allowed}." if allowed else f"{method} is not possible here."
        )
    if exc.status == 413:
        return RequestTooLarge("The request is too large.")
    if exc.status == 404:
        shown = path if len(path) <= 100 else path[:100] + "…"
        text = (
            f"Chat, text, audio and video are not served. {_SERVES}"
            if _OTHER_APIS.fullmatch(path)
            else f"There is nothing at {shown}. {_SERVES}"
        )
        return NotFound(text)
    return InvalidRequest(f"The request was refused: {exc.reason}.")


def error_of_validation(exc: ValidationError) -> InvalidRequest:
    """The first thing that is wrong with a body, by field, with what would be right."""
    first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    # `images[0].file_id`, as OpenAI writes it.
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])[1:] or None
    text = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "missing":
        text = "is required"
    return InvalidRequest(f"{param or 'The body'}: {_lower_first(text)}.", param=param)


def render_error(error: GatewayError, request_id: str, contract: Contract | None = None) -> web.Response:
    """The answer for an error. Quota is 402 in the task contract and for all other routes, OpenAI's 429 in the image contract."""
    status = 429 if _is_openai_quota(error, contract) else error.status
    headers = {"X-Request-Id": request_id}
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    response = web.Response(
        status=status,
        reason=reason_phrase(status, _message(error)),
        body=orjson.dumps(error_body(error, request_id, contract)),
        content_type="application/json",
        headers=headers,
    )
    if isinstance(error, RequestTimeout | RequestTooLarge):
        response.force_close()  # the rest of the body would be read as the next request
    return response


def error_body(error: GatewayError, request_id: str, contract: Contract | None = None) -> JsonMap:
    """The envelope that both contracts share: OpenAI's, and the request's id."""
    body: JsonMap = {
        "code": error.code,
        "message": _message(error),
        "type": "insufficient_quota" if _is_openai_quota(error, contract) else error.type,
        "param": None if error.param is None else without_keys(_encodable(error.param)),
        "request_id": request_id,
    }
    return {"error": {**error.details, **body}}


def reason_phrase(status: int, message: str) -> str:
    """`Bad Request: n: must be 1, 2 or 4.` in printable ASCII: Open WebUI shows its users nothing but this."""
    text = "".join(letter if " " <= letter <= "~" else "?" for letter in message)
    return f"{_REASONS.get(status, 'Error')}: {text}"[:_REASON_CHARS_MAX]


def _is_openai_quota(error: GatewayError, contract: Contract | None) -> bool:
    return isinstance(error, InsufficientQuota) and contract is Contract.IMAGE


def _message(error: GatewayError) -> str:
    return without_keys(_encodable(error.message))


def _encodable(text: str) -> str:
    """Without lone surrogates: a message may quote the caller's text, and JSON may spell what UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _lower_first(text: str) -> str:
    """`Input should be …` -> `input should be …`; names in capitals stay."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
