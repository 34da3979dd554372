"""Forms as real clients send them, and every way in which one can be broken."""

import asyncio
from typing import Any

import pytest

from gateway.api import body as body_module
from gateway.api.body import BodyStream
from gateway.api.multipart import (
    HEADER_BYTES_MAX,
    OUTSIDE_BYTES_MAX,
    PARTS_MAX,
    TEXT_BYTES_MAX,
    Form,
    is_form,
    read_form,
)
from gateway.domain.errors import InvalidRequest, RequestTimeout, RequestTooLarge
from tests.multipart_bodies import BOUNDARY, Pieces, Sent, body_of, cut, read

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 30
LINE = b"--" + BOUNDARY.encode()
NAMED = b'Content-Disposition: form-data; name="a"'


async def test_parts_come_as_they_were_sent() -> None:
    """Scalars, files, empty parts, in the sender's order, with what the sender said of them; byte by byte, too."""
    parts = [
        Sent("prompt", b"a red fox"), Sent("image[]", PICTURE, "shots/fox.png", "image/png"), Sent("n", b""),
        Sent("mask", b"", "", "application/octet-stream"),
    ]  # fmt: skip
    body = body_of(parts)
    assert await read(body) == parts
    assert await read(body, [1] * len(body)) == parts


async def test_a_part_is_not_collected() -> None:
    """Its pieces are handed on as they come: what is held back is less than a boundary."""
    body = body_of([Sent("image", PICTURE, "a.png")])
    form = Form(cut(body, [1000] * 8), BOUNDARY.encode())
    async for part in form.parts():
        sizes = [len(piece) async for piece in part.chunks()]
        assert len(sizes) >= 7
        assert max(sizes) <= 1000 + len(LINE) + 2


async def test_what_is_not_read_is_skipped() -> None:
    """A part that nobody wants does not stand in the way of the next one."""
    form = Form(cut(body_of([Sent("a", PICTURE), Sent("b", b"2")]), [7] * 99), BOUNDARY.encode())
    assert [part.name async for part in form.parts()] == ["a", "b"]


@pytest.mark.parametrize(
    ("header", "name", "filename"),
    [
        ('form-data; name="image[]"; filename="a b.png"', "image[]", "a b.png"),
        ("form-data; name=image; filename=fox.png", "image", "fox.png"),
        ('form-data; filename="fox.png"; name="image"', "image", "fox.png"),
        ('Form-Data;name="image";filename="/home/x/fox.png"', "image", "/home/x/fox.png"),
        (r'form-data; name="image"; filename="C:\fox\new.png"', "image", r"C:\fox\new.png"),
        (r'form-data; name="image"; filename="a\"b\\c.png"', "image", 'a"b\\c.png'),
        ('form-data; name="image"; filename="a%22b%0D.png"', "image", 'a"b\r.png'),
        ('form-data; name="image"; filename="日本.png"', "image", "日本.png"),
        ("form-data; name=\"image\"; filename=\"x\"; filename*=utf-8''%E6%97%A5%20b.png", "image", "日 b.png"),
        ('form-data; name="image"; filename=""', "image", ""),
        ('form-data; name="image"; filename="' + "x" * 300 + '.png"', "image", "x" * 251 + ".png"),
    ],
)  # fmt: skip
async def test_names_as_clients_write_them(header: str, name: str, filename: str) -> None:
    """Quoted, bare, in any order, with paths and escapes; a file's name is kept to its last 255 characters."""
    (part,) = await read(body_of([f"Content-Disposition: {header}\r\n\r\nx".encode()]))
    assert (part.name, part.filename, part.content) == (name, filename, b"x")


