"""kill -9 at every named point of a call, by the gateway itself: never paid twice, never charged for nothing, no hold left, nothing lost.

The cases are generated (crash_cases.py): points x kinds of upstream x contracts x databases, a second kill while the first is recovered, and kills of
a stopping process in its hand-over. All of them in `make soak`; in `make test` a sample in which every point, kind, contract and database occurs.
What an upstream that cannot be asked made for a process that died before it stored the answer is the one thing that may be lost: the task says
outcome_unknown, and its presumed cost is in doubt.

PostgreSQL's successor would wait for a lease, and for whatever a paused owner might still store, and any successor for what might still arrive at an
upstream that can be asked, and for what a dead process had begun to tell; here the test turns back these times in the database, as if it had waited.
That it does wait is shown by test_kill_rounds.py, tests/integration/test_lookup.py and tests/contract/test_callback_delivery.py.
"""

import asyncio
import http.client
import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import copy
from typing import Any

import asyncpg
import pytest
from PIL import Image

from gateway.domain.clock import SystemClock
from gateway.pipeline.crash_points import CrashPoint
from gateway.upstreams.base import Adapter
from gateway.upstreams.replicate import ReplicateAdapter
from tests.acceptance.cache_crash_cases import CACHE_CASES
from tests.acceptance.callback_receiver import CallbackReceiver, receiving_callbacks
from tests.acceptance.crash_cases import ALL, CALLBACK, CASES, Case, Kind, Outcome, covering
from tests.acceptance.crash_report import Toll, hand_in
from tests.acceptance.forked_gateway import ForkedGateway, JobOnlyAdapter
from tests.acceptance.gateway_process import until
from tests.acceptance.invariants import HALF_A_MICRO, assert_settled, is_final
from tests.acceptance.settings import KEY, PATH, SQLITE, config
from tests.emulators.behaviours import RateLimit, Succeed
from tests.emulators.process import EmulatorProcess
from tests.lookup_adapter import LookupAdapter

pytestmark = pytest.mark.timeout(600)  # `not_at_midnight` may wait
PROMPT = "a wild dolphin 101"
MODEL = "by-any"
ORDER = "order 101"
"""The call's Idempotency-Key."""
WAITED_MS = 300_000
"""More than a lease, and more than an upstream's time-out (180 s) and a minute."""
DEATH_S_MAX = 60.0
FINAL_S_MAX = 60.0
HELD_S = 10.0
"""A poll's answer, so that its job is not done when the process is stopped."""
OFFERS = {
    "openai": {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}},
    "evolink": {"upstream": "evolink", "model": "gpt-4o-image", "cost": {"per_image_usd": "0.0208"}},
    # With another adapter in EvoLink's place, whose vendor can cancel.
    "cancel": {"upstream": "evolink", "model": "black-forest-labs/flux-schnell", "cost": {"per_image_usd": "0.003"}},
    # With another adapter in OpenAI's place, which speaks to a vendor that can be asked.
    "lookup": {"upstream": "openai", "model": "any", "cost": {"per_image_usd": "0.03"}},
    # Understands `quality`, as the offer before it does, and is the dearer one by the catalogue.
    "second": {"upstream": "evolink", "model": "gpt-image-2", "cost": {"per_image_usd": "0.0208"}},
}
CHAINS: dict[Kind, tuple[str, ...]] = {
    Kind.IDEMPOTENCY_KEY: ("evolink",),
    Kind.ASYNC_JOB: ("evolink",),
    Kind.LOOKUP: ("lookup",),
    Kind.NONE: ("openai",),
    Kind.FAIL_OVER: ("openai", "second"),
    Kind.FAILURE: ("openai",),
    Kind.TWO_PICTURES: ("openai",),
    Kind.PARTS: ("evolink",),
    Kind.CANCEL: ("cancel",),
}
STAND_INS: dict[Kind, dict[str, type[Adapter]]] = {
    Kind.ASYNC_JOB: {"evolink": JobOnlyAdapter},
    Kind.LOOKUP: {"openai": LookupAdapter},
    Kind.CANCEL: {"evolink": ReplicateAdapter},
}

EVERY_RUN = [(database, case) for case in CASES for database in case.databases]
RUNS = [
    pytest.param(database, case, id=f"{database}-{case.id}")
    for database, case in (EVERY_RUN if ALL else covering(EVERY_RUN))
]


