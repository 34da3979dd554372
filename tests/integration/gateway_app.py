"""A whole gateway in the test's event loop, with emulated upstreams behind it, and the check of its books and its secrets at the end.

Owns the config (a dict, written as YAML and loaded like an operator's), the start and stop, a plain HTTP client, and `settle_up`: when a test's
block ends, the audit must be clean, nothing may be held, and what the emulators billed must be what the ledger says, to half a micro-dollar an
attempt. A test that leaves an attempt in doubt has to say in `doubt_billed` what the upstream billed for it, else it fails. And no secret or prompt
may stand in any log line, metric, answer, table or file that it does not belong to (tests/leaks.py).
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway import app
from gateway.app_office import FirstSecrets, open_office
from gateway.config import Config, load
from gateway.db.migrate import migrate
from gateway.db.url import Dialect
from gateway.domain.clock import Clock, SystemClock
from gateway.domain.ids import OURS_ACCOUNT_ID, AccountId, TaskId, key_account_id, upstream_account_id
from gateway.ledger import store as ledger_store
from gateway.ledger.audit import audit
from gateway.ledger.model import Balance, BalanceKey
from gateway.pipeline.runner import Runner
from gateway.telemetry.logs import LineWriter
from tests.emulators.base import Emulator
from tests.leaks import Leaks, secrets_of
from tests.usage_sums import usage_differences

KEY = "integration key of the ci"
OTHER_KEY = "integration key of somebody else"
ORG, TEAM = "acme", "design"
CI_ACCOUNT, OTHER_ACCOUNT = key_account_id(ORG, TEAM, "ci"), key_account_id(ORG, None, "other")
SECRET_KEY = "0123456789abcdef" * 4
PROMPT = "a red fox in fresh snow"
"""Six tokens, and six as the emulators count, so that a presumed cost is the real one."""

Json = Mapping[str, object]
Settings = dict[str, object]
SHARED: Settings = {}
"""What a gateway on PostgreSQL shares besides it: filled by the fixture `whole_stack`."""
Fields = dict[str, Any]
"""Fields of a request's body, given as keyword arguments."""


def openai_upstream(emulator: Emulator, **more: object) -> Settings:
    """An upstream section of kind openai; its time-out is short, so that a test of silence is."""
    return {"kind": "openai", "base_url": emulator.base_url, "api_key": emulator.api_key, "timeout": "5s", **more}


def evolink_upstream(emulator: Emulator, **more: object) -> Settings:
    """An upstream section of kind evolink that polls fast."""
    return {
        "kind": "evolink",
        "base_url": emulator.base_url,
        "api_key": emulator.api_key,
        "timeout": "5s",
        "poll_interval": "60ms",
        **more,
    }


def accounts(*budgets: str, **key: object) -> list[Settings]:
    """One org: the key `ci` in a team, with these budgets, and the key `other` outside of it."""
    ci: Settings = {"name": "ci", "secret": KEY, "budgets": list(budgets), **key}
    other: Settings = {"name": "other", "secret": OTHER_KEY}
    return [{"org": ORG, "teams": [{"team": TEAM, "keys": [ci]}], "keys": [other]}]


def write_config(folder: Path, database: str, upstreams: Mapping[str, Settings], **more: object) -> Config:
    """A config file with the shipped catalogue, these upstreams, and whatever else is given; loaded as the command line does."""
    settings: Settings = {
        "server": {"host": "127.0.0.1", "port": 0, "drain": "5s"},
        "database": database,
        "blobs": f"file:///{folder}/images",
        "secret_key": SECRET_KEY,
        "deadline": "20s",
        "cache": {"enabled": False},  # most tests count what equal calls cost; those of the cache switch it on
        "upstreams": dict(upstreams),
        "accounts": accounts(),
        **(SHARED if database.startswith("postgresql") else {}),
        **more,
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings))
    return load(path, environ={})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        value = orjson.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> dict[str, object]:
        """The error object of the body."""
        return dict_of(self.json, "error")

    def text(self, name: str) -> str:
        value = self.json[name]
        assert isinstance(value, str)
        return value


