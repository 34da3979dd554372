"""Two processes on one PostgreSQL: who lives keeps its tasks, who is only paused loses them without harm."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.invariants import all_final, assert_bills, assert_settled
from tests.acceptance.settings import BY_OPENAI, KEY, config
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess

LEASE = "3s"
TAKEN_UP = "a task is taken up again"


def pair(new_gateway: NewGateway, openai: EmulatorProcess, database: str) -> tuple[GatewayProcess, GatewayProcess]:
    """Two gateways with the same config, the same database and the same pictures."""
    settings = config(database, openai=openai, lease=LEASE)
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
        answer = call.result(30)
    assert answer.status == 200
    assert len(all_final(first, 20)) == 2
    assert second.task(answer.headers["x-task-id"])["status"] == "completed"
    assert first.download(second.task(task)["results"][0].replace(second.base_url, first.base_url))
    for gateway in (first, second):
        assert TAKEN_UP not in gateway.log
    assert_bills(assert_settled(first, completed=2), openai, "openai", attempts=2)


@pytest.mark.xdist_group("acceptance-replicas")
def test_a_paused_process_loses_its_task_but_not_its_picture(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str
) -> None:
    """It stands still while its picture is made; another takes the task over, waits for the picture, and finishes; the caller gets it, one bill."""
    openai = emulator_process("openai", delay=1)
    first, second = pair(new_gateway, openai, postgresql_database)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(first.generate, BY_OPENAI, "a wild dolphin 101")
        until(lambda: [received for received in openai.requests if received.body], 5, "nothing was sent")
        first.send(signal.SIGSTOP)
        second.logged(TAKEN_UP, 15)
        first.send(signal.SIGCONT)
        answer = call.result(30)
    assert (answer.status, len(answer.json["data"])) == (200, 1)
    books = assert_settled(second, completed=1)
    assert books.in_doubt == []
    assert_bills(books, openai, "openai", attempts=1)