BROKEN = {
    "nothing": (b"", "no boundary"),
    "another boundary": (body_of([Sent("a", b"1")], "other"), "no boundary"),
    "no end": (LINE + b"\r\n" + NAMED + b"\r\n\r\n1", "ends within a part"),
    "cut in the last boundary": (body_of([Sent("a", b"1")])[:-5], "ends within"),
    "cut after a boundary": (LINE + b"\r\n", "ends within the headers"),
    "cut in a header": (LINE + b"\r\nContent-Dispos", "ends within the headers"),
    "no headers": (LINE + b"\r\n\r\n1\r\n" + LINE + b"--\r\n", "no headers"),
    "no disposition": (body_of([b"Content-Type: text/plain\r\n\r\n1"]), "Content-Disposition"),
    "an attachment": (body_of([b'Content-Disposition: attachment; name="a"\r\n\r\n1']), "form-data"),
    "no name": (body_of([b"Content-Disposition: form-data\r\n\r\n1"]), "no name"),
    "an empty name": (body_of([b'Content-Disposition: form-data; name=""\r\n\r\n1']), "no name"),
    "a long name": (body_of([Sent("n" * 101, b"1")]), "no name, or one"),
    "a name with a line break": (body_of([b'Content-Disposition: form-data; name="a%0Ab"\r\n\r\n1']), "printable"),
    "two names": (body_of([NAMED + b'; name="b"\r\n\r\n1']), "two ways"),
    "an open quote": (body_of([NAMED + b'; filename="b\r\n\r\n1']), "cannot be read"),
    "two dispositions": (body_of([NAMED + b"\r\n" + NAMED + b"\r\n\r\n1"]), "twice"),
    "a folded header": (body_of([NAMED + b";\r\n filename=x\r\n\r\n1"]), "a header that is none"),
    "a bare line feed": (body_of([NAMED + b"\nContent-Type: a/b\r\n\r\n1"]), "a header that is none"),
    "no colon": (body_of([NAMED + b"\r\nContent-Type\r\n\r\n1"]), "a header that is none"),
    "a NUL": (body_of([b'Content-Disposition: form-data; name="a\0b"\r\n\r\n1']), "a header that is none"),
    "an endless header": (LINE + b"\r\n" + b"X-A: " + b"a" * HEADER_BYTES_MAX * 3, "headers of more than"),
    "many headers": (LINE + b"\r\n" + b"X-A: a\r\n" * HEADER_BYTES_MAX, "headers of more than"),
    "nested": (body_of([NAMED + b"\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n1"]), "itself multipart"),
    "encoded": (body_of([NAMED + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ=="]), "Transfer-Encoding"),
    "an endless preamble": (b"Dear server,\r\n" * OUTSIDE_BYTES_MAX, "does not begin"),
    "an endless epilogue": (body_of([Sent("a", b"1")]) + b"x" * 2 * OUTSIDE_BYTES_MAX, "goes on behind"),
    "a longer boundary": (LINE + b"\r\n" + NAMED + b"\r\n\r\n1\r\n" + LINE + b"x\r\n", "begins with the boundary"),
    "a longer last boundary": (body_of([Sent("a", b"1")])[:-2] + b"-\r\n", "begins with the last boundary"),
    "too many parts": (body_of([Sent("a", b"")] * (PARTS_MAX + 1)), f"more than {PARTS_MAX} parts"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_form_says_what_is_wrong(case: str) -> None:
    """One error, the same in one piece and in many."""
    body, text = BROKEN[case]
    for sizes in ([], [3] * min(len(body), 9000)):
        with pytest.raises(InvalidRequest, match=text) as caught:
            await read(body, sizes)
        assert caught.value.param == "body"


async def test_a_short_preamble_and_epilogue_are_no_fault() -> None:
    """RFC 2046 allows them; white space behind a boundary as well."""
    body = b"Hello\r\n" + body_of([Sent("a", b"1")]).replace(LINE + b"\r\n", LINE + b" \t\r\n") + b"Bye"
    assert await read(body) == await read(body, [1] * len(body)) == [Sent("a", b"1")]


async def test_texts_are_bounded_and_utf8() -> None:
    """A scalar names itself where it is too long, or is no text."""
    for content, text in ((b"x" * (TEXT_BYTES_MAX + 1), "may have"), (b"\xff", "not UTF-8")):
        async for part in Form(cut(body_of([Sent("size", content)]), []), BOUNDARY.encode()).parts():
            with pytest.raises(InvalidRequest, match=text) as caught:
                await part.text()
            assert caught.value.param == "size"


class Request:
    """A request's Content-Type."""

    def __init__(self, content_type: str) -> None:
        self.headers = {"Content-Type": content_type}


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"), ("multipart/form-data;boundary=--x=:y", "--x=:y"),
        ('multipart/form-data; charset=utf-8; Boundary="a b"', "a b"),
    ],
)  # fmt: skip
async def test_boundaries(header: str, boundary: str) -> None:
    """Bare and quoted."""
    request: Any = Request(header)
    form = read_form(request, Pieces([body_of([Sent("a", b"1")], boundary)]))
    assert [part.name async for part in form.parts()] == ["a"]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("multipart/form-data; boundary=abc", True), ("Multipart/Form-Data ;boundary=abc", True), ("multipart/form-data", True),
        ("multipart/mixed; boundary=abc", False), ("application/json", False), ("", False), ("multipart/form-data-2; boundary=a", False),
    ],
)  # fmt: skip
def test_what_is_a_form(header: str, form: bool) -> None:
    """The type alone, in any case, with whatever parameters."""
    request: Any = Request(header)
    assert is_form(request) is form


@pytest.mark.parametrize(
    "header",
    ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="a "', "multipart/form-data; boundary=é",
     "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=" + "a" * 71],
)  # fmt: skip
async def test_bad_boundaries(header: str) -> None:
    """None, an empty one, two, one that is too long."""
    request: Any = Request(header)
    with pytest.raises(InvalidRequest) as caught:
        read_form(request, Pieces())
    assert caught.value.param == "Content-Type"


class Trickle:
    """A sender who sends a byte whenever he is asked, or nothing at all."""

    def __init__(self, piece: bytes, *, waits: bool = False) -> None:
        self.piece, self.waits = piece, waits

    async def readany(self) -> bytes:
        if self.waits:
            await asyncio.Event().wait()
        return self.piece


async def test_a_stream_is_bounded_in_bytes_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than announced: 413; nothing for too long: 408. Time that the reader itself takes is not the sender's."""
    source: Any = Trickle(b"x" * 1000)
    stream = BodyStream(source, 2500)
    assert len(await stream.chunk() + await stream.chunk()) == stream.size_bytes == 2000
    with pytest.raises(RequestTooLarge, match="2500"):
        await stream.chunk()
    monkeypatch.setattr(body_module, "READ_S_MIN", 0.0)
    slow: Any = Trickle(b"", waits=True)
    with pytest.raises(RequestTimeout):
        await BodyStream(slow, 2500).chunk()
