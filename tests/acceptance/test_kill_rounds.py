"""kill -9 at random moments under load, again and again on the same data; at last the sums must agree, whoever tells them.

Every call has a callback and a key, and many are made again with it. 250 kills a database in `make soak`, four in `make test`,
where the gateway on PostgreSQL does not wait as long as it would (hurried.py).

Seeded: the load, its order in each thread and the moments are the same every time, as far as a machine's pace allows.
"""

import asyncio
import http.client
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import asyncpg
import pytest
from PIL import Image

from tests.acceptance.callback_receiver import CallbackReceiver, assert_told_of, receiving_callbacks
from tests.acceptance.forked_gateway import ForkedGateway
from tests.acceptance.gateway_process import Answer, GatewayProcess, until
from tests.acceptance.hurried import GRACE_S, KEYS_RELOAD_S
from tests.acceptance.invariants import (
    Books,
    all_final,
    assert_bills,
    assert_openai_agrees,
    assert_settled,
    is_final,
    stored_deliveries,
)
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, BY_SANDBOX, KEY, SQLITE, Section, config
from tests.emulators.behaviours import Hang
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess
from tests.proofs import Proof

SEED = 20261124
SOAK = os.environ.get("SOAK") == "1"
ROUNDS = 250 if SOAK else 4
CALLERS = 8
ROUND_S = (0.3, 1.2)
AGAIN, AGAIN_KEPT = 0.35, 12
"""How often one of a caller's latest calls is made again, and how many of them it remembers."""
PAUSE_S = 0.1 if SOAK else 0.0
"""Between two calls of a caller: there are words for 3,600 prompts a model."""
PICTURES_LOOKED_AT = 300 if SOAK else 60
TIMEOUT_S = 5
"""OpenAI's."""
_WAITED_MS = "SELECT finished_at_ms - sent_at_ms FROM tasks JOIN attempts ON task_id = tasks.id WHERE tasks.id = $1"
ANIMALS = ("dolphin", "elephant", "squirrel", "leopard")
"""The emulator counts a token for four characters: with these words that is the exact count, so that prices known before and after agree."""


@dataclass(frozen=True, slots=True)
class Call:
    """One that may be made again."""

    model: str
    prompt: str
    n: int
    as_task: bool

    @property
    def key(self) -> str:
        return f"{self.model} {self.prompt}"


