"""Three gateways on one PostgreSQL whose callers share a budget in dollars, while gateways are killed, stand still and come back.

Whatever happens: not a millionth is overspent, nothing is paid twice, every accepted task ends and its caller gets the pictures, no request
outlives its task's deadline, and a dead process's tasks are taken up within its lease and 15 s. Two minutes of it in `make soak`, two kills in
`make test`.
"""

import asyncio
import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from itertools import cycle
from types import MappingProxyType

import asyncpg
import orjson
import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.fleet import TAKEN_UP, Fleet, Overdue, fleet
from tests.acceptance.fleet_callers import DEADLINE_S, HANGING_S, FleetCallers
from tests.acceptance.invariants import Books, all_final, assert_bills, assert_openai_agrees, assert_settled
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, BY_SANDBOX, KEY, PATH, Section, config
from tests.buckets import S3Server
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess
from tests.postgresql import restartable_server
from tests.proofs import Proof
from tests.tcp_balancer import Balancer
from tests.valkey import ValkeyServer

SOAK = os.environ.get("SOAK") == "1"
GATEWAYS, CALLERS = 3, 300 if SOAK else 120
LEASE_S = 6
TAKEN_UP_S_MAX = 15.0
"""After the end of the dead process's lease."""
ENDED_S_MAX = 110.0 if SOAK else 40.0
"""What was sent to OpenAI by a process that died is waited for: its time-out and a minute."""
WORK_S = 4
"""What a picture takes: the callers keep a small machine half busy."""
BUDGET_USD = 18 if SOAK else 8
MORE_USD = 15
"""At each kill of the long run the budget is raised by so much, so that it is always nearly used up."""
CHEAPEST_USD = Decimal("0.005905") if SOAK else Decimal("0.0208")
RESTART_CALLERS = 60 if SOAK else 24
PLENTY = 100_000
"""A limit that is counted and never reached."""
RECOVERED_S_MAX = 30.0
TEAM = PATH[1]
_BOOKED = "SELECT at_ms, posted_microusd + pending_microusd FROM entries WHERE account_id = $1 ORDER BY id"


def settings(
    database: str,
    openai: EmulatorProcess | None,
    evolink: EmulatorProcess,
    *,
    budget_usd: int = BUDGET_USD,
    stores: Mapping[str, object] = MappingProxyType({}),
) -> Callable[[Balancer], Section]:
    """For gateways whose links and callers go through the balancer."""

    def of(balancer: Balancer) -> Section:
        team = {
            "team": "design",
            "budgets": [f"{budget_usd}usd/total"],
            "keys": [{"name": "ci", "secret": KEY, "concurrency": PLENTY, "rpm": PLENTY}],
        }
        return config(
            database,
            openai=openai,
            evolink=evolink,
            of_openai={"timeout": "5s"},
            of_evolink={"poll_interval": "2s", "concurrency": CALLERS},
            of_sandbox={"latency": "1500ms"},
            lease=f"{LEASE_S}s",
            deadline=f"{DEADLINE_S}s",
            server={"port": 0, "drain": "40s", "public_url": balancer.origin},
            accounts=[{"org": "acme", "teams": [team]}],
            **stores,
        )

    return of


@contextmanager
def calling(callers: FleetCallers) -> Iterator[None]:
    """In a thread beside the block; at its end they stop, and have all been answered."""
    with ThreadPoolExecutor(1, thread_name_prefix="callers") as threads:
        running = threads.submit(asyncio.run, callers.run())
        try:
            yield
        finally:
            callers.stopping = True
        running.result()
    assert callers.failures == [], callers.failures[:10]


class Purse:
    """The team's budget, as it was raised."""

    def __init__(self, house: Fleet) -> None:
        path = house.first.config_path
        assert path is not None
        self._path = path
        self.raised = [(0, BUDGET_USD)]

    def add(self, usd: int) -> None:
        """In the config, which all of them read again."""
        before = f'"{self.usd}usd/total"'
        self.raised.append((int(time.time() * 1000), self.usd + usd))
        text = self._path.read_text(encoding="utf-8")
        assert before in text
        new = self._path.with_suffix(".new")
        new.write_text(text.replace(before, f'"{self.usd}usd/total"'), encoding="utf-8")
        new.replace(self._path)

    @property
    def usd(self) -> int:
        return self.raised[-1][1]

    def at(self, at_ms: int) -> int:
        """Micro-dollars that were allowed then."""
        return max(usd for from_ms, usd in self.raised if from_ms <= at_ms) * 1_000_000

    async def overspent(self, database: str) -> tuple[int, int]:
        """Moments at which more was charged and held than allowed; and the least that was ever left."""
        connection = await asyncpg.connect(database)
        try:
            booked = await connection.fetch(_BOOKED, TEAM)
        finally:
            await connection.close()
        total, least, moments = 0, self.at(0), 0
        for at_ms, change in booked:
            total += change
            left = self.at(at_ms) - total
            least, moments = min(least, left), moments + (left < 0)
        return moments, least


