"""Callers of a fleet who want every picture they asked for: what broke off or was refused for a moment they send again under the same key.

Both contracts, several models; each caller begins the next call when the last one has ended. Every request must be answered, or its
connection broken, within the deadline of its task and a little; whatever else goes wrong stands in `failures`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from tests.acceptance.fleet import Overdue
from tests.acceptance.settings import BY_OPENAI, KEY

DEADLINE_S = 120
"""Of every task, by the config; what a dead process left may be looked for as long from when it is taken up."""
HANGING_S = DEADLINE_S + 10
CALL_S_MAX = 180.0
"""From the first request of a call to its end, whatever happens between them."""
POLL_S = 1.0
AGAIN_S = 0.5
REFUSED_S = 1.0
ANIMALS = ("dolphin", "elephant", "squirrel", "leopard", "crocodile", "flamingo")
"""The emulator counts a token for four characters: with the first four that is the exact count."""


@dataclass(frozen=True, slots=True)
class Call:
    """One that is sent until it is answered."""

    model: str
    prompt: str
    n: int
    as_task: bool

    @property
    def key(self) -> str:
        return f"{self.model} {self.prompt}"

    @property
    def body(self) -> dict[str, object]:
        return {"model": self.model, "prompt": self.prompt, "n": self.n, "size": "1024x1024", "quality": "low"}


@dataclass(slots=True)
class FleetCallers:
    """The callers, and what they saw. `counts` of a model are the pictures that a call may ask for."""

    origin: str
    callers: int
    models: Mapping[str, tuple[int, ...]]
    overdue: Overdue
    until_refused: bool = False
    """A caller that should stop goes on until the budget refuses it."""
    stopping: bool = False
    over: bool = False
    failures: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    tasks: dict[str, set[str]] = field(default_factory=dict)
    """By key, as they were answered."""
    delivered: dict[str, int] = field(default_factory=dict)
    """Pictures, by key."""
    last_answer_s: float = 0.0
    """Monotonic: when a picture was last delivered."""
    longest_request_s: float = 0.0
    longest_call_s: float = 0.0
    prompts: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        watching = asyncio.ensure_future(self.overdue.watch(lambda: self.over))
        try:
            async with asyncio.TaskGroup() as callers:
                for number in range(self.callers):
                    callers.create_task(self._caller(number))
        finally:
            self.over = True
            await watching

    async def _caller(self, number: int) -> None:
        choice = Random(number)
        timeout = aiohttp.ClientTimeout(total=HANGING_S)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(self.origin, headers=headers, timeout=timeout) as session:
            while not self.failures:
                began_s = time.monotonic()
                try:
                    async with asyncio.timeout(CALL_S_MAX):
                        refused = await self._call(session, self._new_call(choice))
                except TimeoutError:
                    self.failures.append(f"a call has not ended after {CALL_S_MAX} s")
                    return
                self.longest_call_s = max(self.longest_call_s, time.monotonic() - began_s)
                if self.stopping and (refused or not self.until_refused):
                    return

    def _new_call(self, choice: Random) -> Call:
        model = choice.choice(list(self.models))
        animal, number = divmod(self.prompts[model], 900)
        self.prompts[model] += 1
        prompt = f"a wild {ANIMALS[animal % len(ANIMALS)]} {100 + number}" + " again" * (animal // len(ANIMALS))
        return Call(model, prompt, choice.choice(self.models[model]), choice.random() < 0.5)

    async def _call(self, session: aiohttp.ClientSession, call: Call) -> bool:
        """Whether the budget refused it."""
        headers = {"Prefer": "respond-async" if call.as_task else "wait=600", "Idempotency-Key": call.key}
        while True:
            answered = await self._request(session, "POST", "/v1/images/generations", call.body, headers)
            if answered is None:
                continue
            status, content = answered
            code = (content.get("error") or {}).get("code")
            if status in (402, 429) and code == "insufficient_quota":
                self.answers["refused by the budget"] += 1
                await asyncio.sleep(REFUSED_S)
                return True
            if status == 202:
                await self._poll(session, call, content)
            elif status == 200:
                self._ended(call, "completed", None, len(content["data"]))
            else:
                self._ended(call, f"{status}", code, 0)
            return False

    async def _poll(self, session: aiohttp.ClientSession, call: Call, task: dict[str, Any]) -> None:
        self.tasks.setdefault(call.key, set()).add(task["id"])
        while task["status"] in ("pending", "processing"):
            await asyncio.sleep(POLL_S)
            answered = await self._request(session, "GET", f"/v1/tasks/{task['id']}")
            if answered is None:
                continue
            status, task = answered[0], answered[1]
            if status != 200:
                self.failures.append(f"a poll: {status} {task}")
                return
        self._ended(call, task["status"], (task.get("error") or {}).get("code"), len(task.get("results") or ()))

    def _ended(self, call: Call, status: str, code: str | None, pictures: int) -> None:
        if status == "completed" and pictures == call.n:
            self.answers["delivered"] += 1
            self.delivered[call.key] = pictures
            self.last_answer_s = time.monotonic()
        elif code == "outcome_unknown" and call.model == BY_OPENAI:
            self.answers["outcome unknown"] += 1
        else:
            self.failures.append(f"{call}: {status} {code}, {pictures} pictures")

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]] | None:
        """None: to be sent again, since the connection broke, or nobody can serve it now."""
        began_s = time.monotonic()
        try:
            async with session.request(method, path, json=body, headers=headers) as answer:
                content = await answer.json(content_type=None)
                if "x-task-id" in answer.headers and headers is not None:
                    self.tasks.setdefault(headers["Idempotency-Key"], set()).add(answer.headers["x-task-id"])
                if answer.status == 503:
                    wait_s = answer.headers.get("retry-after", "")
                    if not wait_s.isdigit():
                        self.failures.append(f"503 without Retry-After: {content}")
                    self.answers["503 with Retry-After"] += 1
                    await asyncio.sleep(AGAIN_S)  # sooner than asked
                    return None
                return answer.status, content
        except TimeoutError:
            self.failures.append(f"{method} {path}: no answer within {HANGING_S} s")
        except (aiohttp.ClientError, OSError):
            self.answers["connection broken"] += 1
            await asyncio.sleep(AGAIN_S)
        finally:
            self.longest_request_s = max(self.longest_request_s, time.monotonic() - began_s)
        return None
