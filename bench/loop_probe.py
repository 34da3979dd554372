"""The longest block of an event loop, put into a small file that another process may read and set back. Costs a hundred wake-ups a second."""

import asyncio
import mmap
import struct
import time
from pathlib import Path

INTERVAL_S = 0.01
"""Every block of 10 ms or more is seen, less what was left of the interval when it began."""
_SIZE_BYTES = 8


def clear(file: Path) -> None:
    """Start measuring anew; also makes the file."""
    with file.open("r+b" if file.exists() else "w+b") as handle:
        handle.write(struct.pack("d", 0.0))


def longest_block_s(file: Path) -> float:
    seconds: float = struct.unpack("d", file.read_bytes()[:_SIZE_BYTES])[0]
    return seconds


async def watch(file: Path) -> None:
    """Measure the loop that this runs in, until cancelled. The file must exist."""
    with file.open("r+b") as handle, mmap.mmap(handle.fileno(), _SIZE_BYTES) as shared:
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(INTERVAL_S)
            late_s = time.monotonic() - began_s - INTERVAL_S
            if late_s > struct.unpack_from("d", shared)[0]:
                struct.pack_into("d", shared, 0, late_s)
