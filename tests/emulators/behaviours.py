"""What an emulator can be told to do with a call, and the script that says which call gets what.

Owns the vocabulary of misbehaviour and its JSON form (the control API sends it from another process). Renders nothing:
`base` carries out what concerns the connection, each vendor's emulator what concerns its wire. An unknown behaviour or
field is refused by pydantic when it is decoded.

Every behaviour may be delayed (`delay_s`, before anything else happens). `bills` says whether the vendor did the work,
and counted it, although the caller sees a failure.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config

Headers = tuple[tuple[str, str], ...]

_CLOSED = with_config(ConfigDict(extra="forbid"))


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed:
    """Do the work, bill it, answer."""

    kind: Literal["succeed"] = "succeed"
    delay_s: float = 0.0


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Answer a status with any body; an empty body becomes the vendor's own envelope around `code` and `message`."""

    kind: Literal["error"] = "error"
    delay_s: float = 0.0
    status: int = 500
    code: str | None = "server_error"
    message: str = "The server had an error while processing your request."
    body: str = ""
    content_type: str = "application/json"
    headers: Headers = ()
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlError:
    """The page of a proxy in front of the vendor: whether the vendor worked meanwhile is not visible."""

    kind: Literal["html_error"] = "html_error"
    delay_s: float = 0.0
    status: int = 502
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Refuse the content, the way the vendor does it; a vendor with several ways names them in `Emulator.refusals`."""

    kind: Literal["refuse"] = "refuse"
    delay_s: float = 0.0
    form: str = ""
    stage: Literal["input", "output"] = "output"
    categories: tuple[str, ...] = ("sexual",)
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """429 with whichever hints are given: the two headers, and seconds in the words of the vendor's body, where it has any."""

    kind: Literal["rate_limit"] = "rate_limit"
    delay_s: float = 0.0
    retry_after: str | None = None
    retry_after_ms: int | None = None
    retry_in: str | None = None


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """The vendor has no capacity now; a vendor with several ways to say so names them in `Emulator.overloads`."""

    kind: Literal["overloaded"] = "overloaded"
    delay_s: float = 0.0
    form: str = ""


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMoney:
    """The operator's account at the vendor is empty; an empty code means the vendor's usual one."""

    kind: Literal["out_of_money"] = "out_of_money"
    delay_s: float = 0.0
    code: str = ""


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class FailTask:
    """Accept the task, then fail it with this code (vendors with tasks only)."""

    kind: Literal["fail_task"] = "fail_task"
    delay_s: float = 0.0
    code: str = "service_error"
    message: str = ""
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class StallTask:
    """Accept the task, then let it be `processing` for ever (vendors with tasks only)."""

    kind: Literal["stall_task"] = "stall_task"
    delay_s: float = 0.0


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Answer nothing until released or stopped. Released, a billed call gets its answer, an unbilled one a 503."""

    kind: Literal["hang"] = "hang"
    delay_s: float = 0.0
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Reset the connection: before the body is read, or after reading it (and, if it bills, after the work)."""

    kind: Literal["reset"] = "reset"
    delay_s: float = 0.0
    before_reading: bool = False
    bills: bool = False


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Drip:
    """Do the work and answer, but a few bytes at a time."""

    kind: Literal["drip"] = "drip"
    delay_s: float = 0.0
    chunk_bytes: int = 1
    pause_s: float = 0.01


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedJson:
    """Do the work, answer 200 with a body that is no JSON."""

    kind: Literal["malformed_json"] = "malformed_json"
    delay_s: float = 0.0


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """Do the work, announce the whole length, send half of the body and close."""

    kind: Literal["truncated"] = "truncated"
    delay_s: float = 0.0


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class WrongImage:
    """Do the work, deliver something else than the picture asked for."""

    kind: Literal["wrong_image"] = "wrong_image"
    delay_s: float = 0.0
    what: Literal["not_an_image", "empty", "cut_off", "other_format", "other_size"] = "not_an_image"


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Fewer:
    """Deliver, and bill, at most this many pictures."""

    kind: Literal["fewer"] = "fewer"
    delay_s: float = 0.0
    images: int = 0


Behaviour = (
    Succeed | Error | HtmlError | Refuse | RateLimit | Overloaded | OutOfMoney | FailTask | StallTask
    | Hang | Reset | Drip | MalformedJson | Truncated | WrongImage | Fewer
)  # fmt: skip

BEHAVIOUR: TypeAdapter[Behaviour] = TypeAdapter(Annotated[Behaviour, Field(discriminator="kind")])


@dataclass(slots=True)
class Script:
    """Which behaviour the next call at one place gets: a rule on its prompt, else the queue, else always."""

    always: Behaviour = field(default_factory=Succeed)
    queue: deque[Behaviour] = field(default_factory=deque)
    rules: list[tuple[str, Behaviour]] = field(default_factory=list)

    def take(self, prompt: str) -> Behaviour:
        """The behaviour of this call; one from the queue is used up."""
        for text, behaviour in self.rules:
            if text in prompt:
                return behaviour
        return self.queue.popleft() if self.queue else self.always


@_CLOSED
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a script, as the control API takes it: exactly what is given is applied."""

    at: str = "create"
    always: Annotated[Behaviour, Field(discriminator="kind")] | None = None
    next: tuple[Annotated[Behaviour, Field(discriminator="kind")], ...] = ()
    when: str | None = None
    behaviour: Annotated[Behaviour, Field(discriminator="kind")] | None = None

    def apply(self, script: Script) -> None:
        """Change the script in place."""
        if self.always is not None:
            script.always = self.always
        script.queue.extend(self.next)
        if self.when is not None and self.behaviour is not None:
            script.rules.append((self.when, self.behaviour))


CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