@dataclass
class Load:
    """Callers of both contracts at three upstreams; each goes on until its gateway breaks off."""

    gateway: GatewayProcess
    receiver: CallbackReceiver
    prompts: dict[str, list[str]] = field(default_factory=lambda: {BY_OPENAI: [], BY_EVOLINK: [], BY_SANDBOX: []})
    latest: dict[int, list[Call]] = field(default_factory=dict)
    """Of each caller."""
    tasks: dict[str, set[str]] = field(default_factory=dict)
    """By key, as they were answered."""
    delivered: dict[str, int] = field(default_factory=dict)
    """Pictures in 200 answers, by key."""
    repeated: int = 0
    kills: int = 0
    strange: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def round(self, number: int, length_s: float) -> None:
        """Load, and a kill in the middle of it. The first prompt that is counted has to wait for the vocabulary: a quote's, not a call's."""
        quoted = self.gateway.request("POST", "/v1/images/quote", {"model": BY_OPENAI, "prompt": "a wild fox"})
        assert quoted.status == 200, quoted.body
        callers = [
            threading.Thread(target=self._calls, args=(index, random.Random(SEED + 100 * number + index)))
            for index in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        time.sleep(length_s)
        self.gateway.kill()
        self.kills += 1
        for caller in callers:
            caller.join(60)
            assert not caller.is_alive()

    def _calls(self, caller: int, choice: random.Random) -> None:
        latest = self.latest.setdefault(caller, [])
        while True:
            if latest and choice.random() < AGAIN:
                call = choice.choice(latest)
                self.repeated += 1
            else:
                model = choice.choice(list(self.prompts))
                n = choice.choice((1, 1, 2)) if model != BY_OPENAI else 1
                call = Call(model, self._new_prompt(model), n, choice.random() < 0.5)
                latest.append(call)
                del latest[:-AGAIN_KEPT]
            try:
                self._note(call, self._answer(call))
            except (OSError, http.client.HTTPException):
                return
            time.sleep(PAUSE_S)

    def _answer(self, call: Call) -> Answer:
        body = {
            "model": call.model, "prompt": call.prompt, "n": call.n, "size": "1024x1024", "quality": "low",
            "callback_url": self.receiver.url("calls"),
        }  # fmt: skip
        headers = {"Prefer": "respond-async" if call.as_task else "wait=600", "Idempotency-Key": call.key}
        return self.gateway.request("POST", "/v1/images/generations", body, headers=headers)

    def _note(self, call: Call, answer: Answer) -> None:
        unknown = answer.status == 502 and answer.json["error"]["code"] == "outcome_unknown"
        with self._lock:
            if answer.status != (202 if call.as_task else 200) and not (unknown and call.model == BY_OPENAI):
                self.strange.append(f"{answer.status} {answer.body[:200]!r}")
                return
            self.tasks.setdefault(call.key, set()).add(answer.headers["x-task-id"])
            if answer.status == 200:
                self.delivered[call.key] = len(answer.json["data"])

    def _new_prompt(self, model: str) -> str:
        with self._lock:
            made = self.prompts[model]
            animal, number = divmod(len(made), 900)
            made.append(f"a wild {ANIMALS[animal]} {100 + number}")
            return made[-1]


def assert_consistent(gateway: GatewayProcess, load: Load, openai: EmulatorProcess, evolink: EmulatorProcess) -> Books:
    """The end of all rounds."""
    assert load.strange == []
    assert [key for key, tasks in load.tasks.items() if len(tasks) > 1] == [], "one key, two tasks"
    books = assert_settled(gateway)
    tasks = gateway.tasks_in_full()
    by_model: dict[str, list[dict[str, object]]] = {model: [] for model in load.prompts}
    statuses: Counter[str] = Counter()
    for task in tasks:
        statuses[f"{task['model']} {task['status']} {(task.get('error') or {}).get('code', '')}".strip()] += 1
        by_model[task["model"]] += task["attempts"]
    # What could be saved was saved; nothing failed but OpenAI's doubts.
    assert set(statuses) <= {
        *(f"{model} completed" for model in by_model), f"{BY_OPENAI} failed outcome_unknown",
    }, statuses  # fmt: skip
    assert sum(len(task.get("results") or ()) for task in tasks) >= sum(load.delivered.values())
    # Every picture that was stored whole was delivered, whenever the process died.
    succeeded = sum(attempt["status"] == "succeeded" for attempts in by_model.values() for attempt in attempts)
    assert len(stored_deliveries(gateway)) == succeeded
    # EvoLink: every bill is a delivered picture. The sandbox: as the catalogue says.
    assert_bills(books, evolink, "evolink", attempts=len(by_model[BY_EVOLINK]))
    assert books.in_doubt_usd("evolink") == books.in_doubt_usd("sandbox") == 0
    assert evolink.billed_images == images(tasks, BY_EVOLINK)
    assert books.used_usd("upstream:sandbox") == Decimal("0.02") * images(tasks, BY_SANDBOX)
    assert_openai_agrees(books, openai, by_model[BY_OPENAI])
    return books


def images(tasks: list[dict[str, object]], model: str) -> int:
    return sum(
        len(results) for task in tasks if task["model"] == model and isinstance(results := task.get("results"), list)
    )


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    """Of all callbacks."""
    with receiving_callbacks() as receiver:
        yield receiver


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Callable[..., ForkedGateway]]:
    """Makes the one that is killed; it is gone afterwards."""
    made: list[ForkedGateway] = []

    def make(settings: Section) -> ForkedGateway:
        made.append(ForkedGateway(tmp_path / "gateway", settings, key=KEY))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


def started(
    gateways: Callable[..., ForkedGateway], emulator_process: StartProcess, receiver: CallbackReceiver, database: str
) -> tuple[ForkedGateway, EmulatorProcess, EmulatorProcess]:
    openai, evolink = emulator_process("openai", delay=0.15), emulator_process("evolink", delay=0.1, work=0.1)
    ports = [int(evolink.origin.rpartition(":")[2]), receiver.port]
    gateway = gateways(config(
        database, openai=openai, evolink=evolink, lease="2s", of_openai={"timeout": f"{TIMEOUT_S}s", "concurrency": 4},
        of_evolink={"poll_interval": "100ms"}, of_sandbox={"latency": "300ms"},
        egress={"allow": ["127.0.0.0/8"], "allow_http": True, "ports": ports},
    ))  # fmt: skip
    return gateway, openai, evolink


def rounds(load: Load) -> int:
    """All rounds; says how many tasks the restarts had to take up."""
    lengths, taken_up = random.Random(SEED), 0
    for number in range(ROUNDS):
        load.round(number, lengths.uniform(*ROUND_S))
        load.gateway.start()
        taken_up += load.gateway.logged("serving")["recovered"]
    return taken_up


@pytest.mark.timeout(5400 if SOAK else 300)
@pytest.mark.xdist_group("acceptance-kill-rounds")
def test_killed_at_random_moments(
    gateways: Callable[..., ForkedGateway], emulator_process: StartProcess, receiver: CallbackReceiver, proof: Proof
) -> None:
    """On SQLite: every task final, no hold left, bills as booked, one charge for each delivered picture, every end told, one task a key."""
    gateway, openai, evolink = started(gateways, emulator_process, receiver, SQLITE)
    load = Load(gateway.start(), receiver)
    assert rounds(load) >= ROUNDS
    all_final(gateway, 60)
    # What the last dead process had begun to tell would be told after half a minute.
    gateway.kill()
    with closing(sqlite3.connect(gateway.folder / "var/gateway.db")) as database, database:
        database.execute("UPDATE callbacks SET next_at_ms = 0 WHERE state = 'due'")
    gateway.start()
    books = assert_consistent(gateway, load, openai, evolink)
    assert books.in_doubt  # else the moments were badly chosen
    assert_all_told(gateway, load, proof, "SQLite")


