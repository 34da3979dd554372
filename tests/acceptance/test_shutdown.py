"""SIGTERM under load: out of the traffic first, nobody's call broken, nothing left behind; and what happens when the time is not enough."""

import http.client
import signal
import time
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.invariants import assert_settled, is_final
from tests.acceptance.settings import BY_SANDBOX, KEY, config

CALLS = 12


def test_sigterm_under_load_drains(new_gateway: NewGateway) -> None:
    """Readiness goes off while calls are still taken, every call that was taken is answered 200, exit code 0, and the next start does the rest."""
    server = {
        "port": 0,
        "accept_after_term": "3s",
        "drain": "40s",
    }  # half of what the calls take, so that the task behind them is not sent
    gateway = new_gateway(config(server=server, of_sandbox={"latency": "3s", "concurrency": 6}), key=KEY).start()
    with ThreadPoolExecutor(CALLS + 2) as callers:
        # Half of them wait for a slot when the signal comes.
        calls = [callers.submit(gateway.generate, BY_SANDBOX, f"cat {number}") for number in range(CALLS)]
        until(lambda: len(gateway.tasks()) == CALLS, 30, "the calls are not accepted")
        task = gateway.submit(BY_SANDBOX, "a task")
        gateway.send(signal.SIGTERM)
        # The grace of three seconds begins when the event loop sees the signal, a moment after it was sent.
        until(lambda: gateway.request("GET", "/readyz").status == 503, 30, "readiness stays on")
        assert gateway.request("GET", "/readyz").json["reasons"] == ["shutting down"]
        assert gateway.request("GET", "/healthz").status == 200
        late = callers.submit(gateway.generate, BY_SANDBOX, "late")
        wait([*calls, late], timeout=60)
    assert [call.result().status for call in (*calls, late)] == [200] * (CALLS + 1)
    assert gateway.wait() == 0
    assert not gateway.log_lines("error")
    gateway.start()
    assert gateway.logged("serving")["recovered"] == 1, "the task had no caller, so it was left"
    until(lambda: is_final(gateway.task(task)), 30, "the task is stuck")
    assert_settled(gateway, completed=CALLS + 2)


def test_connections_are_told_to_go(new_gateway: NewGateway) -> None:
    """A kept-alive connection stays so until the signal; then its next answer says close and it is closed; idle ones are closed with the socket."""
    gateway = new_gateway(config(server={"port": 0, "accept_after_term": "5s", "drain": "20s"}), key=KEY).start()
    busy, idle = _connection(gateway), _connection(gateway)
    assert [_healthy(busy), _healthy(busy), _healthy(idle)] == [(200, None)] * 3
    gateway.send(signal.SIGTERM)
    until(lambda: gateway.request("GET", "/readyz").status == 503, 30, "readiness stays on")
    kept = busy.sock
    assert _healthy(busy) == (200, "close")
    assert busy.sock is None
    assert _healthy(busy) == (200, "close"), "a new connection is taken"
    assert kept is not busy.sock
    assert idle.sock is not None
    idle.sock.settimeout(30)
    assert idle.sock.recv(1) == b"", "an idle connection ends cleanly"
    idle.close()
    assert _refuses(gateway)
    assert gateway.wait() == 0


def test_after_the_grace_nothing_new_is_taken(new_gateway: NewGateway) -> None:
    """While old calls run out, new connections are refused; the old calls get their answer. What is not sent yet and has no caller is left."""
    gateway = new_gateway(config(of_sandbox={"latency": "7s", "concurrency": 1}), key=KEY).start()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(gateway.generate, BY_SANDBOX, "a cat")
        until(gateway.tasks, 30, "the call is not accepted")
        waiting = gateway.submit(BY_SANDBOX, "a task")
        gateway.send(signal.SIGTERM)
        until(lambda: _refuses(gateway), 30, "connections are still taken")
        assert not call.done()
        assert call.result(60).status == 200
    assert gateway.wait() == 0
    assert gateway.logged("left for the next process")["tasks"] == 1, "it waited for the task's place"
    gateway.start()
    assert gateway.logged("serving")["recovered"] == 1
    until(lambda: is_final(gateway.task(waiting)), 30, "the task is stuck")
    assert_settled(gateway, completed=2)


