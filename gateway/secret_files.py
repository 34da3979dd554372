"""Secrets that an embedded gateway makes for itself and keeps beside its database, readable by its own user only (mode 0600)."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path


def read_or_make(path: Path) -> str:
    """The secret in a file, made there on the first call. Raises OSError where the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        keep(path, secrets.token_hex(32))
    return path.read_text(encoding="utf-8").strip()


def keep(path: Path, secret: str) -> None:
    """Write a secret so that it is there whole or not at all, never readable by others."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(secret + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(path)


def derive(secret_key: str, purpose: str) -> bytes:
    """A key for one purpose: HMAC-SHA256 of its name under the secret key, so that no use of one tells anything about another."""
    return hmac.digest(secret_key.encode(), purpose.encode(), hashlib.sha256)
