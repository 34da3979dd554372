"""Calls at prices that differ by size, quality and count, sent all at once over connections of their own, and what each was answered.

What a call holds and costs is reckoned here by the emulated vendor's rules, not by the gateway's. Deterministic but for the order in which a machine
serves connections. Every wait is bounded: a gateway that does not answer, or a task that does not end, raises TimeoutError.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any

import aiohttp
import orjson

from gateway.domain import money
from tests.acceptance.invariants import is_final
from tests.emulators import behaviours as b
from tests.emulators.openai_rules import image_tokens

MODEL = "priced"
SIZES: Mapping[str, tuple[int, int]] = {
    "1024x1024": (1024, 1024), "1536x1024": (1536, 1024), "1024x1536": (1024, 1536),
}  # fmt: skip
QUALITIES: Mapping[str, int] = {"low": 16, "medium": 48, "high": 96}
TEXT_MICROUSD, IMAGE_MICROUSD = 5, 30
"""Of one token of gpt-image-2."""
PROMPT_TOKENS = 5
"""Of every prompt here, exactly, and as the emulator counts (a token for four characters)."""
ANSWER_S_MAX = 60.0

_SPEND = re.compile(
    r" has (?P<left>[0-9.]+) (?P<unit>usd|credits) left\b.*; this call needs (?P<needed>[0-9.]+) (usd|credits)\. "
)

WITHHELD = b'{"created": 1, "data": [{"b64_json": "", "finish_reason": "content_filter"}]}'.decode()
FAULTS: Mapping[str, b.Behaviour] = {
    "elephant": b.Error(delay_s=0.5),
    "squirrel": b.Error(status=200, body=WITHHELD, bills=True, delay_s=0.5),
    "leopard": b.Refuse(delay_s=0.5),
    "rabbit": b.Succeed(delay_s=1.5),
}
"""What the upstream does with prompts of these animals: fails unbilled, makes a picture, bills and withholds it, refuses unbilled, is slow.
All of them end among the other calls."""
_IN_TURN = ("elephant", "squirrel", "leopard", "rabbit", "squirrel", "elephant", "rabbit", "leopard")
FAULTY: Mapping[int, str] = dict(enumerate(2 * _IN_TURN, start=12))
"""Which calls meet which fault, at even places and at odd ones, for one gateway or more. Four that fail are not yet the five that open a circuit."""
FAULT_STATUS: Mapping[str, int] = {"elephant": 502, "squirrel": 400, "leopard": 400}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and its price."""

    number: int
    size: str
    quality: str
    n: int = 1
    as_task: bool = False
    animal: str = "dolphin"

    @property
    def prompt(self) -> str:
        """Unique; five tokens, and five times four characters at most, for every animal here."""
        return f"a wild {self.animal} {self.number}"

    @property
    def held_microusd(self) -> int:
        """The most it may cost: what the caller leaves open is taken at its dearest."""
        qualities = QUALITIES.values() if self.quality == "auto" else [QUALITIES[self.quality]]
        sizes = SIZES.values() if self.size == "auto" else [SIZES[self.size]]
        return self._price(max(image_tokens(quality, *size) for quality in qualities for size in sizes))

    @property
    def cost_microusd(self) -> int:
        """What the vendor makes of it: where the caller leaves it open, a square of medium quality."""
        quality = QUALITIES["medium" if self.quality == "auto" else self.quality]
        return self._price(image_tokens(quality, *SIZES["1024x1024" if self.size == "auto" else self.size]))

    def _price(self, tokens: int) -> int:
        return self.n * tokens * IMAGE_MICROUSD + PROMPT_TOKENS * TEXT_MICROUSD


def kinds() -> list[Call]:
    """A picture of each size and quality, dearest first."""
    found = [Call(0, size, quality) for size in SIZES for quality in QUALITIES]
    return sorted(found, key=lambda call: call.held_microusd, reverse=True)


def warming(count: int) -> list[Call]:
    """The cheapest call, so many times."""
    return [replace(kinds()[-1], number=990 + index) for index in range(count)]


