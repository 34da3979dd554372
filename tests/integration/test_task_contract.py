"""The task contract on the whole app: create as on the product page, poll, list, batch, cancel, credits; and whose tasks one may see."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.emulators import behaviours as b
from tests.emulators import pictures
from tests.emulators.evolink import EvolinkEmulator
from tests.integration.gateway_app import (
    OTHER_KEY,
    Fields,
    House,
    accounts,
    dict_of,
    evolink_upstream,
    list_of,
    serving,
    texts_of,
    write_config,
)

pytestmark = pytest.mark.usefixtures("whole_stack")

EXAMPLE = {
    "model": "gpt-4o-image",
    "prompt": "A beautiful sunset over the ocean with vibrant colors",
    "size": "1024x1024",
    "n": 1,
}
"""The product page's request example."""
UNKNOWN_TASK = "task-unified-1757165031-uyujaw3d"
DAY_S = 86_400


@pytest.fixture
async def house(sqlite_database: str, tmp_path: Path, evolink_emulator: EvolinkEmulator) -> AsyncIterator[House]:
    """A gateway with one upstream, EvoLink, that does one call at a time."""
    upstreams = {"evolink": evolink_upstream(evolink_emulator, concurrency=1)}
    config = write_config(tmp_path, sqlite_database, upstreams, accounts=accounts("1000credits/total"))
    async with serving(config, {"evolink": evolink_emulator}) as house:
        yield house


async def create(house: House, **fields: object) -> str:
    """A task by the example, changed by `fields`; its id."""
    answer = await house.call("POST", "/v1/images/generations", body=EXAMPLE | fields)
    assert answer.status == 200, answer.body
    return answer.text("id")


def shape(value: object) -> object:
    """Fields and types of a JSON value, without its values; whole and broken numbers are both numbers."""
    if isinstance(value, Mapping):
        return {name: shape(member) for name, member in value.items()}
    return "number" if type(value) in (int, float) else type(value).__name__


