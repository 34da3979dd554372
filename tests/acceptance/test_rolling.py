"""A rolling restart as a cluster does it: SIGTERM to one of two processes behind a TCP balancer, under load; no caller notices, no task is lost.

The callers are HTTP clients as they come, with keep-alive and without a retry of their own; the balancer repeats nothing either. What one of them
sees besides 200 (and 202 for a new task), and every broken connection, is a failure. Every task has a callback, and some are jobs at their
upstream, which a stopping process hands over. Twenty rounds with 200 callers in `make soak`, three with fewer in `make test`.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.acceptance.callback_receiver import CallbackReceiver, assert_told_of, receiving_callbacks
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import START_S_MAX, GatewayProcess, until
from tests.acceptance.invariants import all_final, assert_bills, assert_settled
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, KEY, config
from tests.emulators.fixtures import StartProcess
from tests.ports import free_port
from tests.tcp_balancer import Balancer

SOAK = os.environ.get("SOAK") == "1"
ROUNDS = 20 if SOAK else 3
CALLERS = 200 if SOAK else 40
"""Half of them wait for their pictures, half poll tasks. Each begins the next call when it has the last one's picture."""
UPSTREAM_S = 2.0
SLOTS = CALLERS * 2 // 5
"""In each process: fewer than its callers, so that some tasks have not been sent when the signal comes, and are handed back."""
JOBS = 3
"""Every third task is a job at EvoLink."""
JOB_S = 6.0
"""Longer than a stopping process still takes calls, so that each one has jobs to hand over."""
TOLD_S_MAX = 45.0
"""More than the claim of a process that ended without a note: 30 s."""
POLL_S = 0.5
LOAD_S = 2.0
"""Between two restarts, so that both processes have calls again."""
DRAIN_S = 20
ACCEPT_S = 3
"""By docs/operations.md: until the balancer has looked away (a probe may take a second, as the other's may meanwhile), and longer than POLL_S."""
EXIT_S_MAX = ACCEPT_S + DRAIN_S + 5
"""accept_after_term, drain, and a few seconds."""
CALL_S_MAX = 60.0
HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass(slots=True)
class Load:
    """The callers, and what they saw."""

    origin: str
    receiver: CallbackReceiver
    stopping: bool = False
    failures: list[str] = field(default_factory=list)
    calls: int = 0
    """Image calls answered with their picture."""
    jobs: int = 0
    """Tasks of those at EvoLink."""
    tasks: int = 0
    """Tasks accepted; each is then polled until its picture was downloaded."""
    pictures: int = 0
    requests: int = 0
    in_flight: int = 0
    prompts: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                callers.create_task(self._caller(number))

    async def _caller(self, number: int) -> None:
        """One client with its own connections."""
        call = self._image if number % 2 else self._task
        await asyncio.sleep(number / CALLERS * UPSTREAM_S)  # not all in step
        timeout = aiohttp.ClientTimeout(total=CALL_S_MAX)
        async with aiohttp.ClientSession(self.origin, headers=HEADERS, timeout=timeout) as session:
            session._retry_connection = (
                False  # aiohttp would repeat a GET whose connection broke; here that is a failure
            )
            while not self.stopping and not self.failures:
                self.in_flight += 1
                try:
                    await call(session)
                except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                    self.failures.append(f"{time.time():.3f} {call.__name__}: {exc!r}")
                finally:
                    self.in_flight -= 1

    async def _image(self, session: aiohttp.ClientSession) -> None:
        answer = await self._json(session, "POST", "/v1/images/generations", 200, self._body())
        if answer is not None:
            assert len(answer["data"]) == 1
            self.calls += 1

    async def _task(self, session: aiohttp.ClientSession) -> None:
        body = {**self._body(), "callback_url": self.receiver.url("tasks")}
        if self.prompts % JOBS == 0:
            body["model"] = BY_EVOLINK
        task = await self._json(session, "POST", "/v1/images/generations", 202, body, {"Prefer": "respond-async"})
        if task is None:
            return
        self.tasks += 1
        self.jobs += body["model"] == BY_EVOLINK
        while task["status"] in ("pending", "processing"):
            await asyncio.sleep(POLL_S)
            task = await self._json(session, "GET", f"/v1/tasks/{task['id']}", 200)
            if task is None:
                return
        if task["status"] != "completed":
            self.failures.append(f"a task: {task}")
            return
        async with session.get(task["results"][0], headers={"Authorization": ""}) as answer:
            self.requests += 1
            content = await answer.read()
            if answer.status == 200 and content:
                self.pictures += 1
            else:
                self.failures.append(f"a picture: {answer.status}")

    async def _json(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        wanted: int,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        async with session.request(method, path, json=body, headers=headers) as answer:
            self.requests += 1
            if answer.status != wanted:
                self.failures.append(f"{method} {path}: {answer.status} {await answer.text()}")
                return None
            content = await answer.json()
            assert isinstance(content, dict)
            return content

    def _body(self) -> dict[str, object]:
        self.prompts += 1
        prompt = f"a wild dolphin {self.prompts}"
        return {"model": BY_OPENAI, "prompt": prompt, "size": "1024x1024", "quality": "low"}


@dataclass(slots=True)
class Rollout:
    """Restarts the processes in turn, each while the others are ready: so does a cluster."""

    balancer: Balancer
    gateways: dict[int, GatewayProcess]
    load: Load
    exits_s: list[float] = field(default_factory=list)
    in_flight_min: int = CALLERS
    left: int = 0

    def run(self, rounds: int) -> None:
        """In the test's own thread: a gateway ends with the thread that started it."""
        with ThreadPoolExecutor(1, thread_name_prefix="callers") as threads:
            callers = threads.submit(asyncio.run, self.load.run())
            try:
                time.sleep(UPSTREAM_S * 2)
                for number in range(rounds):
                    if self.load.failures or callers.done():
                        break
                    self._restart(list(self.gateways)[number % len(self.gateways)])
                    time.sleep(LOAD_S)
            finally:
                self.load.stopping = True
            callers.result()

    @property
    def figures(self) -> str:
        """For the report."""
        load = self.load
        return (
            f"SIGTERMs {len(self.exits_s)}, image calls {load.calls}, tasks {load.tasks}, {load.jobs} of them jobs, requests {load.requests}, "
            f"failures {len(load.failures)}, turned away {self.balancer.turned_away}, in flight at least {self.in_flight_min}, "
            f"tasks left {self.left}, longest shutdown {max(self.exits_s, default=0):.1f} s"
        )

    def _restart(self, port: int) -> None:
        gateway = self.gateways[port]
        until(lambda: self.balancer.ready >= self.gateways.keys(), START_S_MAX, "not all of them are ready")
        self.in_flight_min = min(self.in_flight_min, self.load.in_flight)
        started_s = time.monotonic()
        code = gateway.terminate()
        self.exits_s.append(time.monotonic() - started_s)
        assert code == 0
        assert gateway.log_lines("error") == []
        left = [line["tasks"] for line in gateway.log_lines() if "left for the next process" in line["event"]]
        self.left += sum(left)
        _start(gateway, port, self.balancer)


@pytest.mark.slow
@pytest.mark.timeout(2400 if SOAK else 600)
@pytest.mark.xdist_group("acceptance-rolling")
def test_rolling_restarts_are_not_noticed(
    new_gateway: NewGateway,
    emulator_process: StartProcess,
    postgresql_database: str,
    record_property: Callable[[str, object], None],
) -> None:
    """SIGTERM after SIGTERM under many calls in flight: failed calls 0, lost tasks 0, lost callbacks 0, each paid once, nothing held."""
    openai, evolink = emulator_process("openai", delay=UPSTREAM_S), emulator_process("evolink", work=JOB_S)
    with Balancer() as balancer, receiving_callbacks() as receiver:
        ports = [int(evolink.origin.rpartition(":")[2]), receiver.port]
        settings = config(
            postgresql_database,
            openai=openai,
            evolink=evolink,
            of_openai={"concurrency": SLOTS},
            of_evolink={"poll_interval": "500ms"},
            egress={"allow": ["127.0.0.0/8"], "allow_http": True, "ports": ports},
            server={
                "port": 0,
                "drain": f"{DRAIN_S}s",
                "accept_after_term": f"{ACCEPT_S}s",
                "public_url": balancer.origin,
            },
        )
        first = new_gateway(settings, key=KEY).migrate()
        gateways = {free_port(): first, free_port(): new_gateway(settings, key=KEY, folder=first.folder)}
        balancer.backends = tuple(gateways)
        for port, gateway in gateways.items():
            _start(gateway, port, balancer)
        load = Load(balancer.origin, receiver)
        rollout = Rollout(balancer, gateways, load)
        rollout.run(ROUNDS)
        again = _told_again(load, first)
        figures = f"{rollout.figures}, callbacks lost 0, told again under the same id {again}"
        record_property("figures", figures)
        sys.stderr.write(figures + "\n")
        assert balancer.turned_away == 0
        assert len(rollout.exits_s) == ROUNDS
        assert max(rollout.exits_s) < EXIT_S_MAX
        assert rollout.in_flight_min >= CALLERS * 0.95  # a caller between two calls is not in flight
        assert rollout.left >= ROUNDS, "no job was handed over"
        assert load.pictures == load.tasks
        everything = load.calls + load.tasks
        assert len(all_final(first, 60)) == everything
        books = assert_settled(first, completed=everything)
        assert_bills(books, openai, "openai", attempts=everything)
        assert_bills(books, evolink, "evolink", attempts=load.jobs)
        assert (len(openai.bills), len(evolink.bills)) == (everything - load.jobs, load.jobs)


def _told_again(load: Load, gateway: GatewayProcess) -> int:
    """After a load without failures: how many of the tasks' ends were told more than once; none was not."""
    assert load.failures == [], load.failures[:20]
    messages = load.receiver.told
    until(lambda: len({told.task for told in messages}) >= load.tasks, TOLD_S_MAX, "callbacks are lost", pause_s=0.3)
    wanted = {told.task for told in messages}
    return assert_told_of(messages, [task for task in gateway.tasks() if task["id"] in wanted])


def _start(gateway: GatewayProcess, port: int, balancer: Balancer) -> None:
    """Until the balancer sends connections to it. The test's own questions go through the balancer, too."""
    until(lambda: port not in balancer.ready, START_S_MAX, "the balancer did not notice that it was gone")
    gateway.launch("--port", str(port))
    until(lambda: port in balancer.ready, START_S_MAX, f"the balancer does not see it\n{gateway.log}")
    gateway.base_url = f"{balancer.origin}/v1"
