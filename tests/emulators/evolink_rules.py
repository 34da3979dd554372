"""What EvoLink's task API accepts, its error classes and its prices; pure functions, no I/O.

Owns the limits of the published image API, the table of HTTP error codes and of task error codes. A request that the
vendor would not accept raises `Invalid`. Where its documentation is silent the choice is marked as assumed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Size = tuple[int, int]

CREDITS_PER_USD = 72  # 1.5 credits are $0.0208 on the page of the GPT-4o image API
CREDITS_RESERVED_PER_IMAGE = Decimal("2.5")  # the same page: the reservation is not the price
RESULT_LIFE_S = 24 * 3600  # links live 24 hours
BATCH_MAX = 50

ERRORS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "invalid_api_key": 401,
    "insufficient_quota": 402,
    "insufficient_user_quota": 402,
    "quota_not_enough": 402,
    "account_balance_insufficient": 402,
    "insufficient_token_quota": 402,
    "key_quota_exhausted": 402,
    "key_daily_quota_exceeded": 402,
    "user_daily_quota_exceeded": 402,
    "key_model_not_allowed": 403,
    "key_disabled": 403,
    "key_expired": 403,
    "not_found": 404,
    "idempotency_conflict": 409,  # status assumed
    "paid_outcome_unknown": 409,  # status assumed
    "request_too_large": 413,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
    "bad_gateway": 502,
    "no_available_channel": 503,  # also seen with 400
    "model_unavailable": 503,
    "channel_selection_failed": 503,
}
"""HTTP error codes with their status."""

QUOTA_CODES = tuple(code for code, status in ERRORS.items() if status == 402)

TASK_CODES_FINAL = (
    "content_policy_violation",
    "invalid_parameters",
    "image_processing_error",
    "image_dimension_mismatch",
    "request_cancelled",
    "resource_not_found",
)
TASK_CODES_RETRYABLE = (
    "generation_failed_no_content",
    "service_error",
    "generation_timeout",
    "resource_exhausted",
    "quota_exceeded",
    "service_unavailable",
    "model_unavailable",
    "upstream_error",
    "rate_limited",
    "unknown_error",
)

_SIZES: Mapping[str, Size] = {
    "1:1": (1024, 1024),
    "2:3": (1024, 1536),
    "3:2": (1536, 1024),
    "1024x1024": (1024, 1024),
    "1024x1536": (1024, 1536),
    "1536x1024": (1536, 1024),
}
_PROMPT_TOKENS_MAX = 2_000
_PROMPT_CHARS_MAX = 32_000
_CALLBACK_CHARS_MAX = 2_048
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_COMMON = frozenset({"model", "prompt", "size", "n", "image_urls", "mask_url", "callback_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model of the vendor."""

    n: tuple[int, ...]
    image_urls_max: int
    usd: Mapping[str, Decimal]  # per picture, by quality


OFFERS: Mapping[str, Offer] = {
    "gpt-4o-image": Offer(n=(1, 2, 4), image_urls_max=5, usd={"": Decimal("0.0208")}),
    "gpt-image-2": Offer(  # prices of 1K, the only resolution served here
        n=tuple(range(1, 11)),
        image_urls_max=16,
        usd={"low": Decimal("0.0054"), "medium": Decimal("0.0477"), "high": Decimal("0.1899")},
    ),
}


class Invalid(Exception):
    """A request that the vendor answers with an error of the caller's making."""

    def __init__(self, message: str, code: str = "invalid_request_error", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = ERRORS[code] if status is None else status


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A valid request."""

    model: str
    prompt: str
    n: int
    size: Size
    usd_per_image: Decimal

    @property
    def credits_per_image(self) -> Decimal:
        """To a tenth, as the vendor publishes: 1.5 for $0.0208."""
        return (self.usd_per_image * CREDITS_PER_USD).quantize(Decimal("0.1"))


def words(prompt: str) -> int:
    """A lower bound of its tokens: a run of letters is never part of a token with another run."""
    return sum(1 for _ in _WORD.finditer(prompt))


def check_key(key: str | None) -> None:
    """An Idempotency-Key has 16 to 96 characters."""
    if key is not None and not 16 <= len(key) <= 96:
        raise Invalid("Idempotency-Key must have 16 to 96 characters.")


def check(body: Mapping[str, object]) -> Job:
    """The job of a request, or Invalid."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Invalid("model is required.")
    offer = OFFERS.get(model)
    if offer is None:
        raise Invalid(f"model {model} not found.", "not_found")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Invalid("prompt is required.")
    if model == "gpt-4o-image" and words(prompt) > _PROMPT_TOKENS_MAX:
        raise Invalid(f"prompt exceeds {_PROMPT_TOKENS_MAX} tokens.")
    if len(prompt) > _PROMPT_CHARS_MAX:
        raise Invalid(f"prompt exceeds {_PROMPT_CHARS_MAX} characters.")
    size = body.get("size", "1:1")
    if not isinstance(size, str) or size not in _SIZES:
        raise Invalid(f"size must be one of {', '.join(_SIZES)}.")
    n = body.get("n", 1)
    if not isinstance(n, int) or isinstance(n, bool) or n not in offer.n:
        raise Invalid(f"n must be one of {', '.join(map(str, offer.n))}.")
    _check_urls(body, offer)
    return Job(model=model, prompt=prompt, n=n, size=_SIZES[size], usd_per_image=_price(body, model, offer))


def _price(body: Mapping[str, object], model: str, offer: Offer) -> Decimal:
    extra = set(body) - _COMMON - ({"quality", "resolution"} if model == "gpt-image-2" else set())
    if extra:  # assumed: stricter than the vendor may be, so that a field meant for another vendor shows
        raise Invalid(f"unknown field {min(extra)}.")
    if body.get("resolution", "1K") != "1K":
        raise Invalid("this emulator serves resolution 1K only.")
    quality = body.get("quality", "medium" if "medium" in offer.usd else "")
    if not isinstance(quality, str) or quality not in offer.usd:
        raise Invalid(f"quality must be one of {', '.join(offer.usd)}.")
    return offer.usd[quality]


def _check_urls(body: Mapping[str, object], offer: Offer) -> None:
    urls = body.get("image_urls", [])
    if not isinstance(urls, list) or not all(_is_url(url, ("http", "https")) for url in urls):
        raise Invalid("image_urls must be a list of URLs.")
    if len(urls) > offer.image_urls_max:
        raise Invalid(f"at most {offer.image_urls_max} image_urls.")
    if "mask_url" in body and (not _is_url(body["mask_url"], ("http", "https")) or len(urls) != 1):
        raise Invalid("mask_url needs exactly one image in image_urls.")
    callback = body.get("callback_url")
    if callback is not None and (not _is_url(callback, ("https",)) or len(str(callback)) > _CALLBACK_CHARS_MAX):
        raise Invalid(f"callback_url must be HTTPS and have at most {_CALLBACK_CHARS_MAX} characters.")


def _is_url(value: object, schemes: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value.partition("://")[0] in schemes and bool(value.partition("://")[2])
