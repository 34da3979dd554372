"""An emulator: a real HTTP server on loopback, its script, its log of requests and its bills.

Owns the connection (listening, refusing, resetting, hanging, dripping), the script and the control API under
`/_emulator/`. The wire itself belongs to the vendor's module, which hands every route to `serve`. Nothing here invents
an answer: a fault in an emulator shows as a 500 with a traceback in the log of the test.

Bills are exact (`Decimal`, unrounded) and written before the answer goes out, so a caller that dies in between finds
them here. With a state file every bill and finished request is appended as one JSON line and read again at the start.
"""

import asyncio
import socket
import ssl
import struct
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Self, TypedDict

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.emulators import behaviours as b
from tests.emulators.control import control_routes
from tests.emulators.inputs import is_here
from tests.emulators.records import Bill, Journal, Received

HOST = "127.0.0.1"
_BODY_BYTES_MAX = 512 * 1024 * 1024  # above every vendor's own limit (16 pictures of 50 MB are never sent in a test)
_BACKLOG = 1024  # a load test opens its connections at once

Answer = Callable[[Received, b.Behaviour], web.Response]


def json_response(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer whose body is plain bytes, so that a fault can cut it."""
    body = orjson.dumps(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


class Options(TypedDict, total=False):
    """What every vendor's emulator takes."""

    api_key: str
    state_file: Path | None
    picture_bytes: int
    now: Callable[[], float]
    tls: ssl.SSLContext | None


@dataclass(slots=True)
class _Listening:
    """What exists only between start and stop."""

    runner: web.AppRunner
    port: int
    control_port: int
    site: web.TCPSite | None = None
    reserved: socket.socket | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


class Emulator(ABC):
    """One vendor. `async with` starts and stops it; it may be started again on the port it had."""

    path = ""
    """What follows the origin in the vendor's base URL."""
    points: tuple[str, ...] = ("create",)
    """The places of the wire that have a script of their own."""
    unsupported: tuple[type, ...] = ()
    """Behaviours that this vendor's wire cannot show."""
    refusals: tuple[str, ...] = ("",)
    """The forms in which this vendor refuses content (`behaviours.Refuse.form`); the empty one means its usual form."""
    overloads: tuple[str, ...] = ("",)
    """The same for a lack of capacity (`behaviours.Overloaded.form`)."""
    stream_forms: tuple[str, ...] = ()
    """Forms of both that only a stream can show."""
    shortages: tuple[str, ...] = ()
    """The same for an empty account (`behaviours.OutOfMoney.code`); empty where any code is passed on as it is."""

    def __init__(
        self,
        *,
        api_key: str = "sk-emulator",
        state_file: Path | None = None,
        picture_bytes: int = 0,
        now: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.api_key = api_key
        self.tls = tls
        self.now = now
        self.picture_bytes = picture_bytes
        self._scripts = {name: b.Script() for name in self.points}
        self._port = 0
        self._changed = asyncio.Event()
        self.hanging = 0  # calls that wait for `release`
        self.delayed = 0  # calls whose delay is under way: `hurry` ends it
        self._listening: _Listening | None = None
        self._journal = Journal(state_file)
        self._bills, self.requests = self._journal.load()

    # --- the vendor's part

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The vendor's routes; each hands its request to `serve`."""

    @abstractmethod
    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """The vendor's error body."""

    @abstractmethod
    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """The vendor's way to refuse a call (content, rate, load, money); None if the answer itself says it."""

    def prompt_of(self, received: Received) -> str:
        """Where this vendor's body has the prompt that the script's rules look at."""
        return received.prompt

    def links_in(self, received: Received) -> list[str]:
        """Links to callers' pictures that this vendor fetches before it answers."""
        return []

    def settle(self) -> None:  # noqa: B027 - most vendors have nothing to do
        """Bill what became due with time."""

    def forget(self) -> None:  # noqa: B027 - the same
        """Drop the vendor's own state at a reset."""

    # --- money and the log

    @property
    def bills(self) -> list[Bill]:
        """Everything billed until now, oldest first."""
        self.settle()
        return self._bills

    @property
    def billed_usd(self) -> Decimal:
        """The sum of the bills, unrounded."""
        return sum((bill.usd for bill in self.bills), Decimal(0))

    @property
    def billed_images(self) -> int:
        """How many pictures were billed."""
        return sum(bill.images for bill in self.bills)

    def bill(self, bill: Bill) -> None:
        """Count one bill, durably if there is a state file."""
        self._bills.append(bill)
        self._notify()
        self._journal.append(bill=bill)

    async def until(self, condition: Callable[[Self], bool], timeout_s: float = 30.0) -> None:
        """Wait until the log, the bills or `hanging` say so, without polling; TimeoutError if they never do."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- the script

    def always(self, behaviour: b.Behaviour, *, at: str = "create") -> None:
        """What happens when neither a rule nor the queue says otherwise."""
        self.change(b.Change(at=at, always=behaviour))

    def next(self, *behaviours: b.Behaviour, at: str = "create") -> None:
        """One behaviour for each of the next calls."""
        self.change(b.Change(at=at, next=behaviours))

    def when(self, text: str, behaviour: b.Behaviour, *, at: str = "create") -> None:
        """What happens to every call whose prompt contains the text; goes before the queue."""
        self.change(b.Change(at=at, when=text, behaviour=behaviour))

    def change(self, change: b.Change) -> None:
        """Apply a change; ValueError for a place or a behaviour that this vendor does not have."""
        if change.at not in self._scripts:
            raise ValueError(f"no such place: {change.at!r}; there are {', '.join(self.points)}")
        for behaviour in (change.always, change.behaviour, *change.next):
            if isinstance(behaviour, self.unsupported):
                raise ValueError(f"this vendor cannot {behaviour}")
            self._check_form(behaviour)
        change.apply(self._scripts[change.at])

    def _check_form(self, behaviour: b.Behaviour | None) -> None:
        match behaviour:
            case b.Refuse(form=form):
                forms = self.refusals
            case b.Overloaded(form=form):
                forms = self.overloads
            case b.OutOfMoney(code=form) if self.shortages:
                forms = self.shortages
            case _:
                return
        if form not in forms and form not in self.stream_forms:
            raise ValueError(f"this vendor has no {behaviour.kind} of the form {form!r}, but {', '.join(forms)}")

    def reset(self) -> None:
        """Forget bills, requests, script and the vendor's state, as if just made."""
        self._bills.clear()
        self.requests.clear()
        self._scripts = {name: b.Script() for name in self.points}
        self.forget()
        self._journal.clear()

    def release(self) -> None:
        """Let every hanging call go on."""
        listening = self._running()
        listening.gate.set()
        listening.gate = asyncio.Event()

    def hurry(self) -> None:
        """End every delay that is under way."""
        listening = self._running()
        listening.hurry.set()
        listening.hurry = asyncio.Event()

    # --- listening

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'http' if self.tls is None else 'https'}://{HOST}:{self._running().port}"

    @property
    def base_url(self) -> str:
        """What a client of this vendor is configured with."""
        return self.origin + self.path

    @property
    def control_url(self) -> str:
        """The same server on a port that stays open while connections are refused."""
        return f"http://{HOST}:{self._running().control_port}/_emulator"

    async def start(self, port: int = 0) -> None:
        """Listen on this loopback port, by default the one it had before, else a free one."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.add_routes([*self.routes(), *control_routes(self)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, backlog=_BACKLOG).start()
        self._listening = _Listening(runner=runner, port=0, control_port=runner.addresses[0][1])
        await self._listen(port or self._port)

    async def stop(self) -> None:
        """Close everything at once: hanging and delayed calls are reset unanswered and, if not yet, not billed."""
        listening = self._running()
        self.settle()
        listening.stopping.set()
        listening.gate.set()
        listening.hurry.set()
        if listening.reserved is not None:
            listening.reserved.close()
        await listening.runner.cleanup()
        self._listening = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def refuse_connections(self) -> None:
        """Stop listening and drop every connection; the port stays reserved, so that nobody else answers there."""
        listening = self._running()
        if listening.site is None:
            return
        await _accept_no_more(listening.site)
        await listening.site.stop()
        listening.site = None
        for connection in list(listening.runner.server.connections if listening.runner.server else ()):
            transport = connection.transport
            if transport is not None and transport.get_extra_info("sockname")[1] == listening.port:
                transport.abort()
        listening.reserved = socket.socket()
        listening.reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.reserved.bind((HOST, listening.port))

    async def accept_connections(self) -> None:
        """Listen again where it did before."""
        listening = self._running()
        if listening.reserved is not None:
            listening.reserved.close()
            listening.reserved = None
            await self._listen(listening.port)

    async def _listen(self, port: int) -> None:
        listening = self._running()
        site = web.TCPSite(listening.runner, HOST, port, backlog=_BACKLOG, reuse_address=True, ssl_context=self.tls)
        await site.start()
        listening.site = site
        listening.port = self._port = listening.runner.addresses[-1][1]

    def _running(self) -> _Listening:
        if self._listening is None:
            raise RuntimeError("the emulator is not started")
        return self._listening

    # --- one call

    async def serve(self, request: web.Request, at: str, answer: Answer) -> web.StreamResponse:
        """Log the request, take its behaviour and carry it out around `answer`, which validates, works and bills."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(
            id=f"req_{uuid.uuid4().hex}",
            at=at,
            method=request.method,
            path=request.path_qs,
            headers=headers,
            came_s=time.monotonic(),
        )
        self.requests.append(received)
        self._notify()
        script = self._scripts[at]
        if script.rules:
            received.body = await request.read()
        behaviour = script.take(self.prompt_of(received))
        received.behaviour = behaviour.kind
        if not (isinstance(behaviour, b.Reset) and behaviour.before_reading):
            received.body = await request.read()
        await self._delay(behaviour.delay_s)
        if self._running().stopping.is_set():
            return _abort(request)
        await self._fetch(received)
        response = await self._carry_out(request, received, behaviour, answer)
        self._journal.append(request=received)
        return response

    async def _fetch(self, received: Received) -> None:
        """What cannot be had is missing in `fetched`: the vendor's answer says so."""
        links = [link for link in self.links_in(received) if is_here(link)]
        if not links:
            return
        async with ClientSession(timeout=ClientTimeout(30)) as session:
            for link in links:
                with suppress(ClientError, TimeoutError, ValueError):
                    async with session.get(link) as response:
                        if response.status == 200:
                            received.fetched[link] = await response.read()

    async def _carry_out(
        self, request: web.Request, received: Received, behaviour: b.Behaviour, answer: Answer
    ) -> web.StreamResponse:
        match behaviour:
            case b.Reset():
                if behaviour.bills:
                    answer(received, b.Succeed())
                return _abort(request)
            case b.Hang():
                return await self._hang(request, received, behaviour, answer)
            case b.Drip():
                return await self._drip(request, received, behaviour, answer(received, b.Succeed()))
            case b.Truncated():
                return await self._truncate(request, received, answer(received, b.Succeed()))
            case b.MalformedJson():
                response = answer(received, b.Succeed())
                response.body = _bytes(response)[:-1] + b","
            case b.Error() | b.HtmlError():
                if behaviour.bills:
                    answer(received, b.Succeed())
                response = self._scripted_error(received, behaviour)
            case _:
                fault = self.fault(received, behaviour)
                if fault is not None and isinstance(behaviour, b.Refuse) and behaviour.bills:
                    answer(received, b.Succeed())
                response = fault or answer(received, behaviour)
        received.status = response.status
        return response

    def _scripted_error(self, received: Received, behaviour: b.Error | b.HtmlError) -> web.Response:
        if isinstance(behaviour, b.HtmlError):
            page = f"<html><head><title>{behaviour.status}</title></head><body><h1>Bad gateway</h1></body></html>\r\n"
            return web.Response(text=page, status=behaviour.status, content_type="text/html")
        if behaviour.body:
            response = web.Response(text=behaviour.body, status=behaviour.status, content_type=behaviour.content_type)
        else:
            response = self.envelope(received, behaviour.status, behaviour.code, behaviour.message)
        response.headers.extend(behaviour.headers)
        return response

    async def _hang(
        self, request: web.Request, received: Received, behaviour: b.Hang, answer: Answer
    ) -> web.StreamResponse:
        if behaviour.bills:
            response = answer(received, b.Succeed())
        else:
            response = self.envelope(received, 503, "server_is_overloaded", "The engine is currently overloaded.")
        listening = self._running()
        self.hanging += 1
        self._notify()
        await listening.gate.wait()
        self.hanging -= 1
        if listening.stopping.is_set():
            return _abort(request)
        received.status = response.status
        return response

    async def _drip(
        self, request: web.Request, received: Received, behaviour: b.Drip, response: web.Response
    ) -> web.StreamResponse:
        body = _bytes(response)
        stream = await _begin(request, response, len(body))
        for at in range(0, len(body), behaviour.chunk_bytes):
            await stream.write(body[at : at + behaviour.chunk_bytes])
            await self._pause(behaviour.pause_s)
            if self._running().stopping.is_set():
                return _abort(request)
        received.status = response.status
        return stream

    async def _truncate(self, request: web.Request, received: Received, response: web.Response) -> web.StreamResponse:
        body = _bytes(response)
        stream = await _begin(request, response, len(body))
        await stream.write(body[: len(body) // 2])
        received.status = response.status
        if request.transport is not None:
            request.transport.close()  # flushes what was written, then ends the stream early
        return stream

    async def _delay(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self.delayed += 1
        self._notify()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._running().hurry.wait(), seconds)
        self.delayed -= 1

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                await asyncio.wait_for(self._running().stopping.wait(), seconds)
            except TimeoutError:
                return


def _bytes(response: web.Response) -> bytes:
    if not isinstance(response.body, bytes):
        raise TypeError("an emulator's answer has a plain body")
    return response.body


async def _begin(request: web.Request, response: web.Response, length: int) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = length
    await stream.prepare(request)
    return stream


async def _accept_no_more(site: web.TCPSite) -> None:
    """A connection taken in the moment in which its server closes never gets its transport whole: asyncio asserts, and warns of it much later."""
    server = site._server  # aiohttp has no other way to the listening sockets
    for listening in getattr(server, "sockets", ()):
        asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(0)  # those taken before now get theirs


def _abort(request: web.Request) -> web.Response:
    """Reset the connection: with a linger of zero the kernel sends RST instead of an orderly end."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=499)
