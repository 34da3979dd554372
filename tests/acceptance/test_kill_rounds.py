"""kill -9 at random moments under load, again and again on the same data; at last the sums must agree, whoever tells them.

Seeded: the load, its order in each thread and the moments are the same every time, as far as a machine's pace allows.
"""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.invariants import (
    HALF_A_MICRO,
    Books,
    all_final,
    assert_bills,
    assert_settled,
    is_final,
    stored_deliveries,
)
from tests.acceptance.settings import BY_EVOLINK, BY_OPENAI, BY_SANDBOX, KEY, config
from tests.emulators.behaviours import Succeed
from tests.emulators.fixtures import StartProcess
from tests.emulators.process import EmulatorProcess

SEED = 20261124
ROUNDS = 6
CALLERS = 8
ROUND_S = (0.3, 1.2)
ANIMALS = ("dolphin", "elephant", "squirrel", "leopard")
"""The emulator counts a token for four characters: with these words that is the exact count, so that prices known before and after agree."""
PRICE = Decimal("0.005905")
"""Of one low 1024x1024 picture of gpt-image-2 for such a prompt: 196 output tokens at 30 and 5 text tokens at 5 USD a million."""


@dataclass
class Load:
    """Callers of both contracts at three upstreams; each goes on until its gateway breaks off."""

    gateway: GatewayProcess
    prompts: dict[str, list[str]] = field(default_factory=lambda: {BY_OPENAI: [], BY_EVOLINK: [], BY_SANDBOX: []})
    delivered: int = 0
    """Pictures in 200 answers."""
    strange: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def round(self, number: int, length_s: float) -> None:
        """Load, and a kill in the middle of it. The first prompt that is counted has to wait for the vocabulary: a quote's, not a call's."""
        quoted = self.gateway.request("POST", "/v1/images/quote", {"model": BY_OPENAI, "prompt": "a wild fox"})
        assert quoted.status == 200, quoted.body
        callers = [
            threading.Thread(target=self._call, args=(random.Random(SEED + 100 * number + index),))
            for index in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        time.sleep(length_s)
        self.gateway.kill()
        for caller in callers:
            caller.join(20)
            assert not caller.is_alive()

    def _call(self, choice: random.Random) -> None:
        while True:
            model = choice.choice(list(self.prompts))
            n = choice.choice((1, 1, 2)) if model != BY_OPENAI else 1
            as_task, prompt = choice.random() < 0.5, self._new_prompt(model)
            try:
                if as_task:
                    self.gateway.submit(model, prompt, n=n)
                    continue
                answer = self.gateway.generate(model, prompt, n=n)
            except (OSError, http.client.HTTPException):
                return
            with self._lock:
                if answer.status == 200:
                    self.delivered += len(answer.json["data"])
                else:
                    self.strange.append(f"{answer.status} {answer.body[:200]!r}")

    def _new_prompt(self, model: str) -> str:
        with self._lock:
            made = self.prompts[model]
            animal, number = divmod(len(made), 900)
            made.append(f"a wild {ANIMALS[animal]} {100 + number}")
            return made[-1]


def assert_consistent(gateway: GatewayProcess, load: Load, openai: EmulatorProcess, evolink: EmulatorProcess) -> Books:
    """The end of all rounds."""
    assert load.strange == []
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
    assert sum(len(task.get("results") or ()) for task in tasks) >= load.delivered
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


def assert_openai_agrees(books: Books, openai: EmulatorProcess, attempts: list[dict[str, object]]) -> None:
    """Bills = paid + in doubt, where a doubt whose request never left the dying process is the only one without a bill."""
    bills = openai.bills
    assert len({bill.prompt for bill in bills}) == len(bills), "a prompt was paid twice"
    assert {bill.usd for bill in bills} == {PRICE}
    statuses = Counter(attempt["status"] for attempt in attempts)
    assert set(statuses) == {"succeeded", "unknown"}, statuses
    assert statuses["unknown"] == len(books.in_doubt)
    received = [request for request in openai.requests if request.at == "create" and request.json is not None]
    never_left = len(attempts) - len(received)
    assert 0 <= never_left <= statuses["unknown"]
    assert len(bills) == len(received)
    known = books.used_usd("upstream:openai") + books.in_doubt_usd("openai")
    assert abs(openai.billed_usd + never_left * PRICE - known) <= HALF_A_MICRO * len(attempts)


def started(
    new_gateway: NewGateway, emulator_process: StartProcess, database: str
) -> tuple[GatewayProcess, EmulatorProcess, EmulatorProcess]:
    openai, evolink = emulator_process("openai", delay=0.15), emulator_process("evolink", delay=0.1, work=0.1)
    gateway = new_gateway(config(
        database, openai=openai, evolink=evolink, lease="2s", of_openai={"timeout": "5s", "concurrency": 4},
        of_evolink={"poll_interval": "100ms"}, of_sandbox={"latency": "300ms"},
    ), key=KEY)  # fmt: skip
    return gateway, openai, evolink


def rounds(load: Load) -> int:
    """All rounds; says how many tasks the restarts had to take up."""
    lengths, taken_up = random.Random(SEED), 0
    for number in range(ROUNDS):
        load.round(number, lengths.uniform(*ROUND_S))
        load.gateway.start()
        taken_up += load.gateway.logged("serving")["recovered"]
    return taken_up


def test_killed_at_random_moments(new_gateway: NewGateway, emulator_process: StartProcess) -> None:
    """Six times on SQLite: every task final, no hold left, bills as booked, one charge for each delivered picture."""
    gateway, openai, evolink = started(new_gateway, emulator_process, config()["database"])  # type: ignore[arg-type]  # the config is plain values, this one a text
    load = Load(gateway.start())
    assert rounds(load) >= ROUNDS
    all_final(gateway, 30)
    books = assert_consistent(gateway, load, openai, evolink)
    assert books.in_doubt  # else the moments were badly chosen


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_on_postgresql(
    new_gateway: NewGateway, emulator_process: StartProcess, postgresql_database: str
) -> None:
    """The same with leases, where a picture that nobody can ask for is waited for: its sender might only be paused.

    First at a chosen moment: EvoLink's and the sandbox's tasks are finished after the lease, OpenAI's only when its time-out and a minute have
    passed, as unknown. One test, because that minute is spent once. Meanwhile keys made or revoked by command become known to the process.
    """
    gateway, openai, evolink = started(new_gateway, emulator_process, postgresql_database)
    load = Load(gateway.migrate().start())
    openai.next(Succeed(delay_s=3))
    openai_call = load._new_prompt(BY_OPENAI)
    tasks = {
        BY_EVOLINK: gateway.submit(BY_EVOLINK, load._new_prompt(BY_EVOLINK)),
        BY_SANDBOX: gateway.submit(BY_SANDBOX, load._new_prompt(BY_SANDBOX)),
        BY_OPENAI: gateway.submit(BY_OPENAI, openai_call),
    }
    until(lambda: openai.requests and evolink.requests, 5, "the upstreams were not called")
    gateway.kill()
    gateway.start()
    for model in (BY_EVOLINK, BY_SANDBOX):
        until(lambda task=tasks[model]: is_final(gateway.task(task)), 15, "a task is stuck")  # type: ignore[misc]  # a lambda with a default, against late binding
        assert gateway.task(tasks[model])["status"] == "completed"
    assert gateway.task(tasks[BY_OPENAI])["status"] == "processing"
    rounds(load)
    assert_keys_become_known(gateway)
    all_final(gateway, 100)
    lost = gateway.task(tasks[BY_OPENAI])
    assert (lost["status"], lost["error"]["code"], lost["usage"]["credits_used"]) == ("failed", "outcome_unknown", 0)
    books = assert_consistent(gateway, load, openai, evolink)
    assert lost["id"] in {row["task"] for row in books.in_doubt}
    assert_pictures(gateway)


def assert_keys_become_known(gateway: GatewayProcess) -> None:
    """Within half a minute, as the process reads them anew."""

    def status(key: str) -> Callable[[], int]:
        return lambda: gateway.request("GET", "/v1/models", key=key).status

    [made] = gateway.rows("keys", "create", "--name", "tmp")
    until(lambda: status(made["key"])() == 200, 35, "a new key does not become known", pause_s=0.3)
    assert gateway.command("keys", "revoke", made["id"]).returncode == 0
    until(lambda: status(made["key"])() == 401, 35, "a revoked key goes on working", pause_s=0.3)


def assert_pictures(gateway: GatewayProcess) -> None:
    """The links of all completed tasks lead to whole pictures."""
    for task in gateway.tasks_in_full():
        for link in task.get("results") or ():
            with Image.open(BytesIO(gateway.download(link))) as picture:
                picture.load()
