"""Numbers and nestings that nobody sends but who wants to break something: they count as absent, and never as an exception of another kind."""

from decimal import Decimal

import pytest

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults, task_answers
from gateway.upstreams.answers import decode_images
from gateway.upstreams.apimart import APIMART
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.replicate import Prediction, outcome
from gateway.upstreams.replicate_inputs import place_of
from gateway.upstreams.wire import Reply

DEEP = b"[" * 1000 + b"]" * 1000
FAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
LINK = b'"result": {"images": [{"url": "https://cdn.example.com/a.png"}]}'


@pytest.mark.parametrize(
    ("cost", "usd"),
    [
        (b'"1E+2000000000"', None),
        (b'"-1E+2000000000"', None),
        (b'"1E-2000000000"', Decimal(0)),
        (b"1e400", None),
        (b'"NaN"', None),
        (b'"sNaN"', None),
        (b'"Infinity"', None),
        (b"-1", None),
        (b"true", None),
        (b"10001", None),
        (b'"0.04"', Decimal("0.04")),
    ],
)
def test_an_absurd_cost_does_not_cost_the_picture(cost: bytes, usd: Decimal | None) -> None:
    """The picture comes, priced by the catalogue where the cost makes no sense."""
    body = b'{"code": 200, "data": {"id": "t", "status": "completed", ' + LINK + b', "cost": ' + cost + b"}}"
    if cost == b"1e400":
        body = body.replace(cost, b'"1e400"')  # beyond what JSON's numbers hold
    answer = task_answers.read_poll(APIMART, (), Reply(200, {}, bytearray(body)))
    assert len(answer.images) == 1
    assert answer.cost_usd is None if usd is None else answer.cost_usd is not None
    assert usd is None or abs((answer.cost_usd or Decimal(0)) - usd) < Decimal("1e-9")


@pytest.mark.parametrize(
    "headers", [{"Retry-After": FAR, "Date": FAR}, {"X-Ratelimit-Reset": "1999999999", "Date": FAR}]
)
def test_a_date_beyond_all_calendars_is_no_wait(headers: dict[str, str]) -> None:
    """A rate limit stays one."""
    found = faults.failure(faults.read_error(429, b'{"error": {"message": "m"}}'), headers)
    assert (found.fault, found.billed, found.retry_after_s) == (Fault.RATE_LIMITED, Billed.NO, None)


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (422, b'{"detail": [{"loc": [' + DEEP + b'], "msg": "field required"}]}', Fault.BAD_REQUEST),
        (429, b'{"error": {"details": [{"quotaValue": ' + DEEP + b"}]}}", Fault.RATE_LIMITED),
        (500, b'{"error": ' + DEEP + b"}", Fault.FAILED),
    ],
)
def test_deeply_nested_errors_are_classified(status: int, body: bytes, fault: Fault) -> None:
    """By what is left of them."""
    assert faults.classify(faults.read_error(status, body)) == (fault, Billed.NO)


def test_a_deeply_nested_reason_of_a_failed_prediction() -> None:
    """It failed, whatever it says."""
    error: object = []
    for _ in range(900):
        error = [error]
    with pytest.raises(UpstreamFailure) as caught:
        outcome(Prediction(status="failed", error=error), place_of("owner/name"))
    assert (caught.value.fault, caught.value.billed) == (Fault.FAILED, Billed.NO)


def test_a_boolean_is_no_count_of_tokens() -> None:
    """Read as 1 it would make a picture all but free."""
    answer = decode_images(b'{"data": [{"b64_json": "aGk="}], "usage": {"input_tokens": true, "output_tokens": true}}')
    assert answer.usage is not None
    assert answer.usage.usage() is None
