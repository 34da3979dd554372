"""JSON bodies with pictures in their strings: what is taken out, what stays, and that cuts and escapes change nothing."""

import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from gateway.api.body import BODY_BYTES_MAX, JsonObject
from gateway.api.long_strings import INLINE_BYTES_MAX, read_json_taking
from gateway.domain.errors import InvalidRequest, RequestTooLarge
from tests.multipart_bodies import Pieces, cut

LONG = "data:image/png;base64," + "AB+/cd==" * 4000
OTHER = "data:image/webp;base64," + "xyz0" * 9000
SHORT = "data:image/png;base64,AAAA"
BODY = {
    "prompt": 'a "fox" \\ data:\n\u2603', "image_urls": [LONG, SHORT, OTHER], "note": "x" * 3 * INLINE_BYTES_MAX, "deep": [{"data:": [1.5, None]}],
}  # fmt: skip


class Request:
    """As far as a body's reader looks at it."""

    def __init__(self, *, at_once: bool, body: bytes = b"") -> None:
        self.content_type, self.charset, self.headers = "application/json", None, {"Content-Type": "application/json"}
        self.content = self
        self._at_once, self._body = at_once, body

    def get(self, _: object) -> None:
        return None

    def is_eof(self) -> bool:
        return self._at_once

    def read_nowait(self) -> bytes:
        return self._body


async def read(pieces: Pieces, *, at_once: bool = False, beginning: bytes = b"data:") -> tuple[JsonObject, list[str]]:
    """The body with what was taken put back by its number, and what was taken."""
    names: list[str] = []
    taken: list[str] = []

    async def take(name: str, content: AsyncIterator[bytes]) -> None:
        names.append(name)
        taken.append(b"".join([piece async for piece in content]).decode())

    request: Any = Request(at_once=at_once, body=b"".join(pieces.pieces))
    source: Any = Pieces() if at_once else pieces
    body = await read_json_taking(request, source, take, beginning=beginning)
    text = orjson.dumps(body).decode()
    for number, name in enumerate(names):
        assert len(name) > 32, "it cannot be guessed"
        text = text.replace(name, f"taken {number}")
    return orjson.loads(text), taken


EXPECTED = ({**BODY, "image_urls": ["taken 0", SHORT, "taken 1"]}, [LONG, OTHER])


@pytest.mark.parametrize("escape", ["none", "slash", "net", "gson"])
async def test_long_pictures_are_taken_out_whatever_the_cuts(escape: str) -> None:
    """In one piece, in pieces of any size; with the escapes of PHP, .NET and Gson."""
    raw = orjson.dumps(BODY)
    escapes = {"slash": (b"/", rb"\/"), "net": (b"+", rb"\u002B"), "gson": (b"=", rb"\u003d")}
    if escape != "none":
        raw = raw.replace(*escapes[escape])
    source = random.Random(1)
    assert await read(cut(raw, []), at_once=True) == EXPECTED
    assert await read(cut(raw, [])) == EXPECTED
    for largest in (7, 100, 5000):
        sizes = [source.randint(1, largest) for _ in range(len(raw) // largest * 2)]
        assert await read(cut(raw, sizes)) == EXPECTED


async def test_byte_by_byte() -> None:
    """Every escape, quote and end is cut once."""
    raw = b'{"a": "\\u0041\\"\\\\", "b": {"c": "data:' + b"A\\/\\u002B" * 3000 + b'"}, "d": [true, "e"]}'
    body, taken = await read(Pieces([raw[at : at + 1] for at in range(len(raw))]))
    assert body == {"a": 'A"\\', "b": {"c": "taken 0"}, "d": [True, "e"]}
    assert taken == ["data:" + "A/+" * 3000]


async def test_any_long_string_can_be_asked_for() -> None:
    """Where the whole body is one picture, it needs no `data:`."""
    body, taken = await read(cut(orjson.dumps({"base64_data": "A" * 20_000, "file_name": "a"}), []), beginning=b"")
    assert (body, taken) == ({"base64_data": "taken 0", "file_name": "a"}, ["A" * 20_000])


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"a": "', b'{"a": "data:' + b"A" * 20_000, b'{"a": "\\', b'{"a": 1, "a": 2}', b"[]"]
)
async def test_broken_bodies_are_refused_as_ever(raw: bytes) -> None:
    """What the parser says of any other body."""
    for at_once in (True, False):
        with pytest.raises(InvalidRequest):
            await read(cut(raw, [5]), at_once=at_once)


async def test_what_is_no_picture_stays_bounded() -> None:
    """A long string of another kind counts as text, and texts are small."""
    with pytest.raises(RequestTooLarge, match="besides its pictures"):
        await read(cut(b'{"prompt": "' + b"x" * 2 * BODY_BYTES_MAX, [60_000] * 34))


async def test_a_taker_may_give_up() -> None:
    """What it leaves unread is thrown away, and the rest of the body is read."""

    async def take(name: str, content: AsyncIterator[bytes]) -> None:
        assert name
        async for _ in content:
            return

    request: Any = Request(at_once=False)
    source: Any = cut(orjson.dumps(BODY), [1000] * 50)
    body = await read_json_taking(request, source, take)
    assert body["deep"] == BODY["deep"]
