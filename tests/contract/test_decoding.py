"""The pool of decoding workers, with real processes and on both event loops: whatever a worker does, one call is the worse for it at most.

After every test no child process, no zombie and no descriptor may be left.
"""

import ast
import asyncio
import gc
import importlib.util
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import uvloop
from PIL import Image

from gateway.domain.images import OutputFormat
from gateway.imaging import decode, process
from gateway.imaging.decode import Decoder, DecoderLimits, DecodingUnavailable, ImageRefused
from gateway.imaging.formats import convert
from gateway.imaging.process import WorkerProcess
from gateway.imaging.sniff import BYTES_MAX
from tests import planted_worker
from tests.planted_worker import Fault
from tests.run_queue import waited_s

Run = Callable[[Callable[[], Awaitable[None]]], None]
BLOCKED_S_MAX = 0.05
ROUNDS = 3
"""A pause that the machine makes comes once, one that the code makes comes every time: the best of three counts."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a scenario on a loop of its own, and looks for what is left of it."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def in_loop(scenario: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(100):
                await scenario()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    in_loop(lambda: asyncio.sleep(0))  # what a loop makes at its first use in a process is no leak
    gc.collect()
    before = children(), descriptors()
    yield in_loop
    gc.collect()
    assert (children(), descriptors()) == before


def children() -> set[int]:
    """Child processes, zombies among them."""
    return {int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def descriptors() -> set[tuple[str, str]]:
    """What each open descriptor is, but for the listing's own."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            continue
    return found


@asynccontextmanager
async def decoding(limits: DecoderLimits = DecoderLimits(), *, faulty: bool = True) -> AsyncIterator[Decoder]:
    decoder = Decoder(limits, planted_worker.MODULE) if faulty else Decoder(limits)
    try:
        yield decoder
    finally:
        await decoder.aclose()
        assert decoder.workers == ()


def png(size: tuple[int, int] = (8, 8), colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


async def fails_with(decoder: Decoder, fault: Fault) -> Exception:
    try:
        await convert(decoder, png(), OutputFormat.PNG, fault)
    except (ImageRefused, DecodingUnavailable) as exc:
        return exc
    raise AssertionError(f"{fault!r} did no harm")


async def works(decoder: Decoder) -> None:
    """The next call is served, and by at most one worker."""
    result = await convert(decoder, png(colour="blue"), OutputFormat.PNG)
    with Image.open(io.BytesIO(result)) as image:
        assert image.getpixel((3, 3)) == (0, 0, 255)
    assert len(decoder.workers) == 1


def test_workers_start_with_the_first_picture_and_stay(run: Run) -> None:
    """None before, then one, which is used again."""

    async def scenario() -> None:
        async with decoding() as decoder:
            assert decoder.workers == ()
            assert children() == before
            await works(decoder)
            pids = decoder.workers
            await works(decoder)
            assert decoder.workers == pids

    before = children()
    run(scenario)


@pytest.mark.parametrize(
    ("fault", "job_s", "error", "text"),
    [
        (Fault.SEGFAULT, 30.0, ImageRefused, "cannot be decoded; save it anew"),
        (Fault.SPIN, 30.0, ImageRefused, "takes too long to decode; send a smaller one"),
        (Fault.SLEEP, 1.5, DecodingUnavailable, "not done in 1.5 s"),
        (Fault.KILLED, 30.0, DecodingUnavailable, "SIGKILL"),
        (Fault.EXIT, 30.0, DecodingUnavailable, "exit status 7"),
        (Fault.LIE, 30.0, DecodingUnavailable, "another format"),
        (Fault.TOO_MUCH, 30.0, DecodingUnavailable, "broken protocol"),
        (Fault.TALK, 30.0, DecodingUnavailable, "broken protocol"),
        (Fault.HANG_UP, 30.0, DecodingUnavailable, "SIGKILL"),
    ],
)
def test_a_worker_that_goes_wrong_is_replaced(
    run: Run, fault: Fault, job_s: float, error: type[Exception], text: str
) -> None:
    """Hanging, spinning, crashing, lying: within its time the one call fails, the process is gone, the next call is served by another."""

    async def scenario() -> None:
        async with decoding(DecoderLimits(job_s=job_s, cpu_s=1)) as decoder:
            await works(decoder)
            (first,) = decoder.workers
            begun_s = time.perf_counter()
            failed = await fails_with(decoder, fault)
            assert time.perf_counter() - begun_s < job_s + 15
            assert isinstance(failed, error)
            assert text in str(failed)
            await works(decoder)
            assert decoder.workers != (first,)
            assert first not in children()

    run(scenario)


def test_a_worker_killed_in_the_middle_fails_that_call_only(run: Run) -> None:
    """kill -9 from outside at one of two workers: its call fails, that of the other and those that wait are served."""

    async def scenario() -> None:
        async with decoding(DecoderLimits(workers=2)) as decoder:
            calls = [asyncio.create_task(convert(decoder, png(), OutputFormat.PNG, Fault.SLEEP))]
            pid = await first_worker(decoder)
            calls += [asyncio.create_task(convert(decoder, png(), OutputFormat.PNG, Fault.SLOW)) for _ in range(6)]
            await calls[1]
            os.kill(pid, signal.SIGKILL)
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(ended[0], DecodingUnavailable)
            assert [type(each) for each in ended[1:]] == [bytes] * 6

    run(scenario)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - it is another process that makes it true
        await asyncio.sleep(0.005)


async def first_worker(decoder: Decoder) -> int:
    await until(lambda: bool(decoder.workers))
    return decoder.workers[0]


def test_a_worker_killed_while_it_is_idle_costs_nothing(run: Run) -> None:
    """The next call notices and takes another."""

    async def scenario() -> None:
        async with decoding() as decoder:
            for _ in range(3):
                await works(decoder)
                (pid,) = decoder.workers
                os.kill(pid, signal.SIGKILL)
                await until(partial(is_closed, pid))

    run(scenario)


def is_closed(pid: int) -> bool:
    """A dying process keeps its socket for some microseconds."""
    try:
        return not os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return True


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.3, 1.5])
def test_a_cancelled_call_leaves_no_half_message(run: Run, after_s: float) -> None:
    """Cancelled at the start, while the worker starts, while megabytes are sent, while it works: the next answer belongs to the next call."""

    async def scenario() -> None:
        async with decoding() as decoder:
            if after_s != 0.02:
                await works(decoder)
            call = asyncio.create_task(
                convert(decoder, png() if after_s > 1 else junk(), OutputFormat.PNG, Fault.SLEEP)
            )
            await asyncio.sleep(after_s)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await works(decoder)

    run(scenario)


