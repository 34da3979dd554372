"""The table of failures, row by row, with bodies as the vendors document them."""

import orjson
import pytest

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.evolink import TASK_ROWS
from gateway.upstreams.faults import ApiError, classify, failure, read_error, read_error_object, retry_after_s


def openai_error(message: str, kind: str, code: object = None, param: str | None = None, **more: object) -> object:
    return {"error": {"message": message, "type": kind, "param": param, "code": code, **more}}


REJECTED = "Your request was rejected by the safety system. safety_violations=[sexual]."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
UNPAID = [
    # refusals
    (400, openai_error(REJECTED, "image_generation_user_error", "moderation_blocked"), Fault.REFUSED),
    (400, openai_error(REJECTED, "invalid_request_error", "content_policy_violation"), Fault.REFUSED),
    (400, openai_error(REJECTED, "invalid_request_error"), Fault.REFUSED),
    (500, openai_error(f"litellm.BadRequestError: {REJECTED}", "None", "500"), Fault.REFUSED),
    (400, openai_error("filtered", "", "contentFilter"), Fault.REFUSED),
    (400, openai_error("blocked", "", None, inner_error={"code": "ResponsibleAIPolicyViolation"}), Fault.REFUSED),
    (403, {"id": "1", "name": "content_moderation", "errors": ["Your request was flagged by our content moderation"]}, Fault.REFUSED),
    (422, {"detail": [{"loc": ["body", "prompt"], "msg": "flagged", "type": "content_policy_violation"}]}, Fault.REFUSED),
    (422, {"detail": "Prompt failed NSFW check"}, Fault.REFUSED),
    (400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}, Fault.REFUSED),
    (400, openai_error("x", "", "OutputImageSensitiveContentDetected"), Fault.REFUSED),
    # out of money
    (429, openai_error(QUOTA, "insufficient_quota", "insufficient_quota"), Fault.NO_MONEY),
    (429, openai_error("x", "insufficient_quota", "credit_balance_exhausted"), Fault.NO_MONEY),
    (429, openai_error("x", "insufficient_quota", "organization_spend_limit_exceeded"), Fault.NO_MONEY),
    (429, openai_error("x", "insufficient_quota", "project_spend_limit_exceeded"), Fault.NO_MONEY),
    (429, openai_error("x", "insufficient_quota", "organization_usage_limit_exceeded"), Fault.NO_MONEY),
    (429, openai_error(f"litellm.RateLimitError: {QUOTA}", "None", "429"), Fault.NO_MONEY),
    (400, openai_error("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"), Fault.NO_MONEY),
    (402, {"error": {"code": "key_daily_quota_exceeded", "message": "m", "type": "insufficient_quota_error"}}, Fault.NO_MONEY),
    (402, {"message": "Payment Required"}, Fault.NO_MONEY),
    (403, {"detail": "User is locked. Reason: Exhausted balance."}, Fault.NO_MONEY),
    (403, {"error": {"code": "AccountOverdueError", "message": "m"}}, Fault.NO_MONEY),
    (429, {"error": {"code": "1113", "message": "m"}}, Fault.NO_MONEY),
    (429, {"error": {"code": 1113, "message": "m"}}, Fault.NO_MONEY),
    (400, {"code": "Arrearage", "message": "Access denied"}, Fault.NO_MONEY),
    # rate limits
    (429, openai_error("Rate limit reached for images per minute.", "images", "rate_limit_exceeded"), Fault.RATE_LIMITED),
    (429, openai_error("Requests have exceeded call rate limit", "", "429"), Fault.RATE_LIMITED),
    (429, openai_error("add a payment method: https://platform.openai.com/account/billing", "requests"), Fault.RATE_LIMITED),
    (429, "<html>slow down</html>", Fault.RATE_LIMITED),
    (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, Fault.RATE_LIMITED),
    # overload
    (503, openai_error("The engine is currently overloaded, please try again later", "server_error"), Fault.OVERLOADED),
    (429, openai_error("The engine is currently overloaded", "x"), Fault.OVERLOADED),
    (400, {"error": {"code": "no_available_channel", "message": "m", "type": "invalid_request_error"}}, Fault.OVERLOADED),
    (503, {"error": {"code": "channel_selection_failed", "message": "m"}}, Fault.OVERLOADED),
    (503, "<html>503</html>", Fault.OVERLOADED),
    (529, "", Fault.OVERLOADED),
    # the operator's configuration
    (401, openai_error("Incorrect API key provided: sk-***", "invalid_request_error", "invalid_api_key"), Fault.CREDENTIALS),
    (401, {"statusCode": 401, "message": "Access denied due to invalid subscription key"}, Fault.CREDENTIALS),
    (403, openai_error("Your organization must be verified to use the model", "invalid_request_error"), Fault.CREDENTIALS),
    (403, {"error": {"code": "key_model_not_allowed", "message": "m"}}, Fault.CREDENTIALS),
    (404, openai_error("The model 'x' does not exist", "invalid_request_error", "model_not_found"), Fault.CREDENTIALS),
    (404, {"error": {"code": "DeploymentNotFound", "message": "m"}}, Fault.CREDENTIALS),
    (400, openai_error("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", 400), Fault.CREDENTIALS),
    (404, "not found", Fault.CREDENTIALS),
    (301, "", Fault.CREDENTIALS),
    # the request
    (400, openai_error("Unknown parameter: 'response_format'.", "invalid_request_error", "unknown_parameter"), Fault.BAD_REQUEST),
    (400, openai_error("Unknown parameter: 'moderation'.", "invalid_request_error", "unknown_parameter"), Fault.BAD_REQUEST),
    (400, openai_error("Unrecognized request argument: safety_identifier", "invalid_request_error"), Fault.BAD_REQUEST),
    (400, openai_error("Invalid size '7x7'.", "invalid_request_error", "invalid_value", "size"), Fault.BAD_REQUEST),
    (400, openai_error("Too long", "invalid_request_error", "string_above_max_length", "prompt"), Fault.BAD_REQUEST),
    (400, openai_error("size is case sensitive", "invalid_request_error"), Fault.BAD_REQUEST),
    (400, {"error": {"code": 400, "message": "bad", "type": "invalid_request_error"}}, Fault.BAD_REQUEST),
    (413, "<html>too large</html>", Fault.BAD_REQUEST),
    (422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be less than 5", "type": "less_than"}]}, Fault.BAD_REQUEST),
    # the upstream failed
    (500, openai_error("The server had an error", "server_error", "server_error"), Fault.FAILED),
    (502, {"error": {"code": "bad_gateway", "message": "m"}}, Fault.FAILED),
    (500, {"error": "internal"}, Fault.FAILED),
    (409, openai_error("conflict", "x"), Fault.FAILED),
]  # fmt: skip
UNKNOWN = [
    (500, "<html>Internal Server Error</html>"),
    (502, "<html>Bad gateway</html>"),
    (502, {"message": "Internal server error"}),  # an API gateway in front
    (504, "<html>Gateway time-out</html>"),
    (504, openai_error("upstream request timeout", "timeout")),
    (408, ""),
    (524, ""),
    (524, {"title": "Error 524", "status": 524, "detail": "The origin did not answer", "cloudflare_error": True}),
    (409, {"error": {"code": "idempotency_conflict", "message": "m", "type": "conflict_error"}}),
    (409, {"error": {"code": "paid_outcome_unknown", "message": "m"}}),
    (502, openai_error("sent, no answer", "upstream_error", "outcome_unknown")),
    (500, "[1]"),
]


