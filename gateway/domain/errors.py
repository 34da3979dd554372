"""Every error that a caller can be told, as one tree. Codes, statuses and types are those of the task contract's error table.

    GatewayError
    ├── InvalidRequest 400          invalid_parameter
    │   ├── UnsupportedParameter    unsupported_parameter
    │   ├── UnsupportedSize         unsupported_size
    │   ├── PromptTooLong           prompt_too_long
    │   ├── MaxCreditsExceeded      max_credits_exceeded
    │   ├── InvalidTaskId           invalid_task_id
    │   ├── InvalidImage            invalid_image
    │   ├── ContentRefused          content_policy_violation
    │   └── AdministrationError     invalid_parameter
    ├── MissingKey 401              missing_api_key
    ├── InvalidKey 401              invalid_api_key
    ├── KeyExpired 401              key_expired
    ├── KeyDisabled 401             key_disabled
    ├── InsufficientQuota 402/429   insufficient_quota
    ├── ModelNotAllowed 403         model_not_allowed
    ├── ScopeMissing 403            scope_missing
    ├── CsrfRefused 403             csrf
    ├── NotFound 404                not_found
    │   ├── TaskNotFound            task_not_found
    │   ├── FileNotFound            file_not_found
    │   ├── ModelNotFound           model_not_found
    │   └── SubjectNotFound         not_found
    ├── MethodNotAllowed 405        method_not_allowed
    ├── Conflict 409                conflict
    ├── IdempotencyConflict 409     idempotency_conflict
    ├── TaskNotCancellable 409      task_not_cancellable
    ├── RequestCancelled 409        request_cancelled
    ├── RequestTimeout 408          request_timeout
    ├── RequestTooLarge 413         request_too_large
    │   └── ImageTooLarge           image_too_large
    ├── RateLimited 429             rate_limit_exceeded
    ├── TooManyTasks 429            concurrency_limit_exceeded
    ├── UpstreamError 502           upstream_failed
    │   ├── OutcomeUnknown 502      outcome_unknown
    │   └── UpstreamTimeout 504     upstream_timeout
    ├── Unavailable 503             service_unavailable
    │   ├── AllUpstreamsUnavailable all_upstreams_unavailable
    │   ├── Overloaded              overloaded
    │   ├── ShuttingDown            shutting_down
    │   ├── LeftRunning             left_running
    │   └── StorageUnavailable      storage_unavailable
    └── InternalError 500           internal_error

`str(error)` is the text for the caller; `log` is what only the log may say.
"""

from collections.abc import Mapping
from typing import ClassVar

from gateway.domain.accounts import RateState

RETRY_AFTER_S_MAX = 59
"""OpenAI's SDKs ignore a longer Retry-After or give up (openai-python 1.x uses at most 60 s)."""


class GatewayError(Exception):
    """Base of all errors with a public face."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    should_retry: bool | None = None
    """`x-should-retry`: False where a retry would pay again or cannot help; None leaves it to the status."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        log: str | None = None,
        retry_after_s: int | None = None,
        details: Mapping[str, str | int | float] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.log = log
        self.retry_after_s = None if retry_after_s is None else max(1, min(retry_after_s, RETRY_AFTER_S_MAX))
        self.details = dict(details or {})


class InvalidRequest(GatewayError):
    status, type, code = 400, "invalid_request_error", "invalid_parameter"


class UnsupportedParameter(InvalidRequest):
    code = "unsupported_parameter"


class UnsupportedSize(InvalidRequest):
    code = "unsupported_size"


class PromptTooLong(InvalidRequest):
    code = "prompt_too_long"


class MaxCreditsExceeded(InvalidRequest):
    """The call would hold more than its own header X-Max-Credits allows, even with the cheapest offer alone."""

    code = "max_credits_exceeded"
    should_retry = False


class InvalidTaskId(InvalidRequest):
    code = "invalid_task_id"


class InvalidCallbackUrl(InvalidRequest):
    code = "invalid_callback_url"


class InvalidImage(InvalidRequest):
    """A picture of the caller is none that can be used: its text says what is wrong with it."""

    code = "invalid_image"


class ContentRefused(InvalidRequest):
    """An upstream refused the prompt for its content: final, a retry would be refused again."""

    code = "content_policy_violation"
    should_retry = False


class AdministrationError(InvalidRequest):
    """An operator's wish that cannot be fulfilled; the text says why and what to do."""


class AuthenticationError(GatewayError):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class MissingKey(AuthenticationError):
    code = "missing_api_key"


