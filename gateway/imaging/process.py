"""One worker process, seen from the gateway: started, given one job at a time, killed.

It gets a socket, a short environment without secrets, its own session and nothing else: no pipes, no inherited descriptors, no site-packages'
start-up files. Whoever stops waiting in the middle of an exchange must kill it, since half a message lies on the socket.
How it fails: WorkerEnded with the exit status; ProtocolBroken when it talks nonsense.
"""

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

from gateway.imaging import protocol
from gateway.imaging.protocol import Job, ProtocolBroken, Status

CHUNK_BYTES = 256 * 1024
"""What is taken from the socket at once at most."""
TURN_CHUNKS = 16
"""After so many everybody else has a turn: at most 4 MB."""
THREAD_BYTES = 4 * 1024 * 1024
"""Longer answers are put together in a thread."""
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1048576"}
"""glibc gives every picture back to the kernel when it is freed, instead of keeping blocks for the next one. Others ignore it."""


class WorkerEnded(Exception):
    """The process is gone, or its socket is. `status` as subprocess has it: negative for a signal, None where it is unknown."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"a decoding worker ended ({_status_name(status)})")
        self.status = status


class WorkerProcess:
    """Make it with `start`."""

    def __init__(self, process: Process, ours: socket.socket) -> None:
        self._process, self._socket = process, ours
        self._is_ready = False
        self.jobs = 0
        """How many it was given."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, module: str, *arguments: int) -> "WorkerProcess":
        """A process that says nothing yet: `ready` waits for it. If this is cancelled, the closed socket ends the process."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            # -S: no .pth files are run; -s, -P: no modules of the user or of the current folder; -B: it cannot write anyway.
            command = (sys.executable, "-S", "-s", "-P", "-B", "-m", module, *map(str, arguments))
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                stderr=DEVNULL,
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join(_import_paths()), **MALLOC},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    async def ready(self) -> None:
        """Until its decoders are loaded; at once if they are."""
        if self._is_ready:
            return
        try:
            protocol.unpack_answer(await self._receive(protocol.ANSWER_HEADER_BYTES), 0, 0)
        except OSError as exc:
            raise await self._ended() from exc
        self._is_ready = True

    async def perform(self, job: Job, picture: bytes) -> tuple[Status, bytes]:
        """The result's file, or a reason."""
        self.jobs += 1
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._socket, protocol.pack_job(self.jobs, job, len(picture)))
            await loop.sock_sendall(self._socket, picture)
            header = await self._receive(protocol.ANSWER_HEADER_BYTES)
            status, length = protocol.unpack_answer(header, self.jobs, job.bytes_max)
            return status, await self._receive(length)
        except OSError as exc:
            raise await self._ended() from exc

    def is_alive(self) -> bool:
        """Whether an idle worker still waits for a job. The kernel closes the socket before anybody is told of the death."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return self._process.returncode is None
        except OSError:
            return False
        return False  # closed, or it talks without having been asked

    def kill(self) -> None:
        """At once, whatever it does; an exchange that is under way ends with WorkerEnded."""
        if self._process.returncode is None:
            # Not Process.kill(): that looks first whether it ended, and takes the exit status away from the loop's own look-out.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def bury(self) -> None:
        """Kill it, close the socket, and wait until the kernel has forgotten it. Nobody else may be using it."""
        self.kill()
        self._socket.close()
        await self._process.wait()

    async def _receive(self, length: int) -> bytes:
        loop, chunks, missing = asyncio.get_running_loop(), list[bytes](), length
        while missing:
            chunk = await loop.sock_recv(self._socket, min(missing, CHUNK_BYTES))
            if not chunk:
                raise ConnectionResetError
            chunks.append(chunk)
            missing -= len(chunk)
            if len(chunks) % TURN_CHUNKS == 0:
                await asyncio.sleep(0)  # a fast worker always has more, and then nothing above waits
        # Copying 50 MB takes 20 ms, and 100 on a busy machine; bytes.join lets other threads run meanwhile.
        return await asyncio.to_thread(b"".join, chunks) if length > THREAD_BYTES else b"".join(chunks)

    async def _ended(self) -> WorkerEnded:
        self.kill()  # it may only have closed its socket
        return WorkerEnded(await self._process.wait())


def _import_paths() -> list[str]:
    """Where this very gateway is, and Pillow: all that a worker may import besides the standard library."""
    pillow = importlib.util.find_spec("PIL")
    if pillow is None or pillow.origin is None:
        raise ProtocolBroken("Pillow is not installed")
    return [str(Path(__file__).parents[2]), str(Path(pillow.origin).parents[1])]


def _status_name(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    return signal.Signals(-status).name
