"""kill -9 at chosen moments of a call, then a restart: nothing is stuck, lost, paid twice or left held. On SQLite and PostgreSQL."""

import asyncio
import http.client
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from io import BytesIO

import asyncpg
import pytest
from PIL import Image

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import Answer, GatewayProcess, until
from tests.acceptance.invariants import all_final, assert_bills, assert_settled, is_final, stored_deliveries
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, BY_SANDBOX, KEY, SQLITE, config
from tests.emulators.behaviours import Behaviour, Drip, Hang, Succeed
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess

LEASE = "2s"
"""PostgreSQL's successor waits for it; an embedded one knows that the owner is dead."""
FINAL_S_MAX = 60.0


def begun(gateway: GatewayProcess) -> GatewayProcess:
    if "postgresql" in (gateway.folder / "gateway.yaml").read_text():
        gateway.migrate()
    return gateway.start()


def assert_picture(gateway: GatewayProcess, task_id: str) -> None:
    """The link of a completed task leads to a whole picture."""
    task = gateway.task(task_id)
    assert task["status"] == "completed", task
    [link] = task["results"]
    with Image.open(BytesIO(gateway.download(link))) as picture:
        picture.load()
        assert picture.size == (1024, 1024)


def assert_broken_off(call: "Future[Answer]") -> None:
    """The caller of a killed gateway sees its connection break, never half an answer."""
    with pytest.raises((OSError, http.client.HTTPException)):
        call.result(30)


def created(emulator: EmulatorProcess) -> list[str]:
    """The prompts of all creates that an upstream received, in order."""
    return [received.prompt for received in emulator.requests if received.at == "create" and received.body]


def goes_on(emulator: EmulatorProcess, *, at: str) -> None:
    """From now on it answers what hung while the gateway was killed."""
    emulator.always(Succeed(), at=at)
    emulator.release()


def test_killed_while_all_upstreams_work(new_gateway: NewGateway, emulator_process: StartProcess) -> None:
    """EvoLink's results are kept, the sandbox draws again, OpenAI's are in doubt and not sent again; what was not sent yet is made now.

    For callers of both contracts; only what was delivered is charged. (On PostgreSQL: test_kill_rounds.py.)
    """
    openai, evolink = emulator_process("openai"), emulator_process("evolink", work=0.2)
    openai.always(Hang(bills=True))
    evolink.always(Hang(), at="poll")
    gateway = begun(new_gateway(config(
        openai=openai, evolink=evolink, of_openai={"concurrency": 2}, of_evolink={"poll_interval": "300ms"},
        of_sandbox={"latency": "5s"},
    ), key=KEY))  # fmt: skip
    models = (BY_OPENAI, BY_EVOLINK, BY_SANDBOX)
    with ThreadPoolExecutor(len(models)) as callers:
        tasks = {model: gateway.submit(model, "a wild dolphin 101") for model in models}
        calls = [callers.submit(gateway.generate, model, "a wild dolphin 102") for model in models]
        until(lambda: len(created(openai)) == len(created(evolink)) == 2, 30, "the upstreams were not called")
        until(lambda: gateway.task(tasks[BY_SANDBOX])["status"] == "processing", 30, "the sandbox does not draw")
        waiting = gateway.submit(BY_OPENAI, "a wild dolphin 103")  # both slots are taken
        assert gateway.task(waiting)["task_info"]["can_cancel"]
        gateway.kill()
        for call in calls:
            assert_broken_off(call)
    goes_on(openai, at="create")
    goes_on(evolink, at="poll")
    gateway.start()
    assert gateway.logged("serving")["recovered"] == 7
    found = all_final(gateway, FINAL_S_MAX)
    assert len(found) == 7
    for kept in (tasks[BY_EVOLINK], tasks[BY_SANDBOX], waiting):
        assert_picture(gateway, kept)
    lost = gateway.task(tasks[BY_OPENAI])
    assert (lost["status"], lost["error"]["code"]) == ("failed", "outcome_unknown")
    assert lost["usage"]["credits_used"] == 0
    books = assert_settled(gateway, completed=5)
    assert "The ledger is clean" in gateway.command("ledger", "audit").stdout
    doubts = gateway.rows("in-doubt", "list")
    assert lost["id"] in {row["task"] for row in doubts}
    assert len(doubts) == 2
    assert created(openai) == ["a wild dolphin 101", "a wild dolphin 102", "a wild dolphin 103"]
    assert_bills(books, openai, "openai", attempts=3)
    assert_bills(books, evolink, "evolink", attempts=2)
    assert books.used_usd("upstream:sandbox") == Decimal("0.04")


