"""kill -9 under two identical calls: where one has the other's picture, or waits for it, nothing is paid twice, held for ever, lost or told wrong.

The cases are those of cache_crash_cases.py; the process, the vendors and the passing of time are those of the crash matrix. One more bill than before
the kill is made only by a call that waited for one of which nobody can have been billed.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from tests.acceptance.cache_crash_cases import CACHE_CASES, CacheCase
from tests.acceptance.callback_receiver import CallbackReceiver, assert_told_of
from tests.acceptance.conftest import NewGateway
from tests.acceptance.crash_cases import ALL, DATABASES, Kind, Outcome, chosen
from tests.acceptance.forked_gateway import ForkedGateway
from tests.acceptance.gateway_process import until
from tests.acceptance.invariants import HALF_A_MICRO, Books, is_final
from tests.acceptance.settings import ACCOUNT, BY_EVOLINK, BY_OPENAI, KEY, PATH, config
from tests.acceptance.test_crash_matrix import (
    FINAL_S_MAX,
    MODEL,
    ORDER,
    PROMPT,
    WAITED_MS,
    Gateways,
    Vendors,
    all_vendors,
    armed,
    callbacks,
    dies,
    gateways,
    not_at_midnight,
    promised,
    turn_back_times,
    vendors,
)
from tests.emulators.behaviours import Hang, Overloaded, Succeed
from tests.emulators.fixtures import StartProcess
from tests.ports import free_port
from tests.proofs import Proof
from tests.valkey import ValkeyServer

__all__ = ["all_vendors", "callbacks", "gateways", "vendors"]  # fixtures of the matrix
pytestmark = pytest.mark.timeout(600)  # `not_at_midnight` may wait
FIRST_ORDER = "order 100"
SLOW_S = 2.0
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
    # One end may be on its way at the kill: it is told again then, under the same id.
    assert_told_of(callbacks.of(name), gateway.tasks())
    assert_money(gateway, case, vendors)
    again = gateway.generate(MODEL, PROMPT, callback_url=hook, idempotency_key=ORDER)
    known = list(tasks) or [again.headers["x-task-id"]]
    assert [again.headers["x-task-id"]] == known, "the same key, another task"
    assert again.headers.get("idempotency-replayed") == ("true" if tasks else None)
    assert not gateway.ask("ledger audit")["failed"]


@pytest.mark.xdist_group("acceptance-fleet")
def test_one_who_waits_in_another_process_outlives_the_leaders(
    new_gateway: NewGateway,
    emulator_process: StartProcess,
    postgresql_database: str,
    valkey: ValkeyServer,
    proof: Proof,
) -> None:
    """Killed with two calls in flight, each waited for elsewhere: what can be asked for again is made once for both; what cannot is in doubt,
    and nobody sends for it a second time."""
    not_at_midnight()
    evolink, openai = emulator_process("evolink", work=0.2), emulator_process("openai")
    evolink.always(Hang(), at="poll")
    openai.always(Hang(bills=True))
    settings = config(
        postgresql_database, openai=openai, evolink=evolink, of_evolink={"poll_interval": "100ms"}, lease="2s", state=valkey.url,
        cache={**CACHE, "ttl": "1h"},
    )  # fmt: skip
    dying = new_gateway(settings, key=KEY).migrate()
    other = new_gateway(settings, key=KEY, folder=dying.folder)
    for gateway in (dying, other):
        gateway.start("--port", str(free_port()))
    models = (BY_EVOLINK, BY_OPENAI)
    leaders = [dying.submit(model, PROMPT) for model in models]
    until(lambda: openai.requests and evolink.requests, FINAL_S_MAX, "nothing is sent", pause_s=0.03)
    followers = []
    for model in models:
        body = {"model": model, "prompt": PROMPT, "size": "1024x1024", "quality": "low"}
        answer = other.request("POST", "/v1/images/generations", body, headers={"Prefer": "respond-async"})
        assert (answer.status, answer.headers["x-cache"]) == (202, "joined"), answer.body
        followers.append(answer.json["id"])
    dying.kill()
    evolink.always(Succeed(), at="poll")
    for vendor in (evolink, openai):
        vendor.release()
    asyncio.run(as_if_waited(postgresql_database, leaders))
    killed_s = time.monotonic()
    until(lambda: all(map(is_final, other.tasks())), 2 * FINAL_S_MAX, "a task is stuck", pause_s=0.1)
    waited_s = time.monotonic() - killed_s
    tasks = {task["id"]: task for task in other.tasks_in_full()}
    assert tasks.keys() == {*leaders, *followers}
    for task_id, outcome in zip((*leaders, *followers), (Outcome.COMPLETED, Outcome.UNKNOWN) * 2, strict=True):
        assert_outcome(tasks[task_id], outcome)
    assert [tasks[id]["attempts"] for id in followers] == [[], []], "it made its own"
    assert [tasks[id]["usage"]["credits_used"] for id in followers] == [0, 0]
    assert len(evolink.bills) == 1
    assert len([request for request in openai.requests if request.at == "create"]) == 1
    audit = other.ask("ledger audit")
    assert not audit["failed"], audit
    assert " 0 pending holds" in audit["message"]
    proof(
        "followers",
        f"two leaders killed, two followers elsewhere: one bill, one in doubt for both and not sent again, all ended after {waited_s:.1f} s",
    )


async def as_if_waited(database: str, ids: list[str]) -> None:
    """As if much time had passed since these tasks' process died."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("UPDATE tasks SET lease_until_ms = 0 WHERE id = ANY($1)", ids)
        await connection.execute(
            "UPDATE attempts SET sent_at_ms = sent_at_ms - $1 WHERE task_id = ANY($2)", WAITED_MS, ids
        )
    finally:
        await connection.close()


def assert_outcome(task: dict[str, Any], outcome: Outcome) -> None:
    if outcome is Outcome.COMPLETED:
        assert (task["status"], len(task["results"])) == ("completed", 1), task
    else:
        assert (task["status"], task["error"]["code"]) == ("failed", outcome.value), task
        assert task["usage"]["credits_used"] == 0


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