@dataclass(frozen=True, slots=True)
class Vendors:
    openai: EmulatorProcess
    evolink: EmulatorProcess
    lookup: EmulatorProcess
    replicate: EmulatorProcess

    def all(self) -> tuple[EmulatorProcess, ...]:
        return self.openai, self.evolink, self.lookup, self.replicate

    def of(self, kind: Kind) -> dict[str, EmulatorProcess]:
        """Who answers at each upstream of the config."""
        return {
            "openai": self.lookup if kind is Kind.LOOKUP else self.openai,
            "evolink": self.replicate if kind is Kind.CANCEL else self.evolink,
        }


@pytest.fixture(scope="module")
def all_vendors() -> Iterator[Vendors]:
    """Four processes for all cases of a worker."""
    with (
        EmulatorProcess("openai") as openai,
        EmulatorProcess("evolink", "--work", "0.02") as evolink,
        EmulatorProcess("lookup", "--work", "0.02") as lookup,
        EmulatorProcess("replicate", "--work", "120") as replicate,  # half of it a call waits
    ):
        yield Vendors(openai, evolink, lookup, replicate)


@pytest.fixture
def vendors(all_vendors: Vendors) -> Vendors:
    """Without bills, requests and behaviours of other cases."""
    for vendor in all_vendors.all():
        vendor.reset()
    return all_vendors


@pytest.fixture(scope="module")
def callbacks() -> Iterator[CallbackReceiver]:
    """One for all cases of a worker, each of which has a path of its own."""
    with receiving_callbacks() as receiver:
        yield receiver


def not_at_midnight() -> None:
    """Turned back just after midnight in UTC, a time would lie in the day before, whose window the send was not booked in: the audit would find a
    difference that only the test made. So nothing begins then: it is waited for, six minutes at most."""
    day_ms = 86_400_000
    since_ms = SystemClock().now_ms() % day_ms
    if since_ms < WAITED_MS or since_ms > day_ms - 60_000:
        time.sleep(((WAITED_MS - since_ms) % day_ms) / 1000)


@pytest.fixture
def gateways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Gateways"]:
    not_at_midnight()
    made = Gateways(request, tmp_path)
    yield made
    made.close()