@pytest.mark.parametrize(
    ("at", "behaviour"),
    [("create", Succeed(delay_s=4)), ("poll", None), ("download", Drip(chunk_bytes=256, pause_s=0.5))],
    ids=["during-submit", "before-first-poll", "during-download"],
)
def test_killed_on_the_way_of_an_asynchronous_job(
    new_gateway: NewGateway, emulator_process: StartProcess, database: str, at: str, behaviour: Behaviour | None
) -> None:
    """Wherever the process dies, the job is submitted under one key only, billed once, and its picture is delivered and charged."""
    evolink = emulator_process("evolink", work=0.2)
    pause = "6s" if at == "poll" else "300ms"  # a third of it passes before the first poll
    gateway = begun(new_gateway(
        config(database, evolink=evolink, of_evolink={"poll_interval": pause}, lease=LEASE), key=KEY
    ))  # fmt: skip
    if behaviour is not None:
        evolink.next(behaviour, at=at)
    task = gateway.submit(BY_EVOLINK, "a wild dolphin 101")
    if at == "poll":
        until(
            lambda: gateway.task(task)["attempts"][0:1] and gateway.task(task)["attempts"][0]["status"] == "submitted",
            30,
            "not submitted",
        )
        assert not [received for received in evolink.requests if received.at == "poll"]
    else:
        until(lambda: [received for received in evolink.requests if received.at == at], 30, f"no {at}")
    gateway.kill()
    gateway.start()
    until(lambda: is_final(gateway.task(task)), FINAL_S_MAX, "the task is stuck")
    assert_picture(gateway, task)
    keys = [received.headers["idempotency-key"] for received in evolink.requests if received.at == "create"]
    assert len(keys) == (2 if at == "create" else 1)
    assert len(set(keys)) == 1
    books = assert_settled(gateway, completed=1)
    assert books.in_doubt == []
    assert_bills(books, evolink, "evolink", attempts=1)


def test_killed_before_anything_was_sent(
    new_gateway: NewGateway, emulator_process: StartProcess, database: str
) -> None:
    """A task and a waiting caller's call that were accepted and wait for a slot: both are made after the restart, once, and charged."""
    evolink = emulator_process("evolink", work=0.2)
    evolink.always(Hang(), at="poll")
    gateway = begun(new_gateway(
        config(database, evolink=evolink, of_evolink={"poll_interval": "300ms", "concurrency": 1}, lease=LEASE), key=KEY
    ))  # fmt: skip
    with ThreadPoolExecutor(1) as caller:
        tasks = [gateway.submit(BY_EVOLINK, "a wild dolphin 101")]
        until(lambda: created(evolink), 30, "nothing was sent")
        tasks.append(gateway.submit(BY_EVOLINK, "a wild dolphin 102"))
        call = caller.submit(gateway.generate, BY_EVOLINK, "a wild dolphin 103")
        until(lambda: len(gateway.tasks()) == 3, 30, "the call is not accepted")
        gateway.kill()
        assert_broken_off(call)
    assert len(created(evolink)) == 1
    goes_on(evolink, at="poll")
    gateway.start()
    found = all_final(gateway, FINAL_S_MAX)
    for task in found:
        assert_picture(gateway, task["id"])
    assert {*tasks} < {task["id"] for task in found}
    assert sorted(created(evolink)) == ["a wild dolphin 101", "a wild dolphin 102", "a wild dolphin 103"]
    books = assert_settled(gateway, completed=3)
    assert_bills(books, evolink, "evolink", attempts=3)


@contextmanager
def nothing_can_be_committed(gateway: GatewayProcess, database: str) -> Iterator[None]:
    """Another program holds the database's write lock, so that a process can be killed between its last step and the commit of it."""
    if database == SQLITE:
        connection = sqlite3.connect(gateway.folder / "var/gateway.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()
    else:
        with asyncio.Runner() as runner:
            raw = runner.run(asyncpg.connect(database))
            try:
                runner.run(raw.execute("BEGIN; LOCK TABLE tasks IN EXCLUSIVE MODE"))
                yield
            finally:
                runner.run(raw.close())


def test_killed_between_the_stored_picture_and_its_commit(
    new_gateway: NewGateway, emulator_process: StartProcess, database: str
) -> None:
    """The manifest on disk decides: completed and charged, although OpenAI could never be asked again; no doubt, one bill."""
    openai = emulator_process("openai")
    openai.next(Hang(bills=True))
    gateway = begun(new_gateway(config(database, openai=openai, lease=LEASE), key=KEY))
    task = gateway.submit(BY_OPENAI, "a wild dolphin 101")
    until(lambda: created(openai), 30, "nothing was sent")
    with nothing_can_be_committed(gateway, database):
        openai.release()
        until(lambda: stored_deliveries(gateway), 30, "no manifest is stored")
        gateway.kill()
    gateway.start()
    until(lambda: is_final(gateway.task(task)), FINAL_S_MAX, "the task is stuck")
    assert_picture(gateway, task)
    assert len(created(openai)) == 1
    books = assert_settled(gateway, completed=1)
    assert books.in_doubt == []
    assert_bills(books, openai, "openai", attempts=1)