@pytest.mark.slow
@pytest.mark.timeout(5400 if SOAK else 400)
@pytest.mark.xdist_group("acceptance-kill-rounds-postgresql")
def test_killed_on_postgresql(
    gateways: Callable[..., ForkedGateway],
    emulator_process: StartProcess,
    receiver: CallbackReceiver,
    postgresql_database: str,
    proof: Proof,
) -> None:
    """The same with leases, where a picture that nobody can ask for is waited for: its sender might only be paused.

    First at a chosen moment: EvoLink's and the sandbox's tasks are finished after the lease, OpenAI's only when its time-out and a minute (GRACE_S)
    have passed, as unknown. One test, because that minute is spent once. Meanwhile keys made or revoked by command become known to the process.
    """
    gateway, openai, evolink = started(gateways, emulator_process, receiver, postgresql_database)
    gateway.hurried = True
    load = Load(gateway.migrate().start(), receiver)
    openai.next(Hang(bills=True))
    openai_call = load._new_prompt(BY_OPENAI)
    hook = receiver.url("calls")
    tasks = {
        BY_EVOLINK: gateway.submit(BY_EVOLINK, load._new_prompt(BY_EVOLINK), callback_url=hook),
        BY_SANDBOX: gateway.submit(BY_SANDBOX, load._new_prompt(BY_SANDBOX), callback_url=hook),
        BY_OPENAI: gateway.submit(BY_OPENAI, openai_call, callback_url=hook),
    }
    until(lambda: openai.requests and evolink.requests, 30, "the upstreams were not called")
    gateway.kill()
    openai.release()
    gateway.start()
    for model in (BY_EVOLINK, BY_SANDBOX):
        until(lambda task=tasks[model]: is_final(gateway.task(task)), 30, "a task is stuck")  # type: ignore[misc]  # a lambda with a default, against late binding
        assert gateway.task(tasks[model])["status"] == "completed"
    rounds(load)
    assert_keys_become_known(gateway)
    all_final(gateway, GRACE_S + 40)
    lost = gateway.task(tasks[BY_OPENAI])
    assert (lost["status"], lost["error"]["code"], lost["usage"]["credits_used"]) == ("failed", "outcome_unknown", 0)
    assert asyncio.run(waited_ms(postgresql_database, lost["id"])) >= (TIMEOUT_S + GRACE_S) * 1000
    books = assert_consistent(gateway, load, openai, evolink)
    assert lost["id"] in {row["task"] for row in books.in_doubt}
    assert_pictures(gateway)
    assert_all_told(gateway, load, proof, "PostgreSQL")


async def waited_ms(database: str, task_id: str) -> int:
    """From the only send of a task to its end."""
    connection = await asyncpg.connect(database)
    try:
        [[waited]] = await connection.fetch(_WAITED_MS, task_id)
    finally:
        await connection.close()
    assert isinstance(waited, int)
    return waited


def assert_all_told(gateway: GatewayProcess, load: Load, proof: Proof, database: str) -> None:
    """Each end, and each again only under its id; says what happened in all."""
    tasks, messages = gateway.tasks_in_full(), load.receiver.told
    until(lambda: len({told.task for told in messages}) >= len(tasks), 60, "callbacks are lost", pause_s=0.3)
    again = assert_told_of(messages, tasks)
    proof(
        "random kills under load",
        f"{database}: {load.kills} kills, {len(tasks)} tasks, {load.repeated} calls made again under their key; "
        f"one key with two tasks 0, callbacks lost 0, told again under the same id {again}",
    )


def assert_keys_become_known(gateway: GatewayProcess) -> None:
    """As the process reads them anew."""

    def status(key: str) -> Callable[[], int]:
        return lambda: gateway.request("GET", "/v1/models", key=key).status

    [made] = gateway.rows("keys", "create", "--name", "tmp")
    until(lambda: status(made["key"])() == 200, KEYS_RELOAD_S + 20, "a new key does not become known", pause_s=0.3)
    assert gateway.command("keys", "revoke", made["id"]).returncode == 0
    until(lambda: status(made["key"])() == 401, KEYS_RELOAD_S + 20, "a revoked key goes on working", pause_s=0.3)


def assert_pictures(gateway: GatewayProcess) -> None:
    """The links of completed tasks lead to whole pictures: of all, or of so many as there is time for."""
    tasks = [task for task in gateway.tasks_in_full() if task.get("results")]
    for task in tasks[:: max(1, len(tasks) // PICTURES_LOOKED_AT)]:
        for link in task["results"]:
            with Image.open(BytesIO(gateway.download(link))) as picture:
                picture.load()
