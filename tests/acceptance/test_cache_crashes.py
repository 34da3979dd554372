"""kill -9 under two identical calls: where one has the other's picture, or waits for it, nothing is paid twice, held for ever, lost or told wrong.

The cases are those of cache_crash_cases.py; the process, the vendors and the passing of time are those of the crash matrix. One more bill than before
the kill is made only by a call that waited for one of which nobody can have been billed.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance.cache_crash_cases import CACHE_CASES, CacheCase
from tests.acceptance.callback_receiver import CallbackReceiver
from tests.acceptance.crash_cases import ALL, DATABASES, Kind, Outcome, chosen
from tests.acceptance.forked_gateway import ForkedGateway
from tests.acceptance.gateway_process import until
from tests.acceptance.invariants import HALF_A_MICRO, Books, is_final
from tests.acceptance.settings import ACCOUNT, PATH
from tests.acceptance.test_crash_matrix import (
    FINAL_S_MAX,
    MODEL,
    ORDER,
    PROMPT,
    Gateways,
    Vendors,
    all_vendors,
    armed,
    callbacks,
    dies,
    gateways,
    promised,
    turn_back_times,
    vendors,
)
from tests.emulators.behaviours import Overloaded, Succeed

__all__ = ["all_vendors", "callbacks", "gateways", "vendors"]  # fixtures of the matrix
FIRST_ORDER = "order 100"
SLOW_S = 0.8
"""Time for the second call to be accepted."""
CACHE = {"enabled": True, "single_flight": "always"}
RUNS = [
    pytest.param(database, case, id=f"{database}-{case.id}")
    for case in CACHE_CASES
    for database in DATABASES
    if ALL or chosen(database, case.id)
]


@pytest.mark.parametrize(("database", "case"), RUNS)
def test_two_identical_calls_killed_at(
    database: str, case: CacheCase, gateways: Gateways, vendors: Vendors, callbacks: CallbackReceiver
) -> None:
    """The restarted gateway makes of both what their last durable step allows; the second, made again, is the same."""
    if case.what == "lead":
        vendors.openai.next(Overloaded(delay_s=SLOW_S))
    elif case.what == "follow" and case.kind is Kind.NONE:
        vendors.openai.next(Succeed(delay_s=SLOW_S))
    elif case.what == "follow":
        vendors.evolink.next(Succeed(delay_s=SLOW_S), at="poll")
    gateway, url = gateways.new(database, case, vendors, CACHE)
    name = f"cache-{database}-{case.id}"
    hook = callbacks.url(name)
    with armed(gateway, case.crash_at), ThreadPoolExecutor(1) as caller:
        gateway.start()
        first = gateway.submit(MODEL, PROMPT, callback_url=hook, idempotency_key=FIRST_ORDER)
        if case.what == "hit":
            until(lambda: is_final(gateway.task(first)), FINAL_S_MAX, "the first is stuck", pause_s=0.03)
        call = caller.submit(gateway.submit, MODEL, PROMPT, callback_url=hook, idempotency_key=ORDER)
        dies(gateway)
        second = promised(case, call)
    turn_back_times(gateway, url, case)
    gateway.start()
    until(lambda: all(map(is_final, gateway.tasks())), FINAL_S_MAX, "a task is stuck", pause_s=0.03)
    with suppress(TimeoutError, AssertionError):  # compared below
        until(lambda: len(callbacks.of(name)) >= len(gateway.tasks()), FINAL_S_MAX, "not told", pause_s=0.03)
    tasks = {task["id"]: task for task in gateway.tasks_in_full()}
    assert_outcome(tasks.pop(first), case.first)
    assert set(tasks) >= ({second} if second else set())
    assert [case.outcome] * len(tasks) == ([] if case.outcome is Outcome.NOTHING else [case.outcome])
    for task in tasks.values():
        assert_outcome(task, case.outcome)
        if case.outcome is Outcome.COMPLETED and case.what != "lead":
            assert (task["usage"]["credits_used"], task["attempts"]) == (0, []), "it made its own"
        for link in task.get("results") or ():
            assert gateway.download(link)
    assert_told_once(gateway, callbacks, name)
    assert_money(gateway, case, vendors)
    again = gateway.generate(MODEL, PROMPT, callback_url=hook, idempotency_key=ORDER)
    known = list(tasks) or [again.headers["x-task-id"]]
    assert [again.headers["x-task-id"]] == known, "the same key, another task"
    assert again.headers.get("idempotency-replayed") == ("true" if tasks else None)
    assert not gateway.ask("ledger audit")["failed"]


def assert_outcome(task: dict[str, Any], outcome: Outcome) -> None:
    if outcome is Outcome.COMPLETED:
        assert (task["status"], len(task["results"])) == ("completed", 1), task
    else:
        assert (task["status"], task["error"]["code"]) == ("failed", outcome.value), task
        assert task["usage"]["credits_used"] == 0


def assert_told_once(gateway: ForkedGateway, callbacks: CallbackReceiver, name: str) -> None:
    """Each end by one message, in the words of the task."""
    messages, tasks = callbacks.of(name), gateway.tasks()
    assert sorted(message.task for message in messages) == sorted(task["id"] for task in tasks)
    told = {message.task: json.loads(message.body)["status"] for message in messages}
    assert told == {task["id"]: task["status"] for task in tasks}


def assert_money(gateway: ForkedGateway, case: CacheCase, vendors: Vendors) -> None:
    """No hold is left, every bill is paid or in doubt, and what the caller was charged is what its tasks say."""
    audit, tasks = gateway.ask("ledger audit"), gateway.tasks()
    assert not audit["failed"], audit
    assert " 0 pending holds" in audit["message"]
    books = Books(
        {row["account"]: row for row in gateway.ask("accounts list")["rows"]}, gateway.ask("in-doubt list")["rows"]
    )
    for account in PATH:
        row = books.accounts[account]
        assert (row["held_credits"], row["held_usd"]) == ("0", "0"), row
        assert row["images"] == sum(task["credits_used"] > 0 for task in tasks), row
    assert Decimal(books.accounts[ACCOUNT]["used_credits"]) == sum(Decimal(str(task["credits_used"])) for task in tasks)
    answering = vendors.of(case.kind)
    assert sum(len(vendor.bills) for vendor in answering.values()) == case.bills
    assert len(books.in_doubt) == int(Outcome.UNKNOWN in (case.first, case.outcome))
    for upstream, vendor in answering.items():
        known = books.used_usd(f"upstream:{upstream}") + books.in_doubt_usd(upstream)
        assert abs(vendor.billed_usd - known) <= HALF_A_MICRO, (vendor.billed_usd, known)
