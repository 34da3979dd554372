"""A TCP proxy on loopback in front of a database server, which can lose a message, an answer, or everything."""

import asyncio
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit


class Cut(StrEnum):
    """What happens at the next message with the marked bytes."""

    BEFORE = "before"  # the message never arrives, the connection breaks
    AFTER = "after"  # the message arrives, its answer does not, the connection breaks
    SILENCE = "silence"  # neither the message nor anything after it arrives anywhere; the connection stays


class Proxy:
    """Forwards to one server. `cut` arms it for one message; `refusing` turns new connections away."""

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = 0
        self.cut: Cut | None = None
        self.marked = b"COMMIT\0"
        self.happened = asyncio.Event()
        self.refusing = False

    async def start(self) -> str:
        """The URL through the proxy."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        url = self._server_url
        return urlunsplit((url.scheme, f"{url.username}@127.0.0.1:{port}", url.path, "", ""))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.refusing = True
        while self._accepting:  # noqa: ASYNC110 - a connection may be half made
            await asyncio.sleep(0.01)
        self.break_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the transports close themselves at the loop's next turn

    def break_all(self) -> None:
        """Every connection breaks, as at the restart of a server."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self._accepting += 1
        try:
            link = await asyncio.open_connection("127.0.0.1", self._server_url.port)
        finally:
            self._accepting -= 1
        self._writers |= {writer, link[1]}
        pair = _Pair(self, writer, link[1])
        for job in (pair.forth(reader), pair.back(link[0])):
            task = asyncio.ensure_future(job)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Pair:
    """The two directions of one connection."""

    def __init__(self, proxy: Proxy, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._to_client = to_client
        self._to_server = to_server
        self._losing: Cut | None = None

    async def forth(self, reader: asyncio.StreamReader) -> None:
        """Client to server."""
        while data := await _some(reader):
            if self._proxy.cut is not None and self._proxy.marked in data:
                self._losing, self._proxy.cut = self._proxy.cut, None
                self._proxy.happened.set()
            if self._losing is Cut.BEFORE:
                break
            if self._losing is not Cut.SILENCE:
                self._to_server.write(data)
        self._close()

    async def back(self, reader: asyncio.StreamReader) -> None:
        """Server to client."""
        while data := await _some(reader):
            if self._losing is Cut.AFTER:
                break
            if self._losing is None:
                self._to_client.write(data)
        self._close()

    def _close(self) -> None:
        self._to_client.transport.abort()
        self._to_server.transport.abort()


async def _some(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except OSError:
        return b""
