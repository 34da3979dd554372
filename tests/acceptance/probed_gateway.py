"""A gateway that writes down how long its event loop stood still: for tests of load.

A tick every few milliseconds in place of the gateway's own watch. A late tick counts less what its thread waited for a processor that others had
(schedstat of Linux): what is left are callbacks that ran long, and other threads of the gateway that held the interpreter.
How it fails: as GatewayProcess does; without a schedstat nothing is taken off.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from gateway import app
from gateway.cli.main import main
from gateway.domain.clock import Clock, SystemClock
from tests.acceptance.gateway_process import MODULES, GatewayProcess, Process
from tests.forked import fork_server
from tests.run_queue import waited_s as of_this_thread_s

TICK_S = 0.004
WRITTEN_S_MIN = 0.01
FILE = "loop.txt"


@dataclass(frozen=True, slots=True)
class Block:
    """One late tick; seconds."""

    at_s: float
    """Of the monotonic clock, at its end."""
    late_s: float
    """By the clock on the wall."""
    waited_s: float
    """Of it, for a processor."""
    busy_s: float
    """Of it, on a processor: the loop's own callbacks."""

    @property
    def block_s(self) -> float:
        """Without what others on this machine took."""
        return max(0.0, self.late_s - self.waited_s)


class ProbedGateway(GatewayProcess):
    """A GatewayProcess whose loop is looked at."""

    def blocks(self, since_s: float = 0.0) -> list[Block]:
        """Those that were worth writing down, from a time on."""
        lines = (self.folder / FILE).read_text().splitlines()
        found = [Block(*map(float, line.split())) for line in lines]
        return [block for block in found if block.at_s >= since_s]

    def _fork(self, argv: Sequence[str], out: IO[bytes], err: IO[bytes]) -> Process:
        return fork_server(*MODULES).start(
            f"{__name__}:run", (str(self.folder / FILE),), argv=argv, environ=self.environ, folder=self.folder, stdout=out, stderr=err
        )  # fmt: skip


def run(path: str) -> None:
    """In the forked process: `gateway …`."""

    def open_lines() -> IO[str]:
        return Path(path).open("w", buffering=1)

    async def watch(observe: Callable[[float], None], interval_s: float = TICK_S, clock: Clock = SystemClock()) -> None:
        with open_lines() as file:
            waited_s, busy_s = of_this_thread_s(), time.thread_time()
            while True:
                due_s = clock.monotonic_s() + TICK_S
                await asyncio.sleep(TICK_S)
                now_s = clock.monotonic_s()
                observe(max(0.0, now_s - due_s))
                before_s, was_busy_s = waited_s, busy_s
                waited_s, busy_s = of_this_thread_s(), time.thread_time()
                if now_s - due_s >= WRITTEN_S_MIN:
                    file.write(f"{now_s} {now_s - due_s} {waited_s - before_s} {busy_s - was_busy_s}\n")

    cast(Any, app).watch_loop_lag = watch
    main()
