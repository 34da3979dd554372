"""Failed answers as the vendors document them, and what the table must make of each.

One line is one answer: an id whose first word is the vendor, status (0: an error inside a successful answer), body, and where it matters headers, the
wait that is found in it, and the adapter's own rows. The lists are grouped by verdict; `test_classification` says what follows each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.upstreams import gemini
from gateway.upstreams.evolink import TASK_ROWS
from gateway.upstreams.fal_answers import RESULT_ROWS
from gateway.upstreams.faults import Row
from gateway.upstreams.kie import KIE
from gateway.upstreams.replicate import PREDICTION_ROWS


@dataclass(frozen=True, slots=True)
class Answer:
    """One failed answer. A body that is text is sent as it is, anything else as JSON."""

    id: str
    status: int
    body: object = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float | None = None
    rows: tuple[Row, ...] = ()


def error(message: str = "m", code: object = None, kind: object = None, **more: object) -> object:
    """OpenAI's envelope."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code} | more}


def google(code: int, status: str, message: str = "m", *details: object) -> object:
    """Google's."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def info(reason: str) -> object:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def retry_in(delay: str) -> object:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(value: str) -> object:
    violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def detail(kind: str, message: str = "m", param: str = "prompt", **more: object) -> dict[str, object]:
    """One entry of pydantic's and fal's lists."""
    return {"loc": ["body", param], "msg": message, "type": kind, "url": f"https://docs.fal.ai/errors/#{kind}"} | more


def problem(status: int, text: str, **more: object) -> object:
    """Replicate's."""
    return {"title": "t", "detail": text, "status": status} | more


FLAGGED = "The content could not be processed because it contained material flagged by a content checker."
REJECTED = "Your request was rejected by the safety system. safety_violations=[sexual]."
FILTERED = {"code": "ResponsibleAIPolicyViolation", "content_filter_results": {"sexual": {"filtered": True}}}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
SPENT = (
    "Your team x has either used all available credits or reached its monthly spending limit. To continue making API requests, please "
    "purchase more credits or raise your spending limit."
)

