"""Traces: what took how long inside one call, and what belongs to it in other processes and at other services.

A call's root is begun at the edge by `Traces`; whoever has something to measure below it says `with span("hold"):` and need not be handed anything:
the span around it stands in the context, which asyncio hands on to the tasks that a call starts. Where no root was begun, `span` costs one look at
that context. Nothing here imports OpenTelemetry: otlp.py does, once a collector is configured.

What must not be in an attribute: prompts, keys, URLs (they may be signed) and texts of errors. A span that failed says the error's code or class
alone. It never fails: whatever a caller sends as `traceparent`, a trace is begun.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Protocol

from gateway.domain.errors import GatewayError

Attributes = Mapping[str, str | int | float | bool | None]
"""Those that are None are left out."""

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
TRACESTATE_CHARS_MAX = 512
"""As much as the recommendation says must be handed on; a longer one is dropped."""
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEPT = re.compile(r'"traceparent":"(00-[0-9a-f]{32}-[0-9a-f]{16}-0[01])"')
_NOTHING: Attributes = {}


class Kind(Enum):
    """Whose work a span is, as OpenTelemetry has it."""

    INTERNAL = "internal"
    SERVER = "server"  # a caller waits for it
    CLIENT = "client"  # somebody else does it


class Spanned(Protocol):
    """What a block may say of its own span."""

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, error_type: str) -> None:
        """It did not do what it should. The first reason stands."""
        ...


class Open(ABC):
    """A span that has begun, or one of another process that is only a parent."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    traceparent: str
    """What another service is sent, so that its spans hang below this one; empty where there is nothing to hang below."""

    @abstractmethod
    def child(self, name: str, attributes: Attributes, kind: Kind) -> "Open": ...

    @abstractmethod
    def set(self, attributes: Attributes) -> None: ...

    @abstractmethod
    def fail(self, error_type: str) -> None: ...

    @abstractmethod
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parent:
    """What a `traceparent` says."""

    trace_id: int
    span_id: int
    sampled: bool
    tracestate: str = ""


class Traces(ABC):
    """Begins what has no span around it yet. One a process; None in its place: tracing is off."""

    @abstractmethod
    def call(self, name: str, parent: Parent | None, attributes: Attributes) -> Open:
        """The root of a call, below its caller's span where that is wanted."""

    @abstractmethod
    def below(self, traceparent: str | None) -> Open:
        """What hangs below a span that began earlier, perhaps in another process; None: what hangs below it is a root of its own."""


_current: ContextVar[Open | None] = ContextVar("span", default=None)


class _Off:
    """In place of a span where nothing is traced."""

    def __enter__(self) -> Spanned:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, attributes: Attributes) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass


_OFF = _Off()


class _On:
    """A span for as long as a block runs."""

    __slots__ = ("_arguments", "_open", "_outer", "_token")

    def __init__(self, outer: Open, name: str, attributes: Attributes, kind: Kind) -> None:
        self._outer = outer
        self._arguments = name, attributes, kind

    def __enter__(self) -> Spanned:
        self._open: Open = self._outer.child(*self._arguments)
        self._token: Token[Open | None] = _current.set(self._open)
        return self._open

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _current.reset(self._token)
        if error is not None:
            self._open.fail(error_type(error))
        self._open.end()


def span(name: str, attributes: Attributes = _NOTHING, kind: Kind = Kind.INTERNAL) -> AbstractContextManager[Spanned]:
    """A span around a block, below the one that surrounds it. An exception that leaves the block makes it a failed one."""
    outer = _current.get()
    return _OFF if outer is None else _On(outer, name, attributes, kind)


@contextmanager
def root(opened: Open) -> Iterator[Open]:
    """A block below a span that is the block's own: it ends with it."""
    token = _current.set(opened)
    try:
        yield opened
    except BaseException as exc:
        opened.fail(error_type(exc))
        raise
    finally:
        _current.reset(token)
        opened.end()


@contextmanager
def below(traces: Traces | None, traceparent: str | None) -> Iterator[None]:
    """A block whose spans hang below one that began earlier; nothing is traced where tracing is off."""
    if traces is None:
        yield
        return
    token = _current.set(traces.below(traceparent))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Open | None:
    """The span around the caller."""
    return _current.get()


def outgoing() -> Mapping[str, str]:
    """The headers that hang another service's spans below the one around the caller. Never `tracestate`: that is between others."""
    outer = _current.get()
    return {} if outer is None or not outer.traceparent else {TRACEPARENT: outer.traceparent}


def parse(traceparent: str | None, tracestate: str = "") -> Parent | None:
    """As https://www.w3.org/TR/trace-context/ has it: what is not understood counts as absent."""
    found = _PARENT.fullmatch(traceparent or "")
    if found is None or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    kept = tracestate if len(tracestate) <= TRACESTATE_CHARS_MAX else ""
    return Parent(trace_id, span_id, bool(int(found[4], 16) & 1), kept)


def keeping(request_json: str) -> str:
    """A task's request, with the span under which it was accepted: whoever goes on with the task later hangs below it."""
    outer = _current.get()
    if outer is None or not outer.traceparent or not request_json.endswith("}") or request_json == "{}":
        return request_json
    return f'{request_json[:-1]},"{TRACEPARENT}":"{outer.traceparent}"}}'


def kept(request_json: str) -> str | None:
    """The span under which a task was accepted, where that was traced. Callers' own texts cannot look like it: their quotes are escaped."""
    found = _KEPT.search(request_json)
    return found[1] if found else None


def error_type(error: BaseException) -> str:
    """A code or a class, never a text."""
    if isinstance(error, GatewayError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__