def junk(size_bytes: int = 20_000_000) -> bytes:
    return png()[:-12] + bytes(size_bytes)


def test_thirty_two_at_once_stay_within_the_pool(run: Run) -> None:
    """Never more than two workers, by the kernel's own count, although some are killed in between; every other call is served."""
    most = 0

    async def watch(before: set[int]) -> None:
        nonlocal most
        while True:
            most = max(most, len(children() - before))
            await asyncio.sleep(0.005)

    async def scenario() -> None:
        async with decoding(DecoderLimits(workers=2)) as decoder:
            watching = asyncio.create_task(watch(children()))
            faults = [Fault.SEGFAULT if number % 8 == 5 else Fault.SLOW for number in range(32)]
            calls = [convert(decoder, png(), OutputFormat.PNG, fault) for fault in faults]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            watching.cancel()
            for fault, end in zip(faults, ended, strict=True):
                assert isinstance(end, bytes if fault is Fault.SLOW else ImageRefused)

    run(scenario)
    assert most == 2


def test_a_place_is_free_only_when_the_process_is_gone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that takes its time to die still counts: no other is started beside it."""

    async def scenario() -> None:
        dead = asyncio.Event()

        async def slowly(self: WorkerProcess) -> None:
            await dead.wait()
            await bury(self)

        async with decoding() as decoder:
            await works(decoder)
            with monkeypatch.context() as patch:
                patch.setattr(WorkerProcess, "bury", slowly)
                await fails_with(decoder, Fault.LIE)
                waiting = asyncio.create_task(works(decoder))
                await asyncio.sleep(0.2)
                assert decoder.workers == ()
                dead.set()
                await waiting

    bury = WorkerProcess.bury
    run(scenario)


def test_waiting_is_bounded_in_number_and_time(run: Run) -> None:
    """One works, two wait, the fourth is turned away at once; those that wait give up in time, and the place is free again."""

    async def scenario() -> None:
        async with decoding(DecoderLimits(waiting_max=2, wait_s=2.0)) as decoder:
            await works(decoder)
            calls = [asyncio.create_task(fails_with(decoder, Fault.SLEEP)) for _ in range(3)]
            await asyncio.sleep(0.1)
            with pytest.raises(DecodingUnavailable, match="2 pictures wait"):
                await convert(decoder, png(), OutputFormat.PNG)
            for call in calls[1:]:
                assert "no worker was free for 2.0 s" in str(await call)
            os.kill(decoder.workers[0], signal.SIGKILL)
            await calls[0]
            await works(decoder)

    run(scenario)


def test_a_worker_retires_after_its_number_of_jobs(run: Run) -> None:
    """Two jobs each: five calls take three workers."""

    async def scenario() -> None:
        pids = set()
        async with decoding(DecoderLimits(jobs_max=2)) as decoder:
            for _ in range(5):
                await convert(decoder, png(), OutputFormat.PNG)
                pids |= children() - before
        assert len(pids) >= 3

    before = children()
    run(scenario)


def test_closing_ends_what_is_under_way(run: Run) -> None:
    """Calls that work or wait fail at once and say so; a later one as well."""

    async def scenario() -> None:
        async with decoding() as decoder:
            calls = [asyncio.create_task(fails_with(decoder, Fault.SLEEP)) for _ in range(4)]
            await first_worker(decoder)
            await asyncio.sleep(0.3)
            await decoder.aclose()
            assert {type(await call) for call in calls} == {DecodingUnavailable}
            with pytest.raises(DecodingUnavailable, match="closing"):
                await convert(decoder, png(), OutputFormat.PNG)

    run(scenario)


def test_a_worker_can_do_nothing_but_compute(run: Run) -> None:
    """No file, socket, pipe or folder opens, memory ends; of the gateway it knows neither environment nor descriptors; it has no network code."""

    async def scenario() -> None:
        async with decoding() as decoder:
            could = await convert(decoder, png(), OutputFormat.PNG, Fault.BREAK_OUT)
            assert could == planted_worker.PNG_MAGIC + b"mathematics"
            told = await convert(decoder, png(), OutputFormat.PNG, Fault.TELL)
        names, folder, opened, modules = ast.literal_eval(told[4:].decode())
        assert set(names) <= {"PYTHONPATH", *process.MALLOC, "LC_CTYPE"}
        assert (folder, opened) == ("/", [0, 1, 2])
        assert not {"asyncio", "aiohttp", "ssl", "http.client", "pickle", "ctypes", "gateway.config", "sqlite3"} & set(
            modules
        )

    leaked, other = os.pipe()
    os.set_inheritable(leaked, True)
    try:
        run(scenario)
    finally:
        os.close(leaked)
        os.close(other)


def test_a_worker_that_does_not_start_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is missing, an interpreter that is, Pillow that is, one that never gets ready: an error each, and the place is free again."""

    async def scenario() -> None:
        decoder = Decoder(DecoderLimits(), "gateway.imaging.nothing")
        for _ in range(2):
            with pytest.raises(DecodingUnavailable, match=r"does not come up.*exit status 1"):
                await convert(decoder, png(), OutputFormat.PNG)
        for patch in (no_interpreter, no_pillow, no_patience):
            async with decoding() as other:
                with monkeypatch.context() as context:
                    patch(context)
                    with pytest.raises(DecodingUnavailable):
                        await convert(other, png(), OutputFormat.PNG)
                await works(other)
        await decoder.aclose()

    run(scenario)


