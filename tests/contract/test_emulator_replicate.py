"""The Replicate emulator against the vendor's own SDK, and what the SDK does not show."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from tests.emulators import behaviours as b
from tests.emulators.replicate import ReplicateEmulator
from tests.sdk.driver import sdk_outcomes
from tests.sdk.sdk_given import PNG

# What the script does, and what the SDK makes of it: the exception, its status, a word of its text.
FAULTS: Mapping[str, tuple[b.Behaviour, str, int | None, str]] = {
    "refused": (b.Refuse(), "ModelError", None, "NSFW content detected"),
    "sensitive": (b.Refuse(form="E005"), "ModelError", None, "(E005)"),
    "busy": (b.Overloaded(form="E003"), "ModelError", None, "(E003)"),
    "no credit": (b.OutOfMoney(), "ReplicateError", 402, "insufficient credit"),
    "throttled": (b.RateLimit(retry_in="7"), "ReplicateError", 429, "resets in ~7s"),
    "overloaded": (b.Overloaded(), "ReplicateError", 503, "unavailable"),
    "reset": (b.Reset(), "ReadError", None, ""),
}
REJECTED = {
    "too many": ("ReplicateError", 422, "num_outputs"),
    "ratio": ("ReplicateError", 422, "aspect_ratio"),
    "no prompt": ("ReplicateError", 422, "prompt"),
    "model": ("ReplicateError", 404, "could not be found"),
    "unknown": ("ReplicateError", 404, "could not be found"),
    "key": ("ReplicateError", 401, "Unauthenticated"),
}
URL = "/v1/models/black-forest-labs/flux-schnell/predictions"
BODY = {"input": {"prompt": "cat"}}


async def test_replicates_own_sdk_is_content(vendors_python: Path) -> None:
    """Waiting, polling, cancelling and each failure are to the SDK what Replicate's are; the bills are by picture."""
    async with ReplicateEmulator(work_s=0.2) as emulator:
        for name, (behaviour, *_) in FAULTS.items():
            emulator.when(name, behaviour)
        emulator.when("interrupted", b.FailTask(code="PA"))
        for name in ("cancelled", "too long"):
            emulator.when(name, b.StallTask())
        outcomes = await sdk_outcomes(vendors_python, "replicate", emulator)
        preferred = {
            str(received.path.split("/")[2]): received.headers.get("prefer")
            for received in emulator.requests
            if emulator.prompt_of(received) in ("plain", "by version")
        }
        given = [(one.images, one.mask) for one in emulator.requests if one.images]
        bills = {bill.prompt: (bill.images, bill.usd) for bill in emulator.bills}
    expected = {name: values[1:] for name, values in FAULTS.items()} | REJECTED
    for name, (kind, status, word) in expected.items():
        assert (outcomes[name]["error"], outcomes[name]["status"]) == (kind, status), name
        assert word in str(outcomes[name]["text"]), name
    answers = {name: outcome["answer"] for name, outcome in outcomes.items() if "answer" in outcome}
    for name, pictures in (("plain", 2), ("one", 1), ("edited", 1), ("polled", 1)):
        sizes = answers.pop(name)
        assert isinstance(sizes, list)
        assert len(sizes) == pictures
        assert min(sizes) > 60
    assert given == [([PNG], PNG)]
    metrics = {"predict_time": 0.1, "total_time": 0.2}
    interrupted = "Prediction interrupted; please retry (code: PA)"
    assert answers == {
        "created": {"first": "starting", "last": "succeeded", "error": None, "metrics": metrics},
        "interrupted": {"first": "starting", "last": "failed", "error": interrupted, "metrics": metrics},
        "by version": "succeeded",
        "cancelled": ["processing", "canceled"],
        "too long": "starting",
        "account": "emulator",
    }
    assert preferred == {"models": "wait", "predictions": None}
    assert bills == {
        "plain": (2, Decimal("0.006")),
        "one": (1, Decimal("0.04")),
        "edited": (1, Decimal("0.05")),
        "polled": (1, Decimal("0.003")),
        "created": (1, Decimal("0.003")),
        "by version": (1, Decimal("0.003")),
        "cancelled": (1, Decimal("0.003")),  # it was running
    }


async def test_what_the_sdk_does_not_show() -> None:
    """201 or 202 after a wait, early answers, an aborted prediction, Cancel-After, links that die after an hour, hints in headers."""
    clock = [1_000.0]
    async with (
        ReplicateEmulator(work_s=10, now=lambda: clock[0], early_answers=True) as emulator,
        aiohttp.ClientSession(emulator.base_url, headers={"Authorization": "Bearer sk-emulator"}) as session,
    ):

        async def made(**headers: str) -> tuple[int, dict[str, object]]:
            async with session.post(URL, json=BODY, headers=headers) as response:
                return response.status, await response.json()

        async def asked(prediction: dict[str, object]) -> dict[str, object]:
            async with session.get(f"/v1/predictions/{prediction['id']}") as response:
                found: dict[str, object] = await response.json()
                return found

        status, late = await made(Prefer="wait=1")
        assert (status, late["status"], late["output"]) == (202, "starting", None)
        assert emulator.requests[-1].status == 202
        _, aborted = await made()
        async with session.post(f"/v1/predictions/{aborted['id']}/cancel") as response:
            assert (await response.json())["status"] == "aborted"
        _, limited = await made(**{"Cancel-After": "6s"})
        assert (await made(**{"Cancel-After": "1s"}))[0] == 422
        clock[0] += 10
        assert (await asked(limited))["status"] == "canceled"
        done = await asked(late)
        assert done["status"] == "succeeded"
        assert (emulator.billed_images, emulator.billed_usd) == (2, Decimal("0.006")), (
            "what ran until it was cancelled counts"
        )
        emulator.work_s = 0
        status, early = await made(Prefer="wait")
        assert (status, early["status"]) == (201, "processing")
        assert early["output"]
        assert isinstance(done["output"], list)
        link = done["output"][0]
        async with session.get(link) as response:
            assert response.content_type == "image/webp"
        clock[0] += 3_601
        async with session.get(link) as response:
            assert response.status == 404
        emulator.next(b.MalformedJson(), b.RateLimit(retry_after="2"))
        async with session.post(URL, json=BODY, headers={"Prefer": "wait"}) as response:
            assert (await response.read()).endswith(b",")
        async with session.post(URL, json=BODY) as response:
            assert (response.headers["retry-after"], response.content_type) == ("2", "application/problem+json")


def test_a_form_of_another_vendor_is_refused() -> None:
    """The script knows the vendor's forms."""
    with pytest.raises(ValueError):
        ReplicateEmulator().next(b.Refuse(form="IMAGE_SAFETY"))
