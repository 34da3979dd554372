"""The EvoLink emulator, driven by a plain client of its task API: submit, poll, download, and every way it can fail."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.evolink_rules import ERRORS, QUOTA_CODES, TASK_CODES_FINAL, TASK_CODES_RETRYABLE
from tests.emulators.fixtures import StartProcess
from tests.emulators.pictures import decoded, label_of

BODY: Mapping[str, object] = {"model": "gpt-4o-image", "prompt": "a cat on a mat", "size": "2:3", "n": 2}
KEY = "attempt-0123456789"


@dataclass(slots=True)
class Clock:
    """Seconds that pass only when told."""

    now_s: float = 1_757_165_031.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    json: dict[str, object]

    @property
    def error_code(self) -> object:
        error = self.json.get("error")
        return error.get("code") if isinstance(error, dict) else None


@dataclass(frozen=True, slots=True)
class TaskClient:
    """A client that knows nothing but the documented wire."""

    session: aiohttp.ClientSession
    base_url: str
    key: str

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        named = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with self.session.request(method, self.base_url + path, json=body, headers=named) as response:
            return Reply(response.status, dict(response.headers), await response.json())

    async def submit(self, body: Mapping[str, object] = BODY, key: str | None = None) -> Reply:
        headers = {"Idempotency_Key": key} if key else {}
        return await self.ask("POST", "/v1/images/generations", dict(body), **headers)

    async def task(self, task_id: object) -> Reply:
        return await self.ask("GET", f"/v1/tasks/{task_id}")

    async def download(self, url: str) -> tuple[int, bytes]:
        async with self.session.get(url) as response:
            return response.status, await response.read()


@pytest.fixture
def clock() -> Clock:
    """The emulator's time."""
    return Clock()


@pytest_asyncio.fixture
async def emulator(clock: Clock) -> AsyncIterator[EvolinkEmulator]:
    """An emulator whose tasks take 45 seconds of a clock that stands still."""
    async with EvolinkEmulator(work_s=45, now=clock) as started:
        yield started


@pytest_asyncio.fixture
async def client(emulator: EvolinkEmulator) -> AsyncIterator[TaskClient]:
    """A client with the right key."""
    async with aiohttp.ClientSession() as session:
        yield TaskClient(session, emulator.base_url, emulator.api_key)


async def test_a_task_runs_from_submit_to_download(client: TaskClient, emulator: EvolinkEmulator, clock: Clock) -> None:
    """Pending, processing, completed; the links give the pictures asked for; the bill is $0.0208 a picture."""
    made = await client.submit()
    assert made.status == 200
    assert re.fullmatch(r"task-unified-1757165031-[a-z0-9]{8}", str(made.json["id"]))
    assert {name: made.json[name] for name in ("object", "status", "progress", "type", "task_info", "usage")} == {
        "object": "image.generation.task",
        "status": "pending",
        "progress": 0,
        "type": "image",
        "task_info": {"can_cancel": True, "estimated_time": 45},
        "usage": {"billing_rule": "per_call", "credits_reserved": 5.0, "user_group": "default"},
    }
    clock.now_s += 20
    half = (await client.task(made.json["id"])).json
    assert (half["status"], half["progress"], emulator.billed_images) == ("processing", 44, 0)
    clock.now_s += 25
    done = (await client.task(made.json["id"])).json
    usage, results = done["usage"], done["results"]
    assert isinstance(usage, dict)
    assert isinstance(results, list)
    assert (done["status"], done["progress"], len(results)) == ("completed", 100, 2)
    assert (usage["credits_used"], usage["cost"]["usd"]) == (3.0, 0.0416)
    for index, url in enumerate(results):
        _, content = await client.download(url)
        assert decoded(content) == ("png", (1024, 1536))
        assert label_of(content) == f"{made.json['id']}/{index}"
    assert (emulator.billed_usd, emulator.billed_images) == (Decimal("0.0416"), 2)
    assert emulator.bills[0].task_id == made.json["id"]


async def test_a_task_is_billed_although_nobody_polls(
    client: TaskClient, emulator: EvolinkEmulator, clock: Clock
) -> None:
    """Losing the answer to the submit does not save the money."""
    emulator.next(b.Reset(bills=True))
    with pytest.raises(aiohttp.ClientError):
        await client.submit()
    assert emulator.bills == []
    clock.now_s += 45
    assert emulator.billed_images == 2


async def test_a_replay_answers_the_same_task_and_bills_once(
    client: TaskClient, emulator: EvolinkEmulator, clock: Clock
) -> None:
    """After a reset, sending again with the same key finds the task; marked as replayed, billed once."""
    emulator.next(b.Reset(bills=True))
    with pytest.raises(aiohttp.ClientError):
        await client.submit(key=KEY)
    first, second = await client.submit(key=KEY), await client.submit(key=KEY)
    assert first.json["id"] == second.json["id"]
    assert first.headers["idempotency-replayed"] == "true"
    clock.now_s += 45
    assert (await client.submit(key=KEY)).json["status"] == "completed"
    assert emulator.billed_images == 2