def no_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", "/nowhere/python")


def no_pillow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(importlib.util, "find_spec", lambda _: None)


def no_patience(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decode, "START_S_MAX", 0.01)


def test_the_event_loop_is_never_blocked(run: Run) -> None:
    """While a worker starts, 45 MB go to it and come back, and it is killed: no pause of 50 ms."""
    pauses_s: list[float] = []

    async def watch() -> None:
        last_s = time.perf_counter() - waited_s()
        while True:
            await asyncio.sleep(0.002)
            now_s = time.perf_counter() - waited_s()  # without what others took of the processor
            pauses_s[-1] = max(pauses_s[-1], now_s - last_s - 0.002)
            last_s = now_s

    async def scenario() -> None:
        picture = png() + os.urandom(45_000_000)
        for _ in range(ROUNDS):
            async with decoding() as decoder:
                pauses_s.append(0.0)
                watching = asyncio.create_task(watch())
                result = await convert(decoder, picture, OutputFormat.PNG, Fault.ECHO)
                await fails_with(decoder, Fault.SEGFAULT)
                watching.cancel()
                assert result == picture

    run(scenario)
    assert min(pauses_s) < BLOCKED_S_MAX, pauses_s


def test_more_bytes_than_any_picture_are_turned_away(run: Run) -> None:
    """Before a worker is started for them."""

    async def scenario() -> None:
        async with decoding() as decoder:
            with pytest.raises(ImageRefused, match="larger than 52428800 bytes; send a smaller one"):
                await convert(decoder, bytes(BYTES_MAX + 1), OutputFormat.PNG)
            assert decoder.workers == ()

    run(scenario)