def test_a_second_signal_leaves_less_time(new_gateway: NewGateway) -> None:
    """Five seconds instead of the drain. Who still waits is told where the task goes on, and not to send it again; who named a time gets the task."""
    gateway = new_gateway(config(of_sandbox={"latency": "30s"}), key=KEY).start()
    with ThreadPoolExecutor(2) as callers:
        plain = callers.submit(gateway.generate, BY_SANDBOX, "a cat", prefer="", response_format="url")
        patient = callers.submit(gateway.generate, BY_SANDBOX, "a dog")
        until(lambda: len(gateway.tasks()) == 2, 30, "the calls are not accepted")
        tasks = [str(task["id"]) for task in gateway.tasks()]
        gateway.send(signal.SIGTERM)
        gateway.logged("shutting down")
        sent_s = time.monotonic()
        gateway.send(signal.SIGINT)
        left, given = plain.result(60), patient.result(60)
    assert (left.status, left.json["error"]["code"]) == (503, "left_running")
    assert left.headers["x-should-retry"] == "false"
    assert (given.status, given.json["status"]) == (202, "processing")
    assert given.json["id"] in tasks
    [cat] = [task for task in tasks if task != given.json["id"]]
    assert cat in left.json["error"]["message"]
    assert gateway.wait() == 0
    assert 4 < time.monotonic() - sent_s < 18, "it took the drain of 20 s"
    gateway = new_gateway(config(), key=KEY, folder=gateway.folder).start()
    until(lambda: all(is_final(gateway.task(task)) for task in tasks), 30, "the tasks are stuck")
    assert_settled(gateway, completed=2)


def test_what_is_left_is_taken_up_at_once(new_gateway: NewGateway, postgresql_database: str) -> None:
    """On PostgreSQL the other process does not wait for the lease: the task in work and the one behind it are handed back."""
    lease, server = "60s", {"port": 0, "drain": "2s"}
    first = new_gateway(
        config(postgresql_database, of_sandbox={"latency": "30s", "concurrency": 1}, lease=lease, server=server),
        key=KEY,
    )
    first.migrate().start()
    tasks = [first.submit(BY_SANDBOX, f"task {number}") for number in range(2)]
    until(lambda: first.task(tasks[0])["status"] == "processing", 30, "the task is not sent")
    second = new_gateway(config(postgresql_database, lease=lease, server=server), key=KEY, folder=first.folder).start()
    assert first.terminate() == 0
    until(lambda: all(is_final(second.task(task)) for task in tasks), 30, "the tasks wait for the lease of a minute")
    assert_settled(second, completed=2)


def test_what_outlives_the_drain_is_left_for_the_next_process(new_gateway: NewGateway) -> None:
    """The process ends in time with exit code 0; the next one finishes the task, which is charged once."""
    server = {"port": 0, "drain": "1s", "accept_after_term": "500ms"}
    gateway = new_gateway(config(server=server, of_sandbox={"latency": "40s"}), key=KEY).start()
    task = gateway.submit(BY_SANDBOX, "slow")
    until(lambda: gateway.task(task)["status"] == "processing", 30, "the task is not sent")
    started_s = time.monotonic()
    assert gateway.terminate() == 0
    assert time.monotonic() - started_s < 20, "it waited for the call of 40 s"
    assert gateway.logged("left for the next process")["tasks"] == 1
    gateway = new_gateway(config(), key=KEY, folder=gateway.folder).start()
    until(lambda: is_final(gateway.task(task)), 30, "the task is stuck")
    books = assert_settled(gateway, completed=1)
    assert books.used_usd("upstream:sandbox") == Decimal("0.02")


def _refuses(gateway: GatewayProcess) -> bool:
    try:
        gateway.request("GET", "/healthz")
    except ConnectionRefusedError:
        return True
    except ConnectionError:  # it was still waiting to be taken when that ended
        return False
    return False


def _connection(gateway: GatewayProcess) -> http.client.HTTPConnection:
    host, port = gateway.base_url.removeprefix("http://").partition("/")[0].split(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def _healthy(connection: http.client.HTTPConnection) -> tuple[int, str | None]:
    """Status and `Connection` of one answer; the client keeps its connection where it may."""
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("Connection")