async def test_a_fresh_key_is_not_a_replay_and_an_unaccepted_call_leaves_no_key(
    client: TaskClient, emulator: EvolinkEmulator
) -> None:
    """A call that failed before it was accepted runs when sent again; the first answer carries no replay mark."""
    emulator.next(b.Error(status=502, code="bad_gateway"))
    assert (await client.submit(key=KEY)).status == 502
    made = await client.submit(key=KEY)
    assert made.status == 200
    assert "idempotency-replayed" not in made.headers
    assert (await client.submit()).json["id"] != made.json["id"]


async def test_the_same_key_with_another_body_is_a_conflict(client: TaskClient) -> None:
    """Nothing is made of a key that means two things; a key too short is refused."""
    await client.submit(key=KEY)
    assert (await client.submit({**BODY, "n": 1}, key=KEY)).error_code == "idempotency_conflict"
    assert (await client.submit(key="short")).status == 400


@pytest.mark.parametrize("code", [*TASK_CODES_FINAL, *TASK_CODES_RETRYABLE])
async def test_a_task_fails_with_every_code(
    client: TaskClient, emulator: EvolinkEmulator, clock: Clock, code: str
) -> None:
    """The failure shows when the work is over, and costs nothing."""
    emulator.next(b.FailTask(code=code))
    made = await client.submit()
    assert made.json["status"] == "pending"
    clock.now_s += 45
    failed = await client.task(made.json["id"])
    assert (failed.status, failed.json["status"], failed.error_code) == (200, "failed", code)
    assert "results" not in failed.json
    assert emulator.bills == []


async def test_a_refusal_is_a_failed_task(client: TaskClient, emulator: EvolinkEmulator, clock: Clock) -> None:
    """A prompt by rule is refused the vendor's way; where told so, it is billed."""
    emulator.when("cat", b.Refuse(bills=True))
    made = await client.submit()
    clock.now_s += 45
    assert (await client.task(made.json["id"])).error_code == "content_policy_violation"
    assert emulator.billed_images == 2


@pytest.mark.parametrize(("code", "status"), ERRORS.items())
async def test_every_error_class(client: TaskClient, emulator: EvolinkEmulator, code: str, status: int) -> None:
    """Each code arrives with its status in the vendor's envelope, and nothing is billed."""
    emulator.next(b.Error(status=status, code=code, message="no"))
    reply = await client.submit()
    assert (reply.status, reply.error_code, emulator.bills) == (status, code, [])


@pytest.mark.parametrize("code", QUOTA_CODES)
async def test_out_of_money_is_402(client: TaskClient, emulator: EvolinkEmulator, code: str) -> None:
    """Every quota code of the vendor is a 402."""
    emulator.next(b.OutOfMoney(code=code))
    reply = await client.submit()
    assert (reply.status, reply.error_code) == (402, code)


async def test_rate_limit_and_overload(client: TaskClient, emulator: EvolinkEmulator) -> None:
    """429 with its hint, 503 with no_available_channel."""
    emulator.next(b.RateLimit(retry_after="60"), b.Overloaded())
    limited, overloaded = await client.submit(), await client.submit()
    assert (limited.status, limited.headers["Retry-After"]) == (429, "60")
    assert (overloaded.status, overloaded.error_code) == (503, "no_available_channel")


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 3},
        {"n": "1"},
        {"size": "16:9"},
        {"size": "1024x1025"},
        {"prompt": " "},
        {"prompt": "word " * 2_001},
        {"model": ""},
        {"quality": "high"},
        {"image_urls": ["https://example.com/a.png"] * 6},
        {"mask_url": "https://example.com/m.png"},
        {"callback_url": "http://example.com/"},
    ],
    ids=str,
)
async def test_a_bad_request_is_400_and_makes_no_task(client: TaskClient, changes: dict[str, object]) -> None:
    """The published limits hold."""
    reply = await client.submit({**BODY, **changes})
    assert (reply.status, reply.error_code) == (400, "invalid_request_error")
    assert (await client.ask("GET", "/v1/tasks")).json["total"] == 0


async def test_two_thousand_words_and_four_pictures_pass(client: TaskClient) -> None:
    """The limits themselves are allowed."""
    reply = await client.submit({**BODY, "prompt": "word " * 2_000, "n": 4, "mask_url": "https://example.com/m.png"})
    assert reply.status == 400  # a mask needs its picture
    masked = {**BODY, "image_urls": ["https://example.com/a.png"], "mask_url": "https://example.com/m.png"}
    assert (await client.submit({**masked, "prompt": "word " * 2_000, "n": 4})).status == 200


async def test_keys_and_unknown_things(client: TaskClient, emulator: EvolinkEmulator) -> None:
    """A wrong key is 401 everywhere, an unknown model and an unknown task are 404."""
    stranger = TaskClient(client.session, client.base_url, "sk-evo-other")
    for method, path in [
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/tasks/x"),
        ("GET", "/v1/tasks"),
        ("POST", "/v1/tasks/batch"),
        ("GET", "/v1/credits"),
    ]:
        assert (await stranger.ask(method, path, {} if method == "POST" else None)).status == 401
    assert (await client.submit({**BODY, "model": "gpt-9"})).status == 404
    assert (await client.task("task-unified-1-abcdefgh")).error_code == "task_not_found"
    assert len(emulator.requests) == 7


