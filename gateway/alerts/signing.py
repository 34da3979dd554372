"""Signatures of Standard Webhooks 1.0 (`v1`): HMAC-SHA256 over id, timestamp and body, under the receiver's secret. Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

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


def signed_headers(secret: bytes, message_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """What says whose the message is, for one try at one second. An id has no full stop, which parts the signed text."""
    signed = f"{message_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}