async def test_the_pages_example_is_answered_with_exactly_its_fields(
    database_url: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """The answer has the fields of the page's response, no more and no fewer, although the upstream has not said a word yet."""
    evolink_emulator.next(b.Hang(bills=True))
    page = {
        "created": 1757165031, "id": "task-unified-1757165031-uyujaw3d", "model": "gpt-4o-image", "object": "image.generation.task",
        "progress": 0, "status": "pending", "task_info": {"can_cancel": True, "estimated_time": 45}, "type": "image",
        "usage": {"billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default"},
    }  # fmt: skip
    config = write_config(tmp_path, database_url, {"evolink": evolink_upstream(evolink_emulator)})
    async with serving(config, {"evolink": evolink_emulator}) as house:
        answer = await house.call("POST", "/v1/images/generations", key=OTHER_KEY, body=EXAMPLE)
        await evolink_emulator.until(lambda emulator: emulator.hanging == 1)
        evolink_emulator.release()
    created = answer.json
    assert answer.status == 200
    assert shape(created) == shape(page)
    assert {name: created[name] for name in ("model", "object", "progress", "status", "type", "task_info")} == {
        name: page[name] for name in ("model", "object", "progress", "status", "type", "task_info")
    }
    assert created["usage"] == {"billing_rule": "per_call", "credits_reserved": 1.5, "user_group": "default"}
    assert re.fullmatch(r"task-unified-[0-9]{10}-[a-z0-9]{8}", answer.text("id"))
    assert answer.headers["Location"] == f"/v1/tasks/{created['id']}"
    assert 0 < int(answer.headers["Retry-After"]) <= 59


async def test_polling_ends_with_a_link_to_the_picture(
    database_url: str, tmp_path: Path, evolink_emulator: EvolinkEmulator
) -> None:
    """pending or processing, then completed with a link that needs no key and works for 24 hours; charged by the page's price."""
    evolink_emulator.work_s = 0.3
    config = write_config(tmp_path, database_url, {"evolink": evolink_upstream(evolink_emulator)})
    async with serving(config, {"evolink": evolink_emulator}) as house:
        task_id = await create(house)
        seen: list[tuple[object, int]] = []
        found: dict[str, object] = {}
        async with asyncio.timeout(30):
            while not seen or seen[-1][0] in ("pending", "processing"):
                found = (await house.task(task_id)).json
                seen.append((found["status"], int(str(found["progress"]))))
                await asyncio.sleep(0.02)
        picture = await house.get(texts_of(found, "results")[0], key=None)
    assert [status for status, _ in seen if status not in ("pending", "processing")] == ["completed"]
    progress = [value for _, value in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert picture.status == 200
    assert picture.headers["Content-Type"] == "image/png"
    assert pictures.decoded(picture.body) == ("png", (1024, 1024))
    assert str(pictures.label_of(picture.body)).startswith("task-unified-"), "the very bytes that the upstream made"
    usage = dict_of(found, "usage")
    assert usage["credits_used"] == 1.5
    assert dict_of(usage, "cost")["credits"] == 1.5
    assert dict_of(found, "task_info")["can_cancel"] is False
    (result,) = list_of(found, "result_data")
    assert result["image_url"] == texts_of(found, "results")[0]
    assert abs(int(str(result["expires_at"])) - time.time() - DAY_S) < 60
    (attempt,) = list_of(found, "attempts")
    assert attempt.keys() == {"upstream", "status", "fault", "cost_usd", "ms"}
    assert (attempt["upstream"], attempt["status"], attempt["cost_usd"]) == ("evolink", "succeeded", 0.0208)


async def test_pre_charged_by_n_and_charged_by_what_was_made(house: House, evolink_emulator: EvolinkEmulator) -> None:
    """n=4 reserves four; two are delivered, two are charged."""
    evolink_emulator.next(b.Fewer(images=2))
    answer = await house.call("POST", "/v1/images/generations", body=EXAMPLE | {"n": 4})
    found = await house.ended(answer.text("id"))
    assert dict_of(answer.json, "usage")["credits_reserved"] == 6
    assert len(texts_of(found, "results")) == 2
    assert dict_of(found, "usage")["credits_used"] == 3
    credits = dict_of((await house.get("/v1/credits")).json, "data", "token")
    assert (credits["used_credits"], credits["remaining_credits"]) == (3, 997)


async def test_a_failed_task_says_why_and_costs_nothing(house: House, evolink_emulator: EvolinkEmulator) -> None:
    """A refusal ends the task as failed, with the page's error code and nothing charged."""
    evolink_emulator.next(b.Refuse())
    found = await house.ended(await create(house))
    assert found["status"] == "failed"
    assert dict_of(found, "error")["code"] == "content_policy_violation"
    assert dict_of(found, "usage")["credits_used"] == 0
    assert "results" not in found


async def test_listing_shows_the_keys_own_tasks_newest_first(house: House, evolink_emulator: EvolinkEmulator) -> None:
    """Pages, filters by status and model, and the fields of a row; nothing of another key."""
    ids = []
    for index in range(5):
        if index == 2:
            evolink_emulator.next(b.FailTask(code="invalid_parameters"))
        ids.append(await create(house))
        await house.ended(ids[-1])
    foreign = (await house.generate("gpt-4o-image", key=OTHER_KEY)).text("id")
    first = (await house.get("/v1/tasks?page=1&page_size=2")).json
    last = (await house.get("/v1/tasks?page=3&page_size=2")).json
    failed = (await house.get("/v1/tasks?status=failed&model=gpt-4o-image")).json
    other_model = (await house.get("/v1/tasks?model=gpt-image-2")).json
    whole = (await house.get("/v1/tasks")).json
    assert (first["object"], first["total"], first["page"], first["page_size"]) == ("list", 5, 1, 2)
    assert sorted(str(row["id"]) for row in list_of(whole, "data")) == sorted(ids)
    created_at = [int(str(row["created_at"])) for row in list_of(whole, "data")]
    assert created_at == sorted(created_at, reverse=True)
    assert foreign not in ids
    assert len(list_of(first, "data")) == 2
    assert len(list_of(last, "data")) == 1
    assert [row["id"] for row in list_of(failed, "data")] == [ids[2]]
    assert other_model["total"] == 0
    (row,) = list_of(failed, "data")
    assert row.keys() == {
        "id", "model", "type", "status", "progress", "created_at", "has_results", "result_count", "has_error", "credits_used", "duration",
    }  # fmt: skip
    assert (row["has_results"], row["result_count"], row["has_error"], row["credits_used"]) == (False, 0, True, 0)


async def test_a_batch_leaves_out_what_is_not_the_keys_own(house: House) -> None:
    """Own tasks come in the order asked for; unknown and foreign ids and plain nonsense are absent; 51 are too many."""
    mine = [await create(house), await create(house)]
    foreign = (await house.generate("gpt-4o-image", key=OTHER_KEY)).text("id")
    asked = [mine[1], UNKNOWN_TASK, foreign, "nonsense", mine[0]]
    answer = await house.call("POST", "/v1/tasks/batch", body={"task_ids": asked})
    too_many = await house.call("POST", "/v1/tasks/batch", body={"task_ids": [UNKNOWN_TASK] * 51})
    assert (answer.status, answer.json["code"]) == (200, 200)
    assert [task["id"] for task in list_of(answer.json, "data")] == [mine[1], mine[0]]
    assert (too_many.status, too_many.error["param"]) == (400, "task_ids")
    for task_id in mine:  # what is not sent yet would be left for another process
        await house.ended(task_id)
    await house.ended(foreign, key=OTHER_KEY)


async def test_a_foreign_task_looks_like_an_unknown_one(house: House) -> None:
    """Querying and cancelling another key's task give the very answer of an id that never existed, apart from the request's id."""
    task_id = await create(house)
    for method, path in (("GET", "/v1/tasks/{}"), ("POST", "/v1/tasks/{}/cancel")):
        foreign = await house.call(method, path.format(task_id), key=OTHER_KEY)
        unknown = await house.call(method, path.format(UNKNOWN_TASK), key=OTHER_KEY)
        assert (foreign.status, foreign.error["code"]) == (404, "task_not_found")
        assert foreign.error | {"request_id": ""} == unknown.error | {"request_id": ""}
        assert foreign.headers.keys() == unknown.headers.keys()
    malformed = await house.get("/v1/tasks/task-1")
    assert (malformed.status, malformed.error["code"], malformed.error["param"]) == (400, "invalid_task_id", "task_id")


async def test_cancel_is_possible_until_the_picture_is_sent_for(
    house: House, evolink_emulator: EvolinkEmulator
) -> None:
    """The first task holds the upstream's only slot: it cannot be cancelled, the waiting one can, twice, and costs nothing."""
    evolink_emulator.work_s = 1.0
    sent = await create(house)
    await evolink_emulator.until(lambda emulator: len(emulator.requests) > 0)
    waiting = await create(house)
    before = (await house.task(waiting)).json
    refused = await house.call("POST", f"/v1/tasks/{sent}/cancel")
    cancelled = await house.call("POST", f"/v1/tasks/{waiting}/cancel")
    again = await house.call("POST", f"/v1/tasks/{waiting}/cancel")
    held = dict_of((await house.get("/v1/credits")).json, "data", "token")["remaining_credits"]
    ended = await house.ended(sent)
    assert dict_of(before, "task_info")["can_cancel"] is True
    assert (refused.status, refused.error["code"]) == (409, "task_not_cancellable")
    assert refused.headers["x-should-retry"] == "false"
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert dict_of(cancelled.json, "error")["code"] == "request_cancelled"
    assert dict_of(cancelled.json, "usage")["credits_used"] == 0
    assert (again.status, again.json["status"]) == (200, "cancelled"), "twice is as once"
    assert held == 1000 - 1.5, "only the sent task is still held for"
    assert ended["status"] == "completed"
    assert evolink_emulator.billed_images == 1


async def test_the_pages_limits_are_kept(house: House) -> None:
    """2,000 tokens are allowed and 2,001 are not; n is 1, 2 or 4; sizes are those of the page; blank is no prompt."""
    token = " fox"
    fits = await house.generate("gpt-4o-image", prompt="a" + token * 1999)
    refusals: dict[str, Fields] = {
        "prompt_too_long": {"prompt": "a" + token * 2000},
        "unsupported_size": {"size": "512x512"},
        "invalid_parameter": {"n": 3},
    }
    assert fits.status == 200
    for code, fields in refusals.items():
        answer = await house.generate("gpt-4o-image", **fields)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, next(iter(fields)))
    blank = await house.generate("gpt-4o-image", prompt=" \n")
    assert (blank.status, blank.error["param"]) == (400, "prompt")


@pytest.mark.parametrize("size", ["1:1", "2:3", "3:2", "1024x1536", "1536x1024"])
async def test_every_size_of_the_page_is_made(size: str, house: House) -> None:
    """A ratio means the pixel size of that ratio."""
    expected = {"1:1": (1024, 1024), "2:3": (1024, 1536), "3:2": (1536, 1024)}
    found = await house.ended(await create(house, size=size))
    picture = await house.get(texts_of(found, "results")[0], key=None)
    pixels = expected.get(size) or tuple(map(int, size.split("x")))
    assert pictures.decoded(picture.body)[1] == pixels
