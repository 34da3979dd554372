"""An emulator as a process of its own: the child's main loop, and the parent's handle on it.

The child prints one JSON line `{"base_url", "origin", "control_url", "api_key", "pid"}` and serves until SIGTERM or
SIGINT, or, with `--until-stdin-closes`, until its parent is gone: an emulator never outlives a killed test run.

`EmulatorProcess` speaks to the child synchronously over the control port; a child that does not start raises
RuntimeError with what it printed.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Self

import orjson
import uvloop

from tests.emulators import behaviours as b
from tests.emulators.base import Emulator, Options
from tests.emulators.records import BILLS, RECEIVED, Bill, Received
from tests.forked import fork_server

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("uvloop", *(f"tests.emulators.{name}" for name in ("process", "compatible", "delivery", "tasks")))
"""What all vendors' modules import, but none of these themselves: each is run as the main one."""
_ANSWER_TIMEOUT_S = 60.0  # the control API answers at once; longer means that the child is stuck
_STOP_TIMEOUT_S = 30.0


def run(parser: argparse.ArgumentParser, build: Callable[[argparse.Namespace], Emulator]) -> None:
    """The child: read the common options, build the vendor's emulator, serve until told to stop."""
    options = parsed(parser)
    emulator = build(options)
    if options.delay:
        emulator.always(b.Succeed(delay_s=options.delay))
    uvloop.run(_serve(emulator, options.port, options.until_stdin_closes))


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The vendor's options and the common ones."""
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--state-file", type=Path, help="keeps bills and requests over a restart, one JSON line each")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer of a create")
    parser.add_argument("--api-key", default="sk-emulator")
    parser.add_argument("--picture-bytes", type=int, default=0, help="padding, for pictures as heavy as real ones")
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser.parse_args(arguments)


def common(options: argparse.Namespace) -> Options:
    """What every vendor's emulator takes, from the command line."""
    state_file: Path | None = options.state_file
    return Options(api_key=options.api_key, state_file=state_file, picture_bytes=options.picture_bytes)


async def _serve(emulator: Emulator, port: int, until_stdin_closes: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await emulator.start(port)
    facts = {
        "base_url": emulator.base_url,
        "origin": emulator.origin,
        "control_url": emulator.control_url,
        "api_key": emulator.api_key,
        "pid": os.getpid(),
    }
    sys.stdout.write(orjson.dumps(facts).decode() + "\n")
    sys.stdout.flush()
    if until_stdin_closes:
        threading.Thread(target=_wait_for_parent, args=(loop, stop), daemon=True).start()
    await stop.wait()
    await emulator.stop()


def _wait_for_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not sys.stdin.read: its lock would trouble the interpreter's exit
        pass
    loop.call_soon_threadsafe(stop.set)


class EmulatorProcess:
    """The parent's handle: the same verbs as `Emulator`, spoken to another process."""

    def __init__(self, kind: str, *arguments: str) -> None:
        module = f"tests.emulators.{kind}"
        self._until: int | None
        theirs, self._until = os.pipe()
        said, says = os.pipe()
        with open(theirs, "rb") as stdin, open(says, "wb") as stdout:
            # What `python -m module` does.
            self._process = fork_server(*MODULES).start(
                "runpy:run_module", (module, None, "__main__", True), argv=(module, "--until-stdin-closes", *arguments),
                environ=os.environ, folder=ROOT, stdin=stdin, stdout=stdout,
            )  # fmt: skip
        with open(said, "rb") as output:
            line = output.readline()
        if not line:
            self.stop()
            raise RuntimeError(f"the emulator {kind} ended with {self._process.returncode} before it listened")
        facts = orjson.loads(line)
        self.base_url: str = facts["base_url"]
        self.origin: str = facts["origin"]
        self.control_url: str = facts["control_url"]
        self.api_key: str = facts["api_key"]
        self.pid: int = facts["pid"]

    @property
    def bills(self) -> list[Bill]:
        """Everything billed until now, oldest first."""
        return BILLS.validate_python(orjson.loads(self._call("bills"))["bills"])

    @property
    def billed_usd(self) -> Decimal:
        """The sum of the bills, unrounded."""
        return Decimal(orjson.loads(self._call("bills"))["usd"])

    @property
    def billed_images(self) -> int:
        """How many pictures were billed."""
        return int(orjson.loads(self._call("bills"))["images"])

    @property
    def requests(self) -> list[Received]:
        """Every request until now, oldest first."""
        return RECEIVED.validate_python(orjson.loads(self._call("requests"))["requests"])

    def always(self, behaviour: b.Behaviour, *, at: str = "create") -> None:
        """What happens when neither a rule nor the queue says otherwise."""
        self._change(b.Change(at=at, always=behaviour))

    def next(self, *behaviours: b.Behaviour, at: str = "create") -> None:
        """One behaviour for each of the next calls."""
        self._change(b.Change(at=at, next=behaviours))

    def when(self, text: str, behaviour: b.Behaviour, *, at: str = "create") -> None:
        """What happens to every call whose prompt contains the text."""
        self._change(b.Change(at=at, when=text, behaviour=behaviour))

    def reset(self) -> None:
        """Forget bills, requests, script and the vendor's state."""
        self._call("reset", b"")

    def release(self) -> None:
        """Let every hanging call go on."""
        self._call("release", b"")

    def refuse_connections(self) -> None:
        """Stop listening and drop every connection."""
        self._call("refuse", b"")

    def accept_connections(self) -> None:
        """Listen again where it did before."""
        self._call("accept", b"")

    def stop(self) -> None:
        """End the child and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._until is not None:
            os.close(self._until)
            self._until = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _change(self, change: b.Change) -> None:
        self._call("behaviour", b.CHANGE.dump_json(change, exclude_none=True))

    def _call(self, what: str, data: bytes | None = None) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind a proxy
        with opener.open(f"{self.control_url}/{what}", data, timeout=_ANSWER_TIMEOUT_S) as answer:
            content: bytes = answer.read()
            return content
