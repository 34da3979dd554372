"""`gateway serve` with the loop probe beside it: `python -m bench.watched CONFIG BLOCKS`. Everything else is as the command does it."""

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop

from bench import loop_probe
from gateway.app import serve
from gateway.config import load


async def main(config: Path, blocks: Path) -> None:
    async with asyncio.TaskGroup() as group:
        probe = group.create_task(loop_probe.watch(blocks))
        await serve(load(config), lambda _: None)
        probe.cancel()


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