class Gateways:
    """Makes the one gateway of a case, with a migrated database of its own, and leaves nothing behind."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._gateway: ForkedGateway | None = None

    def new(
        self, database: str, case: Case, vendors: Vendors, cache: Mapping[str, object] | None = None
    ) -> tuple[ForkedGateway, str]:
        url = SQLITE
        if database == "sqlite":
            (self._folder / "var").mkdir()
            copy(self._request.getfixturevalue("migrated_sqlite"), self._folder / "var/gateway.db")
        else:
            url = self._request.getfixturevalue("postgresql_database")
        offers = [OFFERS[name] for name in CHAINS[case.kind]]
        callbacks: CallbackReceiver = self._request.getfixturevalue("callbacks")
        answering = vendors.of(case.kind)
        ports = [int(answering["evolink"].origin.rpartition(":")[2]), callbacks.port]
        settings = config(
            url, openai=answering["openai"], evolink=answering["evolink"], of_evolink={"poll_interval": "60ms"}, lease="2s",
            models={MODEL: {"prompt_tokens_max": 2000, "sizes": ["1024x1024"], "n": {"max": 3}, "offers": offers}},
            egress={"allow": ["127.0.0.0/8"], "allow_http": True, "ports": ports},
            server={"port": 0, "drain": "20s", "accept_after_term": "0s"}, cache=cache or {"enabled": False},
        )  # fmt: skip
        self._gateway = ForkedGateway(self._folder, settings, key=KEY)
        self._gateway.stand_ins = STAND_INS.get(case.kind, {})
        return self._gateway, url

    def close(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()


@pytest.mark.parametrize(("database", "case"), RUNS)
def test_killed_at(
    database: str,
    case: Case,
    gateways: Gateways,
    vendors: Vendors,
    callbacks: CallbackReceiver,
    record_property: Callable[[str, object], None],
) -> None:
    """The restarted gateway makes of the call what its last durable step allows, tells its end, and the money agrees; repeated, it is the same."""
    if case.kind in (Kind.FAIL_OVER, Kind.FAILURE):
        vendors.openai.always(RateLimit())
    if case.stopped:
        vendors.evolink.next(*[Succeed(delay_s=HELD_S)] * 2, at="poll")
    gateway, url = gateways.new(database, case, vendors)
    name = f"{database}-{case.id}"
    hook = callbacks.url(name)
    with armed(gateway, case.crash_at), ThreadPoolExecutor(1) as caller:
        gateway.start()
        if case.kind is Kind.CANCEL:
            call: Future[Any] = caller.submit(submitted_and_cancelled, gateway, hook)
        elif case.contract == "image":
            call = caller.submit(gateway.generate, MODEL, PROMPT, n=case.n, callback_url=hook, idempotency_key=ORDER)
        else:
            call = caller.submit(gateway.submit, MODEL, PROMPT, n=case.n, callback_url=hook, idempotency_key=ORDER)
        if case.stopped:
            polls = 2 if case.kind is Kind.PARTS else 1
            until(lambda: polled(vendors) >= polls, DEATH_S_MAX, "the job is not asked for", pause_s=0.03)
            gateway.send(signal.SIGTERM)
        dies(gateway)
        told = promised(case, call)
    if case.again is not None:
        turn_back_times(gateway, url, case)
        with armed(gateway, case.again):
            gateway.launch()
            dies(gateway)
    turn_back_times(gateway, url, case)
    gateway.start()
    if case.handed_over and case.again is None:
        assert gateway.logged("serving")["recovered"] == 1, "it waits for a lease"
    if case.kind is Kind.CANCEL and told is not None:  # whose answer was lost: its caller asks again
        assert gateway.request("POST", f"/v1/tasks/{told}/cancel").status == 200
    until(lambda: all(map(is_final, gateway.tasks())), FINAL_S_MAX, "the task is stuck", pause_s=0.03)
    with suppress(TimeoutError, AssertionError):  # counted below
        until(lambda: len(callbacks.of(name)) >= len(gateway.tasks()), FINAL_S_MAX, "not told", pause_s=0.03)
    hand_in(record_property, counted(gateway, database, case, vendors, callbacks))
    assert_outcome(gateway, case, told)
    assert_told(gateway, case, callbacks, name)
    assert_money(gateway, case, vendors)
    assert_made_once(gateway, case, vendors, hook)


def test_the_points_need_the_debug_switch(gateways: Gateways, vendors: Vendors) -> None:
    """A crash point in the environment alone kills nothing, however often it is passed; with the switch, a name that is none is refused."""
    case = next(case for case in CASES if case.kind is Kind.NONE and case.point is CrashPoint.BEFORE_SEND)
    gateway, _ = gateways.new("sqlite", case, vendors)
    gateway.environ["GATEWAY_CRASH_AT"] = case.crash_at
    assert gateway.start().generate(MODEL, PROMPT).status == 200
    assert gateway.terminate() == 0
    with armed(gateway, "nowhere"):
        gateway.launch()
        assert gateway.wait() == 1
    assert "'nowhere' is not a valid CrashPoint" in gateway.log


def test_every_point_is_in_the_matrix() -> None:
    """No point is declared that no case dies at, there are at least twenty, and no two cases have one name."""
    killed_at = {case.point for case in (*CASES, *CACHE_CASES)} | {case.again for case in CASES}
    assert killed_at >= set(CrashPoint)
    assert len({case.point for case in CASES}) >= 20
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_sample_has_everything() -> None:
    """Every point of a first kill and of a second one, every kind by every contract on every database; and it is a small part of the whole."""
    sample = covering(EVERY_RUN)
    assert len(sample) * 10 < len(EVERY_RUN)
    for of_case in (
        lambda run: run[1].point,
        lambda run: run[1].again,
        lambda run: (run[0], run[1].kind, run[1].contract, run[1].stopped),
    ):
        assert set(map(of_case, sample)) == set(map(of_case, EVERY_RUN))


class armed:
    """The next start of the gateway dies at a point."""

    def __init__(self, gateway: ForkedGateway, point: str) -> None:
        self._environ = gateway.environ
        self._point = point

    def __enter__(self) -> None:
        self._environ.update(GATEWAY_DEBUG="crash-points", GATEWAY_CRASH_AT=self._point)

    def __exit__(self, *_: object) -> None:
        del self._environ["GATEWAY_DEBUG"], self._environ["GATEWAY_CRASH_AT"]


def dies(gateway: ForkedGateway) -> None:
    """By kill -9, which shows that the point was reached."""
    assert gateway.wait(DEATH_S_MAX) == -signal.SIGKILL, gateway.log


def polled(vendors: Vendors) -> int:
    """How often EvoLink was asked for a job."""
    return sum(1 for request in vendors.evolink.requests if request.at == "poll")


def submitted_and_cancelled(gateway: ForkedGateway, hook: str) -> str:
    """The task's id, once it waits at its upstream and its caller wants it cancelled."""
    task_id = gateway.submit(MODEL, PROMPT, n=1, callback_url=hook, idempotency_key=ORDER)
    until(
        lambda: [one for one in gateway.task(task_id)["attempts"] if one["status"] == "submitted"],
        FINAL_S_MAX,
        "nothing waits at its upstream",
        pause_s=0.03,
    )
    with suppress(OSError, http.client.HTTPException):
        gateway.request("POST", f"/v1/tasks/{task_id}/cancel")
    return task_id


