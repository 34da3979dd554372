"""Signed links to blobs: pure functions of key, name, extension and expiry.

A link is a path, `/v1/results/<token>/<last segment of the name>.<extension>`, so that its end tells the file type to programs that look
there and no query string is cut off or logged. The token carries key id, expiry and name, and an HMAC-SHA256 over all of these and
the extension. What is expired, tampered with or signed by a dropped key verifies as None, without saying which.

The link is the permission: whoever has it may read the blob until it expires.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.blobs.store import check_name

RESULTS_PATH = "/v1/results"
SECRET_BYTES_MIN = 16
URLS_MAX = 1_000
"""Some 300 bytes each."""
_MAC_BYTES = 24
_EXPIRY_BYTES = 5  # seconds since 1970, enough for 34,000 years
_EXPIRY_MAX = 256**_EXPIRY_BYTES - 1
_TOKEN_CHARS_MAX = 512
_PURPOSE = (
    b"image-gateway result link v1"  # one secret serves several purposes; a MAC made for another must mean nothing here
)
_KEY_ID = re.compile(r"[a-z0-9_-]{1,16}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_FILE = re.compile(r"([a-z0-9_.-]+)\.([a-z0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class LinkKey:
    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """What a valid link leads to."""

    blob_name: str
    extension: str
    expires_at_s: int


class LinkSigner:
    """Signs with the first key and accepts all of them, so that a key can be replaced while its links live."""

    def __init__(self, keys: Sequence[LinkKey], base_url: str) -> None:
        if not keys or len({key.id for key in keys}) != len(keys):
            raise ValueError("links need at least one key, each with an id of its own")
        for key in keys:
            if not _KEY_ID.fullmatch(key.id) or len(key.secret) < SECRET_BYTES_MIN:
                raise ValueError(
                    f"link key {key.id!r}: an id of a-z 0-9 _ - and a secret of {SECRET_BYTES_MIN} bytes or more"
                )
        self._keys = {
            key.id: hmac.new(hmac.digest(key.secret, _PURPOSE, hashlib.sha256), digestmod=hashlib.sha256)
            for key in keys
        }
        self._signing_id = keys[0].id
        self._base_url = base_url.rstrip("/")
        self._urls: dict[tuple[str, str, int], str] = {}
        """Made lately: who is answered with the same picture in the same second gets the same link."""

    def sign(self, blob_name: str, extension: str, expires_at_s: int) -> str:
        """The path of a link; ValueError if an argument has no signable form."""
        check_name(blob_name)
        if not _EXTENSION.fullmatch(extension) or not 0 <= expires_at_s <= _EXPIRY_MAX:
            raise ValueError(f"no link can be made with extension {extension!r} and expiry {expires_at_s}")
        key_id = self._signing_id.encode()
        claims = bytes([len(key_id)]) + key_id + expires_at_s.to_bytes(_EXPIRY_BYTES, "big") + blob_name.encode()
        token = _encode(_mac(self._keys[self._signing_id], claims, extension) + claims)
        return f"{RESULTS_PATH}/{token}/{_file(blob_name, extension)}"

    def url(self, blob_name: str, extension: str, expires_at_s: int) -> str:
        """The same as an absolute URL below the public address."""
        of = (blob_name, extension, expires_at_s)
        made = self._urls.get(of)
        if made is None:
            if len(self._urls) >= URLS_MAX:
                self._urls.clear()
            made = self._urls[of] = self._base_url + self.sign(blob_name, extension, expires_at_s)
        return made

    def verify(self, token: str, file: str, now_s: int) -> LinkTarget | None:
        """The target if both path segments are as signed and the link has not expired. Never raises."""
        match = _FILE.fullmatch(file)
        raw = _decode(token)
        if match is None or raw is None or len(raw) < _MAC_BYTES + 1:
            return None
        mac, claims, extension = raw[:_MAC_BYTES], raw[_MAC_BYTES:], match[2]
        name_at = 1 + claims[0] + _EXPIRY_BYTES
        key = self._keys.get(claims[1 : 1 + claims[0]].decode("ascii", "replace"))
        if key is None or not hmac.compare_digest(mac, _mac(key, claims, extension)):
            return None
        target = LinkTarget(
            claims[name_at:].decode(), extension, int.from_bytes(claims[name_at - _EXPIRY_BYTES : name_at])
        )
        return target if now_s < target.expires_at_s and file == _file(target.blob_name, extension) else None

    def verify_url(self, url: str, now_s: int) -> LinkTarget | None:
        """The target of one of our own absolute links, so that it need not be fetched over the network; None for any other URL."""
        prefix = f"{self._base_url}{RESULTS_PATH}/"
        parts = url.removeprefix(prefix).split("/")
        return self.verify(parts[0], parts[1], now_s) if url.startswith(prefix) and len(parts) == 2 else None


def _mac(key: hmac.HMAC, claims: bytes, extension: str) -> bytes:
    # An extension has no NUL and claims come last, so no two pairs give the same message.
    mac = key.copy()  # a copy costs half of a new one, and signing is on every answer's path
    mac.update(extension.encode() + b"\x00" + claims)
    return mac.digest()[:_MAC_BYTES]


def _file(blob_name: str, extension: str) -> str:
    return f"{blob_name.rpartition('/')[2]}.{extension}"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes | None:
    """Only the one spelling that `_encode` makes: base64 otherwise ignores stray characters and trailing bits."""
    if len(token) > _TOKEN_CHARS_MAX or not token.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if _encode(raw) == token else None
