"""Bodies with pictures: what is written is what a body made in memory would be, piece by piece, any number of times."""

import base64
import json
import random
from email import message_from_bytes
from email.message import Message
from typing import cast

import pytest
from aiohttp.abc import AbstractStreamWriter

from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Picture, UpstreamFailure
from gateway.upstreams.bodies import (
    Base64Text,
    Outgoing,
    TrackedStream,
    data_url,
    json_body,
    multipart_body,
    tracked,
)
from tests.unit.upstreams.given import Given


class Written:
    """What aiohttp's writer got."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, piece: bytes) -> None:
        self.pieces.append(bytes(piece))

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


async def written(body: Outgoing) -> Written:
    """The whole body, of the announced length."""
    stream, writer = tracked(body), Written()
    await stream.write_with_length(cast(AbstractStreamWriter, writer), stream.size)
    assert len(writer.whole) == stream.size == body.size_bytes
    return writer


def outgoing(document: dict[str, object]) -> Outgoing:
    body = json_body(document)
    assert isinstance(body, Outgoing)
    return body


@pytest.mark.parametrize("size", [1, 2, 3, 4, 49_151, 49_152, 49_153, 300_001])
@pytest.mark.parametrize("chunk_bytes", [7, 65_536])
async def test_base64_in_json(size: int, chunk_bytes: int) -> None:
    """Texts of pieces add up to the text of the whole, whatever the sizes of the store's chunks."""
    if size > 100_000 and chunk_bytes == 7:
        size = 5_000
    data = random.Random(size).randbytes(size)
    document = {"prompt": 'a "fox"', "images": [Base64Text(Given(data, chunk_bytes=chunk_bytes))], "n": 1}
    found = json.loads((await written(outgoing(document))).whole)
    assert found == {"prompt": 'a "fox"', "images": [base64.b64encode(data).decode()], "n": 1}


async def test_several_pictures_keep_their_places() -> None:
    """Each stands where it was put, as a data URL with its own type, also with sorted keys and twice the same one."""
    first, second = Given(b"first"), Given(b"second", "image/webp")
    document = {"z": data_url(first), "list": [data_url(second), data_url(first)], "a": {"b": Base64Text(second)}}
    body = json_body(document, sort_keys=True)
    assert isinstance(body, Outgoing)
    text = (await written(body)).whole
    one = "data:image/png;base64," + base64.b64encode(b"first").decode()
    two = base64.b64encode(b"second").decode()
    assert json.loads(text) == {"z": one, "list": [f"data:image/webp;base64,{two}", one], "a": {"b": two}}
    assert list(json.loads(text)) == ["a", "list", "z"]


def test_json_without_pictures_is_plain() -> None:
    """The hot path pays nothing for all this; what is no JSON is still an error."""
    assert json_body({"b": 1, "a": 2}) == b'{"b":1,"a":2}'
    assert json_body({"b": 1, "a": 2}, sort_keys=True) == b'{"a":2,"b":1}'
    with pytest.raises(TypeError):
        json_body({"b": object()})


async def test_multipart() -> None:
    """As another parser reads it: scalars first, then the files in order with names, types and unchanged bytes."""
    first, second = Given(b"\r\n--\x00first"), Given(b"second", "image/jpeg")
    fields = {
        "prompt": "ein Fuchs\r\n狐狸",
        "n": 2,
        "stream": False,
        "none": None,
        "svg": {"model": "m", "list": ["a", 1]},
    }
    files: list[tuple[str, Picture]] = [("image[]", first), ("image[]", second), ("mask", first)]
    body = multipart_body(fields, files)
    parsed = message_from_bytes(
        b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + (await written(body)).whole
    )
    parts = cast(list[Message], parsed.get_payload())
    got = [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in parts
    ]
    assert got == [
        ("prompt", None, "text/plain", "ein Fuchs\r\n狐狸".encode()),
        ("n", None, "text/plain", b"2"),
        ("stream", None, "text/plain", b"false"),
        ("svg[model]", None, "text/plain", b"m"),
        ("svg[list][]", None, "text/plain", b"a"),
        ("svg[list][]", None, "text/plain", b"1"),
        ("image[]", "image-1.png", "image/png", b"\r\n--\x00first"),
        ("image[]", "image-2.jpg", "image/jpeg", b"second"),
        ("mask", "mask-3.png", "image/png", b"\r\n--\x00first"),
    ]


async def test_written_twice() -> None:
    """A body can be sent again: the same bytes, read anew from the store."""
    picture = Given(b"picture" * 1000)
    body = outgoing({"image": data_url(picture)})
    stream = tracked(body)
    texts = []
    for _ in range(2):
        writer = Written()
        await stream.write_with_length(cast(AbstractStreamWriter, writer), stream.size)
        texts.append(writer.whole)
    assert texts[0] == texts[1]
    assert picture.reads == 2


async def test_pieces_stay_small() -> None:
    """Of 2 MB no piece of bytes is larger than the store's own chunks, and none of text than what may be encoded on the loop."""
    picture = Given(bytes(2_000_000))
    raw, text = multipart_body({}, [("image", picture)]), outgoing({"image": data_url(picture)})
    assert max(map(len, (await written(raw)).pieces)) == 256 * 1024
    assert max(map(len, (await written(text)).pieces)) == 64 * 1024


async def test_a_store_that_fails() -> None:
    """Found before anything is sent where it is away from the start; in the middle, the body breaks off and had begun."""
    away, broken = Given(b"x" * 100, fails_at=0), Given(b"x" * 100, chunk_bytes=10, fails_at=50)
    with pytest.raises(UpstreamFailure) as caught:
        await outgoing({"images": [data_url(Given(b"fine")), data_url(away)]}).ready()
    assert (caught.value.fault, caught.value.billed) == (Fault.LOCAL, Billed.NO)
    body = multipart_body({}, [("image", broken)])
    await body.ready()
    stream = TrackedStream(body)
    assert not stream.begun
    with pytest.raises(UpstreamFailure):
        await stream.write_with_length(cast(AbstractStreamWriter, Written()), None)
    assert stream.begun


@pytest.mark.parametrize("size", [99, 101])
async def test_a_picture_of_another_length(size: int) -> None:
    """A picture that is not as long as announced fails; more than announced is never written."""
    body, writer = multipart_body({}, [("image", Given(b"x" * 100, chunk_bytes=10, size=size))]), Written()
    with pytest.raises(UpstreamFailure):
        await TrackedStream(body).write_with_length(cast(AbstractStreamWriter, writer), None)
    assert writer.whole.count(b"x") <= size
