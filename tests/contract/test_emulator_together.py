"""The Together emulator against the vendor's own SDK."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from tests.emulators import behaviours as b
from tests.emulators.together import TogetherEmulator
from tests.sdk.driver import sdk_outcomes
from tests.sdk.sdk_given import PNG

# What the script does, and what the SDK makes of it: the exception, its status, a word of its text.
FAULTS: Mapping[str, tuple[b.Behaviour, str, int | None, str]] = {
    "refused": (b.Refuse(), "UnprocessableEntityError", 422, "NSFW"),
    "no credit": (b.OutOfMoney(), "APIStatusError", 402, "credit_limit"),
    "limited": (b.RateLimit(retry_after="3"), "RateLimitError", 429, "rate limited"),
    "overloaded": (b.Overloaded(), "InternalServerError", 503, "overloaded"),
    "internal": (b.Error(), "InternalServerError", 500, "server_error"),
    "page": (b.HtmlError(), "InternalServerError", 502, "Bad gateway"),
    "reset": (b.Reset(bills=True), "APIConnectionError", None, ""),
}
REJECTED = {
    "side": ("BadRequestError", 400, "width"),
    "too many": ("BadRequestError", 400, "'n'"),
    "format": ("BadRequestError", 400, "output_format"),
    "model": ("NotFoundError", 404, "model_not_available"),
    "key": ("AuthenticationError", 401, "invalid_api_key"),
}
PNG_START, JPEG = "89504e47", "ffd8ff"


async def test_togethers_own_sdk_is_content(vendors_python: Path) -> None:
    """Links, base64 and each failure are to the SDK what Together's are; the price is by megapixel."""
    async with TogetherEmulator() as emulator:
        for name, (behaviour, *_) in FAULTS.items():
            emulator.when(name, behaviour)
        outcomes = await sdk_outcomes(vendors_python, "together", emulator)
        bills = {bill.prompt: (bill.images, bill.usd) for bill in emulator.bills}
        sent = {str((received.json or {}).get("prompt")): received.json for received in emulator.requests}
    assert [one.images for one in emulator.requests if one.images] == [[PNG]]
    for name, (kind, status, word) in ({name: values[1:] for name, values in FAULTS.items()} | REJECTED).items():
        assert (outcomes[name]["error"], outcomes[name]["status"]) == (kind, status), name
        assert word in str(outcomes[name]["text"]), name
    answers = {name: outcome["answer"] for name, outcome in outcomes.items() if "answer" in outcome}
    links, inline = answers["links"], answers["inline"]
    assert isinstance(links, dict)
    assert isinstance(inline, dict)
    assert (links["kinds"], links["starts"]) == (["url", "url"], [PNG_START, PNG_START])
    assert (inline["kinds"], [start[:6] for start in inline["starts"]]) == (["b64_json"], [JPEG])
    assert sent["inline"] == {
        "model": "black-forest-labs/FLUX.1-schnell",
        "prompt": "inline",
        "height": 1024,
        "width": 1536,
        "response_format": "base64",
        "seed": 1,
        "steps": 4,
    }
    assert bills == {
        "links": (2, Decimal("0.0054")),
        "inline": (1, Decimal("0.0054")),  # two megapixels
        "edited": (1, Decimal("0.0027")),
        "pro": (1, Decimal("0.04")),
        "foreign size": (1, Decimal("0.0027")),
        "reset": (1, Decimal("0.0027")),
    }
