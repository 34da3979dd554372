"""Tasks at once: a place on the whole path or none, each given back once."""

import pytest

from gateway.domain.ids import AccountId
from gateway.limits.concurrency import Full, Places, RunningTasks

KEY, TEAM, ORG, OTHER = (AccountId(name) for name in ("key:a/t/k", "team:a/t", "org:a", "key:a//o"))
PATH = (KEY, TEAM, ORG)


@pytest.fixture
def tasks() -> RunningTasks:
    return RunningTasks()


async def taken(tasks: RunningTasks, path: tuple[AccountId, ...], *limits: tuple[AccountId, int]) -> Places:
    place = await tasks.take(path, limits)
    assert not isinstance(place, Full)
    return place


async def test_a_full_account_refuses_for_the_whole_path(tasks: RunningTasks) -> None:
    """The nearest full one is named; nobody's count has changed; a freed place is free on all accounts."""
    first = await taken(tasks, PATH, (TEAM, 2))
    await taken(tasks, PATH, (TEAM, 2))
    assert await tasks.take(PATH, [(KEY, 9), (TEAM, 2), (ORG, 2)]) == Full(TEAM, 2, 2)
    assert [tasks.running(account) for account in PATH] == [2, 2, 2]
    first.release()
    await taken(tasks, PATH, (TEAM, 2))
    assert [tasks.running(account) for account in PATH] == [2, 2, 2]


async def test_a_place_is_given_back_once(tasks: RunningTasks) -> None:
    """A second release takes nobody else's place; nothing is remembered of an account without tasks."""
    first, second = await taken(tasks, PATH), await taken(tasks, (OTHER, ORG))
    for _ in range(3):
        first.release()
    assert [tasks.running(account) for account in (KEY, OTHER, ORG)] == [0, 1, 1]
    second.release()
    assert len(tasks) == 0


async def test_what_runs_counts_before_there_is_a_limit(tasks: RunningTasks) -> None:
    """A limit set later sees what is under way, and recovered tasks count beyond it."""
    await taken(tasks, PATH)
    assert await tasks.take(PATH, [(ORG, 1)]) == Full(ORG, 1, 1)
    recovered = await tasks.count(PATH)
    assert await tasks.take(PATH, [(ORG, 2)]) == Full(ORG, 2, 2)
    recovered.release()
    await taken(tasks, PATH, (ORG, 2))
