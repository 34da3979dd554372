"""The family that every adapter belongs to: what it is given, what it returns, and the one way it fails.

An adapter translates and classifies; it never retries a paid call by itself (the pipeline decides), stores nothing and knows no ledger.
Whatever goes wrong inside leaves as UpstreamFailure with a Fault and a Billed verdict; anything else that escapes is a bug, which
the task runner treats as NO_ANSWER with Billed.UNKNOWN, because it cannot know better.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Literal, Protocol

from gateway.domain.catalog import Capabilities, Offer, OnUnknown
from gateway.domain.ids import AttemptId
from gateway.domain.images import ImageRequest, PartialImage, Pixels, Usage
from gateway.domain.tasks import Billed, Fault, Heard

MESSAGE_CHARS_MAX = 300
"""What is kept of an upstream's own words, for operators."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One entry under `upstreams:` of the config, checked."""

    name: str
    kind: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    timeout_s: float = 180.0
    connect_timeout_s: float = 5.0
    concurrency: int = 64
    queue_max: int = 10_000
    """Tasks that may wait for one of those places."""
    queue_wait_s: float = 5.0
    """How long one waits while another offer could make its picture; the last one waits until the task's deadline."""
    on_unknown: OnUnknown | None = None
    """None: STOP where a lost submit cannot be found again, NEXT is the operator's choice."""
    proxy: str | None = None
    ca_file: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """What only this kind understands, e.g. the sandbox's `latency` and `failure_rate`."""


class Picture(Protocol):
    """A caller's picture for an upstream, checked and stored: it can be read any number of times, and never has to be in memory whole."""

    @property
    def content_type(self) -> str:
        """image/png, image/jpeg or image/webp, by its bytes."""
        ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def pixels(self) -> Pixels: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes in pieces of at most 256 KiB. Raises UpstreamFailure(LOCAL, NO) where the store does not give them."""
        ...

    def link(self) -> str | None:
        """A signed https link to it that lives as long as the task, for upstreams that take URLs alone; None: this gateway is not public.

        The same text whenever it is asked for during the task: an attempt that is sent again must be the same call.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inputs:
    """The caller's pictures of one call, in order. The mask has the meaning and form that the adapter's `Capabilities.mask` names."""

    images: tuple[Picture, ...] = ()
    mask: Picture | None = None


NO_INPUTS = Inputs()

OnPartial = Callable[[PartialImage], None]
"""Hears of every partial picture as it comes. It never waits and never fails."""


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One attempt, ready to be sent. `request.n` is the count of this attempt; `attempt_id` serves as the idempotency key."""

    attempt_id: AttemptId
    request: ImageRequest
    offer: Offer
    deadline_s: float
    """Monotonic time after which nobody waits any more; the adapter's own time-out may be sooner."""
    upstream_ref: str | None = None
    """The upstream's job id where an earlier process stored one: resume polling, do not submit again."""
    inputs: Inputs = NO_INPUTS
    """What `request.images` and `request.mask` mean: an adapter reads them here alone."""
    on_partial: OnPartial | None = None
    """Where the caller streams and `Capabilities.streams`: ask for `request.partial_images` of them. None: ask for the whole answer at once."""


@dataclass(frozen=True, slots=True)
class InlineImage:
    """A picture inside the answer: base64 text as the upstream sent it (without a `data:` prefix)."""

    base64: bytes
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class LinkedImage:
    """A picture behind a link of the upstream; `Adapter.fetch` gets it."""

    url: str
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class RawImage:
    """A picture's bytes, made in this process or downloaded."""

    data: bytes
    revised_prompt: str | None = None


UpstreamImage = InlineImage | LinkedImage | RawImage


@dataclass(frozen=True, slots=True)
class Generated:
    """What an upstream delivered: at least one picture, perhaps fewer than asked for."""

    images: tuple[UpstreamImage, ...]
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """What the upstream says this call cost; None: by usage or by the catalogue's price."""
    withheld: int = 0
    """Pictures that were made and billed like these, and are not here: their share of the cost is no caller's."""


class UpstreamFailure(Exception):
    """The one way an attempt fails. `message` is the upstream's own words for the operator's log, shortened; never shown to callers whole."""

    def __init__(
        self,
        fault: Fault,
        billed: Billed,
        message: str,
        *,
        retry_after_s: float | None = None,
        cost_usd: Decimal | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.billed = billed
        self.message = " ".join(message.split())[:MESSAGE_CHARS_MAX]
        self.retry_after_s = retry_after_s
        """How long this offer should be left alone, where the upstream said so."""
        self.cost_usd = cost_usd
        """For billed failures: the cost where the upstream named it."""
        self.param = param


Found = Generated | UpstreamFailure | Literal[Heard.WORKING, Heard.NOTHING]
"""What `Adapter.find` heard of an attempt. A failure that is returned is the attempt's own end."""


class Stop(StrEnum):
    """What an upstream answers to our wish that it stop a call."""

    ASKED = "asked"  # it has been told; how the call ends is what `generate` hears
    TOO_LATE = (
        "too_late"  # it is over, or has begun and would be paid for all the same: it goes on, and its picture is kept
    )


OnSubmitted = Callable[[str], Awaitable[None]]
"""Awaited with the upstream's job id before the first poll; returns once it is stored durably."""


class Adapter(ABC):
    """One configured upstream. Constructed once at start with its own session; safe for concurrent calls."""

    kind: ClassVar[str]

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings

    @property
    def name(self) -> str:
        return self.settings.name

    @abstractmethod
    def capabilities(self, upstream_model: str) -> Capabilities:
        """What this upstream can do with one of its models; pure and cheap."""

    @abstractmethod
    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        """Make the pictures. Raises UpstreamFailure, or CancelledError when the process stops."""

    async def find(self, call: UpstreamCall) -> Found:
        """For Recovery.LOOKUP: ask, once, by `attempt_id` for a call that may have been sent. Must not send it.

        A failure that is raised is one of asking, whatever its verdict: it says nothing of the attempt.
        """
        raise NotImplementedError(f"kind {self.kind} cannot be asked by our reference")

    async def cancel(self, call: UpstreamCall) -> Stop:
        """Where `can_cancel`: ask, at most until the call's deadline, that a call which is out be stopped. May be asked again.

        It gives no verdict: the call's own end does, by `generate`, which goes on meanwhile. With Recovery.ASYNC_JOB `upstream_ref` is there. Raises
        UpstreamFailure where it could not be asked: that says nothing of the call.
        """
        raise NotImplementedError(f"kind {self.kind} cannot cancel")

    @abstractmethod
    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        """Download one result through egress, bounded in bytes and time. Raises UpstreamFailure(RESULT_LOST, YES)."""

    async def check(self, deadline_s: float) -> str:
        """Whether the upstream can be reached and takes our key, by a call that costs nothing; says what was checked. Raises UpstreamFailure."""
        return "nothing was sent: this kind has no call that costs nothing"

    async def close(self) -> None:  # noqa: B027 - most adapters own a session, the sandbox owns nothing
        """Release sessions at shutdown."""
