"""Pictures are decoded in a few worker processes and nowhere else: the pool, its bounds, and what a failure means.

The workers start with the first pictures. A call waits its turn for a bounded time in a bounded queue, then has a worker for itself for a bounded
time. A worker goes back only after a whole answer; one that was left in the middle (time-out, cancelled call), crashed, failed inside a decoder or
did enough jobs is killed, and its place is free again when the process is gone. What comes back is as untrusted as what went in.

How it fails: ImageRefused when the picture is at fault, with a text for whoever sent it; DecodingUnavailable when the gateway is, with a text for
the log: another try may succeed. Must not interpret pictures itself.
"""

import asyncio
import logging
import signal
from dataclasses import dataclass

from gateway.domain.images import OutputFormat
from gateway.imaging.process import WorkerEnded, WorkerProcess
from gateway.imaging.protocol import Job, ProtocolBroken, Status, reason_text
from gateway.imaging.sniff import BYTES_MAX

log = logging.getLogger(__name__)

START_S_MAX = 15.0
"""From fork to ready takes some tenths of a second; this is for a machine on its knees."""
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP})
_MAGIC = {OutputFormat.PNG: b"\x89PNG", OutputFormat.JPEG: b"\xff\xd8\xff", OutputFormat.WEBP: b"RIFF"}


class ImageRefused(ValueError):
    """`reason` says what is wrong with the picture and what to do, without quoting its bytes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DecodingUnavailable(Exception):
    """No picture could be decoded now; says nothing about the picture."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """The bounds of everything. Memory and times are for photographs of 25 megapixels; noise of that size takes too long as WebP, and is refused."""

    workers: int = 1
    waiting_max: int = 64
    """Calls that wait for a worker, each with its picture in memory."""
    wait_s: float = 30.0
    job_s: float = 30.0
    cpu_s: int = 20
    """Processor time of one picture: less than job_s, so that a slow picture can be told from a slow machine."""
    memory_bytes: int = 1 << 30
    """Address space of one worker, Python and libraries included."""
    pixels_max: int = 25_000_000
    """A phone's 24 megapixels. Fewer than the header look allows: those are only stored."""
    jobs_max: int = 200
    """Pictures in a worker's life."""


class Decoder:
    """The pool. One a process; the root closes it last, when nobody calls any more."""

    def __init__(self, limits: DecoderLimits = DecoderLimits(), worker_module: str = "gateway.imaging.worker") -> None:
        self._limits, self._module = limits, worker_module
        self._places = asyncio.Semaphore(limits.workers)
        self._waiting = 0
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._burials: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    @property
    def workers(self) -> tuple[int, ...]:
        """The process ids of all workers that live."""
        return tuple(worker.pid for worker in (*self._idle, *self._busy))

    async def run(self, job: Job, picture: bytes) -> bytes:
        """The result's file. May be cancelled at any time."""
        if len(picture) > BYTES_MAX:
            raise ImageRefused(f"the picture is larger than {BYTES_MAX} bytes; send a smaller one")
        await self._take_place()
        worker, whole = self._take_idle(), False
        try:
            worker = worker or await self._start()
            await self._ready(worker)
            status, result = await self._exchange(worker, job, picture)
            whole = status is not Status.GAVE_UP and worker.jobs < self._limits.jobs_max
        finally:
            self._give_back(worker, whole=whole)
        if status is not Status.DONE:
            raise ImageRefused(reason_text(result))
        return result

    async def aclose(self) -> None:
        """End every worker and wait for their ends; calls under way fail with DecodingUnavailable."""
        self._closing.set()
        for worker in self._busy:
            worker.kill()
        while self._idle:
            self._bury(self._idle.pop(), place=False)
        for _ in range(self._limits.workers):
            await self._places.acquire()
        while self._burials:
            await asyncio.wait(self._burials)
        for _ in range(self._limits.workers):
            self._places.release()

    async def _take_place(self) -> None:
        if self._waiting >= self._limits.waiting_max:
            raise DecodingUnavailable(f"{self._waiting} pictures wait for a worker")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await self._places.acquire()
        except TimeoutError as exc:
            raise DecodingUnavailable(f"no worker was free for {self._limits.wait_s} s") from exc
        finally:
            self._waiting -= 1
        if self._closing.is_set():
            self._places.release()
            raise DecodingUnavailable("closing")

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                self._busy.add(worker)
                return worker
            log.warning("a decoding worker died while it was idle")
            self._bury(worker, place=False)
        return None

    async def _start(self) -> WorkerProcess:
        limits = self._limits
        arguments = (limits.memory_bytes, limits.cpu_s, limits.jobs_max, limits.pixels_max)
        try:
            worker = await WorkerProcess.start(self._module, *arguments)
        except (OSError, ProtocolBroken) as exc:
            raise DecodingUnavailable(f"a decoding worker cannot be started: {exc}") from exc
        self._busy.add(worker)
        return worker

    async def _ready(self, worker: WorkerProcess) -> None:
        try:
            async with asyncio.timeout(START_S_MAX):
                await worker.ready()
        except (TimeoutError, WorkerEnded, ProtocolBroken) as exc:
            log.error("a decoding worker does not come up: %r", exc)
            raise DecodingUnavailable(f"a decoding worker does not come up: {exc!r}") from exc

    async def _exchange(self, worker: WorkerProcess, job: Job, picture: bytes) -> tuple[Status, bytes]:
        try:
            async with asyncio.timeout(self._limits.job_s):
                status, result = await worker.perform(job, picture)
        except TimeoutError as exc:
            log.warning("a decoding worker took longer than %s s and is killed", self._limits.job_s)
            raise DecodingUnavailable(f"not done in {self._limits.job_s} s") from exc
        except WorkerEnded as exc:
            log.warning("%s", exc)
            raise _meaning(exc) from exc
        except ProtocolBroken as exc:
            log.error("a decoding worker broke the protocol: %s", exc)
            raise DecodingUnavailable(f"broken protocol: {exc}") from exc
        if status is Status.DONE and not result.startswith(_MAGIC[job.output_format]):
            log.error("a decoding worker answered with something that is not %s", job.output_format.value)
            raise DecodingUnavailable("a result of another format")
        return status, result

    def _give_back(self, worker: WorkerProcess | None, *, whole: bool) -> None:
        if worker is not None:
            self._busy.discard(worker)
        if worker is None or (whole and not self._closing.is_set()):
            self._idle += [worker] if worker is not None else []
            self._places.release()
        else:
            self._bury(worker, place=True)

    def _bury(self, worker: WorkerProcess, *, place: bool) -> None:
        """Kill it; with `place`, the place becomes free when it is gone, so that there are never more than so many."""
        burial = asyncio.create_task(self._burial(worker, place=place))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _burial(self, worker: WorkerProcess, *, place: bool) -> None:
        try:
            await worker.bury()
        finally:
            if place:
                self._places.release()


def _meaning(end: WorkerEnded) -> ImageRefused | DecodingUnavailable:
    """Whose fault a death is: SIGKILL is the machine's (or an operator's), the decoder's own crash the picture's."""
    number = -(end.status or 0)
    if number == signal.SIGXCPU:
        return ImageRefused("the picture takes too long to decode; send a smaller one")
    if number in _CRASHES:
        return ImageRefused("the picture cannot be decoded; save it anew")
    return DecodingUnavailable(str(end))
