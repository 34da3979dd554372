"""Several gateways behind a TCP balancer, on one database and one store of pictures, and what may happen to each of them.

Owns their ports, which they keep over a restart. To be used from one thread: a gateway ends with the thread that started it. How it fails:
AssertionError with the log of the gateway that does not come up.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import START_S_MAX, GatewayProcess, until
from tests.acceptance.settings import KEY
from tests.ports import free_port
from tests.tcp_balancer import Balancer

LOOK_S = 0.2
TAKEN_UP = "a task is taken up again"
_OVERDUE = """
SELECT coalesce(max((extract(epoch FROM clock_timestamp()) * 1000)::bigint - lease_until_ms), 0)
FROM tasks WHERE finished_at_ms IS NULL
"""


@dataclass(slots=True)
class Fleet:
    """The gateways by their ports. `ask` any of them for the books."""

    balancer: Balancer
    gateways: Mapping[int, GatewayProcess]
    kills: int = 0
    pauses: int = 0
    paused: set[int] = field(default_factory=set)

    @property
    def ports(self) -> list[int]:
        return list(self.gateways)

    @property
    def first(self) -> GatewayProcess:
        """Asked through the balancer, so whoever is there answers."""
        return self.gateways[self.ports[0]]

    def start(self) -> None:
        """All of them, side by side."""
        for port in self.ports:
            self.gateways[port].launch("--port", str(port))
        for port in self.ports:
            self.until_ready(port)

    def kill(self, port: int) -> None:
        """kill -9."""
        self.gateways[port].kill()
        self.kills += 1

    def restart(self, port: int) -> None:
        """One that was killed. Returns at once: `until_ready` waits."""
        until(lambda: port not in self.balancer.ready, START_S_MAX, "the balancer did not notice that it was gone")
        self.gateways[port].launch("--port", str(port))

    def until_ready(self, port: int) -> None:
        """Until the balancer sends connections to it."""
        gateway = self.gateways[port]
        until(lambda: port in self.balancer.ready, START_S_MAX, f"the balancer does not see it\n{gateway.log}")
        gateway.base_url = f"{self.balancer.origin}/v1"

    @contextmanager
    def pause(self, port: int, seconds: float) -> Iterator[None]:
        """SIGSTOP, what the block does, the rest of the seconds, and SIGCONT."""
        until_s = time.monotonic() + seconds
        self.gateways[port].send(signal.SIGSTOP)
        self.pauses += 1
        try:
            yield
            time.sleep(max(0.0, until_s - time.monotonic()))
        finally:
            self.gateways[port].send(signal.SIGCONT)

    def events(self) -> Counter[str]:
        """How often each event stands in the logs of all starts."""
        lines: Counter[str] = Counter()
        for path in self.first.folder.glob("gateway*.err"):
            lines.update(part.split('"', 1)[0] for part in path.read_text(encoding="utf-8").split('"event":"')[1:])
        return lines


@contextmanager
def fleet(new_gateway: NewGateway, count: int, settings: Callable[[Balancer], Mapping[str, object]]) -> Iterator[Fleet]:
    """So many, started, on a database that is migrated here."""
    with Balancer() as balancer:
        config = settings(balancer)
        first = new_gateway(config, key=KEY).migrate()
        others = [new_gateway(config, key=KEY, folder=first.folder) for _ in range(count - 1)]
        made = Fleet(balancer, {free_port(): gateway for gateway in (first, *others)})
        balancer.backends = tuple(made.ports)
        made.start()
        yield made


@dataclass(slots=True)
class Overdue:
    """Looks all the time how long tasks have been without a living owner: the age of the oldest lease that has run out.

    A dead process's lease runs for `lease` after its last sign of life; so its tasks are taken up `lease` + `most_s` after its death, at most.
    """

    database: str
    most_s: float = 0.0
    looks: int = 0

    async def watch(self, is_over: Callable[[], bool]) -> None:
        """Until it is over. A database that does not answer is asked again."""
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        while not is_over():
            try:
                if connection is None:
                    connection = await asyncpg.connect(self.database, timeout=2)
                self.most_s = max(self.most_s, await connection.fetchval(_OVERDUE, timeout=2) / 1000)
                self.looks += 1
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError):
                if connection is not None:
                    connection.terminate()
                connection = None
            await asyncio.sleep(LOOK_S)
        if connection is not None:
            connection.terminate()
