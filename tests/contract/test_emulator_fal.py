"""The fal.ai emulator against the vendor's own SDK, over TLS since the SDK speaks nothing else."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from tests.emulators import behaviours as b
from tests.emulators.fal import FalEmulator
from tests.emulators.fal_rules import ERROR_TYPES
from tests.sdk.driver import certificate, sdk_outcomes
from tests.sdk.sdk_given import PNG

KEY = {"Authorization": "Key sk-emulator"}
# What the script does, and what the SDK makes of it: the status of FalClientHTTPError, and a word of its text.
FAULTS: Mapping[str, tuple[b.Behaviour, int, str]] = {
    "refused": (b.Refuse(), 422, "content_policy_violation"),
    "bare": (b.Refuse(form="bare_list"), 422, "content_policy_violation"),
    "as text": (b.Refuse(form="text"), 422, "flagged by a content checker"),
    "locked": (b.OutOfMoney(), 403, "User is locked"),
    "overloaded": (b.Overloaded(), 503, "runner"),
    "page": (b.HtmlError(), 502, "Bad gateway"),
    "internal": (b.FailTask(), 500, "internal_error"),
    "scheduling": (b.FailTask(code="runner_disconnected"), 503, "runner_disconnected"),
}
REJECTED = {
    "too many": (422, "num_images"),
    "size": (422, "image_size"),
    "no prompt": (422, "prompt"),
    "no pictures": (422, "image_urls"),
    "application": (404, "not found"),
    "key": (401, "authentication"),
    "late": (400, "ALREADY_COMPLETED"),
}


async def test_fals_own_sdk_is_content(vendors_python: Path, tmp_path: Path) -> None:
    """Queue, results, cancelling and each failure are to the SDK what fal's are; units and bills agree."""
    tls, authority = await certificate(vendors_python, tmp_path)
    async with FalEmulator(tls=tls, work_s=0.15) as emulator:
        for name, (behaviour, *_) in FAULTS.items():
            emulator.when(name, behaviour)
        emulator.when("black", b.Refuse(form="has_nsfw_concepts"))
        emulator.when("cancelled", b.StallTask())
        emulator.next(b.RateLimit(retry_after="1"))
        outcomes = await sdk_outcomes(vendors_python, "fal", emulator, {"SSL_CERT_FILE": str(authority)})
        submitted = [received for received in emulator.requests if received.at == "create"]
        polled = [received.path for received in emulator.requests if received.at == "poll"]
        bills = {bill.prompt: (bill.images, bill.usd) for bill in emulator.bills}
    assert [(one.images, one.mask) for one in submitted if one.images] == [([PNG, PNG], PNG)]
    plain, fetched = outcomes["plain"]["answer"], outcomes["fetched"]["answer"]
    assert isinstance(plain, dict)
    assert isinstance(fetched, dict)
    assert [(image["width"], image["height"], image["content_type"]) for image in plain["images"]] == [
        (1024, 768, "image/jpeg")
    ]
    assert (plain["has_nsfw_concepts"], plain["prompt"]) == ([False], "plain")
    assert len(fetched["sizes"]) == 2
    assert min(fetched["sizes"]) > 1000
    assert {"InProgress", "Queued"} & set(fetched["seen"])
    inline, black = outcomes["inline"]["answer"], outcomes["black"]["answer"]
    assert isinstance(inline, dict)
    assert isinstance(black, dict)
    assert inline["images"][0]["url"].startswith("data:image/png;base64,")
    assert black["has_nsfw_concepts"] == [True]
    assert outcomes["cancelled"]["answer"] == {"status": "Queued", "over": "Completed", "why": "client_cancelled"}
    expected = {name: (status, word) for name, (_, status, word) in FAULTS.items()} | REJECTED
    for name, (status, word) in expected.items():
        assert (outcomes[name]["error"], outcomes[name]["status"]) == ("FalClientHTTPError", status), name
        assert word in str(outcomes[name]["text"]), name
    assert [(one.path, one.status) for one in submitted[:2]] == [
        ("/fal-ai/flux/schnell", 429),  # the SDK sends a limited request again by itself
        ("/fal-ai/flux/schnell", 200),
    ]
    assert polled[0].startswith("/fal-ai/flux/requests/"), "the part behind the application is dropped"
    assert bills == {
        "plain": (1, Decimal("0.003")),
        "fetched": (2, Decimal("0.1")),  # two of two megapixels
        "inline": (1, Decimal("0.003")),
        "gpt": (2, Decimal("0.012")),
        "edited": (1, Decimal("0.023")),  # two references
        "banana": (1, Decimal("0.039")),
        "late": (1, Decimal("0.025")),
        "black": (1, Decimal("0.003")),
    }


