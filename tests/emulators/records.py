"""What an emulator writes down: the bills, the requests as they came in, and the file that keeps both.

Owns these values and their JSON form (bodies as base64, amounts as strings); knows no wire. A line of the state file
that does not parse stops the emulator at its start: a half-read history would make a test lie.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, with_config

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the vendor would put on the invoice for one call."""

    request_id: str
    model: str
    images: int
    usd: Decimal
    prompt: str
    task_id: str = ""

    @property
    def microusd(self) -> Decimal:
        """The same amount in micro-USD, unrounded."""
        return self.usd * 1_000_000


@with_config(ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))
@dataclass(slots=True, kw_only=True)
class Received:
    """One request as it came in; `status` stays empty while unanswered, or for ever after a reset."""

    id: str
    at: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    behaviour: str = ""
    status: int | None = None
    came_s: float = 0.0
    """Monotonic time at which its head was read."""
    images: list[bytes] = field(default_factory=list)
    """The caller's pictures, as the vendor read them."""
    mask: bytes | None = None
    fetched: dict[str, bytes] = field(default_factory=dict)
    """What the vendor fetched from links in the body."""

    @property
    def json(self) -> Json | None:
        """The body, if it is a JSON object."""
        try:
            value: object = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def prompt(self) -> str:
        """The prompt of the body, or nothing."""
        return str((self.json or {}).get("prompt", ""))

    @property
    def bearer(self) -> str:
        """The key that the caller presented."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""


BILLS = TypeAdapter(list[Bill])
RECEIVED = TypeAdapter(list[Received])


@dataclass(slots=True)
class _Line:
    """One line of the state file."""

    bill: Bill | None = None
    request: Received | None = None


_LINE = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class Journal:
    """One JSON line for every bill and every finished request; without a path it keeps nothing."""

    path: Path | None = None

    def append(self, *, bill: Bill | None = None, request: Received | None = None) -> None:
        """Write one line before the answer goes out."""
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(_LINE.dump_json(_Line(bill=bill, request=request), exclude_none=True) + b"\n")

    def load(self) -> tuple[list[Bill], list[Received]]:
        """What was written by an earlier run."""
        bills: list[Bill] = []
        requests: list[Received] = []
        if self.path is not None and self.path.exists():
            for text in self.path.read_bytes().splitlines():
                line = _LINE.validate_json(text)
                bills.extend([line.bill] if line.bill else [])
                requests.extend([line.request] if line.request else [])
        return bills, requests

    def clear(self) -> None:
        """Forget the earlier run."""
        if self.path is not None:
            self.path.write_bytes(b"")