def mixed(count: int, seed: int) -> list[Call]:
    """Mostly cheap ones, so that many fit; both contracts; the faulty ones among the first."""
    choice, calls = Random(seed), []
    for index in range(count):
        calls.append(
            Call(
                number=100 + index,
                size=choice.choice(["auto", *SIZES]),
                quality=choice.choices(["low", "medium", "high", "auto"], [70, 15, 8, 7])[0],
                n=choice.choice([1, 1, 1, 2]),
                as_task=choice.random() < 0.5,
            )
        )
        if index in FAULTY:  # a bill without a picture is presumed at its dearest, so nothing is left open here
            calls[-1] = replace(calls[-1], size="1024x1024", quality="low", animal=FAULTY[index])
    return calls


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller without enough budget is told, in millionths of the budget's unit."""

    scope: str
    left: int
    needed: int
    unit: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A call and its answer. `task`: as polled to its end, of a call in the task contract that was accepted."""

    call: Call
    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]
    task: dict[str, Any] | None = None

    @property
    def refused(self) -> bool:
        """By a budget: 402 in the task contract, 429 in the image contract."""
        return self.status == (402 if self.call.as_task else 429)

    @property
    def refusal(self) -> Refusal:
        """AssertionError where the error does not say budget, amounts and what to do."""
        error = self.body["error"]
        assert (error["code"], self.headers["x-should-retry"]) == ("insufficient_quota", "false"), error
        match = _SPEND.search(error["message"])
        assert match is not None, error
        assert "Ask for fewer or cheaper images, or have it raised." in error["message"]
        return Refusal(
            error["limit_scope"], money.to_micro(match["left"]), money.to_micro(match["needed"]), match["unit"]
        )

    @property
    def delivered(self) -> int:
        """Pictures."""
        if self.task is not None:
            return len(self.task.get("results") or ())
        return len(self.body.get("data", ())) if self.status == 200 else 0

    @property
    def outcome(self) -> str:
        """`completed`, or the error's code."""
        if self.task is None:
            return "completed" if self.status == 200 else str(self.body["error"]["code"])
        return "completed" if self.task["status"] == "completed" else str(self.task["error"]["code"])


class Callers:
    """Clients that take the gateways in turn, for one call as for each poll."""

    def __init__(self, base_urls: Sequence[str], key: str) -> None:
        self._base_urls = base_urls
        self._key = key
        self._turn = 0

    async def at_once(self, calls: Sequence[Call]) -> list[Answered]:
        """All calls, each over a connection of its own, none before all are ready; tasks are polled to their ends."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        headers = {"Authorization": f"Bearer {self._key}"}
        barrier = asyncio.Barrier(len(calls))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as http:
            return await asyncio.gather(*[self._call(http, barrier, call) for call in calls])

    async def _call(self, http: aiohttp.ClientSession, barrier: asyncio.Barrier, call: Call) -> Answered:
        wish = {"model": MODEL, "prompt": call.prompt, "size": call.size, "quality": call.quality, "n": call.n}
        prefer = {"Prefer": "respond-async" if call.as_task else "wait=600"}
        url = f"{self._next()}/images/generations"
        await barrier.wait()
        async with http.post(url, json=wish, headers=prefer) as answer:
            status, received, body = answer.status, answer.headers.copy(), orjson.loads(await answer.read())
        task = await self._ended(http, body["id"]) if status == 202 else None
        return Answered(call, status, received, body, task)

    async def _ended(self, http: aiohttp.ClientSession, task_id: str) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_S_MAX):
            while True:
                async with http.get(f"{self._next()}/tasks/{task_id}") as answer:
                    assert answer.status == 200, await answer.text()
                    task: dict[str, Any] = orjson.loads(await answer.read())
                if is_final(task):
                    return task
                await asyncio.sleep(0.1)

    def _next(self) -> str:
        self._turn += 1
        return self._base_urls[self._turn % len(self._base_urls)]


def usd(microusd: int) -> Decimal:
    return Decimal(microusd) / money.MICRO