async def test_lists_batches_and_credits(client: TaskClient, emulator: EvolinkEmulator, clock: Clock) -> None:
    """The list is newest first and filtered, a batch leaves unknown ids out, credits fall with the bill."""
    old = (await client.submit()).json["id"]
    clock.now_s += 45
    new = (await client.submit()).json["id"]
    listed = (await client.ask("GET", "/v1/tasks?page=1&page_size=10")).json["data"]
    assert isinstance(listed, list)
    assert [(row["id"], row["status"]) for row in listed] == [(new, "processing"), (old, "completed")]
    assert (await client.ask("GET", "/v1/tasks?status=completed")).json["total"] == 1
    batch = (await client.ask("POST", "/v1/tasks/batch", {"task_ids": [old, "task-unified-1-x", new]})).json
    assert isinstance(batch["data"], list)
    assert (batch["code"], [task["id"] for task in batch["data"]]) == (200, [old, new])
    assert (await client.ask("POST", "/v1/tasks/batch", {"task_ids": ["x"] * 51})).status == 400
    credits = (await client.ask("GET", "/v1/credits")).json["data"]
    assert isinstance(credits, dict)
    assert credits["user"] == {"remaining_credits": 999_997.0, "used_credits": 3.0}


async def test_the_reservation_empties_the_account(clock: Clock) -> None:
    """Five credits hold one task of two pictures (2.5 each reserved), not a second one at the same time."""
    async with EvolinkEmulator(work_s=45, now=clock, credits=Decimal("8")) as emulator, aiohttp.ClientSession() as http:
        client = TaskClient(http, emulator.base_url, emulator.api_key)
        assert (await client.submit()).status == 200
        assert (await client.submit()).error_code == "insufficient_user_quota"
        clock.now_s += 45
        assert (await client.submit()).status == 200


async def test_results_can_be_few_wrong_lost_and_expired(
    client: TaskClient, emulator: EvolinkEmulator, clock: Clock
) -> None:
    """A paid result may be short, no picture at all, behind an error, or gone after a day."""
    emulator.next(b.Fewer(images=1), b.WrongImage())
    few, wrong = await client.submit(), await client.submit()
    clock.now_s += 45
    results = (await client.task(few.json["id"])).json["results"]
    assert isinstance(results, list)
    assert len(results) == 1
    broken = (await client.task(wrong.json["id"])).json["results"]
    assert isinstance(broken, list)
    assert (await client.download(broken[0]))[1].startswith(b"<html>")
    emulator.next(b.HtmlError(status=404), at="download")
    assert (await client.download(results[0]))[0] == 404
    assert (await client.download(results[0]))[0] == 200
    clock.now_s += 24 * 3600 + 1
    assert (await client.download(results[0]))[0] == 403
    assert emulator.billed_images == 3


async def test_a_stalled_task_and_a_failing_poll(client: TaskClient, emulator: EvolinkEmulator, clock: Clock) -> None:
    """A task may never finish, and a poll may fail although the task is well; each place has its own script."""
    emulator.next(b.StallTask())
    emulator.next(b.Error(status=502, code="bad_gateway"), at="poll")
    made = await client.submit()
    clock.now_s += 10_000
    assert (await client.task(made.json["id"])).status == 502
    assert (await client.task(made.json["id"])).json["status"] == "processing"
    assert emulator.bills == []
    with pytest.raises(ValueError):
        emulator.next(b.Succeed(), at="nowhere")


async def test_the_fixture_runs_in_real_time(evolink_emulator: EvolinkEmulator) -> None:
    """With the system's clock a task of the fixture is done after its 50 ms."""
    async with aiohttp.ClientSession() as session:
        client = TaskClient(session, evolink_emulator.base_url, evolink_emulator.api_key)
        made = await client.submit()
        await asyncio.sleep(0.1)
        assert (await client.task(made.json["id"])).json["status"] == "completed"
    assert evolink_emulator.billed_images == 2


async def test_the_process_form_is_shared_and_scripted(emulator_process: StartProcess) -> None:
    """Another process holds the tasks; behaviours, bills, requests and reset go over the control port."""
    process = emulator_process("evolink", work=0.0)
    process.when("cat", b.FailTask(code="service_error"))
    async with aiohttp.ClientSession() as session:
        client = TaskClient(session, process.base_url, process.api_key)
        made = await client.submit(key=KEY)
        assert (await client.task(made.json["id"])).error_code == "service_error"
        assert process.billed_usd == 0
        assert process.requests[0].headers["idempotency-key"] == KEY
        process.reset()
        again = await client.submit(key=KEY)
        assert "idempotency-replayed" not in again.headers
        assert process.billed_usd == Decimal("0.0416")
        assert [bill.task_id for bill in process.bills] == [again.json["id"]]
