"""The kie.ai emulator, driven by the documented wire: there is no official client."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.kie import KieEmulator
from tests.emulators.pictures import decoded

INPUT: Mapping[str, object] = {
    "prompt": "a cat",
    "aspect_ratio": "3:2",
    "resolution": "1K",
    "quality": "high",
    "input_urls": ["https://x.test/a.png"],
}
BODY: Mapping[str, object] = {"model": "gpt-image-2", "callBackUrl": "https://x.test/back", "input": INPUT}
CREATE = "/api/v1/jobs/createTask"
KEY = {"Authorization": "Bearer sk-emulator"}


class Clock:
    """Seconds that pass only when told."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The emulator's time."""
    return Clock()


@pytest_asyncio.fixture
async def emulator(clock: Clock) -> AsyncIterator[KieEmulator]:
    """An emulator whose tasks take 40 seconds of a clock that stands still."""
    async with KieEmulator(work_s=40, now=clock, queries_per_s_max=3) as started:
        yield started


async def asked(emulator: KieEmulator, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """One call: a POST where there is a body. The HTTP status and the answer."""
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession(emulator.base_url, headers=KEY) as session,
        session.request(method, path, json=body) as response,
    ):
        return response.status, await response.json()


async def submitted(emulator: KieEmulator) -> object:
    """The id of a new task."""
    status, answer = await asked(emulator, CREATE, dict(BODY))
    assert (status, answer["code"]) == (200, 200)
    assert isinstance(answer["data"], dict)
    return answer["data"]["taskId"]


async def record_of(emulator: KieEmulator, task_id: object) -> dict[str, object]:
    """The `data` of a task."""
    _, answer = await asked(emulator, f"/api/v1/jobs/recordInfo?taskId={task_id}")
    assert isinstance(answer["data"], dict), answer
    return answer["data"]


async def test_a_task_runs_from_submit_to_download(emulator: KieEmulator, clock: Clock) -> None:
    """Waiting, generating, success; the links are in a JSON text; the price is by resolution."""
    task_id = await submitted(emulator)
    assert (await record_of(emulator, task_id))["state"] == "waiting"
    clock.now_s += 30
    assert (await record_of(emulator, task_id))["state"] == "generating"
    clock.now_s += 10
    done = await record_of(emulator, task_id)
    assert (done["state"], done["costTime"], done["failCode"]) == ("success", 40_000, None)
    assert orjson.loads(str(done["param"]))["input"] == INPUT
    [link] = orjson.loads(str(done["resultJson"]))["resultUrls"]
    async with aiohttp.ClientSession() as session, session.get(link) as response:
        assert decoded(await response.read()) == ("png", (1248, 832))
    assert emulator.billed_usd == Decimal("0.03")


@pytest.mark.parametrize(
    ("behaviour", "code", "word"),
    [
        (b.OutOfMoney(), 402, "Credits insufficient"),
        (b.RateLimit(), 429, "frequency"),
        (b.Overloaded(), 455, "maintenance"),
        (b.Overloaded(form="500"), 500, "Server exception"),
        (b.Overloaded(form="505"), 505, "disabled"),
        (b.Error(status=451, message="Failed to fetch the image."), 451, "fetch"),
    ],
    ids=lambda value: str(getattr(value, "kind", value)),
)
async def test_errors_hide_behind_status_200(
    emulator: KieEmulator, clock: Clock, behaviour: b.Behaviour, code: int, word: str
) -> None:
    """Only the body's code tells, unless the emulator is told to repeat it as the status."""
    emulator.next(behaviour)
    status, answer = await asked(emulator, CREATE, dict(BODY))
    assert (status, answer["code"], answer["data"]) == (200, code, None)
    assert word in str(answer["msg"])
    async with KieEmulator(now=clock, http_statuses=True) as open_about_it:
        open_about_it.next(behaviour)
        assert (await asked(open_about_it, CREATE, dict(BODY)))[0] == code


async def test_failed_tasks_cost_nothing(emulator: KieEmulator, clock: Clock) -> None:
    """A refusal and a failure have a code and a text."""
    emulator.next(b.Refuse(), b.FailTask())
    ids = [await submitted(emulator), await submitted(emulator)]
    clock.now_s += 40
    failed = [await record_of(emulator, task_id) for task_id in ids]
    assert [(record["state"], record["failCode"]) for record in failed] == [("fail", "400"), ("fail", "501")]
    assert "policies" in str(failed[0]["failMsg"])
    assert emulator.bills == []


async def test_what_is_rejected(emulator: KieEmulator, clock: Clock) -> None:
    """Wrong values, unknown tasks, strangers, and whoever asks more than three times a second."""
    wrong: list[dict[str, object]] = [
        {"input": {**INPUT, "aspect_ratio": "7:5"}},
        {"n": 2},
        {"model": "gpt-9"},
        {"input": {}},
    ]
    for changes in wrong:
        assert (await asked(emulator, CREATE, {**BODY, **changes}))[1]["code"] == 422
    assert (await asked(emulator, "/api/v1/jobs/recordInfo?taskId=none"))[1]["code"] == 404
    task_id = await submitted(emulator)
    path = f"/api/v1/jobs/recordInfo?taskId={task_id}"
    assert [(await asked(emulator, path))[1]["code"] for _ in range(4)] == [200, 200, 200, 429]
    clock.now_s += 1
    assert (await asked(emulator, path))[1]["code"] == 200
    assert (await asked(emulator, "/api/v1/chat/credit"))[1]["data"] == 1000
    async with aiohttp.ClientSession(emulator.base_url) as session, session.get("/api/v1/chat/credit") as response:
        assert (await response.json())["code"] == 401
