"""The reader of forms agrees with the standard library's and aiohttp's on every valid body, however it is cut, and fails in its own way alone."""

import asyncio
import random
from email.parser import BytesParser
from email.policy import HTTP

from aiohttp import BodyPartReader, MultipartReader
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequest
from tests.multipart_bodies import Pieces, Sent, body_of, cut, read

MUTATIONS = 3_000
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_[]-", min_size=1, max_size=30)
FILENAMES = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "Zs"], exclude_characters="\\%"), min_size=1
)
TYPES = st.sampled_from([None, "image/png", "application/octet-stream", "text/plain; charset=utf-8"])
BOUNDARIES = st.text("abcXYZ0123456789'()+_,-./:=?", min_size=1, max_size=70)


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, list[Sent], list[int]]:
    """A boundary, parts that do not hold it, and where the body is cut."""
    boundary = draw(BOUNDARIES)
    # Much of what looks like the begin of a boundary, and none that is one.
    scraps = [b"\r", b"\n", b"\r\n", b"--", b"\r\n-", b"\r\n--" + boundary.encode()[:-1], b"\0", b"a", b"\r\n\r\n"]
    contents = (
        st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(scraps), max_size=12).map(b"".join))
        .filter(lambda content: b"\r\n--" + boundary.encode() not in b"\r\n" + content + b"\r\n")
    )  # fmt: skip
    parts = st.builds(Sent, TOKENS, contents, st.none() | FILENAMES, TYPES)
    return boundary, draw(st.lists(parts, max_size=5)), draw(st.lists(st.integers(1, 80), max_size=60))


@given(forms())
def test_a_valid_body_is_read_as_others_read_it(form: tuple[str, list[Sent], list[int]]) -> None:
    """Names, file names, types and every byte: as they were sent, as aiohttp reads them, and as the standard library does."""
    boundary, parts, sizes = form
    body = body_of(parts, boundary)
    assert asyncio.run(read(body, sizes, boundary)) == parts
    assert asyncio.run(_by_aiohttp(body, boundary)) == [(part.name, part.filename, part.content) for part in parts]
    # The standard library takes a line break for a line's end, and a form without parts for no form.
    if parts and not any(b"\r" in part.content or b"\n" in part.content for part in parts):
        assert _by_email(body, boundary) == [(part.name, part.content) for part in parts]


def test_a_broken_body_fails_in_one_way_only() -> None:
    """Bytes changed, lost, doubled: parts or an InvalidRequest, and the same in whatever pieces it comes."""
    source = random.Random(6)
    seed = body_of(
        [
            Sent("prompt", b"a red fox"),
            Sent("image[]", b"\x89PNG\r\n\x1a\n" * 9, "a/b.png", "image/png"),
            Sent("n", b""),
        ]
    )

    async def outcome(body: bytes, sizes: list[int]) -> list[Sent] | str:
        try:
            return await read(body, sizes)
        except InvalidRequest as exc:
            return exc.message

    async def all_of_them() -> tuple[int, int]:
        refused = 0
        for _ in range(MUTATIONS):
            body = _mutated(seed, source)
            whole = await outcome(body, [])
            sizes = [source.randint(1, 50) for _ in range(30)]
            cut_up = await outcome(body, sizes)
            assert isinstance(whole, str) == isinstance(cut_up, str), (body, sizes)
            assert isinstance(whole, str) or whole == cut_up
            refused += isinstance(whole, str)
        return refused, MUTATIONS - refused

    refused, read_through = asyncio.run(all_of_them())
    assert min(refused, read_through) > MUTATIONS // 10, "both happen often, or nothing was tried"


def _mutated(body: bytes, source: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(changed)) if changed else 0
        match source.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([source.choice((0, 10, 13, 34, 45, 58, 59, 92, source.randrange(256)))])
            case 1:
                del changed[at : at + source.randint(1, 20)]
            case 2:
                changed[at:at] = changed[at : at + source.randint(1, 60)]
            case 3:
                del changed[at:]
    return bytes(changed)


class _AsStream:
    """What aiohttp's reader asks of a stream."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, size: int) -> bytes:
        piece, self._body = self._body[:size], self._body[size:]
        return piece

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        line, end, self._body = self._body.partition(b"\n")
        return line + end

    def at_eof(self) -> bool:
        return not self._body

    def unread_data(self, data: bytes) -> None:
        self._body = data + self._body


async def _by_aiohttp(body: bytes, boundary: str) -> list[tuple[str | None, str | None, bytes]]:
    headers = {"Content-Type": f'multipart/form-data; boundary="{boundary}"'}
    found = []
    async for part in MultipartReader(headers, _AsStream(body)):  # type: ignore[arg-type]  # it is asked for these four alone
        assert isinstance(part, BodyPartReader)
        found.append((part.name, part.filename, bytes(await part.read())))
    return found


def _by_email(body: bytes, boundary: str) -> list[tuple[object, object]]:
    head = f'Content-Type: multipart/form-data; boundary="{boundary}"\r\n\r\n'.encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    return [
        (part.get_param("name", header="Content-Disposition"), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]


def test_pieces_are_what_was_cut() -> None:
    """The test's own tool."""
    assert cut(b"abcdef", [1, 3]) == Pieces([b"a", b"bcd", b"ef"])
