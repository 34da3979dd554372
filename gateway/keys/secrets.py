"""What a gateway key looks like, and the only form in which one is stored: a keyed digest.

An issued key is `igw_` + 32 base62 characters (190 random bits) + 6 of checksum, 42 in all. The checksum refuses typing errors without a
look-up and lets scanners confirm a leak offline; it is no security. Declared keys may be any text. A digest is useless without the pepper,
which lives outside the database.
"""

import functools
import hashlib
import hmac
import re
import secrets
import string
import zlib

PREFIX = "igw_"
ADMIN_PREFIX = "iga_"
"""Of admin tokens, which are made and kept like keys, under another pepper."""
SECRET_CHARS_MIN = 8
SECRET_CHARS_MAX = 512
"""Longer ones are refused unread: a header may carry 8 KB, a digest of which would be work for a stranger."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARS = 32
_CHECKSUM_CHARS = 6  # 62**6 > 2**32: the whole CRC32 fits
_ISSUED = re.compile(rf"(?:{PREFIX}|{ADMIN_PREFIX})[0-9A-Za-z]{{{_RANDOM_CHARS + _CHECKSUM_CHARS}}}")


def new_key() -> str:
    """A fresh key; shown once, never stored."""
    return _new(PREFIX)


def new_admin_token() -> str:
    """A fresh admin token; shown once, never stored."""
    return _new(ADMIN_PREFIX)


def _new(prefix: str) -> str:
    body = prefix + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARS))
    return body + _checksum(body)


def looks_valid(text: str) -> bool:
    """Whether the text has the form of an issued key and its checksum is right."""
    return _ISSUED.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM_CHARS]) == text[-_CHECKSUM_CHARS:]


def is_mistyped(text: str) -> bool:
    """Whether the text has the form of an issued key with a wrong checksum: nobody's key. A declared key must not look like that."""
    return _ISSUED.fullmatch(text) is not None and not looks_valid(text)


def digest(pepper: bytes, secret: str) -> str:
    """HMAC-SHA256 as hex. Spaces around the secret do not count, since HTTP drops them. Raises ValueError for what no header can carry."""
    # surrogateescape: how the server hands over bytes that are not UTF-8.
    mac = (
        _keyed(pepper).copy()
    )  # a copy keeps the interpreter, which hmac.digest hands to another thread and waits for: on every call's path
    mac.update(secret.strip().encode("utf-8", "surrogateescape"))
    return mac.hexdigest()


@functools.lru_cache(maxsize=4)
def _keyed(pepper: bytes) -> hmac.HMAC:
    return hmac.new(pepper, digestmod=hashlib.sha256)


def display_prefix(secret: str) -> str:
    """What may be shown to recognise a key: 12 characters of an issued one, at most a quarter of a declared one."""
    return secret[:12] if looks_valid(secret) else secret[: min(4, len(secret) // 4)]


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_CHARS):
        value, digit = divmod(value, 62)
        digits = _BASE62[digit] + digits
    return digits
