"""SIGTERM under load: out of the traffic first, nobody's call broken, nothing left behind; and what happens when the time is not enough."""

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
    """Readiness goes off while calls are still taken, every call that was taken is answered 200, exit code 0, nothing pending at the next start."""
    gateway = new_gateway(config(of_sandbox={"latency": "2s", "concurrency": 6}), key=KEY).start()
    with ThreadPoolExecutor(CALLS + 2) as callers:
        # Half of them wait for a slot when the signal comes.
        calls = [callers.submit(gateway.generate, BY_SANDBOX, f"cat {number}") for number in range(CALLS)]
        until(lambda: len(gateway.tasks()) == CALLS, 10, "the calls are not accepted")
        task = gateway.submit(BY_SANDBOX, "a task")
        gateway.send(signal.SIGTERM)
        # The grace of a second begins when the event loop sees the signal, a moment after it was sent.
        until(lambda: gateway.request("GET", "/readyz").status == 503, 5, "readiness stays on")
        assert gateway.request("GET", "/readyz").json["reasons"] == ["shutting down"]
        assert gateway.request("GET", "/healthz").status == 200
        late = callers.submit(gateway.generate, BY_SANDBOX, "late")
        wait([*calls, late], timeout=30)
    assert [call.result().status for call in (*calls, late)] == [200] * (CALLS + 1)
    assert gateway.wait() == 0
    assert not gateway.log_lines("error")
    gateway.start()
    assert gateway.logged("serving")["recovered"] == 0
    assert gateway.task(task)["status"] == "completed"
    assert_settled(gateway, completed=CALLS + 2)


def test_after_the_grace_nothing_new_is_taken(new_gateway: NewGateway) -> None:
    """While old calls run out, new connections are refused; the old calls get their answer, an impatient second SIGTERM or not."""
    gateway = new_gateway(config(of_sandbox={"latency": "5s"}), key=KEY).start()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(gateway.generate, BY_SANDBOX, "a cat")
        until(gateway.tasks, 10, "the call is not accepted")
        gateway.send(signal.SIGTERM)
        until(lambda: _refuses(gateway), 5, "connections are still taken")
        gateway.send(signal.SIGTERM)
        assert not call.done()
        assert call.result(30).status == 200
    assert gateway.wait() == 0
    gateway.start()
    assert_settled(gateway, completed=1)


def test_what_outlives_the_drain_is_left_for_the_next_process(new_gateway: NewGateway) -> None:
    """The process ends in time with exit code 0; the next one finishes the task, which is charged once."""
    server = {"port": 0, "drain": "1s"}
    gateway = new_gateway(config(server=server, of_sandbox={"latency": "15s"}), key=KEY).start()
    task = gateway.submit(BY_SANDBOX, "slow")
    until(lambda: gateway.task(task)["status"] == "processing", 10, "the task is not sent")
    started_s = time.monotonic()
    assert gateway.terminate() == 0
    assert time.monotonic() - started_s < 10
    assert gateway.logged("left for the next process")["tasks"] == 1
    gateway = new_gateway(config(), key=KEY, folder=gateway.folder).start()
    until(lambda: is_final(gateway.task(task)), 20, "the task is stuck")
    books = assert_settled(gateway, completed=1)
    assert books.used_usd("upstream:sandbox") == Decimal("0.02")


def _refuses(gateway: GatewayProcess) -> bool:
    try:
        gateway.request("GET", "/healthz")
    except ConnectionRefusedError:
        return True
    return False
