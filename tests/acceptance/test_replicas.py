"""Two processes on one PostgreSQL: who lives keeps its tasks, who is only paused loses them, and what it was telling, without harm."""

import asyncio
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from tests.acceptance.callback_receiver import CallbackReceiver, assert_told_of, receiving_callbacks
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.invariants import all_final, assert_bills, assert_settled
from tests.acceptance.settings import BY_OPENAI, BY_SANDBOX, KEY, config
from tests.emulators.behaviours import Succeed
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess

LEASE = "3s"
TAKEN_UP = "a task is taken up again"
AWAKE_S = 1.5
"""What a process that wakes has done by then: it looks every half second."""


def pair(
    new_gateway: NewGateway, openai: EmulatorProcess, database: str, receiver: CallbackReceiver | None = None
) -> tuple[GatewayProcess, GatewayProcess]:
    """Two gateways with the same config, the same database and the same pictures."""
    ports = [443] if receiver is None else [receiver.port]
    egress = {"allow": ["127.0.0.0/8"], "allow_http": True, "ports": ports}
    settings = config(database, openai=openai, lease=LEASE, egress=egress)
    first = new_gateway(settings, key=KEY)
    second = new_gateway(settings, key=KEY, folder=first.folder)
    return first.migrate().start(), second.start()


@pytest.mark.xdist_group("acceptance-replicas")
def test_a_living_process_keeps_its_tasks(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str
) -> None:
    """A call that takes more than two leases is not taken over; the other process sees its task, its end and its picture."""
    openai = emulator_process("openai", delay=8)
    first, second = pair(new_gateway, openai, postgresql_database)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(first.generate, BY_OPENAI, "a wild dolphin 101")
        task = second.submit(BY_OPENAI, "a wild dolphin 102")
        answer = call.result(60)
    assert answer.status == 200
    assert len(all_final(first, 60)) == 2
    assert second.task(answer.headers["x-task-id"])["status"] == "completed"
    assert first.download(second.task(task)["results"][0].replace(second.base_url, first.base_url))
    for gateway in (first, second):
        assert TAKEN_UP not in gateway.log
    assert_bills(assert_settled(first, completed=2), openai, "openai", attempts=2)


@pytest.mark.xdist_group("acceptance-replicas")
def test_a_paused_process_loses_its_task_but_not_its_picture(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str
) -> None:
    """It stands still while its picture is made; another takes the task over, waits for the picture, and finishes; the caller gets it, one bill.

    And it stands still while it tells another task's end: another tells it under the same id, and what it hears when it wakes is written nowhere.
    """
    openai = emulator_process("openai", delay=1)
    with receiving_callbacks() as receiver:
        first, second = pair(new_gateway, openai, postgresql_database, receiver)
        paused_at_work(first, second, openai, receiver)
        paused_while_telling(first, second, receiver, postgresql_database)
        assert assert_told_of(receiver.told, second.tasks_in_full()) == 1, "told again, by who took it over"
    books = assert_settled(second, completed=2)
    assert books.in_doubt == []
    assert_bills(books, openai, "openai", attempts=2)


def paused_at_work(
    first: GatewayProcess, second: GatewayProcess, openai: EmulatorProcess, receiver: CallbackReceiver
) -> None:
    with ThreadPoolExecutor(1) as caller:
        openai.next(Succeed(delay_s=4))  # time to stop it while its picture is made
        call = caller.submit(first.generate, BY_OPENAI, "a wild dolphin 101", callback_url=receiver.url("work"))
        until(lambda: [received for received in openai.requests if received.body], 30, "nothing was sent")
        first.send(signal.SIGSTOP)
        second.logged(TAKEN_UP)
        first.send(signal.SIGCONT)
        answer = call.result(60)
    assert (answer.status, len(answer.json["data"])) == (200, 1)
    until(lambda: receiver.of("work"), 30, "its end is not told")


def paused_while_telling(
    first: GatewayProcess, second: GatewayProcess, receiver: CallbackReceiver, database: str
) -> None:
    receiver.held["telling"] = answered = threading.Event()
    second.send(signal.SIGSTOP)  # so that it is the first one that tells
    task = first.submit(BY_OPENAI, "a wild dolphin 102", callback_url=receiver.url("telling"))
    until(lambda: receiver.of("telling"), 30, "its end is not told")
    first.send(signal.SIGSTOP)
    second.send(signal.SIGCONT)
    asyncio.run(claims_run_out(database))
    until(lambda: len(receiver.of("telling")) == 2, 30, "nobody else tells it")
    [told] = until(
        lambda: [row for row in rows(second) if row["task"] == task and row["state"] == "sent"], 30, "not noted"
    )
    answered.set()
    first.send(signal.SIGCONT)
    until(lambda: first.request("GET", "/healthz").status == 200, 30, "it does not wake")
    time.sleep(AWAKE_S)
    assert [row for row in rows(second) if row["task"] == task] == [told], "it has written something"
    assert len(receiver.of("telling")) == 2
    assert told["tries"] == 1


def rows(gateway: GatewayProcess) -> list[dict[str, object]]:
    found: list[dict[str, object]] = gateway.ask("callbacks list")["rows"]
    return found


async def claims_run_out(database: str) -> None:
    """As if half a minute had passed."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("UPDATE callbacks SET next_at_ms = 0 WHERE state = 'due'")
    finally:
        await connection.close()


@pytest.mark.xdist_group("acceptance-replicas")
def test_a_task_is_cancelled_from_another_process(new_gateway: NewGateway, postgresql_database: str) -> None:
    """One process draws, its caller waits there; the other hears of the wish: in seconds the task is cancelled for both, and nothing is held."""
    settings = config(postgresql_database, of_sandbox={"latency": "90s"})
    first = new_gateway(settings, key=KEY)
    second = new_gateway(settings, key=KEY, folder=first.folder)
    first.migrate().start()
    second.start()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(first.generate, BY_SANDBOX, "a wild dolphin 101")
        [task] = until(
            lambda: [task for task in second.tasks() if task["status"] == "processing"], 30, "nothing was sent"
        )
        heard = second.request("POST", f"/v1/tasks/{task['id']}/cancel")
        assert heard.status == 200
        answer = call.result(60)
    assert (answer.status, answer.json["error"]["code"]) == (409, "request_cancelled")
    assert second.task(task["id"])["status"] == "cancelled"
    assert second.request("POST", f"/v1/tasks/{task['id']}/cancel").status == 200
    assert_settled(second, completed=0)
