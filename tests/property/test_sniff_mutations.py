"""The sniffer never fails in any way but its own, and what it passes is within its limits."""

import io
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gateway.imaging.sniff import ASPECT_MAX, PIXELS_MAX, SIDE_MAX, NotAnImage, SniffedImage, Sniffer, sniff

MUTATIONS = 1_000_000 if os.environ.get("SOAK") == "1" else 50_000
"""An earlier sniffer of this kind broke on 1 of 6,000 mutations."""
IN_PIECES = MUTATIONS // 10
MAGIC = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\x00\x00\x00WEBP", b"GIF89a", b"GIF87a", b""]


def seeds() -> list[bytes]:
    made: list[bytes] = []
    for kind, mode, options in (
        ("PNG", "RGB", {}),
        ("PNG", "P", {"transparency": 0}),
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {"progressive": True, "comment": b"abc"}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGBA", {"exif": b"Exif\x00\x00abcd"}),
        ("GIF", "P", {"transparency": 0, "comment": b"abc"}),
    ):
        file = io.BytesIO()
        Image.new(mode, (17, 9)).save(file, kind, **options)
        made.append(file.getvalue())
    return made


def check(data: bytes) -> bool:
    """Whether it passed; any exception but NotAnImage fails the test."""
    try:
        found = sniff(data)
    except NotAnImage:
        return False
    assert 1 <= found.width <= SIDE_MAX
    assert 1 <= found.height <= SIDE_MAX
    assert found.width * found.height <= PIXELS_MAX
    assert max(found.width, found.height) <= ASPECT_MAX * min(found.width, found.height)
    return True


def outcome(data: bytes, pieces: list[bytes]) -> SniffedImage | None:
    """What the file is when it comes in these pieces; None: refused."""
    assert b"".join(pieces) == data
    sniffer = Sniffer()
    try:
        for piece in pieces:
            sniffer.feed(piece)
        return sniffer.finish()
    except NotAnImage:
        return None


def mutate(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(min(len(changed), 200)) if changed else 0
        match source.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([source.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, source.randrange(256)))])
            case 1:
                del changed[at : at + source.randint(1, 30)]
            case 2:
                changed[at:at] = source.randbytes(source.randint(1, 8))
            case 3:
                del changed[at:]
            case 4:
                changed[at : at + 4] = source.choice(
                    (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01")
                )
    return bytes(changed)


@pytest.mark.timeout(1_800)  # a million of them take some minutes
def test_mutated_files_pass_or_are_refused() -> None:
    """Seeded mutations of real files never raise anything else; some pass and some do not, so both ways are tried."""
    source = random.Random(20261124)
    files = seeds()
    assert all(check(file) for file in files)
    passed = sum(check(mutate(source.choice(files), source)) for _ in range(MUTATIONS))
    assert MUTATIONS // 100 < passed < MUTATIONS * 9 // 10


@pytest.mark.timeout(1_800)
def test_pieces_are_judged_as_the_whole() -> None:
    """However a file is cut into pieces, empty and single bytes too, the verdict is that of the whole."""
    source = random.Random(20261126)
    files = seeds()
    for _ in range(IN_PIECES):
        data = mutate(source.choice(files), source)
        pieces, at = [], 0
        while at < len(data):
            size = source.choice((0, 1, 2, 7, 33, 500))
            pieces.append(data[at : at + size])
            at += size
        assert outcome(data, pieces) == outcome(data, [data])


def test_every_truncation_is_handled() -> None:
    """Cutting a file anywhere ends in a refusal, or in a picture whose end a JPEG keeps to itself."""
    for file in seeds():
        for end in range(len(file)):
            assert not check(file[:end]) or file.startswith(b"\xff\xd8")


@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_any_bytes_behind_a_magic_number(magic: bytes, rest: bytes) -> None:
    """Arbitrary bytes that begin like a picture are handled."""
    check(magic + rest)
