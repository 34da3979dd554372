"""A TCP load balancer on loopback, as a cluster has in front of its processes: it asks each for `/readyz`, and new connections go to the ready ones.

Owns its thread and event loop, so that neither a client under test nor a blocking wait disturbs it. It knows nothing of HTTP besides the probe: no
request is repeated, no answer looked at. A backend that refuses a connection gets none until its next good probe, and the next backend is
tried. A probe without an answer in time is forgiven twice, as balancers do: it may be the machine that is slow. With no ready backend the
others are tried (Envoy's panic mode, AWS's fail-open); where all refuse, the client's connection is closed.
"""

import asyncio
import threading
from types import TracebackType
from typing import Self

PROBE_S = 0.15
PROBE_S_MAX = 1.0
FALL = 3
"""So many probes in a row must stay without an answer (HAProxy's default)."""
CONNECT_S_MAX = 5.0
PIECE_BYTES = 65_536


class Balancer:
    """Runs for as long as the block. `backends` are the ports it may choose among."""

    def __init__(self) -> None:
        self.backends: tuple[int, ...] = ()
        self.ready: frozenset[int] = frozenset()
        """Those whose last probe was answered 200."""
        self.turned_away = 0
        """Clients for which there was no backend."""
        self._port = 0
        self._turn = 0
        self._silent: dict[int, int] = {}
        """Probes in a row that a backend did not answer in time."""
        self._loop = asyncio.new_event_loop()
        self._jobs: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self._own(self._loop.create_task(self._probe_all()))
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def _own(self, task: "asyncio.Task[None] | None") -> None:
        assert task is not None
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # --- probes

    async def _probe_all(self) -> None:
        while True:
            ports = self.backends
            answers = await asyncio.gather(*map(_is_ready, ports))
            for port, good in zip(ports, answers, strict=True):
                self._silent[port] = self._silent.get(port, 0) + 1 if good is None else 0
                if good:
                    self.ready |= {port}
                elif good is False or self._silent[port] >= FALL:
                    self.ready -= {port}
            await asyncio.sleep(PROBE_S)

    # --- connections

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._own(asyncio.current_task())
        try:
            found = await self._connect()
            if found is None:
                self.turned_away += 1
                return
            server, to_server = found
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(client, to_server))
                    both.create_task(_pass_on(server, to_client))
            except* OSError:
                to_client.transport.abort()  # a reset stays a reset
            finally:
                to_server.transport.abort()
        except asyncio.CancelledError:
            # Its end is told by nobody but `_stop`; asyncio's streams take a cancelled handler for a failed one, and print it.
            return
        finally:
            to_client.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To a ready backend, in turn; to the next one where it refuses."""
        ports = [port for port in self.backends if port in self.ready]
        rest = [port for port in self.backends if port not in self.ready]
        self._turn += 1
        for port in (*_from(ports, self._turn), *_from(rest, self._turn)):
            try:
                async with asyncio.timeout(CONNECT_S_MAX):
                    return await asyncio.open_connection("127.0.0.1", port)
            except (OSError, TimeoutError):
                self.ready -= {port}
        return None


def _from(ports: list[int], turn: int) -> list[int]:
    start = turn % max(1, len(ports))
    return ports[start:] + ports[:start]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its sender closes it; the other goes on."""
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _is_ready(port: int) -> bool | None:
    """None: no answer in time."""
    try:
        async with asyncio.timeout(PROBE_S_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            finally:
                writer.close()
    except TimeoutError:
        return None
    except OSError:
        return False
