"""The APIMart emulator, driven by the documented wire: there is no official client."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.apimart import APIMartEmulator
from tests.emulators.pictures import decoded

BODY: Mapping[str, object] = {
    "model": "gpt-image-2",
    "prompt": "a cat",
    "n": 1,
    "size": "16:9",
    "resolution": "2k",
    "image_urls": ["https://x.test/a.png"],
    "official_fallback": False,
}
KEY = {"Authorization": "Bearer sk-emulator"}


@dataclass(slots=True)
class Clock:
    """Seconds that pass only when told."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The emulator's time."""
    return Clock()


@pytest_asyncio.fixture
async def emulator(clock: Clock) -> AsyncIterator[APIMartEmulator]:
    """An emulator whose tasks take 40 seconds of a clock that stands still."""
    async with APIMartEmulator(work_s=40, now=clock) as started:
        yield started


async def asked(emulator: APIMartEmulator, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """One call: a POST where there is a body."""
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession(emulator.base_url, headers=KEY) as session,
        session.request(method, path, json=body) as response,
    ):
        return response.status, await response.json()


async def task_of(emulator: APIMartEmulator, task_id: object) -> dict[str, object]:
    """The `data` of a task."""
    _, answer = await asked(emulator, f"/v1/tasks/{task_id}?language=en")
    data = answer["data"]
    assert isinstance(data, dict)
    return data


async def submitted(emulator: APIMartEmulator) -> object:
    """The id of a new task, in either shape of the answer."""
    status, answer = await asked(emulator, "/v1/images/generations", dict(BODY))
    assert (status, answer["code"]) == (200, 200)
    data = answer["data"]
    if isinstance(data, dict):
        return data["id"]
    assert isinstance(data, list)
    assert data[0]["status"] == "submitted"
    return data[0]["task_id"]


async def test_a_task_runs_from_submit_to_download(emulator: APIMartEmulator, clock: Clock) -> None:
    """Pending, processing, completed with its cost; the link gives the picture for a day."""
    task_id = await submitted(emulator)
    assert (await task_of(emulator, task_id))["status"] == "pending"
    clock.now_s += 30
    assert (await task_of(emulator, task_id))["status"] == "processing"
    clock.now_s += 10
    done = await task_of(emulator, task_id)
    assert (done["status"], done["progress"], done["cost"]) == ("completed", 100, 0.012)
    result = done["result"]
    assert isinstance(result, dict)
    [link] = result["images"][0]["url"]
    assert result["images"][0]["expires_at"] == 1_040 + 86_400
    async with aiohttp.ClientSession() as session, session.get(link) as response:
        assert decoded(await response.read()) == ("png", (2688, 1536))
    assert emulator.billed_usd == Decimal("0.012")
    clock.now_s += 86_401
    async with aiohttp.ClientSession() as session, session.get(link) as response:
        assert response.status == 404


async def test_the_other_shapes_of_the_documentation(clock: Clock) -> None:
    """An object instead of a list, a text instead of a list of links."""
    async with APIMartEmulator(work_s=0, now=clock, other_shapes=True) as emulator:
        done = await task_of(emulator, await submitted(emulator))
    result = done["result"]
    assert isinstance(result, dict)
    assert isinstance(result["images"][0]["url"], str)


async def test_failed_tasks_are_refunded(emulator: APIMartEmulator, clock: Clock) -> None:
    """A refusal and a failure cost nothing, and say why."""
    emulator.next(b.Refuse(), b.FailTask(code="upstream_error", message="no"))
    ids = [await submitted(emulator), await submitted(emulator)]
    clock.now_s += 40
    failed = [await task_of(emulator, task_id) for task_id in ids]
    errors = [task["error"] for task in failed]
    assert [task["status"] for task in failed] == ["failed", "failed"]
    assert [task["cost"] for task in failed] == [0.0, 0.0]
    assert [error["code"] for error in errors if isinstance(error, dict)] == [
        "content_policy_violation",
        "upstream_error",
    ]
    assert emulator.bills == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"n": 2}, 400),
        ({"size": "7:5"}, 400),
        ({"resolution": "8k"}, 400),
        ({"prompt": ""}, 400),
        ({"image_urls": ["a.png"]}, 400),
        ({"model": "gpt-9"}, 404),
    ],
    ids=str,
)
async def test_a_bad_request_makes_no_task(emulator: APIMartEmulator, changes: dict[str, object], status: int) -> None:
    """The documented limits hold."""
    assert (await asked(emulator, "/v1/images/generations", {**BODY, **changes}))[0] == status
    assert emulator.tasks == {}


async def test_limits_load_and_money(emulator: APIMartEmulator) -> None:
    """Each has its status; an unknown task is 404."""
    emulator.next(b.RateLimit(), b.Overloaded(), b.OutOfMoney())
    assert [(await asked(emulator, "/v1/images/generations", dict(BODY)))[0] for _ in range(3)] == [429, 503, 402]
    assert (await asked(emulator, "/v1/tasks/task_none"))[0] == 404
    async with aiohttp.ClientSession(emulator.base_url) as session, session.get("/v1/tasks/x") as response:
        assert response.status == 401