def parsed(status: int, body: object) -> ApiError:
    return read_error(status, body.encode() if isinstance(body, str) else orjson.dumps(body))


@pytest.mark.parametrize(("status", "body", "fault"), UNPAID)
def test_unpaid_failures(status: int, body: object, fault: Fault) -> None:
    """An answer that says what went wrong is classified and costs nothing, so the next offer may be tried."""
    assert classify(parsed(status, body)) == (fault, Billed.NO)


@pytest.mark.parametrize(("status", "body"), UNKNOWN)
def test_doubtful_failures(status: int, body: object) -> None:
    """A page of something in front of the API, and an API that does not know itself, leave it open whether a picture was paid for."""
    assert classify(parsed(status, body)) == (Fault.NO_ANSWER, Billed.UNKNOWN)


@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_has_a_row(status: int) -> None:
    """Without any body, only a server's own failure or a time-out is doubtful."""
    fault, billed = classify(ApiError(status))
    assert (billed is Billed.UNKNOWN) == (fault is Fault.NO_ANSWER)
    assert (billed is Billed.UNKNOWN) == (status in (408, 499) or (status >= 500 and status not in (503, 529)))


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("content_policy_violation", Fault.REFUSED),
        ("invalid_parameters", Fault.BAD_REQUEST),
        ("image_processing_error", Fault.BAD_REQUEST),
        ("image_dimension_mismatch", Fault.BAD_REQUEST),
        ("resource_not_found", Fault.BAD_REQUEST),
        ("request_cancelled", Fault.FAILED),
        ("generation_failed_no_content", Fault.NO_IMAGE),
        ("service_error", Fault.FAILED),
        ("generation_timeout", Fault.FAILED),
        ("upstream_error", Fault.FAILED),
        ("unknown_error", Fault.FAILED),
        ("something_new", Fault.FAILED),
        (500, Fault.FAILED),
        ("resource_exhausted", Fault.OVERLOADED),
        ("service_unavailable", Fault.OVERLOADED),
        ("model_unavailable", Fault.OVERLOADED),
        ("quota_exceeded", Fault.RATE_LIMITED),
        ("rate_limited", Fault.RATE_LIMITED),
    ],
)
def test_codes_of_failed_tasks(code: object, fault: Fault) -> None:
    """EvoLink's task error codes, final and retryable, cost nothing by themselves."""
    error = read_error_object(0, {"error": {"code": code, "message": "m", "type": "task_error"}})
    assert classify(error, TASK_ROWS) == (fault, Billed.NO)