async def test_statuses_units_and_hints_are_on_the_wire() -> None:
    """202 until done, then 200; the result names its billable units; errors tell whether to try again."""
    clock = [1_000.0]
    async with (
        FalEmulator(work_s=10, now=lambda: clock[0]) as emulator,
        aiohttp.ClientSession(emulator.base_url, headers=KEY) as session,
    ):
        body = {"prompt": "cat", "num_images": 2, "image_size": {"width": 1024, "height": 1536}}
        async with session.post("/fal-ai/flux/schnell?fal_webhook=https://x/y", json=body) as response:
            made = await response.json()
        assert (response.status, made["status"]) == (200, "IN_QUEUE")
        assert made["status_url"] == f"{emulator.origin}/fal-ai/flux/requests/{made['request_id']}/status"
        assert made["cancel_url"] == f"{emulator.origin}/fal-ai/flux/requests/{made['request_id']}/cancel"
        seen, results = [], []
        for clock[0] in (1_001.0, 1_006.0, 1_010.0):
            async with session.get(made["status_url"] + "?logs=0") as response:
                seen.append((response.status, (await response.json())["status"]))
            async with session.get(made["response_url"]) as response:
                results.append((response.status, response.headers.get("x-fal-billable-units")))
        assert seen == [(202, "IN_QUEUE"), (202, "IN_PROGRESS"), (200, "COMPLETED")]
        assert results == [(400, None), (400, None), (200, "4")]
        assert (emulator.billed_images, emulator.billed_usd) == (2, Decimal("0.012"))
        async with session.get(made["response_url"]) as response:
            link = (await response.json())["images"][0]["url"]
        emulator.next(b.HtmlError(status=404), at="download")
        downloads = []
        for _ in range(2):
            async with session.get(link) as response:
                downloads.append(response.status)
        assert downloads == [404, 200], "a paid result may be lost"
        emulator.next(b.RateLimit(retry_after="3"), b.Overloaded())
        async with session.post("/fal-ai/flux/schnell", json=body) as response:
            assert (response.status, response.headers["retry-after"]) == (429, "3")
        async with session.post("/fal-ai/flux/schnell", json=body) as response:
            assert response.headers["x-fal-retryable"] == "true"
        async with session.get(f"/fal-ai/flux/schnell/requests/{made['request_id']}/status") as response:
            assert response.status == 405, "requests are known under owner and application only"


@pytest.mark.parametrize(("code", "status"), ERROR_TYPES.items())
async def test_every_error_type_has_its_status(code: str, status: int) -> None:
    """A failed request is COMPLETED with its error, the result has status and type, and nothing is billed."""
    async with (
        FalEmulator(work_s=0) as emulator,
        aiohttp.ClientSession(emulator.base_url, headers=KEY) as session,
    ):
        emulator.next(b.FailTask(code=code))
        async with session.post("/fal-ai/flux/dev", json={"prompt": "cat"}) as response:
            made = await response.json()
        async with session.get(made["status_url"]) as response:
            assert (await response.json())["error_type"] == code
        async with session.get(made["response_url"]) as response:
            assert (response.status, (await response.json())["error_type"]) == (status, code)
            assert response.headers["x-fal-error-type"] == code
        assert emulator.bills == []