@dataclass(slots=True)
class House:
    """A gateway that serves, as a test sees it."""

    config: Config
    http: aiohttp.ClientSession
    emulators: Mapping[str, Emulator]
    """By the name of the upstream."""
    lines: LineWriter
    log: io.BytesIO
    doubt_billed: dict[str, Decimal] = field(default_factory=dict)
    """Micro-USD by upstream that were billed for attempts in doubt: only the test can know, since the gateway cannot."""
    books: "Settled | None" = None
    leaks: Leaks = field(default_factory=Leaks)
    metrics_shown: bytes = b""

    @property
    def settled(self) -> "Settled":
        """The books, once the gateway has stopped."""
        assert self.books is not None, "ask after the block"
        return self.books

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.config.server.port}"

    @property
    def base_url(self) -> str:
        """What an official client is configured with."""
        return f"{self.origin}/v1"

    async def call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Answer:
        """One request with a key and, perhaps, a JSON body."""
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        data = None if body is None else orjson.dumps(body)
        sent |= {} if data is None else {"Content-Type": "application/json"}
        url = path if path.startswith("http") else self.origin + path
        if isinstance(body, dict) and isinstance(body.get("prompt"), str):
            self.leaks.prompt(body["prompt"])
        async with self.http.request(method, url, headers=sent | dict(headers or {}), data=data) as response:
            answer = Answer(response.status, response.headers.copy(), await response.read())
        self.leaks.answer(method, path, answer.status, answer.headers, answer.body)
        return answer

    async def get(self, path: str, *, key: str | None = KEY, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.call("GET", path, key=key, headers=headers)

    async def generate(
        self, model: str, *, key: str = KEY, headers: Mapping[str, str] | None = None, **body: Any
    ) -> Answer:
        """A create call with the usual prompt."""
        asked = {"model": model, "prompt": PROMPT, **body}
        return await self.call("POST", "/v1/images/generations", key=key, headers=headers, body=asked)

    async def task(self, task_id: str, *, key: str = KEY) -> Answer:
        return await self.get(f"/v1/tasks/{task_id}", key=key)

    async def ended(self, task_id: str, *, key: str = KEY, timeout_s: float = 60.0) -> dict[str, object]:
        """Poll until the task is in a final state; TimeoutError if it never is."""
        async with asyncio.timeout(timeout_s):
            while True:
                found = (await self.task(task_id, key=key)).json
                if found["status"] not in ("pending", "processing"):
                    return found
                await asyncio.sleep(0.02)

    async def metrics(self) -> list[Sample]:
        """Every sample of `/metrics`."""
        text = (await self.get("/metrics", key=None)).body.decode()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        return sum(
            sample.value
            for sample in await self.metrics()
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def log_lines(self) -> bytes:
        """Everything logged until now."""
        self.lines.flush()
        return self.log.getvalue()


@dataclass(frozen=True, slots=True)
class Settled:
    """The books after a gateway has stopped."""

    balances: Mapping[AccountId, Balance]

    def charged(self, account: AccountId = CI_ACCOUNT) -> Decimal:
        """Credits."""
        return Decimal(self.balances[account].posted.microcredits) / 1_000_000

    def paid_microusd(self, upstream: str) -> int:
        return self.balances[upstream_account_id(upstream)].posted.microusd

    def in_doubt_microusd(self, upstream: str) -> int:
        return self.balances[upstream_account_id(upstream)].pending.microusd

    @property
    def lost_microusd(self) -> int:
        """What no caller pays for."""
        return self.balances[OURS_ACCOUNT_ID].posted.microusd


@asynccontextmanager
async def serving(
    config: Config, emulators: Mapping[str, Emulator], *, clock: Clock | None = None, hands_over: bool = False
) -> AsyncIterator[House]:
    """A gateway for as long as the block runs; afterwards its books are checked, and that nothing leaked.

    It ends what it has begun, but for `hands_over`.
    """
    if config.database.dialect is Dialect.POSTGRESQL:
        await migrate(config.database)
    log = io.BytesIO()
    lines = LineWriter(log)
    try:
        # No proxy has to notice that this gateway stops; tests of the process see the real pause.
        config = replace(config, server=replace(config.server, accept_after_term_s=0.0))
        with _logging_restored(), pytest.MonkeyPatch.context() as patch:
            if not hands_over:
                patch.setattr(Runner, "leave", _leave_nothing)
            async with app.running(config, clock, lines) as gateway:
                connector = aiohttp.TCPConnector(limit=0)
                async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as http:
                    house = House(gateway.config, http, emulators, lines, log)
                    _mark_secrets(house, gateway.first)
                    yield house
                    await _scrape(house)
            house.books = await settle_up(house)
        _search(house)
    finally:
        lines.close()


async def _leave_nothing(_: Runner) -> list[TaskId]:
    """A gateway that stops leaves what nobody waits for to the next one, and after most tests comes none."""
    return []


async def settle_up(house: House) -> Settled:
    """Check the books of a stopped gateway, and show them. AssertionError where anything differs."""
    upstreams = {name: upstream_account_id(name) for name in house.emulators}
    async with open_office(
        house.config, SystemClock(), migrating=house.config.database.dialect is Dialect.SQLITE
    ) as office:
        report = await audit(office.database)
        wanted = [*upstreams.values(), OURS_ACCOUNT_ID, CI_ACCOUNT, OTHER_ACCOUNT]
        books = await office.database.read(lambda connection: ledger_store.read_books(connection, wanted))
        await office.database.read(house.leaks.database)
        usage = await office.database.read(lambda connection: usage_differences(connection, by_day=True))
    assert report.differences == ()
    assert usage == []
    assert report.holds_pending == 0, "a task ended and its hold did not"
    settled = Settled({account: books.balances[BalanceKey(account)] for account in wanted})
    for name, emulator in house.emulators.items():
        _agree(name, emulator, settled, house.doubt_billed.get(name))
    return settled


def _mark_secrets(house: House, first: FirstSecrets) -> None:
    """What may stand nowhere: the config's secrets, and those that the gateway made for itself."""
    for name, secret in secrets_of(house.config).items():
        house.leaks.secret(name, secret)
    for made in (first.key, first.admin_token):
        if made is not None and made.secret is not None:
            house.leaks.secret(made.path.name, made.secret)
    house.leaks.prompt(PROMPT)


async def _scrape(house: House) -> None:
    """The last thing before the gateway stops: all that was counted."""
    async with house.http.get(f"{house.origin}/metrics") as response:
        assert response.status == 200
        house.metrics_shown = await response.read()


def _search(house: House) -> None:
    """Log, metrics, and files; the tables were searched by `settle_up`, answers as they came. AssertionError where anything leaked."""
    house.leaks.look("the log", house.log_lines())
    house.leaks.look("the metrics", house.metrics_shown)
    house.leaks.files(house.config.blobs)
    if house.config.database.dialect is Dialect.SQLITE:
        house.leaks.database_file(house.config.database.path)
    house.leaks.assert_none()


def _agree(name: str, emulator: Emulator, settled: Settled, doubt_billed: Decimal | None) -> None:
    """Paid, and billed among what is in doubt, is what the emulator billed."""
    billed = emulator.billed_usd * 1_000_000
    paid, in_doubt = settled.paid_microusd(name), settled.in_doubt_microusd(name)
    attempts = sum(1 for request in emulator.requests if request.at == "create")
    tolerance = Decimal(attempts) / 2
    if doubt_billed is None:
        assert in_doubt == 0, f"{name}: {in_doubt} microusd are in doubt, and the test does not say what was billed"
        doubt_billed = Decimal(0)
    else:
        assert 0 < in_doubt >= doubt_billed - tolerance, f"{name}: {in_doubt} in doubt, {doubt_billed} billed of it"
    assert abs(billed - paid - doubt_billed) <= tolerance, f"{name}: billed {billed}, paid {paid} + {doubt_billed}"


@contextmanager
def _logging_restored() -> Iterator[None]:
    """The gateway takes all of `logging` over; afterwards it is pytest's again."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)


def dict_of(value: Mapping[str, object], *path: str) -> dict[str, object]:
    """An object inside a JSON object."""
    found: object = value
    for name in path:
        assert isinstance(found, dict), f"{path}: {value}"
        found = found[name]
    assert isinstance(found, dict), f"{path}: {value}"
    return found


def list_of(value: Mapping[str, object], name: str) -> list[dict[str, object]]:
    """A list of objects inside a JSON object."""
    found = value[name]
    assert isinstance(found, list)
    return found


def texts_of(value: Mapping[str, object], name: str) -> Sequence[str]:
    """A list of texts inside a JSON object."""
    found = value[name]
    assert isinstance(found, list)
    assert all(isinstance(item, str) for item in found)
    return found
