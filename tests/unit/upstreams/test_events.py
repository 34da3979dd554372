"""Server-sent events in whatever pieces, and OpenAI's among them."""

import random

import orjson
import pytest

from gateway.domain.images import PartialImage
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.events import EventData
from gateway.upstreams.openai_events import last_event, read_event
from gateway.upstreams.openai_profiles import profile_of
from gateway.upstreams.wire import Reply

STREAM = (
    b": hello\n\nevent: a\ndata: {\"n\": 1}\nid: 7\n\ndata:two\r\ndata: lines\r\n\r\n: heartbeat\n\n\n"
    b"data\n\nretry: 5\n\ndata: \n\ndata: [DONE]\n\ndata: never ends\n"
)  # fmt: skip
EVENTS = [b'{"n": 1}', b"two\nlines", b"", b"[DONE]"]


def test_events_in_any_pieces() -> None:
    """Line by line as the specification has it: comments and other fields are nothing, several lines are one text, what does not end is none."""
    chance = random.Random(5)
    for _ in range(300):
        reader, found, at = EventData(1000), list[bytearray](), 0
        while at < len(STREAM):
            length = chance.choice((1, 2, 3, 10, 50))
            found += reader.feed(STREAM[at : at + length])
            at += length
        assert found == EVENTS


def test_an_event_is_bounded() -> None:
    """In one line as in many; those before it do not count."""
    reader = EventData(100)
    for _ in range(50):
        assert len(reader.feed(b"data: " + b"x" * 80 + b"\n\n")) == 1
    with pytest.raises(ValueError, match="more than 100 bytes"):
        reader.feed(b"data: " + b"x" * 200)
    reader = EventData(100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        for _ in range(30):
            reader.feed(b"data: abcdef\n")


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (
            b'{"type":"image_generation.partial_image","b64_json":"aGk=","partial_image_index":2}',
            PartialImage(b"aGk=", 2),
        ),
        (b'{"type":"image_edit.partial_image","b64_json":"aGk="}', PartialImage(b"aGk=", 0)),
        (b'{"type":"image_edit.partial_image","b64_json":null}', False),
        (b'{"type":"image_generation.completed","b64_json":"aGk="}', True),
        (b'{"error":{"message":"no"}}', True),
        (b'{"type":"error","message":"no"}', True),
        (b'{"type":"something.new"}', False),
        (b"[DONE]", False),
    ],
)
def test_what_an_event_is(data: bytes, read: PartialImage | bool) -> None:
    """By its type, not by its name."""
    assert read_event(bytearray(data)) == read


@pytest.mark.parametrize("data", [b"nonsense", b"[1]", b""])
def test_an_event_that_is_no_object(data: bytes) -> None:
    """Not what the API promises."""
    with pytest.raises(ValueError):
        read_event(bytearray(data))


@pytest.mark.parametrize(
    ("error", "partials", "verdict"),
    [
        ({"error": {"code": "moderation_blocked", "message": "no"}}, 1, (Fault.REFUSED, Billed.NO)),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, 0, (Fault.RATE_LIMITED, Billed.NO)),
        ({"error": {"code": "server_error", "message": "broke"}}, 0, (Fault.FAILED, Billed.NO)),
        ({"error": {"code": "server_error", "message": "broke"}}, 1, (Fault.FAILED, Billed.UNKNOWN)),
        ({"type": "error", "code": "server_error", "message": "broke"}, 2, (Fault.FAILED, Billed.UNKNOWN)),
    ],
)
def test_errors_in_the_middle(error: dict[str, object], partials: int, verdict: tuple[Fault, Billed]) -> None:
    """After a partial picture it may have cost something; a refusal is what it is elsewhere."""
    reply = Reply(200, {}, bytearray(orjson.dumps(error)), is_event=True, partials=partials)
    with pytest.raises(UpstreamFailure) as caught:
        last_event(reply, profile_of({}))
    assert (caught.value.fault, caught.value.billed) == verdict