def kill_and_bring_back(house: Fleet, port: int, away_s: float) -> None:
    house.kill(port)
    time.sleep(away_s)
    house.restart(port)
    house.until_ready(port)


def short_storm(house: Fleet, valkey: ValkeyServer) -> None:
    """One dies and stays away while another one stands still, both for longer than a lease, and Valkey for half of one; then the third one dies."""
    first, second, third = house.ports
    time.sleep(WORK_S / 2)
    house.kill(first)
    valkey.stop()
    with house.pause(second, LEASE_S + 1):
        time.sleep(LEASE_S / 2)
        valkey.start()
        time.sleep(LEASE_S / 2)
        house.restart(first)
    house.until_ready(first)
    kill_and_bring_back(house, third, 0.5)


def long_storm(house: Fleet, purse: Purse, valkey: ValkeyServer) -> None:
    """For two minutes: every 10 s one dies, in turn; sometimes another one stands still, or Valkey dies or hangs."""
    ports = cycle(house.ports)
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s:
        next_s = time.monotonic() + 10
        kill_and_bring_back(house, next(ports), 2.0)
        purse.add(MORE_USD)
        if house.kills % 4 == 1:
            valkey.stop()
            time.sleep(1)
            valkey.start()
        if house.kills % 4 == 2:
            valkey.pause()
            time.sleep(2)
            valkey.resume()
        if house.kills % 3 == 0:
            with house.pause(house.ports[house.kills // 3 % GATEWAYS], LEASE_S + 2):
                pass
        time.sleep(max(0.0, next_s - time.monotonic()))


@pytest.mark.slow
@pytest.mark.timeout(900 if SOAK else 300)
@pytest.mark.xdist_group("acceptance-fleet")
def test_gateways_die_under_a_shared_budget(
    new_gateway: NewGateway,
    emulator_process: StartProcess,
    postgresql_database: str,
    own_valkey: ValkeyServer,
    proof: Proof,
) -> None:
    """Many callers, kill -9, SIGSTOP, Valkey gone: charged what fits to the last picture, each paid once, no task lost, no request hanging."""
    openai = emulator_process("openai", delay=1) if SOAK else None
    evolink = emulator_process("evolink", work=WORK_S)
    stores = {"state": own_valkey.url}
    with fleet(new_gateway, GATEWAYS, settings(postgresql_database, openai, evolink, stores=stores)) as house:
        models: dict[str, tuple[int, ...]] = {BY_EVOLINK: (1, 2)} | ({BY_OPENAI: (1,)} if SOAK else {})
        overdue = Overdue(postgresql_database)
        callers = FleetCallers(house.balancer.origin, CALLERS, models, overdue, until_refused=True)
        purse = Purse(house)
        began_s = time.monotonic()
        with calling(callers):
            if SOAK:
                long_storm(house, purse, own_valkey)
            else:
                short_storm(house, own_valkey)
        seconds = time.monotonic() - began_s
        all_final(house.first, ENDED_S_MAX)
        walk_to_the_last_cent(house, callers)
        books = assert_nothing_lost(house, callers, openai, evolink)
        moments, least = asyncio.run(purse.overspent(postgresql_database))
        charged = books.used_usd(TEAM)
        assert moments == 0, f"{least} micro-dollars were left"
        assert purse.usd - CHEAPEST_USD < charged <= purse.usd
        assert overdue.most_s < TAKEN_UP_S_MAX
        assert callers.longest_request_s < HANGING_S
        taken_up = house.events()[TAKEN_UP]
        assert taken_up
        proof(
            "three gateways on one PostgreSQL",
            f"{CALLERS} callers, {house.kills} kills, {house.pauses} pauses in {seconds:.0f} s: {len(house.first.tasks())} tasks, "
            f"{dict(callers.answers)}; charged {charged} of {purse.usd} USD, overspent 0, paid twice 0, lost 0; {taken_up} tasks taken up, "
            f"at most {overdue.most_s:.1f} s after a lease of {LEASE_S} s; longest request {callers.longest_request_s:.1f} s, "
            f"longest call {callers.longest_call_s:.1f} s",
        )


@pytest.mark.slow
@pytest.mark.timeout(600 if SOAK else 300)
@pytest.mark.xdist_group("acceptance-fleet")
def test_postgresql_is_restarted_under_load(
    new_gateway: NewGateway, emulator_process: StartProcess, s3: S3Server, proof: Proof
) -> None:
    """Stopped, crashed and frozen: calls wait or are told when to come again, every accepted task ends once, and all is well in 30 s."""
    evolink = emulator_process("evolink", work=WORK_S)
    with restartable_server() as server:
        server.execute("CREATE DATABASE fleet")
        database = server.url("fleet")
        stores = {"blobs": f"s3://{s3.shared_bucket}/fleet", "s3_endpoint": s3.endpoint, "s3_region": "us-east-1"}
        with fleet(new_gateway, 2, settings(database, None, evolink, budget_usd=PLENTY, stores=stores)) as house:
            callers = FleetCallers(house.balancer.origin, RESTART_CALLERS, {BY_EVOLINK: (1, 2)}, Overdue(database))
            recovered_s: dict[str, float] = {}
            with calling(callers):
                for number in range(3 if SOAK else 1):
                    time.sleep(WORK_S / 2)
                    server.stop()
                    time.sleep(2 + 5 * number)
                    recovered_s[f"restarted {number}"] = recovery_s(house, server.start)
                    time.sleep(WORK_S / 2)
                    server.stop(kill=True)
                    recovered_s[f"crashed {number}"] = recovery_s(house, server.start)
                    time.sleep(WORK_S / 2)
                    with server.frozen():
                        time.sleep(3 + 10 * number)
                    recovered_s[f"frozen {number}"] = recovery_s(house, lambda: None)
            all_final(house.first, ENDED_S_MAX)
            assert_nothing_lost(house, callers, None, evolink)
            assert callers.answers["503 with Retry-After"], "nobody noticed"
            assert callers.longest_request_s < HANGING_S
            assert max(recovered_s.values()) < RECOVERED_S_MAX
            proof(
                "PostgreSQL restarted under load",
                f"{RESTART_CALLERS} callers at 2 gateways: {len(house.first.tasks())} tasks, {dict(callers.answers)}, lost 0, paid twice 0; "
                f"served again after { {how: round(s, 1) for how, s in recovered_s.items()} } s; "
                f"longest request {callers.longest_request_s:.1f} s, longest call {callers.longest_call_s:.1f} s",
            )


def recovery_s(house: Fleet, start: Callable[[], None]) -> float:
    """Until every gateway is ready, and a new call has been accepted at each, from the moment at which the server is to be back."""
    began_s = time.monotonic()
    start()
    left = set(house.ports)
    while left and time.monotonic() < began_s + 2 * RECOVERED_S_MAX:
        left = {port for port in left if not accepts(port)}
        time.sleep(0.2)
    assert not left, "a gateway does not recover"
    return time.monotonic() - began_s


def accepts(port: int) -> bool:
    """A picture of the sandbox, whose task the test looks after with all others."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGING_S)
    try:
        connection.request("GET", "/readyz")
        ready = connection.getresponse()
        ready.read()
        if ready.status != 200:
            return False
        wish = orjson.dumps({"model": BY_SANDBOX, "prompt": "a wild fox 100", "size": "1024x1024", "quality": "low"})
        headers = {"Authorization": f"Bearer {KEY}", "Prefer": "respond-async", "Content-Type": "application/json"}
        connection.request("POST", "/v1/images/generations", wish, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (202, 503), content
        return answer.status == 202
    finally:
        connection.close()


def walk_to_the_last_cent(house: Fleet, callers: FleetCallers) -> None:
    """One call after the other, until not even the cheapest picture fits: what the budget still has is less than that."""
    models = [BY_EVOLINK] + ([BY_OPENAI] if SOAK else [])
    for number, model in enumerate(models):
        while True:
            prompt = f"a wild fox {100 + 100 * number + len(callers.delivered)}"
            answer = house.first.generate(model, prompt, idempotency_key=f"{model} {prompt}")
            if answer.status == 429:
                assert answer.json["error"]["code"] == "insufficient_quota"
                break
            assert answer.status == 200, answer.body
            callers.delivered[f"{model} {prompt}"] = 1
            callers.tasks[f"{model} {prompt}"] = {answer.headers["x-task-id"]}


def assert_nothing_lost(
    house: Fleet, callers: FleetCallers, openai: EmulatorProcess | None, evolink: EmulatorProcess
) -> Books:
    """Every caller's task is there once, ended, and delivered what it charges; the bills are the books, and nobody but OpenAI is in doubt."""
    books = assert_settled(house.first)
    assert [key for key, tasks in callers.tasks.items() if len(tasks) > 1] == [], "one key, two tasks"
    tasks = {task["id"]: task for task in house.first.tasks_in_full()}
    told = {task for tasks in callers.tasks.values() for task in tasks}
    assert told <= tasks.keys(), "tasks are lost"
    made = sum(len(task.get("results") or ()) for task in tasks.values())
    assert made >= sum(callers.delivered.values())
    by_model: dict[str, list[dict[str, object]]] = {BY_EVOLINK: [], BY_SANDBOX: [], BY_OPENAI: []}
    pictures = dict.fromkeys(by_model, 0)
    for task in tasks.values():
        assert task["status"] == "completed" or task["model"] == BY_OPENAI, task
        by_model[task["model"]] += task["attempts"]
        pictures[task["model"]] += len(task.get("results") or ())
    assert_bills(books, evolink, "evolink", attempts=len(by_model[BY_EVOLINK]))
    assert evolink.billed_images == pictures[BY_EVOLINK]
    assert books.used_usd("upstream:sandbox") == Decimal("0.02") * pictures[BY_SANDBOX]
    assert books.in_doubt_usd("evolink") == books.in_doubt_usd("sandbox") == 0
    if openai is not None:
        assert_openai_agrees(books, openai, by_model[BY_OPENAI])
    return books