class InvalidKey(AuthenticationError):
    code = "invalid_api_key"


class KeyExpired(AuthenticationError):
    code = "key_expired"


class KeyDisabled(AuthenticationError):
    code = "key_disabled"


class InsufficientQuota(GatewayError):
    """A budget on the caller's path does not hold this call. 402 in the task contract, OpenAI's 429 in the image contract."""

    status, type, code = 402, "insufficient_quota_error", "insufficient_quota"
    should_retry = False


class ModelNotAllowed(GatewayError):
    status, type, code = 403, "permission_error", "model_not_allowed"


class UpstreamChoiceNotAllowed(GatewayError):
    """The key's calls may not say which upstreams they want."""

    status, type, code = 403, "permission_error", "upstream_choice_not_allowed"


class ScopeMissing(GatewayError):
    """The admin token is valid, and not for this."""

    status, type, code = 403, "permission_error", "scope_missing"


class CsrfRefused(GatewayError):
    """A request with a browser's session that the console itself did not send, or not provably."""

    status, type, code = 403, "permission_error", "csrf"


class NotFound(GatewayError):
    status, type, code = 404, "not_found_error", "not_found"


class TaskNotFound(NotFound):
    code = "task_not_found"


class FileNotFound(NotFound):
    """No file of this id, or another key's: nobody learns which."""

    code = "file_not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class SubjectNotFound(NotFound):
    """No account, key, attempt … of this id, or none that this administrator may see: nobody learns which."""


class MethodNotAllowed(GatewayError):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(GatewayError):
    """The body did not arrive in time. 408 would be retried by SDKs at once, which is right: nothing was accepted."""

    status, type, code = 408, "invalid_request_error", "request_timeout"


class Conflict(GatewayError):
    """Things are not as the wish supposes: a name is taken, something has ended, the config owns it."""

    status, type, code = 409, "conflict_error", "conflict"
    should_retry = False


class IdempotencyConflict(GatewayError):
    """The Idempotency-Key was used for another call, or what it made is not kept any more."""

    status, type, code = 409, "conflict_error", "idempotency_conflict"
    should_retry = False


class TaskNotCancellable(GatewayError):
    status, type, code = 409, "conflict_error", "task_not_cancellable"
    should_retry = False


class RequestCancelled(GatewayError):
    """The task behind a synchronous call was cancelled while the call waited."""

    status, type, code = 409, "conflict_error", "request_cancelled"
    should_retry = False


class RequestTooLarge(GatewayError):
    status, type, code = 413, "request_too_large_error", "request_too_large"


class ImageTooLarge(RequestTooLarge):
    code = "image_too_large"


class RateLimited(GatewayError):
    """An account of the caller's path had its requests of the minute. `rate` says which, and where it stands."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        log: str | None = None,
        retry_after_s: int | None = None,
        details: Mapping[str, str | int | float] | None = None,
        rate: RateState | None = None,
    ) -> None:
        super().__init__(message, param=param, log=log, retry_after_s=retry_after_s, details=details)
        self.rate = rate
        if (retry_after_s or 0) > RETRY_AFTER_S_MAX:
            self.should_retry = False  # a retry after the longest wait that SDKs keep to would be refused again


class TooManyTasks(GatewayError):
    """An account of the caller's path has as many tasks under way as it may."""

    status, type, code = 429, "rate_limit_error", "concurrency_limit_exceeded"


class UpstreamError(GatewayError):
    """All offers failed, or the one that counted."""

    status, type, code = 502, "upstream_error", "upstream_failed"


class OutcomeUnknown(UpstreamError):
    """Sent, no answer: a picture may have been made and billed to us. The caller is not charged; a retry may pay a second time."""

    code = "outcome_unknown"
    should_retry = False


class UpstreamTimeout(UpstreamError):
    status, code = 504, "upstream_timeout"


class Unavailable(GatewayError):
    status, type, code = 503, "service_unavailable_error", "service_unavailable"


class AllUpstreamsUnavailable(Unavailable):
    code = "all_upstreams_unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class ShuttingDown(Unavailable):
    code = "shutting_down"


class LeftRunning(Unavailable):
    """The process ends before the picture is there. The next one makes it and charges for it, so the same call again would be a second one."""

    code = "left_running"
    should_retry = False


class StorageUnavailable(Unavailable):
    """The database or the blob store does not answer; nothing was accepted."""

    code = "storage_unavailable"


class InternalError(GatewayError):
    """A fault of our own; the log knows more."""
