"""Signatures, by the test vector that the libraries of Standard Webhooks share."""

import base64

import pytest

from gateway.webhooks.signing import secret_bytes, signed_headers

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
