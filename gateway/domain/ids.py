"""Typed identifiers: how they look, and how new ones are made (`secrets`, so none can be guessed)."""

import os
import re
import secrets
import threading
from functools import lru_cache
from typing import NewType

TaskId = NewType("TaskId", str)
AttemptId = NewType("AttemptId", str)
AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)
RequestId = NewType("RequestId", str)
FileId = NewType("FileId", str)

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
FILE_ID_PATTERN = re.compile(r"file-[a-z0-9]{24}")
TASK_ID_PATTERN = re.compile(r"task-unified-[0-9]{10,12}-[a-z0-9]{8}")


def new_task_id(now_ms: int) -> TaskId:
    """`task-unified-<unix seconds>-<8 of a-z0-9>`, the form of the task contract (41 random bits; the primary key refuses a repeat)."""
    return TaskId(f"task-unified-{now_ms // 1000}-{_random(8)}")


def is_task_id(text: str) -> bool:
    """Whether the text has the form of a task id; says nothing about its existence."""
    return TASK_ID_PATTERN.fullmatch(text) is not None


def new_attempt_id() -> AttemptId:
    """`att_` + 26 characters (134 random bits): it names blobs and is an upstream's idempotency key, so it must not be guessable."""
    return AttemptId(f"att_{_random(26)}")


def new_file_id() -> FileId:
    """`file-` + 24 characters (124 random bits), OpenAI's form; it names a blob, so it must not be guessable."""
    return FileId(f"file-{_random(24)}")


def new_input_id(task_id: TaskId) -> FileId:
    """`<task id>/<24 characters>`: of what a task fetches or converts for itself; below the task's name in the store of pictures."""
    return FileId(f"{task_id}/{_random(24)}")


def new_admin_token_id() -> str:
    return f"adm_{_random(16)}"


def new_alert_id(now_ms: int) -> str:
    """`alr_<ms>_<8 of a-z0-9>`: sorted as text, alerts are in the order in which they were made. Without a full stop, as signatures need it."""
    return f"alr_{now_ms:013d}_{_random(8)}"


def new_callback_id(now_ms: int) -> str:
    """`msg_<ms>_<16 of a-z0-9>`, in the order in which tasks ended; without a full stop, as signatures need it."""
    return f"msg_{now_ms:013d}_{_random(16)}"


def new_key_id() -> KeyId:
    return KeyId(f"key_{_random(16)}")


def new_request_id() -> RequestId:
    return RequestId(f"req_{_bytes(12).hex()}")


def new_owner_id() -> str:
    """Names one run of one process, as the owner of task leases."""
    return f"run_{_random(12)}"


def org_account_id(org: str) -> AccountId:
    return AccountId(f"org:{org}")


def team_account_id(org: str, team: str) -> AccountId:
    return AccountId(f"team:{org}/{team}")


def key_account_id(org: str, team: str | None, key: str) -> AccountId:
    return AccountId(f"key:{org}/{team or ''}/{key}")


@lru_cache(maxsize=4096)  # asked twice for every picture that is shared
def org_of(account: AccountId) -> str | None:
    """The org whose path an account is on, by its id; None for the gateway's own books."""
    kind, _, name = account.partition(":")
    return name.partition("/")[0] if kind in ("org", "team", "key") else None


def team_of(account: AccountId) -> str | None:
    """The team whose path an account is on, by its id; None where there is none."""
    kind, _, name = account.partition(":")
    parts = name.split("/")
    return parts[1] or None if kind in ("team", "key") else None


def upstream_account_id(upstream: str) -> AccountId:
    """The account of what was paid (posted) and is in flight or in doubt (pending) at an upstream."""
    return AccountId(f"upstream:{upstream}")


OURS_ACCOUNT_ID = AccountId("ours")
"""The account of costs that no caller pays for: billed refusals, lost results, costs above a hold."""


_FAIR = 252
"""7 x 36: bytes from here on would favour some letters."""
_LETTER_OF = bytes(ord(_LETTERS[byte % 36]) for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


_STOCK_BYTES = 4096


class _Stock:
    """Random bytes fetched in advance, each given away once: a system call would hand the interpreter to another thread, three times a call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = memoryview(b"")

    def take(self, size: int) -> bytes:
        with self._lock:
            if len(self._bytes) < size:
                self._bytes = memoryview(secrets.token_bytes(_STOCK_BYTES))
            taken, self._bytes = self._bytes[:size], self._bytes[size:]
        return bytes(taken)

    def empty(self) -> None:
        self._lock, self._bytes = threading.Lock(), memoryview(b"")


_stock = _Stock()
_bytes = _stock.take
if hasattr(os, "register_at_fork"):  # two processes must not give away the same bytes
    os.register_at_fork(after_in_child=_stock.empty)


def _random(length: int) -> str:
    """Each letter equally likely."""
    letters = _bytes(length + 8).translate(_LETTER_OF, _UNFAIR)
    while len(letters) < length:  # one time in millions
        letters += _bytes(length).translate(_LETTER_OF, _UNFAIR)
    return letters[:length].decode()
