"""What a caller's `traceparent` is taken for, what is sent on and kept, and that spans cost nothing where there are none."""

import asyncio

import pytest

from gateway.domain.errors import InsufficientQuota
from gateway.telemetry.traces import (
    Attributes,
    Kind,
    Open,
    Parent,
    below,
    current,
    error_type,
    keeping,
    kept,
    outgoing,
    parse,
    root,
    span,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


class Written(Open):
    """A span that writes down what becomes of it."""

    def __init__(self, name: str, number: int = 1, above: "Written | None" = None) -> None:
        self.name, self.above, self.failed, self.ended = name, above, "", 0
        self.trace_id, self.span_id = TRACE, f"{number:016x}"
        self.traceparent = f"00-{TRACE}-{self.span_id}-01"
        self.attributes: dict[str, object] = {}
        self.children: list[Written] = []

    def child(self, name: str, attributes: Attributes, kind: Kind) -> "Written":
        made = Written(name, len(self.children) + 2, self)
        made.set(attributes)
        self.children.append(made)
        return made

    def set(self, attributes: Attributes) -> None:
        self.attributes |= attributes

    def fail(self, error_type: str) -> None:
        self.failed = self.failed or error_type

    def end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, True),
        (GOOD.replace("-01", "-00"), False),
        (GOOD.replace("-01", "-03"), True),  # flags of later versions are left alone
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_traceparent_is_understood(text: str, expected: bool) -> None:
    """By the recommendation, later versions included; the last bit says whether the caller records."""
    assert parse(text) == Parent(int(TRACE, 16), int(SPAN, 16), expected)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        GOOD + "-more",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0",
        GOOD + "\n",
        f"00-{TRACE}-{SPAN}-01\r\nx: y",
        GOOD * 1000,
    ],
)
def test_what_is_no_traceparent_counts_as_absent(text: str | None) -> None:
    """Nothing of it goes on."""
    assert parse(text) is None


def test_a_long_tracestate_is_dropped() -> None:
    """And the parent stays."""
    assert parse(GOOD, "a=b") == Parent(int(TRACE, 16), int(SPAN, 16), True, "a=b")
    assert parse(GOOD, "a=" + "b" * 511) == Parent(int(TRACE, 16), int(SPAN, 16), True)


async def test_spans_hang_below_what_surrounds_them() -> None:
    """Also in tasks that were begun inside; side by side they are siblings; each ends once, and outside there is none."""
    top = Written("top")

    async def inner(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)
            with span(f"{name} below"):
                assert outgoing() == {"traceparent": current().traceparent}  # type: ignore[union-attr]  # there is one

    with root(top):
        await asyncio.gather(inner("a"), inner("b"))
        with span("after"):
            pass
    assert [child.name for child in top.children] == ["a", "b", "after"]
    assert [[below.name for below in child.children] for child in top.children] == [["a below"], ["b below"], []]
    assert [made.ended for made in (top, *top.children, *top.children[0].children)] == [1] * 5
    assert current() is None


def test_a_failure_is_told_by_its_code() -> None:
    """Never by its text; what the block itself said goes first."""
    top = Written("top")
    with pytest.raises(InsufficientQuota), root(top), span("hold"):
        raise InsufficientQuota("a text with a prompt in it")
    with pytest.raises(ValueError), root(second := Written("second")), span("attempt") as told:
        told.fail("no_answer")
        raise ValueError("secret")
    assert (top.failed, top.children[0].failed) == ("insufficient_quota", "insufficient_quota")
    assert second.children[0].failed == "no_answer"
    assert (top.ended, second.ended) == (1, 1)
    assert error_type(asyncio.CancelledError()) == "cancelled"


def test_without_a_root_nothing_is_traced() -> None:
    """Tracing is off: one object for all blocks, nothing sent, nothing kept, whoever asks."""
    with span("a") as first, span("b") as second, below(None, GOOD):
        first.set({"x": 1})
        second.fail("y")
        assert first is second
        assert current() is None
        assert outgoing() == {}
        assert keeping('{"n":1}') == '{"n":1}'


def test_a_task_keeps_the_span_it_was_accepted_under() -> None:
    """In its request; no text of a caller is taken for it, and a request without one has none."""
    with root(Written("top", 7)):
        text = keeping('{"n":1,"user":"u"}')
    assert kept(text) == f"00-{TRACE}-{7:016x}-01"
    assert kept('{"n":1}') is None
    assert kept('{"user":"\\"traceparent\\":\\"' + GOOD + '\\""}') is None
