"""Many large pictures at once, into the gateway and out of an upstream: it holds few of them, sends them on, and its loop goes on meanwhile.

`SOAK=1` is the full size. Alone on a quiet machine: `SOAK=1 .venv/bin/python -m pytest -q -p no:xdist tests/acceptance/test_large_pictures.py`.
"""

import asyncio
import base64
import os
import random
import statistics
import struct
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.probed_gateway import ProbedGateway
from tests.acceptance.settings import KEY, config
from tests.emulators.process import EmulatorProcess
from tests.proofs import Proof

SOAK = os.environ.get("SOAK") == "1"
EACH = 50 if SOAK else 4
FORM_BYTES, BODY_BYTES = 20_000_000, 6_000_000
"""The second one is 8 MB of base64."""
GROWTH_BYTES_MAX = 600_000_000 if SOAK else 200_000_000
BLOCK_S_MAX = 0.05 if SOAK else 3.0
"""Without what the loop waits for a processor. The small size runs beside other tests: a thread that holds the interpreter waits for one as well."""
MODEL = {
    "prompt_tokens_max": 2000, "sizes": ["1024x1024"], "n": [1], "image_urls_max": 1,
    "offers": [{"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}],
}  # fmt: skip


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


def forget_peak(pid: int) -> None:
    """`VmHWM` begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_s(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sent:
    """What callers send, written down once."""

    form: Path
    body: Path

    @classmethod
    def into(cls, folder: Path) -> "Sent":
        sent = cls(folder / "picture.png", folder / "body.json")
        sent.form.write_bytes(png(FORM_BYTES))
        url = f"data:image/png;base64,{base64.b64encode(png(BODY_BYTES)).decode()}"
        sent.body.write_text(f'{{"model": "bulk", "prompt": "a hat", "images": [{{"image_url": "{url}"}}]}}')
        return sent


Kind = Callable[["Callers", aiohttp.ClientSession], Coroutine[None, None, int]]


class Callers:
    """All calls of one storm, and somebody who asks for the gateway's health all the while."""

    def __init__(self, gateway: ProbedGateway, sent: Sent) -> None:
        self._url, self._sent = gateway.base_url, sent
        self._headers = {"Authorization": f"Bearer {KEY}"}
        self.waits_s: list[float] = []
        self.statuses: list[int] = []
        self.received_bytes = 0

    async def storm(self, *kinds: Kind) -> None:
        """`EACH` calls of each kind at once."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=500)) as session:
            watching = asyncio.create_task(self._health(session))
            calls = [kind(self, session) for kind in kinds for _ in range(EACH)]
            self.statuses = list(await asyncio.gather(*calls))
            watching.cancel()

    async def _health(self, session: aiohttp.ClientSession) -> None:
        origin = self._url.removesuffix("/v1")
        while True:
            began_s = time.monotonic()
            async with session.get(f"{origin}/healthz") as answer:
                assert answer.status == 200
            self.waits_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.02)

    async def form(self, session: aiohttp.ClientSession) -> int:
        with self._sent.form.open("rb") as file:
            fields = aiohttp.FormData({"model": "bulk", "prompt": "a hat"})
            fields.add_field("image", file, filename="picture.png")
            return await self._post(session, "images/edits", fields, {})

    async def json(self, session: aiohttp.ClientSession) -> int:
        with self._sent.body.open("rb") as file:
            return await self._post(session, "images/edits", file, {"Content-Type": "application/json"})

    async def generation(self, session: aiohttp.ClientSession) -> int:
        body = b'{"model": "bulk", "prompt": "a hat"}'
        return await self._post(session, "images/generations", body, {"Content-Type": "application/json"})

    async def _post(self, session: aiohttp.ClientSession, path: str, data: object, headers: dict[str, str]) -> int:
        async with session.post(f"{self._url}/{path}", data=data, headers=self._headers | headers) as answer:
            async for piece in answer.content.iter_any():
                self.received_bytes += len(piece)
            return answer.status


@pytest.fixture
def upstream() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("openai_bulk", "--picture-bytes", str(BODY_BYTES), "--together", str(EACH)) as emulator:
        yield emulator


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one storm."""

    told: str
    growth: int
    """Peak of memory above idle; bytes."""
    longest_s: float
    """Block of the loop."""


async def one_storm(gateway: ProbedGateway, upstream: EmulatorProcess, callers: Callers, *kinds: Kind) -> Figures:
    """The callers know how their calls ended."""
    pid = int((gateway.folder / "var/gateway.db.lock").read_text())
    idle = memory(pid, "VmRSS")
    forget_peak(pid)
    pids, began_s = (pid, upstream.pid, os.getpid()), time.monotonic()
    used_s = [processor_s(each) for each in pids]
    await callers.storm(*kinds)
    took_s, growth = time.monotonic() - began_s, memory(pid, "VmHWM") - idle
    of_gateway, of_upstream, of_callers = (
        processor_s(each) - before_s for each, before_s in zip(pids, used_s, strict=True)
    )
    blocks = gateway.blocks(began_s)
    longest_s = max((block.block_s for block in blocks), default=0.0)
    busiest_s = max((block.busy_s for block in blocks), default=0.0)
    late = sum(block.block_s > 0.05 for block in blocks)
    waits_ms = sorted(wait_s * 1000 for wait_s in callers.waits_s)
    told = (
        f"in {took_s:.1f} s: peak {growth / 1e6:.0f} MB above idle ({idle / 1e6:.0f} MB); longest block of the loop {longest_s * 1000:.0f} ms, "
        f"{late} above 50 ms, its own processor time in one turn up to {busiest_s * 1000:.0f} ms; "
        f"/healthz median {statistics.median(waits_ms):.0f} ms, "
        f"p99 {waits_ms[int(len(waits_ms) * 0.99)]:.0f} ms, longest {waits_ms[-1]:.0f} ms; "
        f"processor: gateway {of_gateway:.1f} s, upstream {of_upstream:.1f} s, callers {of_callers:.1f} s"
    )
    return Figures(told, growth, longest_s)


@pytest.mark.slow
@pytest.mark.timeout(600 if SOAK else 120)
def test_large_pictures_pass_through_without_being_held(
    upstream: EmulatorProcess, tmp_path: Path, proof: Proof
) -> None:
    """Forms of 20 MB go on to a real upstream as they came while answers of 8 MB of base64 arrive all at once, then bodies with 8 MB of base64: every
    call is answered, memory and the loop stay within their bounds, and health is told meanwhile."""
    terms = {"concurrency": 4 * EACH, "timeout": "300s"}
    settings = config(openai=upstream, of_openai=terms, models={"bulk": MODEL}, deadline="400s")
    gateway = ProbedGateway(tmp_path / "gateway", settings, key=KEY).start()
    try:
        sent = Sent.into(tmp_path)
        mixed, bodies = Callers(gateway, sent), Callers(gateway, sent)
        first = asyncio.run(one_storm(gateway, upstream, mixed, Callers.form, Callers.generation))
        second = asyncio.run(one_storm(gateway, upstream, bodies, Callers.json))
    finally:
        gateway.stop()
    lines = [
        f"{EACH} forms of 20 MB and {EACH} answers of 8 MB at once {first.told}",
        f"{EACH} bodies of 8 MB at once {second.told}",
    ]
    for line in lines:
        proof("Large pictures", line)
    assert (mixed.statuses, bodies.statuses) == ([200] * 2 * EACH, [200] * EACH)
    edits = [request for request in upstream.requests if request.path.endswith("/edits")]
    sizes = sorted(int(request.headers["content-length"]) for request in edits)
    assert len(sizes) == 2 * EACH
    assert BODY_BYTES * 0.99 < sizes[0] <= sizes[EACH - 1] < BODY_BYTES * 1.01
    assert FORM_BYTES * 0.99 < sizes[EACH] <= sizes[-1] < FORM_BYTES * 1.01
    assert mixed.received_bytes > EACH * BODY_BYTES * 4 // 3
    assert max(first.growth, second.growth) < GROWTH_BYTES_MAX, lines
    assert max(first.longest_s, second.longest_s) <= BLOCK_S_MAX, lines
