"""What may be sent at all."""

import pytest

from gateway.upstreams.wire import Send


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "HEAD"])
def test_only_a_post_carries_a_body(method: str) -> None:
    """The HTTP client sends idempotent methods a second time by itself where a kept connection drops: a paid body might be paid for twice."""
    with pytest.raises(ValueError, match=method):
        Send(method, "/jobs", 1.0, body=b"{}")


@pytest.mark.parametrize(("method", "body"), [("POST", b"{}"), ("POST", b""), ("GET", b""), ("DELETE", b"")])
def test_other_calls(method: str, body: bytes) -> None:
    """Questions and cancellations may well be sent twice."""
    assert Send(method, "/jobs", 1.0, body=body).method == method
