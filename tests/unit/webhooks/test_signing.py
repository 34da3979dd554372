"""Signatures, by the test vector that the libraries of Standard Webhooks share."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from gateway.webhooks.signing import any_secret_bytes, secret_bytes, secret_text, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector() -> None:
    """Secret, id, second and body of the reference tests give their signature."""
    headers = signed_headers(
        [secret_bytes(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_" + "A" * 33,
        "whsec_not base64 at all, but long enough for it!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_other_secrets_are_refused(text: str) -> None:
    """Without prefix, not base64, too short, too long: named without the secret itself."""
    with pytest.raises(ValueError) as refused:
        secret_bytes(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("text", [SECRET, "eight ch", "with ümlauts and spaces", "x" * 256, "WHSEC_is no prefix"])
def test_the_library_makes_the_same_signature(text: str) -> None:
    """Of any secret that a config may name, given to it as it is shown; of two secrets each has its own, in order."""
    secret, at = any_secret_bytes(text), datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
    body = '{"status":"completed","é":1}'
    signed = [Webhook(secret_text(each)).sign("msg_1", at, body) for each in (secret, b"another one of the key's")]
    headers = signed_headers([secret, b"another one of the key's"], "msg_1", int(at.timestamp()), body.encode())
    assert headers["webhook-signature"] == " ".join(signed)


def test_a_chosen_secret_is_its_own_bytes() -> None:
    """Unless it says whsec_: then it must be what that says."""
    assert any_secret_bytes("a secret of the ci") == b"a secret of the ci"
    assert any_secret_bytes(SECRET) == secret_bytes(SECRET)
    assert secret_text(secret_bytes(SECRET)) == SECRET
    with pytest.raises(ValueError):
        any_secret_bytes("whsec_but no base64")
