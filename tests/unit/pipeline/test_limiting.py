"""Limits as callers meet them: which account, how long to wait, in which order, and what happens while nobody can count."""

import logging
from collections.abc import Sequence

import pytest

from gateway.domain.accounts import Limits, Principal
from gateway.domain.errors import RateLimited, StorageUnavailable, TooManyTasks
from gateway.domain.ids import AccountId, KeyId
from gateway.limits.concurrency import Full, PathPlaces, Places
from gateway.limits.outage import LimitStoreDown, OnStoreFailure
from gateway.limits.rates import PathRates, RateVerdict
from gateway.telemetry.metrics import Metrics
from tests.limits import SetClock, limiting

KEY, TEAM, ORG = AccountId("key:acme/design/ci"), AccountId("team:acme/design"), AccountId("org:acme")


def principal(**limits: Limits) -> Principal:
    """With these limits on `key`, `team` and `org`."""
    of = {KEY: limits.get("key"), TEAM: limits.get("team"), ORG: limits.get("org")}
    found = tuple((account, limit) for account, limit in of.items() if limit is not None)
    return Principal(KeyId("key_1"), "ci", (KEY, TEAM, ORG), "acme", "design", limits=found)


class DownStore:
    """A store that answers nobody."""

    async def take(self, *_: object) -> Places | Full:
        raise LimitStoreDown("no answer")

    async def look(self, limits: PathPlaces) -> Full | None:
        raise LimitStoreDown("no answer")

    async def count(self, path: Sequence[AccountId]) -> Places:
        raise LimitStoreDown("no answer")


class DownRates:
    async def take(self, limits: PathRates) -> RateVerdict:
        raise LimitStoreDown("no answer")

    async def look(self, limits: PathRates) -> RateVerdict:
        raise LimitStoreDown("no answer")


def metric(metrics: Metrics, name: str) -> list[str]:
    """The samples that anything happened to."""
    lines = metrics.render().decode().splitlines()
    return [line for line in lines if line.startswith(name) and not line.endswith(" 0.0")]


async def test_a_rate_refusal_names_the_account_and_the_wait() -> None:
    """The level and name, what is allowed, whole seconds up to 59, and where the account stands; it is counted by level."""
    clock, metrics = SetClock(), Metrics()
    limits = limiting(clock, metrics=metrics)
    caller = principal(team=Limits(requests_per_minute=2), org=Limits(requests_per_minute=50))
    await limits.take_rate(caller)
    clock.value_s += 17.5
    state = await limits.take_rate(caller)
    assert state is not None
    assert (state.account, state.limit, state.remaining, state.reset_s) == (TEAM, 2, 0, 60.0)
    with pytest.raises(RateLimited) as caught:
        await limits.take_rate(caller)
    error = caught.value
    assert "The team 'design' may make 2 requests a minute" in error.message
    assert "in 43 s" in error.message
    assert (error.retry_after_s, error.should_retry) == (43, None)
    assert error.details == {"limit_scope": "team", "requests_per_minute": 2}
    assert error.rate == await limits.rate(caller) == state
    assert metric(metrics, "gateway_limited_requests_total") == [
        'gateway_limited_requests_total{kind="rate",level="team"} 1.0'
    ]


@pytest.mark.parametrize(
    ("after_s", "retry_after_s", "should_retry"),
    [(0.0, 59, False), (0.9, 59, False), (1.0, 59, None), (59.99, 1, None)],
)
async def test_a_wait_that_sdks_do_not_keep_to_is_not_suggested(
    after_s: float, retry_after_s: int, should_retry: bool | None
) -> None:
    """Retry-After is 1 to 59 s; where 59 s are not enough, a retry is advised against."""
    clock = SetClock()
    limits, caller = limiting(clock), principal(key=Limits(requests_per_minute=1))
    await limits.take_rate(caller)
    clock.value_s += after_s
    with pytest.raises(RateLimited) as caught:
        await limits.take_rate(caller)
    assert (caught.value.retry_after_s, caught.value.should_retry) == (retry_after_s, should_retry)


async def test_without_a_limit_nothing_is_counted() -> None:
    """No limit of requests on the path: no state, no refusal."""
    limits = limiting(SetClock())
    caller = principal(key=Limits(concurrent_tasks=1))
    assert [await limits.take_rate(caller) for _ in range(3)] == [None] * 3
    assert await limits.rate(caller) is None


async def test_a_full_account_is_named() -> None:
    """Level, name, limit, and a wait of about what one of so many tasks takes."""
    metrics = Metrics()
    limits = limiting(SetClock(), metrics=metrics)
    caller = principal(key=Limits(concurrent_tasks=9), org=Limits(concurrent_tasks=2))
    places = [await limits.take_places(caller, usual_s=45) for _ in range(2)]
    with pytest.raises(TooManyTasks) as caught:
        await limits.take_places(caller, usual_s=45)
    error = caught.value
    assert "The org 'acme' may have 2 tasks under way at once, and has 2" in error.message
    assert error.details == {"limit_scope": "org", "concurrent_tasks": 2, "running_tasks": 2}
    assert (error.status, error.code, error.retry_after_s) == (429, "concurrency_limit_exceeded", 22)
    places[0].release()
    await limits.take_places(caller, usual_s=45)
    assert metric(metrics, "gateway_limited") == ['gateway_limited_requests_total{kind="concurrency",level="org"} 1.0']


async def test_a_store_that_is_down_lets_calls_through_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    """The default: every uncounted call is in the metric, and one warning a minute is in the log."""
    clock, metrics = SetClock(), Metrics()
    limits = limiting(clock, rates=DownRates(), concurrency=DownStore(), metrics=metrics)
    caller = principal(key=Limits(requests_per_minute=1, concurrent_tasks=1))
    with caplog.at_level(logging.WARNING, "gateway.limits.outage"):
        for second in range(121):
            clock.value_s = 1000.0 + second
            assert await limits.take_rate(caller) is None
            (await limits.take_places(caller, usual_s=1)).release()
    assert len(caplog.records) == 3
    assert metric(metrics, "gateway_limiter_failures_total") == [
        'gateway_limiter_failures_total{kind="rate"} 121.0',
        'gateway_limiter_failures_total{kind="concurrency"} 121.0',
    ]


async def test_a_store_that_is_down_refuses_where_that_is_wanted() -> None:
    """503 with Retry-After; calls without a limit, recovered tasks and answers that only show the state go on."""
    limits = limiting(SetClock(), rates=DownRates(), concurrency=DownStore(), on_failure=OnStoreFailure.REFUSE)
    limited, free = principal(key=Limits(requests_per_minute=1, concurrent_tasks=1)), principal()
    with pytest.raises(StorageUnavailable) as caught:
        await limits.take_rate(limited)
    assert (caught.value.status, caught.value.retry_after_s) == (503, 5)
    with pytest.raises(StorageUnavailable):
        await limits.take_places(limited, usual_s=1)
    assert await limits.rate(limited) is None
    assert await limits.take_rate(free) is None
    (await limits.take_places(free, usual_s=1)).release()
    (await limits.count(free.path)).release()
