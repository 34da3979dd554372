"""The two upstream answers: an 8x8 PNG, and a PNG whose base64 text has two million characters. Pure."""

import random
import struct
import zlib

import orjson
import pybase64

SMALL_SIDE = 8
LARGE_WIDTH, LARGE_HEIGHT = 1024, 1463
"""8-bit grey noise does not shrink: 1024 x 1463 pixels stored are 1.5 MB, two million characters in base64."""


def noise_png(width: int, height: int) -> bytes:
    """A valid PNG of grey noise, stored without compression; the same bytes every time."""
    noise = random.Random(width * height)
    rows = b"".join(b"\0" + noise.randbytes(width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def images_answer(png: bytes) -> bytes:
    """The JSON that OpenAI's Images API answers for one picture."""
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 12},
        "output_tokens": 196,
        "total_tokens": 208,
    }
    return orjson.dumps(
        {"created": 1_764_000_000, "data": [{"b64_json": pybase64.b64encode(png).decode()}], "usage": usage}
    )


def small_answer() -> bytes:
    return images_answer(noise_png(SMALL_SIDE, SMALL_SIDE))


def large_answer() -> bytes:
    return images_answer(noise_png(LARGE_WIDTH, LARGE_HEIGHT))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
