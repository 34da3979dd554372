"""PNG files of every kind, written byte by byte: Pillow does not write most of them."""

import struct
import zlib
from collections.abc import Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    size: tuple[int, int], depth: int, colour: int, rows: Sequence[bytes], *extra: bytes, interlace: int = 0
) -> bytes:
    """`rows` unfiltered; `extra` chunks stand before the data."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND")


def interlaced(size: tuple[int, int], pixels: Sequence[Sequence[int]]) -> bytes:
    """Eight bits of grey in Adam7's seven passes (PNG, 8.2)."""
    width, height = size
    rows: list[bytes] = []
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for y in range(y0, height, dy):
            row = bytes(pixels[y][x] for x in range(x0, width, dx))
            rows += [row] if row else []
    return png(size, 8, GREY, rows, interlace=1)


def blank(width: int, height: int, *, stated: tuple[int, int] | None = None) -> bytes:
    """Black, one bit a pixel: the smallest file for its size. `stated`: what the header says instead."""
    row = bytes((width + 7) // 8)
    return png(stated or (width, height), 1, GREY, [row] * height)


def zlib_bomb(kind: bytes, megabytes: int) -> bytes:
    """A text or profile chunk that is a thousand times larger when it is unpacked."""
    head = b"Comment\x00" + (b"\x01\x00\x00\x00" if kind == b"iTXt" else b"\x00")
    return chunk(kind, head + _packed_zeros(megabytes))


def _packed_zeros(megabytes: int) -> bytes:
    """A zlib stream (RFC 1950) of one packed megabyte as often as it takes: packing all of it takes seconds."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # a block that looks back to none before
    checksum = (megabytes << 20) % 65521 << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + megabyte * megabytes + packer.flush() + checksum.to_bytes(4)