def promised(case: Case, call: "Future[Any]") -> str | None:
    """The id of the task that the caller was told of, if any; a picture can have come only to somebody whose callback was due."""
    try:
        answer = call.result(60)
    except (OSError, http.client.HTTPException):
        return None
    if isinstance(answer, str):
        return answer
    assert case.point in CALLBACK, answer  # only then is the call over
    assert answer.status in (200, 502, 503), answer
    named: str = answer.headers["x-task-id"]
    return named


def turn_back_times(gateway: ForkedGateway, url: str, case: Case) -> None:
    """As if much time had passed since the last process died."""
    if url == SQLITE:
        with closing(sqlite3.connect(gateway.folder / "var/gateway.db")) as database, database:
            database.execute("UPDATE callbacks SET next_at_ms = 0 WHERE state = 'due'")
            if case.kind is Kind.LOOKUP:  # else the lock proves that it is dead, and nothing is waited for
                database.execute("UPDATE attempts SET sent_at_ms = sent_at_ms - ?", (WAITED_MS,))
        return

    async def turn_back() -> None:
        connection = await asyncpg.connect(url)
        try:
            if not case.handed_over or case.again is not None:
                await connection.execute("UPDATE tasks SET lease_until_ms = 0 WHERE state IN ('pending', 'processing')")
            await connection.execute("UPDATE attempts SET sent_at_ms = sent_at_ms - $1", WAITED_MS)
            await connection.execute("UPDATE callbacks SET next_at_ms = 0 WHERE state = 'due'")
        finally:
            await connection.close()

    asyncio.run(turn_back())


def counted(gateway: ForkedGateway, database: str, case: Case, vendors: Vendors, callbacks: CallbackReceiver) -> Toll:
    """What became of it, before anybody says what should have."""
    messages = callbacks.of(f"{database}-{case.id}")
    tasks = gateway.tasks_in_full()
    accounts = {row["account"]: row for row in gateway.ask("accounts list")["rows"]}
    billed = sum(vendor.billed_images for vendor in vendors.of(case.kind).values())
    delivered = sum(len(task.get("results") or ()) for task in tasks)
    return Toll(
        case.kind.value,
        case.contract,
        database,
        kills=1 if case.again is None else 2,
        paid_twice=max(0, billed - case.n),
        charged_for_nothing=sum(bool(task["usage"]["credits_used"]) for task in tasks if task["status"] != "completed"),
        holds_left=sum((accounts[path]["held_credits"], accounts[path]["held_usd"]) != ("0", "0") for path in PATH),
        lost=max(0, min(billed, case.n) - delivered),
        unknown=any((task.get("error") or {}).get("code") == "outcome_unknown" for task in tasks),
        in_doubt=sum(attempt["status"] == "unknown" for task in tasks for attempt in task["attempts"]),
        callbacks_lost=len({task["id"] for task in tasks} - {message.task for message in messages}),
        callbacks_repeated=len(messages) - len({message.id for message in messages}),
    )


