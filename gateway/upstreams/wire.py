"""Calls over one upstream's session: bounded bytes, bounded time, and every foreign exception translated in one place.

It must not retry a call, and must not interpret a 2xx body. It fails with UpstreamFailure only. The verdict follows one question: had
the body of the request begun to be written? If not, nothing can have been billed (UNREACHABLE or LOCAL, NO); if so, whatever happened before a
whole answer was read leaves that open (NO_ANSWER, UNKNOWN). A kept connection that turns out dead before the write counts as not sent.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from gateway.domain.clock import Clock
from gateway.domain.images import PartialImage
from gateway.domain.tasks import Billed, Fault
from gateway.egress.download import download
from gateway.egress.errors import DownloadFailed, EgressError
from gateway.egress.guard import EgressPolicy
from gateway.egress.session import open_guarded_session, open_upstream_session
from gateway.pacing.turns import Turns
from gateway.upstreams import faults
from gateway.upstreams.base import OnPartial, UpstreamFailure, UpstreamSettings
from gateway.upstreams.bodies import Body, Outgoing, TrackedBody, TrackedStream, tracked
from gateway.upstreams.byte_budget import COPIES, ByteBudget, Lease
from gateway.upstreams.events import EventData

T = TypeVar("T")

BODY_BYTES_MAX = 64 * 1024 * 1024
"""One answer. Ten pictures of 1024x1536 as PNG in base64 are about 30 MB."""
ERROR_BYTES_MAX = 64 * 1024
START_BYTES: Final = 32 * 1024
"""For so much the beginning of a request counts in a turn of the loop: some 0.2 ms until it has left."""
PARSED_ON_LOOP_BYTES_MAX = 64 * 1024
"""What is larger is parsed in a thread."""
FETCH_PAUSES_S = (0.5, 1.5)
"""Before the second and third download of one result: downloads are free, and a fresh object may not be everywhere yet."""
LOCAL_CAUSES = {
    errno.EMFILE: "this process may open no more files (raise its limit, ulimit -n)",
    errno.ENFILE: "this machine may open no more files (raise fs.file-max)",
    errno.EADDRNOTAVAIL: "this machine has no local port or address left for a connection",
    errno.ENOBUFS: "this machine has no memory for a connection",
    errno.ENOMEM: "this machine has no memory for a connection",
}
"""What is ours and not the upstream's when a connection cannot be made, with the remedy: no circuit may open for it."""
FETCH_ASSUMED_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resources:
    """What all adapters of the process share."""

    clock: Clock
    threads: Executor
    """For parsing and drawing; bounds what runs beside the loop."""
    budget: ByteBudget = field(default_factory=ByteBudget)
    turns: Turns = field(default_factory=Turns)
    """In which large answers are taken in."""
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    """For links in upstream answers; each upstream's own host is added to it."""


@dataclass(frozen=True, slots=True)
class Send:
    """One API call. `path` is appended to the base URL, `deadline_s` is monotonic."""

    method: str
    path: str
    deadline_s: float
    body: Body = b""
    headers: tuple[tuple[str, str], ...] = ()
    assumed_bytes: int = 64 * 1024
    """Reserved where the answer announces no length."""
    rows: tuple[faults.Row, ...] = ()
    hearing: "Hearing | None" = None
    """For answers that may come as server-sent events; None: they are read as they are."""
    failure: "Callable[[Reply], UpstreamFailure] | None" = None
    """What an answer that is no 2xx means, where a vendor's errors have a form of their own; None: `rows`, then the general table."""

    def __post_init__(self) -> None:
        """aiohttp sends idempotent methods again by itself where a kept connection drops, and a paid body would be paid for twice."""
        if self.body and self.method != "POST":
            raise ValueError(f"a body goes by POST alone, not by {self.method}")


@dataclass(frozen=True, slots=True)
class Hearing:
    """What becomes of an answer's events."""

    read: Callable[[bytearray], PartialImage | bool]
    """One event's data: a partial picture, True for the last event, False for one that is nothing. ValueError: not what the API promises."""
    tell: OnPartial


