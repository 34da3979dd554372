"""A callback: the one message that tells a task's end to the URL that its caller named, and how its delivery goes."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from gateway.domain.ids import AccountId, TaskId


class CallbackState(StrEnum):
    """SENT and DEAD are final unless somebody has it sent again."""

    DUE = "due"  # to be sent, or sent again, from `next_at_ms` on
    SENT = "sent"  # the receiver answered 2xx
    DEAD = "dead"  # given up, or its task was erased


@dataclass(frozen=True, slots=True)
class Callback:
    """One message. The id stays the same however often it is sent, and so does the body, byte for byte, from the first try on."""

    id: str
    task: TaskId
    account: AccountId
    """The key whose task it is, and whose secret signs it."""
    url: str = field(repr=False)
    """Whole, for sending; shown and logged are only its parts."""
    host: str
    """Host and port: so many are sent there at once."""
    state: CallbackState
    tries: int
    next_at_ms: int
    """While it is due: when it is sent next, or when whoever is sending it now is given up."""
    created_at_ms: int
    """The task's end."""
    body: str | None = field(default=None, repr=False)
    """JSON; None before the first try, and once its task is erased."""
    answer: str | None = None
    """Of the latest try: the receiver's status, or what went wrong."""

    @property
    def shown_url(self) -> str:
        """Without its query and fragment, which may hold a token."""
        return self.url.partition("#")[0].partition("?")[0]

    @property
    def endpoint(self) -> str:
        """What fails as one: a receiver's path, for one key. What another key's messages meet there says nothing of this one's."""
        return f"{self.account} {self.shown_url}"


@dataclass(frozen=True, slots=True)
class CallbackTry:
    """One try, as it went."""

    at_ms: int
    status: int | None
    took_ms: int
    answer: str | None
    """How the receiver's body begins; without a status, what went wrong."""


def host_of(url: str) -> str:
    """Host and port of a URL that was checked."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme.lower() == 'https' else 80)}"
