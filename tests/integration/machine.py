"""Ways to break the machine below a running gateway, each lifted again, and calls that live through it.

Owns the small disk and what a test asks before, during and after a fault. Knows nothing of the gateway's code but its config and the text of its
log. Where the system does not let a test mount a disk, the same refusals are injected at the calls into it.
"""

import asyncio
import contextlib
import errno
import os
import resource
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

import orjson

from gateway.config import Config
from tests.emulators import behaviours as b
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import Answer, House, openai_upstream, write_config

DISK_BYTES = 72 * 1024 * 1024
"""A little more than the store of pictures wants to have free."""
MODEL = "gpt-image-2"
IN_FLIGHT = 3
"""Calls of each contract that are at the upstream when the fault comes."""


class Disk:
    """A folder whose disk can be filled and made read-only. Made by `small_disk`."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder = folder
        self._mounted = mounted

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is left."""
        if not self._mounted:
            with _no_file_grows(), refusing_writes(self.folder, errno.ENOSPC):
                yield
            return
        filler = self.folder / "filler"
        with filler.open("wb") as file:
            space = os.statvfs(self.folder)
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """What is open for reading stays so; nothing may be open for writing."""
        if not self._mounted:
            with refusing_writes(self.folder, errno.EROFS):
                yield
            return
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A disk of its own where that may be mounted, else the folder with injected refusals."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield Disk(folder, mounted=True)
            finally:
                subprocess.run(["umount", "-l", folder], check=True)
            return
    yield Disk(folder, mounted=False)


@contextmanager
def _no_file_grows() -> Iterator[None]:
    """For what is written by C, as SQLite's file: the system refuses every longer file of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def refusing_writes(folder: Path, number: int) -> Iterator[None]:
    """New files and directories below a folder fail with this errno."""
    really_open, really_mkdir = os.open, os.mkdir

    def refuse(path: object) -> None:
        if isinstance(path, str | Path) and str(path).startswith(str(folder)):
            raise OSError(number, os.strerror(number), str(path))

    def opening(path: str, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_CREAT:
            refuse(path)
        return really_open(path, flags, *more, **named)

    def making(path: str, *more: int, **named: int) -> None:
        refuse(path)
        really_mkdir(path, *more, **named)

    with patch.object(os, "open", opening), patch.object(os, "mkdir", making):
        yield


@contextmanager
def failing_fsync() -> Iterator[None]:
    """The disk takes what is written, and cannot keep it."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with patch.object(os, "fsync", fsync):
        yield


@contextmanager
def hanging_fsync() -> Iterator[None]:
    """The disk, or the network to it, says nothing at all; at the end it goes on as if nothing had been."""
    lifted, really = threading.Event(), os.fsync

    def fsync(descriptor: int) -> None:
        lifted.wait()
        really(descriptor)

    with patch.object(os, "fsync", fsync):
        try:
            yield
        finally:
            lifted.set()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """What is open stays open; nothing more can be opened in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def moved_away(path: Path, instead: Callable[[], object] = lambda: None, *, back: bool = True) -> Iterator[None]:
    """A file or folder is not at its path, perhaps something else is; then it is back, or it is made anew, empty."""
    aside = path.with_name(path.name + ".aside")
    path.rename(aside)
    instead()
    try:
        yield
    finally:
        if path.exists():
            path.unlink()
        if back:
            aside.rename(path)
        else:
            path.mkdir()


def upstream_of(emulator: OpenAIEmulator) -> dict[str, dict[str, object]]:
    """One upstream that cannot find a lost call again: what is lost is really lost. More failures than a circuit takes are no matter of it."""
    return {"openai": openai_upstream(emulator, timeout="60s")}


def config_of(folder: Path, database: str, emulator: OpenAIEmulator, **more: object) -> Config:
    """A gateway before this upstream, patient enough for a loaded machine."""
    return write_config(folder, database, upstream_of(emulator), **{"deadline": "60s", **more})


@asynccontextmanager
async def calls_in_flight(house: House, emulator: OpenAIEmulator) -> AsyncIterator[None]:
    """Calls of both contracts hang at the upstream while the block runs; at its end, which lets them go, all must have their pictures."""
    emulator.always(b.Hang(bills=True))
    images = [asyncio.ensure_future(house.generate(MODEL, size="1024x1024", quality="low")) for _ in range(IN_FLIGHT)]
    created = [await submitted(house) for _ in range(IN_FLIGHT)]
    await emulator.until(lambda vendor: vendor.hanging == 2 * IN_FLIGHT)
    emulator.always(b.Succeed())
    yield
    emulator.release()
    answers = await asyncio.wait_for(asyncio.gather(*images), 30)
    assert [answer.status for answer in answers] == [200] * IN_FLIGHT, answers
    tasks = [await house.ended(task_id, timeout_s=60) for task_id in created]
    assert [task["status"] for task in tasks] == ["completed"] * IN_FLIGHT, tasks


async def submitted(house: House) -> str:
    """A call of the task contract, answered with its id."""
    answer = await house.generate(MODEL, size="1024x1024", quality="low", headers={"Prefer": "respond-async"})
    assert answer.status == 202, answer.body
    return answer.text("id")


async def generated(house: House) -> Answer:
    return await house.generate(MODEL, size="1024x1024", quality="low")


def assert_refused(answer: Answer, code: str = "storage_unavailable") -> None:
    """Our fault, in OpenAI's envelope, and when to come back."""
    assert answer.status == 503, answer.body
    assert answer.error["code"] == code
    assert answer.error["type"] == "service_unavailable_error"
    assert isinstance(answer.error["message"], str)
    assert answer.headers["Retry-After"].isdigit()


async def refused(house: House, emulator: OpenAIEmulator, *, reason: str, log: Sequence[str]) -> None:
    """During a fault: nothing is sent or billed for a new call, readiness says why, the log names cause and remedy."""
    sent, bills = len(emulator.requests), len(emulator.bills)
    assert_refused(await generated(house))
    assert (len(emulator.requests), len(emulator.bills)) == (sent, bills)
    ready = await house.get("/readyz", key=None)
    assert ready.status == 503
    reasons = ready.json["reasons"]
    assert isinstance(reasons, list)
    assert any(reason in each for each in reasons), reasons
    causes = [str(line.get("cause")) for line in errors(house)]
    for text in log:
        assert any(text in cause for cause in causes), (text, causes)


async def recovered(house: House) -> None:
    """After it: the very next call works, and this process wants traffic again."""
    answer = await generated(house)
    assert answer.status == 200, answer.body
    ready = await house.get("/readyz", key=None)
    assert ready.status == 200, ready.body


async def until_logged(house: House, text: str, timeout_s: float = 60.0) -> None:
    """Wait for an event of the log; TimeoutError if it does not come."""
    async with asyncio.timeout(timeout_s):
        while text.encode() not in house.log_lines():  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.02)


def errors(house: House) -> list[dict[str, object]]:
    """The log's lines of level error."""
    lines = [orjson.loads(line) for line in house.log_lines().splitlines()]
    return [line for line in lines if line["level"] == "error"]