@contextmanager
def translated(request: TrackedBody | TrackedStream) -> Iterator[None]:
    """Turns exceptions of aiohttp, TLS, sockets and time-outs into UpstreamFailure. Only type and errno go on: their texts may quote URLs."""
    try:
        yield
    except (ClientError, TimeoutError, OSError, ValueError) as exc:
        if isinstance(exc, EgressError):
            message = exc.reason
        elif isinstance(exc, OSError) and exc.strerror:
            message = f"{type(exc).__name__}: {exc.strerror}"
        else:
            message = type(exc).__name__
        if request.begun:
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, f"sent, then {message}") from exc
        if isinstance(exc, OSError) and exc.errno in LOCAL_CAUSES:
            raise UpstreamFailure(Fault.LOCAL, Billed.NO, f"not sent, {LOCAL_CAUSES[exc.errno]}: {message}") from exc
        raise UpstreamFailure(Fault.UNREACHABLE, Billed.NO, f"not sent: {message}") from exc


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytearray
    cut: bool = False
    """The body was longer than allowed; this is its beginning."""
    is_event: bool = False
    """The body is the data of a stream's last event."""
    partials: int = 0
    """How many partial pictures came before it."""


class Wire:
    """One upstream's connections. The sessions are opened by the first call, inside the loop."""

    def __init__(self, settings: UpstreamSettings, resources: Resources, headers: Mapping[str, str]) -> None:
        self.settings = settings
        self.resources = resources
        self._base_url = settings.base_url.rstrip("/")
        self._headers = {"Accept": "application/json", **headers}
        self._policy = resources.egress.for_upstream(settings.base_url)
        connect_s = settings.connect_timeout_s
        self._timeout = ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        self._opening = asyncio.Lock()
        self._api: ClientSession | None = None
        self._guarded: ClientSession | None = None

    def deadline_s(self, call_deadline_s: float) -> float:
        """The sooner of the call's deadline and this upstream's own time-out, counted from now."""
        return min(call_deadline_s, self.resources.clock.monotonic_s() + self.settings.timeout_s)

    async def call(self, send: Send, decode: Callable[[bytearray], T]) -> T:
        """Sends, reads, and decodes the body (ValueError: not what the API promises). Raises UpstreamFailure for everything but a decodable 2xx."""
        return await self.reply(send, lambda reply: decode(reply.body))

    async def reply(self, send: Send, decode: Callable[[Reply], T]) -> T:
        """The same for an answer whose status or headers matter. A decoder may raise UpstreamFailure: an error inside a 2xx answer."""
        request, lease = tracked(send.body), self.resources.budget.lease(0)
        try:  # the bytes stay counted until they are decoded, or what they hold is stored
            with translated(request):
                answer = await self._answer(send, request, lease)
            if not 200 <= answer.status < 300:
                if send.failure is not None:
                    raise send.failure(answer)
                raise faults.failure(faults.read_error(answer.status, answer.body), answer.headers, send.rows)
            if answer.cut:
                raise UpstreamFailure(Fault.RESULT_LOST, Billed.YES, f"answered more than {BODY_BYTES_MAX} bytes")
            with suppress(ValueError):  # not chained below: the decoder's exception holds the whole body
                decoded = await self._decoded(decode, answer)
                lease.hand_over()
                return decoded
            message = f"HTTP {answer.status} with {len(answer.body)} bytes that are not the JSON expected"
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, message)
        except BaseException:
            lease.end()
            raise

    async def fetch(self, url: str, deadline_s: float) -> bytes:
        """Downloads one result through the guarded session, at most three times. Raises UpstreamFailure(RESULT_LOST, YES)."""
        clock, reason = self.resources.clock, "no time left"
        for pause_s in (0.0, *FETCH_PAUSES_S):
            if clock.monotonic_s() + pause_s >= deadline_s:
                break
            await asyncio.sleep(pause_s)
            try:
                async with asyncio.timeout(deadline_s - clock.monotonic_s()):
                    return await self._download(url, deadline_s)
            except DownloadFailed as exc:
                reason = exc.reason
            except EgressError as exc:  # refused, or too large: it will be so the next time
                reason = exc.reason
                break
            except (TimeoutError, ValueError) as exc:  # waiting for the byte budget; a ca_file that cannot be read
                reason = type(exc).__name__
                break
        raise UpstreamFailure(Fault.RESULT_LOST, Billed.YES, f"result not fetched: {reason}")

    async def close(self) -> None:
        """Close both sessions; a later call would open new ones."""
        for session in (self._api, self._guarded):
            if session is not None:
                await session.close()
        self._api = self._guarded = None

    async def _download(self, url: str, deadline_s: float) -> bytes:
        session, resources = await self._guarded_session(), self.resources
        async with resources.budget.lease(FETCH_ASSUMED_BYTES) as lease:
            found = await download(
                session, self._policy, url, bytes_max=BODY_BYTES_MAX, deadline_s=deadline_s, clock=resources.clock
            )
            lease.cover(len(found.content))
            return found.content

    async def _answer(self, send: Send, request: TrackedBody | TrackedStream, lease: Lease) -> Reply:
        seconds = send.deadline_s - self.resources.clock.monotonic_s()
        if seconds <= 0:
            raise TimeoutError
        async with asyncio.timeout(seconds):
            if isinstance(send.body, Outgoing):
                await send.body.ready()
            session = self._api or await self._api_session()
            await self.resources.turns.take(START_BYTES)
            async with session.request(
                send.method,
                self._base_url + send.path,
                data=request if send.body else None,
                headers={**self._headers, **dict(send.headers)} if send.headers else self._headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                bytes_max = BODY_BYTES_MAX if 200 <= response.status < 300 else ERROR_BYTES_MAX
                announced = send.assumed_bytes if response.content_length is None else response.content_length
                await lease.wait_for(COPIES * min(announced, bytes_max))
                if send.hearing is not None and response.content_type == "text/event-stream":
                    return await self._heard(response, send.hearing, lease)
                body, cut = await _read(response, bytes_max, lease, self.resources.turns)
                return Reply(response.status, response.headers, body, cut)

    async def _heard(self, response: ClientResponse, hearing: Hearing, lease: Lease) -> Reply:
        """Tells of partial pictures as they come, until the last event. At most one event is in memory."""
        events, partials = EventData(BODY_BYTES_MAX), 0
        async for chunk in response.content.iter_any():
            await self.resources.turns.take(len(chunk))
            for data in events.feed(chunk):
                lease.cover(len(data))
                found = await self._read_event(hearing.read, data)
                if isinstance(found, PartialImage):
                    partials += 1
                    hearing.tell(found)
                elif found:
                    return Reply(response.status, response.headers, data, is_event=True, partials=partials)
            lease.cover(events.size_bytes)
        message = f"the stream ended after {partials} partial pictures, without its last event"
        raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, message)

    async def _read_event(
        self, read: Callable[[bytearray], PartialImage | bool], data: bytearray
    ) -> PartialImage | bool:
        if len(data) <= PARSED_ON_LOOP_BYTES_MAX:
            return read(data)
        return await asyncio.get_running_loop().run_in_executor(self.resources.threads, read, data)

    async def _decoded(self, decode: Callable[[Reply], T], answer: Reply) -> T:
        if len(answer.body) <= PARSED_ON_LOOP_BYTES_MAX:
            return decode(answer)
        return await asyncio.get_running_loop().run_in_executor(self.resources.threads, decode, answer)

    async def _api_session(self) -> ClientSession:
        settings = self.settings
        async with self._opening:
            if self._api is None:
                self._api = await open_upstream_session(
                    settings.base_url,
                    concurrency=settings.concurrency,
                    connect_timeout_s=settings.connect_timeout_s,
                    timeout_s=settings.timeout_s,
                    ca_file=settings.ca_file,
                    proxy=settings.proxy,
                )
            return self._api

    async def _guarded_session(self) -> ClientSession:
        async with self._opening:
            if self._guarded is None:
                self._guarded = await open_guarded_session(self._policy, connections_max=self.settings.concurrency)
            return self._guarded


async def _read(response: ClientResponse, bytes_max: int, lease: Lease, turns: Turns) -> tuple[bytearray, bool]:
    room, size = min(response.content_length or 0, bytes_max), 0
    await turns.take(room)  # to clear so much memory is work as well
    body = bytearray(room)  # grown as it comes it would be moved again and again
    async for chunk in response.content.iter_any():
        await turns.take(len(chunk))
        body[size : size + len(chunk)] = chunk
        size += len(chunk)
        lease.cover(COPIES * size)
        if size > bytes_max:
            del body[bytes_max:]
            return body, True
    del body[size:]
    return body, False