REFUSED = [
    Answer("openai moderation_blocked", 400, error(REJECTED, "moderation_blocked", "image_generation_user_error")),
    Answer("openai older code", 400, error(REJECTED, "content_policy_violation", "invalid_request_error")),
    Answer("openai text only", 400, error(REJECTED, None, "invalid_request_error")),
    Answer("openai stage", 400, error(REJECTED, "moderation_blocked", moderation_details={"moderation_stage": "input"})),
    Answer("azure contentFilter", 400, error("filtered", "contentFilter", inner_error=FILTERED)),
    Answer("azure content_policy_violation", 400, error("m", "content_policy_violation", inner_error=FILTERED)),
    Answer("azure inner code only", 400, error("m", None, None, inner_error=FILTERED)),
    Answer("azure innererror", 400, error("m", "BadRequest", None, innererror=FILTERED)),
    Answer("evolink 400", 400, error("m", "content_policy_violation", "invalid_request_error")),
    Answer("evolink failed task", 0, error("m", "content_policy_violation", "task_error"), rows=TASK_ROWS),
    Answer("apimart failed task", 0, {"error": {"code": "content_policy_violation", "message": "m", "type": "task_error"}}),
    Answer("kie failed task", 0, {"code": "400", "msg": "The prompt violates the provider's content policy."}),
    Answer("replicate nsfw", 0, {"error": "NSFW content detected. Try running it again, or try a different prompt."}, rows=PREDICTION_ROWS),
    Answer("replicate E005", 0, {"error": "The input or output was flagged as sensitive. (E005)"}, rows=PREDICTION_ROWS),
    Answer("stability content_moderation", 403, {"id": "1", "name": "content_moderation", "errors": ["Your request was flagged."]}),
    Answer("stability text", 403, {"id": "1", "name": "forbidden", "errors": ["Rejected by our content moderation system."]}),
    Answer("bfl request moderated", 0, {"id": "1", "status": "Request Moderated", "details": {"Moderation Reasons": ["x"]}}),
    Answer("bfl content moderated", 0, {"id": "1", "status": "Content Moderated", "result": None}),
    Answer("together nsfw", 422, error("NSFW content detected in prompt or picture.", None, "invalid_request_error", param="prompt")),
    Answer("fireworks filtered", 0, {"error": {"code": "CONTENT_FILTERED", "message": "m"}}),
    Answer("recraft 422", 422, {"code": "content_policy_violation", "message": "The prompt was rejected by moderation."}),
    Answer("recraft text", 400, {"code": "invalid_request", "message": "The prompt was rejected by moderation."}),
    Answer("ideogram 422", 422, {"error": "Prompt or provided image failed the safety checks"}),
    Answer("xai 400", 400, {"code": "Client specified an invalid argument", "error": "Generated image rejected by content moderation."}),
    Answer("ark input text", 400, error("may contain sensitive information", "InputTextSensitiveContentDetected", "BadRequest")),
    Answer("ark input image", 400, error("m", "InputImageSensitiveContentDetected", "BadRequest")),
    Answer("ark output image", 400, error("m", "OutputImageSensitiveContentDetected", "BadRequest")),
    Answer("ark item", 0, {"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}}),
    Answer("dashscope", 400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content.", "request_id": "1"}),
    Answer("dashscope item", 0, {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."}),
    Answer("zhipu 1301", 400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}),
    Answer("zhipu 1301 alone", 400, {"error": {"code": "1301", "message": "m"}}),
    Answer("minimax 1026", 200, {"base_resp": {"status_code": 1026, "status_msg": "m"}}),
    Answer("openrouter 403", 403, error("The model requires moderation and your input was flagged", 403, metadata={"reasons": ["sexual"]})),
    Answer("litellm 400", 400, error(f"litellm.ContentPolicyViolationError: OpenAIException - {REJECTED}", "400", "None", param="None")),
    Answer("litellm 500", 500, error(f"litellm.BadRequestError: {REJECTED}", "500", "None")),
    Answer("new-api wrapped", 400, error(f"{REJECTED} (request id: 1)", "", "new_api_error", param="")),
]  # fmt: skip

REFUSED_IN_DOUBT = [
    Answer("fal detail", 422, {"detail": [detail("content_policy_violation", FLAGGED)]}, {"X-Fal-Retryable": "false"}, rows=RESULT_ROWS),
    Answer("fal second entry", 422, {"detail": [detail("value_error"), detail("content_policy_violation", FLAGGED)]}, rows=RESULT_ROWS),
    Answer("fal bare list", 422, [detail("content_policy_violation", FLAGGED)], rows=RESULT_ROWS),
    Answer("fal text", 422, {"detail": FLAGGED}, rows=RESULT_ROWS),
    Answer("fal bare text", 422, f'"{FLAGGED}"', rows=RESULT_ROWS),
]  # fmt: skip
"""fal: what the model said no to may be billed."""

REJECTED_IN_DOUBT = [
    Answer("fal large", 422, {"detail": [detail("image_too_large", "m", "image_url")]}, rows=RESULT_ROWS),
]  # fmt: skip
"""The same of a body that only the model itself found wanting."""

NO_MONEY = [
    Answer("openai insufficient_quota", 429, error(QUOTA, "insufficient_quota", "insufficient_quota"), {"Retry-After": "9"}),
    Answer("openai credit balance", 429, error("m", "credit_balance_exhausted", "insufficient_quota")),
    Answer("openai organization spend", 429, error("m", "organization_spend_limit_exceeded", "insufficient_quota")),
    Answer("openai project spend", 429, error("m", "project_spend_limit_exceeded", "insufficient_quota")),
    Answer("openai usage limit", 429, error("m", "organization_usage_limit_exceeded", "insufficient_quota")),
    Answer("openai hard limit", 400, error("Billing hard limit has been reached", "billing_hard_limit_reached", "invalid_request_error")),
    Answer("azure insufficient_quota", 429, error(QUOTA, "insufficient_quota")),
    *(
        Answer(f"evolink {code}", 402, error("m", code, "insufficient_quota_error"))
        for code in ("insufficient_quota", "insufficient_user_quota", "quota_not_enough", "account_balance_insufficient",
                     "insufficient_token_quota", "key_quota_exhausted", "key_daily_quota_exceeded")
    ),
    Answer("evolink numeric code", 402, error("m", 402)),
    Answer("evolink in a 200", 200, error("m", "insufficient_quota")),
    Answer("apimart 402", 402, {"error": {"code": 402, "message": "Insufficient balance, please top up.", "type": "payment_required"}}),
    Answer("apimart failed task", 0, {"error": {"code": 402, "message": "m"}}),
    Answer("kie code 402 in a 200", 200, {"code": 402, "msg": "Credits insufficient: your current balance isn't enough.", "data": None}),
    Answer("gemini prepaid", 402, google(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")),
    Answer("gemini prepaid as 429", 429, google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")),
    Answer("gemini limit of zero", 429, [google(429, "RESOURCE_EXHAUSTED", f"{QUOTA} limit: 0, model: x", retry_in("34s"))]),
    Answer("gemini quota of zero", 429, google(429, "RESOURCE_EXHAUSTED", QUOTA, quota("0"))),
    Answer(
        "gemini billing account", 400,
        google(400, "FAILED_PRECONDITION", "Please enable billing on your project in Google AI Studio."), rows=gemini.ROWS,
    ),
    Answer("fal locked", 403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}),
    Answer("replicate 402", 402, problem(402, "You have insufficient credit to run this model.")),
    Answer("stability 402", 402, {"id": "1", "name": "payment_required", "errors": ["You lack sufficient credits to make this request."]}),
    Answer("bfl 402", 402, {"detail": "Insufficient credits"}),
    Answer("together 402", 402, error("Credit limit exceeded, please add funds to your account.", None, "credit_limit")),
    Answer("together as 400", 400, error("Credit limit exceeded.", None, "credit_limit")),
    Answer("fireworks 402", 402, error("m", "PAYMENT_REQUIRED", "error")),
    Answer("deepinfra 402", 402, {"detail": {"error": "inference prohibited, please enter balance"}}),
    Answer("recraft 402", 402, {"code": "not_enough_credits", "message": "Not enough credits to run the request."}),
    Answer("recraft as 400", 400, {"code": "not_enough_credits", "message": "m"}),
    Answer("ideogram insufficient_funds", 402, {"error": "m", "reject_reason": "insufficient_funds"}),
    Answer("ideogram daily_limit", 402, {"error": "m", "reject_reason": "daily_limit"}),
    Answer("xai 403", 403, {"code": "The caller does not have permission to execute the specified operation", "error": SPENT}),
    Answer("ark overdue", 403, error("The request failed because your account has an overdue balance.", "AccountOverdueError", "Forbidden")),
    Answer("ark text", 403, error("The request failed because your account has an overdue balance.", "", "Forbidden")),
    Answer("dashscope arrearage", 400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
    Answer("zhipu 1113", 429, {"error": {"code": "1113", "message": "您的账户已欠费"}}),
    Answer("zhipu 1113 as a number", 429, {"error": {"code": 1113, "message": "m"}}),
    Answer("minimax 1008", 200, {"id": "1", "base_resp": {"status_code": 1008, "status_msg": "m"}}),
    Answer("openrouter 402", 402, error("Insufficient credits", 402)),
    Answer("runware", 400, {"errors": [{"code": "insufficientCredits", "message": "m", "taskUUID": "1"}]}),
    Answer("litellm wrapped", 429, error(f"litellm.RateLimitError: {{'error': {{'message': '{QUOTA}'}}}}", "429", "throttling_error")),
    Answer("litellm budget", 400, error("ExceededBudget: Budget has been exceeded! Current cost: 10.1, Max budget: 10.0", "400", "None")),
    Answer("litellm budget code", 400, error("m", "400", "budget_exceeded")),
    Answer("new-api user quota", 403, error("The user's quota is insufficient. (request id: 1)", "insufficient_user_quota", "new_api_error")),
    Answer("new-api text", 403, error("用户额度不足, 剩余额度: $0.00", "", "new_api_error")),
    Answer("one-api pre-consume", 403, error("m", "pre_consume_token_quota_failed", "one_api_error")),
    Answer("servers status alone", 402, "<html>Payment Required</html>"),
]  # fmt: skip

RATE_LIMITED = [
    Answer("openai images", 429, error("Rate limit reached. Please try again in 12s.", "rate_limit_exceeded", "images"), {}, 12.0),
    Answer("openai ms", 429, error("m", "rate_limit_exceeded"), {"Retry-After-Ms": "1500", "Retry-After": "2"}, 1.5),
    Answer("openai seconds", 429, error("m", "rate_limit_exceeded"), {"Retry-After": "20"}, 20.0),
    Answer(
        "openai date", 429, error("m", "rate_limit_exceeded"),
        {"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 30.0,
    ),
    Answer(
        "openai resets", 429, error("m", "rate_limit_exceeded"),
        {"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "12ms",
         "X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s", "X-Ratelimit-Reset-Images": "1h"}, 360.0,
    ),
    Answer("openai billing link", 429, error("add a payment method: https://platform.openai.com/account/billing", None, "requests")),
    Answer("azure text", 429, error("Requests have exceeded call rate limit. Please retry after 7 seconds.", "429"), {}, 7.0),
    Answer("azure code", 429, error("m", "RateLimitReached"), {"Retry-After": "60"}, 60.0),
    Answer("evolink", 429, error("m", "rate_limit_exceeded", "rate_limit_error")),
    Answer("apimart", 429, {"error": {"code": 429, "message": "Too many requests, please try again later.", "type": "rate_limit_error"}}),
    Answer("evolink failed task", 0, error("m", "quota_exceeded", "task_error"), rows=TASK_ROWS),
    Answer("kie code 429 in a 200", 200, {"code": 429, "msg": "Your call frequency is too high. Please try again later."}),
    Answer("gemini minute", 429, google(429, "RESOURCE_EXHAUSTED", QUOTA, info("RATE_LIMIT_EXCEEDED"), retry_in("1.17s"), quota("10")), {}, 1.17),
    Answer("gemini list", 429, [google(429, "RESOURCE_EXHAUSTED", QUOTA, retry_in("34.074824224s"))], {}, 34.074824224),
    Answer("gemini text", 429, google(429, "RESOURCE_EXHAUSTED", f"{QUOTA} limit: 10. Please retry in 20.5s."), {}, 20.5),
    Answer("fal concurrency", 429, {"detail": "Concurrent requests limit", "error_type": "rate_limited"}, {"X-Fal-Retryable": "true"}),
    Answer("replicate", 429, problem(429, "Request was throttled. Your rate limit resets in ~30s."), {}, 30.0),
    Answer(
        "replicate low credit", 429,
        problem(429, "Your rate limit is reduced to 6 requests per minute while you have less than $5.0 in credit. It resets in ~3s."), {}, 3.0,
    ),
    Answer("stability", 429, {"id": "1", "name": "rate_limit_exceeded", "errors": ["You have been timed out for 60 seconds."]}, {}, 60.0),
    Answer("bfl", 429, {"detail": "Rate limit exceeded: 24 active tasks"}),
    Answer("together", 429, error("You have been rate limited.", "rate_limit", "rate_limit"), {"X-Ratelimit-Reset": "4"}, 4.0),
    Answer("fireworks draft header", 429, error("m", "RATE_LIMITED"), {"Ratelimit-Reset": "11"}, 11.0),
    Answer("deepinfra", 429, {"detail": {"error": "Model busy, retry later"}}),
    Answer("recraft", 429, {"code": "rate_limit_exceeded", "message": "Too many requests."}),
    Answer("ideogram", 429, {"error": "Too many requests"}, {"Retry-After": "2.5"}, 2.5),
    Answer("xai", 429, {"code": "Some resource has been exhausted", "error": "Too many requests for team"}),
    Answer("ark", 429, error("m", "RateLimitExceeded.ModelImagesPerMinute", "TooManyRequests")),
    Answer("ark quota", 429, error("m", "QuotaExceeded", "TooManyRequests")),
    Answer("dashscope", 429, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded, please try again later."}),
    Answer("dashscope allocation", 429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded"}),
    Answer("dashscope as 400", 400, {"code": "Throttling", "message": "m"}),
    Answer("zhipu 1302", 429, {"error": {"code": "1302", "message": "m"}}),
    Answer("minimax 1002", 200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
    Answer(
        "openrouter moment", 429, error("Rate limit exceeded: free-models-per-min.", 429),
        {"X-Ratelimit-Reset": "1795514460", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 60.0,
    ),
    Answer("openrouter moment without a clock", 429, error("m", 429), {"X-Ratelimit-Reset": "1795514460"}),
    Answer("runware field", 429, {"errors": [{"code": "m", "message": "m", "retry_after": 5}]}, {}, 5.0),
    Answer("litellm", 429, error("No deployments available for selected model, Try again in 5 seconds.", "429", "None"), {}, 5.0),
    Answer("new-api", 429, error("m (request id: 1)", "", "new_api_error"), {"Retry-After": "99999999999"}, 86_400.0),
    Answer("servers page", 429, "<html>slow down</html>", {"Retry-After": "soon"}),
]  # fmt: skip

OVERLOADED = [
    Answer("openai 503", 503, error("The engine is currently overloaded, please try again later", None, "server_error")),
    Answer("openai 429", 429, error("The engine is currently overloaded", "server_is_overloaded"), {"Retry-After": "3"}, 3.0),
    Answer("evolink failed task", 0, error("m", "resource_exhausted", "task_error"), rows=TASK_ROWS),
    Answer("evolink 400", 400, error("m", "no_available_channel", "invalid_request_error")),
    Answer("evolink 503", 503, error("m", "channel_selection_failed")),
    Answer("evolink model", 503, error("m", "model_unavailable")),
    Answer("apimart 503", 503, {"error": {"code": 503, "message": "No available channel for this model", "type": "server_error"}}),
    Answer("kie maintenance", 200, {"code": 455, "msg": "The service is currently under maintenance.", "data": None}),
    Answer("kie model switched off", 200, {"code": 505, "msg": "The feature is currently disabled."}, rows=KIE.rows()),
    Answer("kie maintenance as a status", 455, {"code": 455, "msg": "The service is currently under maintenance."}),
    Answer("gemini 503", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    Answer("gemini capacity", 429, google(429, "RESOURCE_EXHAUSTED", "m", info("MODEL_CAPACITY_EXHAUSTED"), retry_in("8s")), {}, 8.0),
    Answer("fal scheduling", 503, {"detail": "No runner", "error_type": "runner_scheduling_failure"}, {"X-Fal-Retryable": "true"}),
    Answer("fal header", 503, {"detail": "m"}, {"X-Fal-Error-Type": "runner_scheduling_failure", "Retry-After": "5"}, 5.0),
    Answer("replicate E003", 0, {"error": "Service is currently unavailable due to high demand. (E003)"}, rows=PREDICTION_ROWS),
    Answer("replicate E1001", 0, {"error": "CUDA out of memory (E1001)"}, rows=PREDICTION_ROWS),
    Answer("replicate 503", 503, problem(503, "Service unavailable, please try again.")),
    Answer("together", 503, error("The engine is overloaded. Please try again later.", None, "service_unavailable")),
    Answer("recraft", 503, {"code": "service_unavailable", "message": "The service is overloaded."}),
    Answer("ark 429", 429, error("m", "ServerOverloaded", "TooManyRequests")),
    Answer("ark 503", 503, error("m", "ServerOverloaded")),
    Answer("zhipu 1305", 429, {"error": {"code": "1305", "message": "m"}}),
    Answer("a1111 memory", 500, {"error": "OutOfMemoryError", "detail": "", "body": "", "errors": "CUDA out of memory. Tried to allocate 9 GiB."}),
    Answer("sglang memory", 500, {"detail": "CUDA out of memory."}),
    Answer("new-api channel", 503, error("No available channel for this model.", "model_not_found", "new_api_error")),
    Answer("one-api channel", 503, error("当前分组 default 下对于模型 gpt-image-2 无可用渠道", "", "one_api_error")),
    Answer("servers page", 503, "<html>503</html>", {"Retry-After": "120"}, 120.0),
    Answer("servers 529", 529),
]  # fmt: skip

CREDENTIALS = [
    Answer("openai key", 401, error("Incorrect API key provided: sk-***", "invalid_api_key", "invalid_request_error")),
    Answer("openai region", 403, error("m", "unsupported_country_region_territory", "request_forbidden")),
    Answer("openai unverified", 403, error("Your organization must be verified to use the model `gpt-image-2`.", None)),
    Answer("openai model", 404, error("The model 'x' does not exist or you do not have access to it.", "model_not_found")),
    Answer("openai flagged account", 403, error("Your account was flagged for potential abuse.", None)),
    Answer("azure key", 401, error("Access denied due to invalid subscription key or wrong API endpoint.", "401")),
    Answer("azure management", 401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}),
    Answer("azure deployment", 404, error("The API deployment for this resource does not exist.", "DeploymentNotFound")),
    Answer("azure version", 404, error("Resource not found", "404")),
    Answer("evolink model", 403, error("m", "key_model_not_allowed")),
    Answer("evolink expired", 403, error("m", "key_expired")),
    Answer("apimart token", 401, {"error": {"code": 401, "message": "Invalid token.", "type": "authentication_error"}}),
    Answer("kie code 401 in a 200", 200, {"code": 401, "msg": "You do not have access permissions"}),
    Answer("kie code 404 in a 200", 200, {"code": 404, "msg": "Not found"}),
    Answer("gemini key", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", info("API_KEY_INVALID"))),
    Answer("gemini key text", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")),
    Answer(
        "gemini region", 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), rows=gemini.ROWS,
    ),
    Answer("gemini permission", 403, google(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")),
    Answer("gemini model", 404, google(404, "NOT_FOUND", "models/x is not found for API version v1.")),
    Answer("fal key", 401, {"detail": "Invalid authentication credentials: not authorized."}),
    Answer("fal application", 404, {"detail": "Application 'x' not found"}),
    Answer("replicate key", 401, problem(401, "You did not pass a valid authentication token")),
    Answer("replicate model", 404, problem(404, "The requested resource could not be found.")),
    Answer("stability key", 401, {"id": "1", "name": "unauthorized", "errors": ["Invalid or missing API key"]}),
    Answer("bfl key", 403, {"detail": "Not authenticated - Invalid Authentication"}),
    Answer("together model", 404, error("Unable to access model x.", "model_not_available", param="model")),
    Answer("recraft key", 401, {"code": "unauthorized", "message": "Invalid API token."}),
    Answer("ideogram key", 401, {"error": "Unauthorized"}),
    Answer("xai key", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: sk***."}),
    Answer("xai permission", 403, {"code": "The caller does not have permission to execute the specified operation", "error": "m"}),
    Answer("ark key", 401, error("m", "AuthenticationError", "Unauthorized")),
    Answer("ark model", 404, error("Your account has not activated the model x.", "ModelNotOpen", "NotFound")),
    Answer("dashscope key", 401, {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "1"}),
    Answer("zhipu permission", 434, {"error": {"code": "1220", "message": "m"}}),
    Answer("minimax 1004", 200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}),
    Answer("a1111 password", 401, {"detail": "Incorrect username or password"}),
    Answer("ollama model", 404, {"error": "model 'x' not found"}),
    Answer("litellm key", 401, error("litellm.AuthenticationError: m", "401", "None")),
    Answer("servers moved", 301),
    Answer("servers wrong address", 404, "<html>not found</html>"),
]  # fmt: skip

BAD_REQUEST = [
    Answer("openai unknown", 400, error("Unknown parameter: 'response_format'.", "unknown_parameter", "invalid_request_error")),
    Answer("openai value", 400, error("Invalid size '7x7'.", "invalid_value", "invalid_request_error", param="size")),
    Answer("openai length", 400, error("Too long", "string_above_max_length", "invalid_request_error", param="prompt")),
    Answer("openai plain", 400, error("bad", None, "invalid_request_error")),
    Answer("evolink", 400, error("m", 400, "invalid_request_error")),
    Answer("evolink large", 413, error("m", "request_too_large")),
    Answer("kie code 422 in a 200", 200, {"code": 422, "msg": "aspect_ratio is not within the range of allowed options"}),
    Answer("gemini argument", 400, google(400, "INVALID_ARGUMENT", "m", {"fieldViolations": [{"field": "generation_config.size"}]})),
    Answer("fal pydantic", 422, {"detail": [detail("missing", "Field required")]}),
    Answer("fal range", 422, {"detail": [detail("less_than_equal", "Input should be less than or equal to 4", "num_images")]}),
    Answer("fal platform", 400, {"detail": "m", "error_type": "bad_request"}, {"X-Fal-Error-Type": "bad_request"}),
    Answer("replicate fields", 422, problem(422, "- input.n: m", invalid_fields=[{"type": "invalid", "field": "input.n", "description": "m"}])),
    Answer("stability", 400, {"id": "1", "name": "bad_request", "errors": ["aspect_ratio: must be one of 1:1, 16:9"]}),
    Answer("stability language", 422, {"id": "1", "name": "language_not_supported", "errors": ["English is the only supported language"]}),
    Answer("bfl", 422, {"detail": [detail("greater_than_equal", "Input should be greater than or equal to 64", "width")]}),
    Answer("together", 400, error("m", None, "invalid_request_error", param="width")),
    Answer("recraft", 400, {"code": "invalid_request_parameter", "message": "size: Invalid value"}),
    Answer("ideogram", 400, {"error": "Invalid resolution"}),
    Answer("xai argument", 400, {"code": "Client specified an invalid argument", "error": "Argument not supported: size"}),
    Answer("xai value", 422, {"code": "m", "error": "m"}),
    Answer("ark", 400, error("The parameter `size` specified in the request is not valid", "InvalidParameter", "BadRequest", param="size")),
    Answer("ark missing", 400, error("m", "MissingParameter", "BadRequest", param="prompt")),
    Answer("dashscope", 400, {"code": "InvalidParameter", "message": "m", "request_id": "1"}),
    Answer("zhipu 1210", 400, {"error": {"code": "1210", "message": "m"}}),
    Answer("minimax 2013", 200, {"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}),
    Answer("runware", 400, {"errors": [{"code": "invalidParameter", "message": "m", "parameter": "width", "taskUUID": "1"}]}),
    Answer("a1111 sampler", 404, {"error": "HTTPException", "detail": "Sampler not found", "body": "", "errors": ""}),
    Answer("a1111 picture", 404, {"error": "HTTPException", "detail": "Init image not found", "body": "", "errors": ""}),
    Answer("a1111 pydantic", 422, {"detail": [detail("type_error", "m", "steps")]}),
    Answer("comfyui", 400, {"error": {"type": "prompt_outputs_failed_validation", "message": "m", "details": "d"}, "node_errors": {}}),
    Answer("localai", 400, {"error": {"code": 400, "message": "invalid size", "type": ""}}),
    Answer("vllm", 400, {"object": "error", "message": "Invalid size format", "type": "BadRequestError", "code": 400}),
    Answer("litellm", 400, error("litellm.UnsupportedParamsError: x does not support parameters: ['quality']", "400", "None", param="None")),
]  # fmt: skip

FAILED = [
    Answer("openai 500", 500, error("The server had an error while processing your request.", "server_error", "server_error")),
    Answer("evolink 502", 502, error("m", "bad_gateway")),
    Answer("evolink failed task", 0, error("m", "generation_timeout", "task_error"), rows=TASK_ROWS),
    Answer("evolink conflict", 409, error("m", "conflict")),
    Answer("kie code 500 in a 200", 200, {"code": 500, "msg": "Server exception, please try again later."}),
    Answer("kie code 501 in a 200", 200, {"code": 501, "msg": "Generation failed"}),
    Answer("gemini 500", 500, google(500, "INTERNAL", "An internal error has occurred.")),
    *(
        Answer(f"fal {kind}", status, {"detail": "m", "error_type": kind})
        for kind, status in (("request_timeout", 504), ("startup_timeout", 504), ("runner_connection_timeout", 503),
                             ("runner_disconnected", 503), ("runner_incomplete_response", 502), ("internal_error", 500))
    ),
    Answer("fal model", 500, {"detail": [detail("downstream_service_error", "m", "body")]}),
    Answer("fal header alone", 504, "<html>", {"X-Fal-Error-Type": "generation_timeout"}),
    Answer("fal retryable", 504, {"detail": [detail("generation_timeout", "m", "body")]}, {"X-Fal-Retryable": "true"}),
    Answer("fal retryable, older header", 504, {"detail": "m"}, {"X-Fal-Needs-Retry": "1"}),
    Answer("replicate E1000", 0, {"error": "Unknown error (E1000)"}, rows=PREDICTION_ROWS),
    Answer("replicate interrupted", 0, {"error": "Prediction interrupted; please retry (code: PA)"}, rows=PREDICTION_ROWS),
    Answer("stability 500", 500, {"id": "1", "name": "internal_error", "errors": ["An unexpected server error has occurred."]}),
    Answer("bfl error", 0, {"id": "1", "status": "Error", "result": None}),
    Answer("ideogram", 500, {"error": "Internal error"}),
    Answer("ark 500", 500, error("m", "InternalServiceError")),
    Answer("dashscope item", 0, {"code": "InternalError.Timeout", "message": "m"}),
    Answer("minimax", 200, {"base_resp": {"status_code": 1000, "status_msg": "unknown error"}}),
    Answer("a1111 500", 500, {"error": "RuntimeError", "detail": "", "body": "", "errors": "m"}),
    Answer("vllm 500", 500, {"object": "error", "message": "m", "type": "InternalServerError", "code": 500}),
]  # fmt: skip

OPEN = [
    Answer("openai page", 500, "<html>Internal Server Error</html>"),
    Answer("openai page 502", 502, "<html>Bad gateway</html>"),
    Answer("openai cdn", 524, {"title": "Error 524", "status": 524, "detail": "The origin did not answer", "cloudflare_error": True}),
    Answer("openai cdn 500", 500, {"title": "Error 1101", "status": 500, "detail": "Worker threw", "cloudflare_error": True}),
    Answer("azure management", 502, {"statusCode": 502, "message": "Internal server error"}),
    Answer("azure 408", 408, error("The operation was timeout.", "Timeout")),
    Answer("evolink paid_outcome_unknown", 409, error("m", "paid_outcome_unknown")),
    Answer("evolink idempotency_conflict", 409, error("m", "idempotency_conflict", "conflict_error")),
    Answer("gemini 504", 504, google(504, "DEADLINE_EXCEEDED", "The request timed out.")),
    Answer("fal bare 504", 504, "<html>"),
    Answer("ark 504", 504, error("m", "InternalServiceError")),
    Answer("litellm connection", 500, error("litellm.APIConnectionError: OpenAIException - Connection error.", "500", "None")),
    Answer("litellm timeout", 500, error("litellm.Timeout: APITimeoutError - Request timed out.", "500", "None")),
    Answer("new-api request", 500, error("do request failed", "do_request_failed", "new_api_error")),
    Answer("new-api body", 500, error("m", "read_response_body_failed", "new_api_error")),
    Answer("servers other gateway", 502, error("sent, no answer", "outcome_unknown", "upstream_error")),
    Answer("servers nginx 499", 499, "<html>"),
    Answer("servers early hints", 103),
    Answer("servers odd JSON", 500, "[1]"),
    Answer("servers text", 500, '"oops"'),
]  # fmt: skip

NEAR_MISSES = [
    Answer("openai moderation parameter", 400, error("Unknown parameter: 'moderation'.", "unknown_parameter", "invalid_request_error")),
    Answer("openai moderation value", 400, error("moderation must be one of 'auto', 'low'", None, "invalid_request_error", param="moderation")),
    Answer("openai safety_identifier", 400, error("Unrecognized request argument supplied: safety_identifier", None)),
    Answer("openai case-sensitive", 400, error("size is case-sensitive", None, "invalid_request_error")),
    Answer("openai case sensitive", 400, error("Values are case sensitive", None, "invalid_request_error")),
    Answer("openai insensitive", 400, error("The header is case-insensitive", None)),
    Answer("openai quoted value", 400, error("Invalid value: 'nsfw'. Supported values are: 'png', 'jpeg'.", "invalid_value")),
    Answer("openai quoted quota", 400, error("Invalid value: 'insufficient quota'. Supported values are: 'low'.", None)),
    Answer("openai prohibited use", 400, error("Use of stream is prohibited for this model", None)),
    Answer("bfl safety_tolerance", 422, {"detail": [detail("less_than_equal", "Input should be less than or equal to 6", "safety_tolerance")]}),
    Answer("fal safety checker", 422, {"detail": [detail("bool_type", "Input should be a valid boolean", "enable_safety_checker")]}),
    Answer("fal prompt with quota", 422, {"detail": [detail("string_too_long", "m", "prompt", input="exceeded your current quota, nsfw")]}),
    Answer("gemini safety settings", 400, google(400, "INVALID_ARGUMENT", 'Unknown name "safety_settings": Cannot find field.')),
    Answer("dashscope field", 400, {"code": "InvalidParameter", "message": "sensitive_words: not supported"}),
    Answer("recraft style", 400, {"code": "invalid_request_parameter", "message": "style: flagged for deprecation"}),
    Answer("ideogram echo", 400, {"error": "Invalid resolution", "prompt": "insufficient balance, nsfw, content policy violation"}),
]  # fmt: skip
"""Requests that were wrong, in words that sound like a refusal or an empty account."""
