"""Writers of several processes that share an org: `python -m bench.shared_pairs URL CALLERS S PROCESSES` prints what ledger_pairs does.

The callers are shared out among the processes, which are measured in the same seconds. How it fails: RuntimeError where one of them ends early.
"""

import asyncio
import sys
from pathlib import Path

import orjson

ROOT = Path(__file__).parents[1]


async def measured(url: str, callers: int, seconds: float, processes: int) -> dict[str, float]:
    """The sums of all processes."""
    counts = [callers // processes + (number < callers % processes) for number in range(processes)]
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.ledger_pairs", url, str(count), str(seconds), "--on-word", cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for count in counts
    ]  # fmt: skip
    try:
        for process in running:
            if process.stdout is None or await process.stdout.readline() != b"ready\n":
                raise RuntimeError("a process of writers has ended; its traceback stands above")
        told = await asyncio.gather(*(process.communicate(b"go\n") for process in running))
        found = [orjson.loads(out) for out, _ in told]
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return {name: sum(each[name] for each in found) for name in found[0]}


if __name__ == "__main__":
    sys.stdout.buffer.write(
        orjson.dumps(asyncio.run(measured(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
    )
