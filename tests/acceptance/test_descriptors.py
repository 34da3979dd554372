"""A `gateway serve` that may open few files, and more connections than that: it serves what it has, refuses the rest, and does not spin."""

import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GATEWAY, GatewayProcess, until
from tests.acceptance.invariants import assert_bills, assert_settled
from tests.acceptance.settings import BY_OPENAI, KEY, config
from tests.emulators import behaviours as b
from tests.emulators.process import EmulatorProcess

OPEN_FILES = 200
CONNECTIONS = 400
IN_FLIGHT = 8
LIMITED: Sequence[str | Path] = ("sh", "-c", f'ulimit -n {OPEN_FILES} && exec "$0" "$@"', GATEWAY)


def connected(gateway: GatewayProcess) -> socket.socket:
    host, _, port = gateway.base_url.removeprefix("http://").partition("/")[0].partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def processor_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refusal(connection: socket.socket) -> bytes:
    """What a connection is told that nobody serves; empty if it is served, and its request is waited for."""
    connection.settimeout(10)
    try:
        return connection.recv(4096) or b"closed"
    except TimeoutError:
        return b""
    except ConnectionError:
        return b"reset"


def test_more_connections_than_open_files(new_gateway: NewGateway) -> None:
    """Calls in flight end with their pictures, strangers hear 503 at once, the processor rests, and room is used as soon as there is some."""
    with EmulatorProcess("openai") as emulator, ThreadPoolExecutor(IN_FLIGHT) as threads, ExitStack() as stack:
        gateway = new_gateway(config(openai=emulator), key=KEY).start(command=LIMITED)
        pid = int((gateway.folder / "var/gateway.db.lock").read_text())
        emulator.always(b.Hang(bills=True))
        calls = [threads.submit(gateway.generate, BY_OPENAI, f"prompt {number}") for number in range(IN_FLIGHT)]
        until(lambda: len(gateway.tasks()) == IN_FLIGHT, 30, "the calls do not arrive")
        until(lambda: all(task["progress"] for task in gateway.tasks()), 30, "the calls are not sent")
        idle = [stack.enter_context(connected(gateway)) for _ in range(CONNECTIONS)]
        before_s = processor_s(pid)
        time.sleep(1.5)
        assert processor_s(pid) - before_s < 0.5, "it spins"
        refusals = [refusal(connection) for connection in idle[-20:]]
        assert all(text.startswith(b"HTTP/1.1 503 ") for text in refusals), refusals
        assert gateway.logged("connections are refused")["connections"] == OPEN_FILES // 4
        assert "ulimit -n" in gateway.logged("connections are refused")["event"]
        # Whoever asks is told so as OpenAI would.
        answers = [gateway_answer(gateway) for _ in range(5)]
        assert [status for status, _ in answers] == [503] * 5, answers
        assert {retry_after for _, retry_after in answers} == {"5"}
        emulator.always(b.Succeed())
        emulator.release()
        assert [call.result(60).status for call in calls] == [200] * IN_FLIGHT
        for connection in idle:
            connection.close()
        until(lambda: gateway_answer(gateway)[0] == 200, 30, "it does not serve again")
        assert gateway.generate(BY_OPENAI, "afterwards").status == 200
        books = assert_settled(gateway, completed=IN_FLIGHT + 1)
        assert_bills(books, emulator, "openai", attempts=IN_FLIGHT + 1)


def gateway_answer(gateway: GatewayProcess) -> tuple[int, str | None]:
    """Status and Retry-After of a readiness probe; what is sent may already meet a closed door."""
    connection = connected(gateway)
    http = HTTPConnection("gateway")
    http.sock = connection
    try:
        http.putrequest("GET", "/readyz")
        http.endheaders()
    except ConnectionError:
        pass
    try:
        answer = http.getresponse()
        return answer.status, answer.getheader("Retry-After")
    except ConnectionError:
        return 0, None
    finally:
        http.close()
