"""Attempts at an upstream that can be asked by our reference: asked first, and sent anew only when nothing can arrive any more."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gateway.domain.catalog import Recovery
from gateway.domain.ids import AccountId
from gateway.domain.money import Amount
from gateway.domain.tasks import Attempt, AttemptState, Billed, Fault, Heard, TaskErrorCode, TaskState
from gateway.pipeline.commands import RecordAttempts, Recorded
from gateway.upstreams.base import Found, UpstreamCall, UpstreamFailure
from tests.books import Gateway, balance, clean
from tests.integration.test_making import (  # noqa: F401 - `database` is a fixture
    FAILED,
    SILENT,
    House,
    ScriptedAdapter,
    database,
    house_of,
    made,
    resumed,
    sending,
    stored,
)

LONG_AGO_MS = 600_000
WORKING: Final = Heard.WORKING
NOTHING: Final = Heard.NOTHING
UPSTREAM = AccountId("upstream:only")


class AskedAdapter(ScriptedAdapter):
    """Of kind lookup; knows nothing unless its script says so."""

    def __init__(self, *answers: Found) -> None:
        super().__init__("only", recovery=Recovery.LOOKUP)
        self.answers = deque(answers)
        self.asked: list[str] = []

    async def find(self, call: UpstreamCall) -> Found:
        self.asked.append(call.attempt_id)
        return self.answers.popleft() if self.answers else NOTHING

    @property
    def sent(self) -> list[str]:
        return [call.attempt_id for call in self.calls]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.lookup.LOOK_PAUSE_S", 0.01)
    monkeypatch.setattr("gateway.pipeline.attempts.RESEND_PAUSE_S", 0.01)


def sent_long_ago(house: House) -> Attempt:
    attempt = sending(house, "only")
    return replace(attempt, sent_at_ms=attempt.sent_at_ms - LONG_AGO_MS)


async def test_a_lost_answer_is_asked_for(database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """In the same process: sent once, then asked until the pictures are there; paid once."""
    only = AskedAdapter(NOTHING, WORKING, made())
    only.script.append(SILENT)
    house = await house_of(database, tmp_path, only)
    ending = await house.run(await house.accepted())
    assert ending.task.state is TaskState.COMPLETED
    assert only.asked == only.sent * 3
    assert len(only.sent) == 1
    assert await balance(database, UPSTREAM) == (Amount(microusd=20_000), Amount())
    assert await clean(database)


async def test_a_restart_asks_first(database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Made before the process died: nothing is sent."""
    only = AskedAdapter(WORKING, made())
    house = await house_of(database, tmp_path, only)
    attempt = sent_long_ago(house)
    ending = await resumed(house, attempt)
    assert (ending.task.state, only.sent, only.asked) == (TaskState.COMPLETED, [], [attempt.id] * 2)
    assert await clean(database)


async def test_what_never_arrived_is_sent_as_another_attempt(database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """At the same offer, in one commit with the first one's end, which is unbilled: no reference is sent twice, and no offer is blamed."""
    only = AskedAdapter()
    house = await house_of(database, tmp_path, only)
    attempt = sent_long_ago(house)
    ending = await resumed(house, attempt)
    assert ending.task.state is TaskState.COMPLETED
    assert only.asked == [attempt.id]
    [second_id] = only.sent
    assert second_id != attempt.id
    _, attempts = await stored(house, ending.task)
    first, second = sorted(attempts, key=lambda row: row.sent_at_ms)
    assert (first.state, first.fault, first.billed) == (AttemptState.FAILED, Fault.UNREACHABLE, Billed.NO)
    assert (second.id, second.parent_id, second.state) == (second_id, first.id, AttemptState.SUCCEEDED)
    assert await balance(database, UPSTREAM) == (Amount(microusd=20_000), Amount())
    assert await clean(database)


async def test_a_second_restart_asks_for_the_second_attempt(database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """The rows alone say what to ask for: the first is done with, its successor may have been sent."""
    only = AskedAdapter(made())
    house = await house_of(database, tmp_path, only)
    first = sent_long_ago(house)
    second = sending(house, "only", parent=first.id)
    over = replace(
        first, state=AttemptState.FAILED, fault=Fault.UNREACHABLE, billed=Billed.NO, ended_at_ms=second.sent_at_ms
    )
    task = await house.accepted(attempts=(first, second))
    first, second, over = (replace(attempt, task_id=task.id) for attempt in (first, second, over))
    assert isinstance(await database.write(RecordAttempts(task.id, task.epoch, ended=(over,))), Recorded)
    ending = await house.run(task, (over, second))
    assert (ending.task.state, only.sent, only.asked) == (TaskState.COMPLETED, [], [second.id])
    assert await clean(database)


async def test_what_may_arrive_is_waited_for(
    database: Gateway,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unknown at first, because its request was on its way when its process died: not sent a second time."""
    monkeypatch.setattr("gateway.pipeline.attempts.MANIFEST_GRACE_S", 5.0)
    only = AskedAdapter(NOTHING, NOTHING, NOTHING, NOTHING, WORKING, made())
    house = await house_of(database, tmp_path, only)
    ending = await resumed(house, sending(house, "only"))
    assert (ending.task.state, only.sent, len(only.asked)) == (TaskState.COMPLETED, [], 6)


async def test_a_failure_that_cost_nothing_goes_to_the_next_offer(database: Gateway, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """As if it had been answered in time."""
    only, second = AskedAdapter(FAILED), ScriptedAdapter("second")
    house = await house_of(database, tmp_path, only, second)
    ending = await resumed(house, sent_long_ago(house))
    assert (ending.task.state, only.sent, len(second.calls)) == (TaskState.COMPLETED, [], 1)
    assert await balance(database, UPSTREAM) == (Amount(), Amount())


async def test_a_doubt_that_cannot_be_resolved_stays_one(
    database: Gateway,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """It cannot be asked until the deadline, whatever verdict a failed question had: unknown, not charged, in doubt."""

    class Deaf(AskedAdapter):
        async def find(self, call: UpstreamCall) -> Found:
            self.asked.append(call.attempt_id)
            raise UpstreamFailure(Fault.CREDENTIALS, Billed.NO, "no such key")

    only = Deaf()
    house = await house_of(database, tmp_path, only)
    task = await house.accepted(attempts=(attempt := sent_long_ago(house),))
    ending = await house.run(task, [replace(attempt, task_id=task.id)], deadline_s=0.1)
    assert ending.task.error is not None
    assert ending.task.error.code is TaskErrorCode.OUTCOME_UNKNOWN
    assert only.sent == []
    assert await balance(database, UPSTREAM) == (Amount(), Amount(microusd=20_000))
    assert await clean(database)
