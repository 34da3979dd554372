"""Many large pictures at once, as forms and inside JSON: the gateway holds none of them whole, and goes on answering."""

import asyncio
import base64
import os
import random
import statistics
import struct
import time
import zlib
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.settings import KEY, config

SOAK = os.environ.get("SOAK") == "1"
FORMS, FORM_BYTES = 50 if SOAK else 4, 20_000_000
BODIES, BODY_BYTES = 50 if SOAK else 4, 6_000_000
"""8 MB of base64."""
GROWTH_BYTES_MAX = 600_000_000 if SOAK else 100_000_000
"""Held whole, 4 of each would be 112 MB, and several times that on the way through a parser."""


def png(size_bytes: int) -> bytes:
    """A picture of about so many bytes that cannot be pressed together."""
    side = int((size_bytes / 3) ** 0.5)
    row = random.Random(1).randbytes(side * 3)
    rows = b"".join(b"\0" + row[at % 97 :] + row[: at % 97] for at in range(side))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 0)),
        (b"IEND", b""),
    ]
    made = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + made


def memory(pid: int, name: str) -> int:
    """`VmHWM` is the peak, `VmRSS` is now; bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


async def send_all(gateway: GatewayProcess, folder: Path) -> tuple[list[int], list[float]]:
    """The statuses of all calls, and how long health took to be told meanwhile, in seconds."""
    picture = folder / "picture.png"
    picture.write_bytes(png(FORM_BYTES))
    url = f"data:image/png;base64,{base64.b64encode(png(BODY_BYTES)).decode()}"
    body = folder / "body.json"
    body.write_text(f'{{"model": "gpt-image-2", "prompt": "a hat", "images": [{{"image_url": "{url}"}}]}}')
    headers = {"Authorization": f"Bearer {KEY}"}
    edits = f"{gateway.base_url}/images/edits"
    waits: list[float] = []

    async def health(session: aiohttp.ClientSession) -> None:
        origin = gateway.base_url.removesuffix("/v1")
        while True:
            began_s = time.monotonic()
            async with session.get(f"{origin}/healthz") as answer:
                assert answer.status == 200
            waits.append(time.monotonic() - began_s)
            await asyncio.sleep(0.02)

    async def form(session: aiohttp.ClientSession) -> int:
        with picture.open("rb") as file:
            fields = aiohttp.FormData({"model": "gpt-image-2", "prompt": "a hat"})
            fields.add_field("image", file, filename="picture.png")
            async with session.post(edits, data=fields, headers=headers) as answer:
                await answer.read()
                return answer.status

    async def json(session: aiohttp.ClientSession) -> int:
        with body.open("rb") as file:
            async with session.post(
                edits, data=file, headers={**headers, "Content-Type": "application/json"}
            ) as answer:
                await answer.read()
                return answer.status

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=500)) as session:
        watching = asyncio.create_task(health(session))
        calls = [form(session) for _ in range(FORMS)] + [json(session) for _ in range(BODIES)]
        statuses = await asyncio.gather(*calls)
        watching.cancel()
    return list(statuses), waits


@pytest.mark.slow
@pytest.mark.timeout(600 if SOAK else 120)
def test_large_pictures_pass_through_without_being_held(new_gateway: NewGateway, tmp_path: Path) -> None:
    """Every call is answered with a picture; the peak of memory stays far below what was sent."""
    gateway = new_gateway(config(), key=KEY).start()
    pid = int((gateway.folder / "var/gateway.db.lock").read_text())
    gateway.generate("gpt-image-2", "warm")
    idle = memory(pid, "VmRSS")
    statuses, waits = asyncio.run(send_all(gateway, tmp_path))
    growth = memory(pid, "VmHWM") - idle
    waits.sort()
    print(  # noqa: T201 - a figure to report
        f"\n{FORMS} x 20 MB, {BODIES} x 8 MB: peak {growth / 1e6:.0f} MB above idle ({idle / 1e6:.0f} MB); /healthz median "
        f"{statistics.median(waits) * 1000:.0f} ms, p99 {waits[int(len(waits) * 0.99)] * 1000:.0f} ms, longest {waits[-1] * 1000:.0f} ms"
    )
    assert statuses == [200] * (FORMS + BODIES)
    assert growth < GROWTH_BYTES_MAX
