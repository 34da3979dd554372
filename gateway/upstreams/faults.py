"""What a failed answer means: one table from (status, words, message) to a Fault and whether it cost money. Pure.

Rows are read top-down and the first match wins: what an upstream says in a code counts before what its prose says, and prose before the
bare status. Texts of providers drift, so every status has a row of its own at the end. In doubt the verdict is UNKNOWN: a try that was
taken for unpaid is made again, and paid twice. A number or a text that means this at one vendor only stands in that adapter's own rows.

How an answer is read is `envelopes`, how a wait is read `waits`; an adapter needs this module alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.envelopes import ApiError, read_error, read_error_object
from gateway.upstreams.waits import retry_after_s

__all__ = [
    "ROWS",
    "ApiError",
    "Row",
    "classify",
    "failure",
    "read_error",
    "read_error_object",
    "retry_after_s",
    "row_for",
    "with_headers",
]


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


_BODY = (0, 200)
"""The error stands inside a successful answer."""
_CLIENT_SIDE = (*_BODY, 400, 403, 422, 451)

ROWS: tuple[Row, ...] = (
    # The upstream itself does not know, or knows this key from a call whose answer was lost.
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, words=r"(paid_)?outcome_unknown|idempotency_(key_)?conflict"),
    # Refusals by code.
    Row(
        Fault.REFUSED,
        words=r"moderation_blocked|content_?policy_?violation\w*|content_?filter(ed)?|responsibleaipolicyviolation"
        r"|image_generation_user_error|content_moderat\w*|request_moderated|data_?inspection_?failed"
        r"|\w*sensitive_?content[\w.]*|prohibited_content|nsfw\w*|safety_(error|violation|filter\w*|check\w*)",
    ),
    Row(Fault.REFUSED, words=r"base_resp\.1026"),  # MiniMax: sensitive
    Row(Fault.REFUSED, statuses=(*_BODY, 400), words="1301"),  # Zhipu: sensitive
    # Out of money by code and status; before rate limits, because it often comes as 429.
    Row(
        Fault.NO_MONEY,
        words=r"insufficient_?(user_|token_|account_)?(quota|balance|credits?|funds)(_error)?|account_balance_insufficient"
        r"|quota_not_enough|pre_consume_token_quota_failed|key_quota_exhausted|\w*daily_quota_exceeded|credit_balance_exhausted"
        r"|credit_limit(_exceeded)?|\w*(spend|usage)_limit_exceeded|billing_hard_limit_reached|billing_not_active"
        r"|not_enough_credits|payment_required|arrearage|account_?overdue(_?error)?|budget_exceeded",
    ),
    Row(Fault.NO_MONEY, statuses=(402,)),
    Row(Fault.NO_MONEY, words=r"base_resp\.1008"),  # MiniMax
    Row(Fault.NO_MONEY, statuses=(*_BODY, 429), words="1113"),  # Zhipu's "account in arrears"
    # Google's word for every limit: one of zero is an account without money, any other passes.
    Row(Fault.NO_MONEY, statuses=(429,), words="quota_of_zero"),
    Row(Fault.NO_MONEY, statuses=(429,), words="resource_exhausted", message=r"\blimit: 0\b|prepa(id|y)"),
    # No capacity, whatever the status says (EvoLink answers 400 no_available_channel, Google 429).
    Row(
        Fault.OVERLOADED,
        words=r"no_available_channel|model_unavailable|channel_selection_failed|(server_?|engine_)?overloaded(_?error)?"
        r"|model_capacity_exhausted|service_unavailable(_error)?|all_upstreams_unavailable|shutting_down"
        r"|runner_scheduling_failure|outofmemoryerror",
    ),
    Row(Fault.OVERLOADED, statuses=(*_BODY, 429, 503), words="1305"),  # Zhipu
    Row(Fault.RATE_LIMITED, statuses=(429,), words="resource_exhausted"),
    # fal charges for no failure of a server, its own or a model's; the reason is named in the body or in a header.
    Row(
        Fault.FAILED,
        words=r"runner_\w+|downstream_service_error|fal\.((request|startup|generation)_timeout|internal_(server_)?error)",
    ),
    Row(Fault.FAILED, statuses=range(500, 600), words=r"fal\.retryable", from_api=True),
    # Parameters by code or by the usual phrases; before everything that is guessed from prose, because "Unknown parameter: 'moderation'" is no
    # refusal, and a value that is quoted may say anything.
    Row(
        Fault.BAD_REQUEST,
        statuses=(*_BODY, 400, 422),
        words=r"(unknown|unsupported|invalid|missing(_required)?)_?parameters?|(invalid|unsupported)_(value|type|size)"
        r"|invalid_request_parameters?|prompt_too_long|(string|array|integer|decimal)_\w+_(max|min)\w*"
        r"|(string|array)_too_(long|short)|(greater|less)_than(_equal)?|literal_error|enum|missing|base_resp\.2013",
    ),
    Row(
        Fault.BAD_REQUEST,
        statuses=(*_BODY, 400, 422),
        message=r"(unknown|unsupported|unrecognized|unexpected|invalid) (request )?(parameter|argument|field|value|option)"
        r"|(parameter|argument|field|value|option)s? (is |are )?not (supported|allowed|permitted)|extra (inputs|fields)"
        r"|(must|should) be one of|is not one of|supported values are",
    ),
    # Out of money, and out of capacity, by text.
    Row(
        Fault.NO_MONEY,
        statuses=(*_BODY, 400, 403, 429),
        message=r"exceeded your current quota|insufficient (account )?(balance|credits?|quota|funds)|out of credits|billing hard limit"
        r"|(balance|credits?|quota) (is |are )?(insufficient|exhausted|not enough|too low)|(exhausted|overdue) balance"
        r"|used all available credits|not enough credits|user is locked|budget has been exceeded|余额不足|额度不足|欠费",
    ),
    Row(
        Fault.OVERLOADED,
        statuses=(*_BODY, 400, 429, 500, 502, 503, 529),
        message=r"\boverloaded\b|no available channel|at capacity|due to high demand|\bout of memory\b|无可用渠道",
    ),
    Row(
        Fault.RATE_LIMITED,
        words=r"rate_?limit[\w.]*|too_?many_?requests|throttling[\w.]*|concurrency_limit_exceeded|resource_exhausted"
        r"|base_resp\.1002",
    ),
    Row(Fault.RATE_LIMITED, statuses=(429,)),
    # The operator must act: key, permission, model name.
    Row(
        Fault.CREDENTIALS,
        words=r"(missing|invalid)_?api_?key|api_key_invalid|invalid_authentication|authentication_?error|key_(expired|disabled)"
        r"|(key_)?model_not_(allowed|found|available)|deployment_?not_?found|model_?not_?(open|found|exist)"
        r"|account_deactivated|unsupported_country\w*|base_resp\.(1004|2049)",
    ),
    Row(
        Fault.CREDENTIALS,
        statuses=(400, 403, 404),
        message=r"api key not valid|(incorrect|invalid) (api|subscription) key|must be verified"
        r"|(model|deployment)\b.{0,100}\b(does not exist|not found|not exist)",
    ),
    # What the web UIs answer 404 to is a parameter, not an address.
    Row(
        Fault.BAD_REQUEST,
        statuses=(404,),
        message=r"\b(sampler|scheduler|upscaler|script|face restorer|init image|mask)\b.{0,60}\bnot found",
        from_api=True,
    ),
    # Refusals by text: sure ones at any status (gateways rewrite it), likely ones where a client's fault is meant.
    Row(
        Fault.REFUSED,
        message=r"rejected by (the|our) safety system|safety_violations|content.?policy.?violation|responsibleai",
    ),
    Row(
        Fault.REFUSED,
        statuses=_CLIENT_SIDE,
        message=r"\bsafety (system|checks?|checkers?|filters?|polic\w+|guidelines?|reasons?|violations?|concerns?|standards?)\b"
        r"|\b(by|content|input|output|prompt|image|text|fail\w*|pass\w*|our) moderation\b|\bmoderated\b"
        r"|\bmoderation (system|filters?|polic\w+|checks?|service|blocked|failed|reasons?)\b|usage polic(y|ies)|content.?policy"
        r"|(?<![\w-])nsfw(?![\w-])|(?<!case )(?<![\w-])sensitive(?![\w-])|\binappropriate\b|敏感|违规"
        r"|(?<!account was )(?<!account has been )\bflagged\b(?! (as|for) deprecat)"
        r"|\bprohibited (content|words?|material|uses?)\b|\b(content|prompt|image|words?) \w{0,10} ?prohibited\b",
    ),
    # By status alone. 52x: a CDN that lost sight of its origin; 499: something before the API believes that we hung up.
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, statuses=(408, 499, 504, *range(520, 529))),
    Row(Fault.OVERLOADED, statuses=(455, 503, 529)),  # 455: kie's maintenance
    Row(
        Fault.CREDENTIALS, statuses=(401, 403, 404, 405, 434, *range(300, 400))
    ),  # a wrong base_url answers like this, too
    Row(Fault.FAILED, statuses=(409, 423, 425)),
    Row(Fault.BAD_REQUEST, statuses=range(400, 500)),
    # A gateway that lost the upstream behind it knows no more than we do.
    Row(
        Fault.NO_ANSWER,
        Billed.UNKNOWN,
        statuses=range(500, 600),
        message=r"\btimed.?out\b|\btime.?out\b|deadline exceeded|apiconnectionerror|server disconnected|unexpected eof"
        r"|connection (was |has been )?(error|reset|aborted|closed|lost)",
    ),
    Row(
        Fault.NO_ANSWER,
        Billed.UNKNOWN,
        statuses=range(500, 600),
        words=r"do_request_failed|(read|bad)_response_body(_failed)?",  # one-api and its descendants
    ),
    Row(Fault.FAILED, statuses=range(500, 600), from_api=True),
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, statuses=range(500, 600)),  # a proxy's page: the API behind it may have worked
    Row(Fault.NO_ANSWER, Billed.UNKNOWN, statuses=range(100, 200)),
)


def row_for(error: ApiError, rows: tuple[Row, ...] = ()) -> Row | None:
    """The first matching row of `rows` (an adapter's own, read first) and ROWS."""
    return next((row for row in (*rows, *ROWS) if row.matches(error)), None)


def classify(error: ApiError, rows: tuple[Row, ...] = ()) -> tuple[Fault, Billed]:
    """By the first matching row. An error inside a 2xx answer that no row knows: FAILED, unbilled."""
    row = row_for(error, rows)
    return (row.fault, row.billed) if row is not None else (Fault.FAILED, Billed.NO)


def failure(error: ApiError, headers: Mapping[str, str], rows: tuple[Row, ...] = ()) -> UpstreamFailure:
    """The exception for a failed HTTP answer, or for an error inside a 2xx one."""
    error = with_headers(error, headers)
    fault, billed = classify(error, rows)
    words = " ".join(dict.fromkeys(error.words))
    where = f"HTTP {error.status}" if error.status else "in a 2xx answer:"
    wait_s = None
    if fault in (Fault.RATE_LIMITED, Fault.OVERLOADED):
        wait_s = retry_after_s(headers, error.message, error.retry_after_s)
    return UpstreamFailure(fault, billed, f"{where} {words}: {error.message}", retry_after_s=wait_s, param=error.param)


def with_headers(error: ApiError, headers: Mapping[str, str]) -> ApiError:
    """With what fal says of a failure in headers: its type, and whether another try makes sense. They prove that its API answered."""
    kind, retry = headers.get("X-Fal-Error-Type"), headers.get("X-Fal-Retryable") or headers.get("X-Fal-Needs-Retry")
    if kind is None and retry is None:
        return error
    words = [f"fal.{kind.lower()}", kind.lower()] if kind else []
    if retry is not None and retry.lower() in ("true", "1"):
        words.append("fal.retryable")
    return replace(error, words=(*error.words, *words), from_api=True)