def test_param_and_message_are_found() -> None:
    """The operator sees the vendor's words and the field, whichever envelope they came in."""
    error = parsed(422, {"detail": [{"loc": ["body", "size"], "msg": "Input should be shorter"}]})
    assert (error.param, error.message) == ("size", "Input should be shorter")
    assert parsed(400, openai_error("bad", "t", "c", "n")).param == "n"


def test_message_is_shortened() -> None:
    """An error that quotes a picture does not carry it into a log."""
    found = failure(parsed(500, openai_error("A" * 100_000, "server_error")), {})
    assert len(found.message) <= 300
    assert len(str(found)) < 4_000


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After-Ms": "1500"}, "", 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, "", 0.25),
        ({"Retry-After": "20"}, "", 20.0),
        ({"Retry-After": "99999999999"}, "", 86_400.0),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, "", 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, "", 0.0),
        ({"Retry-After": "-5"}, "", None),
        ({"Retry-After": "nan"}, "", None),
        ({"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1m30s"}, "", 90.0),
        ({"X-Ratelimit-Remaining-Requests": "5", "X-Ratelimit-Reset-Requests": "1m30s"}, "", None),
        ({}, "Limit 5, Used 5. Please try again in 12s. Visit the page", 12.0),
        ({}, "Please retry after 3 seconds.", 3.0),
        ({}, "try again in 1m0.5s", 60.5),
        ({}, "try again in 500ms", 0.5),
        ({}, "resets in ~30s", 30.0),
        ({}, "Too many requests in 5 models", None),
        ({}, "", None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], message: str, seconds: float | None) -> None:
    """Every form of "come back later" that the vendors use is understood; nonsense counts as none."""
    assert retry_after_s(headers, message) == seconds


def test_only_limits_and_overload_carry_a_wait() -> None:
    """A Retry-After beside another failure must not close the offer."""
    headers = {"Retry-After": "20"}
    assert failure(ApiError(429), headers).retry_after_s == 20
    assert failure(ApiError(503), headers).retry_after_s == 20
    assert failure(ApiError(400), headers).retry_after_s is None