def assert_outcome(gateway: ForkedGateway, case: Case, told: str | None) -> None:
    """The one task, or none; its pictures; and nobody was told of a task that does not exist."""
    tasks = gateway.tasks_in_full()
    if case.outcome is Outcome.NOTHING:
        assert tasks == []
        assert told is None
        return
    [task] = tasks
    assert told in (None, task["id"])
    if case.outcome is Outcome.COMPLETED:
        assert task["status"] == "completed", task
        assert len(task["results"]) == case.n
        for link in task["results"]:
            with Image.open(BytesIO(gateway.download(link))) as picture:
                picture.load()
                assert picture.size == (1024, 1024)
        assert task["usage"]["credits_used"] > 0
    else:
        state = "cancelled" if case.outcome is Outcome.CANCELLED else "failed"
        assert (task["status"], task["error"]["code"]) == (state, case.outcome.value)
        assert task["usage"]["credits_used"] == 0


def assert_told(gateway: ForkedGateway, case: Case, callbacks: CallbackReceiver, name: str) -> None:
    """The end of the task has been told, again only where nobody could know that it had been, and then under the same id in the same words."""
    messages, tasks = callbacks.of(name), gateway.tasks_in_full()
    assert {message.task for message in messages} == {task["id"] for task in tasks}
    for task in tasks:
        told = {(message.id, message.body) for message in messages if message.task == task["id"]}
        [(_, body)] = told
        assert json.loads(body)["status"] == task["status"]
    unnoted = [point for point in (case.point, case.again) if point is CrashPoint.CALLBACK_SENT]
    if CrashPoint.CALLBACK_SENT in (case.point, case.again):
        assert len(messages) == 1 + len(unnoted)
    elif CrashPoint.CALLBACK_NOTED in (case.point, case.again):
        assert len(messages) == 1, "it had been noted"


def assert_money(gateway: ForkedGateway, case: Case, vendors: Vendors) -> None:
    """No hold left, a clean audit, the bills that were expected, and each of them booked as paid or in doubt."""
    books = assert_settled(gateway, completed=int(case.outcome is Outcome.COMPLETED))
    answering = vendors.of(case.kind)
    bills = [bill for vendor in answering.values() for bill in vendor.bills]
    assert len(bills) == case.bills, bills
    assert sum(bill.images for bill in bills) == (case.n if case.bills else 0)
    assert len(books.in_doubt) == int(case.outcome is Outcome.UNKNOWN)
    for upstream, vendor in answering.items():
        known = books.used_usd(f"upstream:{upstream}") + books.in_doubt_usd(upstream)
        if books.in_doubt and not case.bills:
            assert books.used_usd(f"upstream:{upstream}") == vendor.billed_usd == 0
        else:
            assert abs(vendor.billed_usd - known) <= HALF_A_MICRO, (vendor.billed_usd, known)


def assert_made_once(gateway: ForkedGateway, case: Case, vendors: Vendors, hook: str) -> None:
    """The same call with the same key is answered by the one task, as it ended, and nobody bills anything; what was never accepted is new."""
    known, bills = [task["id"] for task in gateway.tasks()], case.bills
    statuses = {Outcome.COMPLETED: 200, Outcome.UNKNOWN: 502, Outcome.BUSY: 503, Outcome.CANCELLED: 409}
    if case.outcome is Outcome.NOTHING:
        made = gateway.generate(MODEL, PROMPT, n=case.n, callback_url=hook, idempotency_key=ORDER)
        assert made.headers.get("idempotency-replayed") is None
        known, bills = (
            [made.headers["x-task-id"]],
            0 if case.kind is Kind.FAILURE else 2 if case.kind is Kind.PARTS else 1,
        )
        statuses[Outcome.NOTHING] = made.status
    again = gateway.generate(MODEL, PROMPT, n=case.n, callback_url=hook, idempotency_key=ORDER)
    assert [again.headers["x-task-id"]] == known == [task["id"] for task in gateway.tasks()]
    assert (again.headers["idempotency-replayed"], again.status) == ("true", statuses[case.outcome])
    assert sum(len(vendor.bills) for vendor in vendors.of(case.kind).values()) == bills
    assert not gateway.ask("ledger audit")["failed"]
