"""Signatures of Standard Webhooks 1.0 (`v1`): HMAC-SHA256 over id, timestamp and body, under the receiver's secret. Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64


def secret_bytes(text: str) -> bytes:
    """The key behind `whsec_` and base64. Raises ValueError, without the secret in it."""
    try:
        if not text.startswith(PREFIX):
            raise ValueError("no prefix")
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a secret is whsec_ and base64") from None
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(f"a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, not {len(secret)}")
    return secret


def any_secret_bytes(text: str) -> bytes:
    """The same of a secret that somebody chose: a text without `whsec_` is its own UTF-8 bytes. Raises ValueError for a broken `whsec_…`."""
    return secret_bytes(text) if text.startswith(PREFIX) else text.encode()


def secret_text(secret: bytes) -> str:
    """As receivers' libraries take it."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(secrets: Sequence[bytes], message_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """What says whose the message is, for one try at one second: a signature for each secret that is valid now, of which a receiver needs one.

    An id has no full stop, which parts the signed text.
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    made = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }
