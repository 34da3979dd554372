"""A world of callbacks for tests of the outbox: a database, a receiver on loopback, a clock that the test sets, and names that lead where it says."""

import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.administration.callbacks import CallbackRecord, Callbacks
from gateway.callbacks import store
from gateway.callbacks.deliverer import Deliverer
from gateway.db.writer import Transact
from gateway.domain.callbacks import Callback, CallbackState, host_of
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AccountId, TaskId, new_callback_id, new_task_id
from gateway.egress.guard import EgressPolicy
from gateway.telemetry.metrics import Metrics
from gateway.webhooks.sending import Sender
from tests.books import KEY, Gateway, opened
from tests.webhook_receiver import WebhookReceiver, receiving

START_MS = 1_773_140_400_000
SECRETS = (bytes(range(32)), b"the secret before, for a while")


class SetClock(SystemClock):
    """The wall clock is the test's; time-outs run by the machine's."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms


class Names(AbstractResolver):
    """Where names lead at the moment."""

    def __init__(self) -> None:
        self.leads_to = "127.0.0.1"
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [ResolveResult(hostname=host, host=self.leads_to, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@dataclass
class World:
    database: Gateway
    clock: SetClock
    receiver: WebhookReceiver
    metrics: Metrics
    stack: AsyncExitStack
    rendered: list[TaskId] = field(default_factory=list)
    names: Names = field(default_factory=Names)

    async def render(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, str]:
        """Another text each time, so that sending the same bytes again shows that they were kept."""
        self.rendered += tasks
        return {task: f'{{"id":"{task}","rendered":{len(self.rendered)},"é":1}}' for task in tasks}

    async def secrets(self, accounts: Collection[AccountId]) -> Mapping[AccountId, Sequence[bytes]]:
        return dict.fromkeys(accounts, SECRETS)

    def deliverer(
        self, *, database: Gateway | None = None, timeout_s: float = 30.0, policy: EgressPolicy | None = None
    ) -> Deliverer:
        """Of one process; its sender is closed at the end."""
        ports = (self.receiver.port, *(port for port in OTHER_PORTS))
        policy = policy or EgressPolicy(allow=("127.0.0.1/32",), allow_http=True, ports=ports)
        sender = Sender(policy, self.clock, connections_max=64, timeout_s=timeout_s, resolver=self.names)
        self.stack.push_async_callback(sender.close)
        return Deliverer(
            database or self.database, sender, self.render, self.secrets, self.metrics, self.clock, kept_ms=lambda: 3_600_000
        )  # fmt: skip

    async def add(self, count: int = 1, *, url: str = "") -> list[Callback]:
        """Callbacks that are due now, as a task's end writes them."""
        where = url or self.receiver.url
        rows = [
            Callback(
                new_callback_id(self.clock.ms + number), new_task_id(self.clock.ms), KEY, where, host_of(where), CallbackState.DUE, 0,
                self.clock.ms, self.clock.ms,
            )
            for number in range(count)
        ]  # fmt: skip
        await self.database.write(Transact(lambda connection, _: connection.write(*store.added_callbacks(rows))))
        return rows

    async def record(self, callback: Callback) -> CallbackRecord:
        return await Callbacks(self.database, self.clock).show(callback.id)

    async def to_its_end(self, callback: Callback, deliverer: Deliverer) -> list[int]:
        """Deliver whenever it is due, and never before; the ms after the start at which it was tried."""
        tried: list[int] = []
        while (found := (await self.record(callback)).callback).state is CallbackState.DUE:
            self.clock.ms = found.next_at_ms - 1
            if self.clock.ms >= START_MS:
                assert await deliverer.deliver_due() == 0, "not a millisecond before"
            self.clock.ms = found.next_at_ms
            assert await deliverer.deliver_due() == 1
            tried.append(self.clock.ms - START_MS)
        return tried

    def metric(self, line: str) -> bool:
        return line.encode() in self.metrics.render()


OTHER_PORTS: list[int] = []


@asynccontextmanager
async def callback_world(database_url: str) -> AsyncIterator[World]:
    """For as long as the block runs."""
    clock = SetClock()
    OTHER_PORTS.clear()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        database = await opened(database_url)
        stack.push_async_callback(database.close)
        yield World(database, clock, receiver, Metrics(), stack)
