"""One guarded POST to a receiver: bounded in time, never redirected, and of the answer no more than its beginning is read.

It decides nothing: whoever sends says what an answer means. How it fails: not at all. Whatever the receiver, or the way to it, can cause is a Reply.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from aiohttp.abc import AbstractResolver

from gateway.domain.clock import Clock
from gateway.egress.errors import EgressRefused, refusal_in
from gateway.egress.guard import EgressPolicy, check_url
from gateway.egress.session import open_guarded_session

TIMEOUT_S, CONNECT_TIMEOUT_S = 10.0, 3.0
ANSWER_BYTES_MAX = 4_096
"""Read of an answer; the connection is closed then, whatever else would come."""
KEPT_BYTES = 256
"""Of them, what is kept to be looked at."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a try went. `text` is shown to administrators, orgs' own included: it names no address."""

    text: str
    status: int | None = None
    wait_s: int = 0
    """What the receiver asks for in `Retry-After`; 0: nothing, or no number of seconds."""
    said: str | None = None
    """How its answer's body begins; None: without one."""
    took_ms: int = 0
    log: str | None = None
    """What is for the log alone; never a path or a query."""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Posts under one policy. The session is opened with the first message; `close` it at the end."""

    def __init__(
        self,
        policy: EgressPolicy,
        clock: Clock,
        *,
        connections_max: int,
        timeout_s: float = TIMEOUT_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._connections_max = connections_max
        self._timeout = ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._resolver = resolver
        self._session: ClientSession | None = None
        self._opening = asyncio.Lock()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One try, with JSON."""
        began_s = self._clock.monotonic_s()

        def took_ms() -> int:
            return round((self._clock.monotonic_s() - began_s) * 1000)

        try:
            checked = check_url(url, self._policy)
            session = await self._open()
            async with session.post(
                checked.url,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                said = await _beginning(response)
                text = f"HTTP {response.status}"
                return Reply(text, response.status, _wait_s(response), said, took_ms())
        except TimeoutError:
            return Reply("no answer in time", took_ms=took_ms())
        except EgressRefused as exc:  # RequestRefused, which is a ClientError, too
            return Reply("not reached", took_ms=took_ms(), log=exc.reason)
        except (ClientError, OSError, ValueError) as exc:  # ValueError: a ca_file that cannot be read
            return Reply("not reached", took_ms=took_ms(), log=refusal_in(exc) or type(exc).__name__)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self) -> ClientSession:
        async with self._opening:
            if self._session is None:
                self._session = await open_guarded_session(
                    self._policy, connections_max=self._connections_max, resolver=self._resolver
                )
            return self._session


async def _beginning(response: ClientResponse) -> str | None:
    """What came of the body until it ended, broke off, took too long or was enough: the status has been said by then, and stands."""
    read = bytearray()
    try:
        while len(read) < ANSWER_BYTES_MAX:
            piece = await response.content.read(ANSWER_BYTES_MAX - len(read))
            if not piece:
                break
            read += piece
    except (TimeoutError, ClientError, OSError):
        pass
    # PostgreSQL has no text with a NUL.
    return bytes(read[:KEPT_BYTES]).decode("utf-8", "replace").replace("\0", "\ufffd") or None


def _wait_s(response: ClientResponse) -> int:
    wait = response.headers.get("Retry-After", "")
    return int(wait) if wait.isascii() and wait.isdigit() and len(wait) <= 9 else 0
