"""Gateways forked from a server process that has imported everything already: real processes, real kills, a start in a fraction of the time.

In such a process only, other adapters may stand in for those of a kind: for ways of finding a lost call again that no shipped one has. One is here,
of which nothing but a stored job id helps: EvoLink's with another key for every submit. How it fails: as GatewayProcess does.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import Signals
from typing import Any, cast

import tests.lookup_adapter  # noqa: F401 - the same
from gateway.app_office import open_office
from gateway.cli import main as cli
from gateway.config import load
from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.ids import new_attempt_id
from gateway.upstreams import registry
from gateway.upstreams.base import Adapter, UpstreamCall
from gateway.upstreams.evolink import EvoLinkAdapter, TaskBody
from tests.acceptance.gateway_process import GATEWAY, GatewayProcess, die_with_parent

BOOKS = ("ledger audit", "accounts list", "in-doubt list")
"""The commands that tell what the books contain."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [__name__, "gateway.app", "gateway.cli.welcome", "gateway.upstreams.openai", "gateway.upstreams.sandbox", "uvloop"]
)


class JobOnlyAdapter(EvoLinkAdapter):
    """An upstream without idempotency keys: a submit that is sent again is another job, and another bill."""

    def capabilities(self, upstream_model: str) -> Capabilities:
        return replace(super().capabilities(upstream_model), recovery=Recovery.ASYNC_JOB)

    async def _submit(self, call: UpstreamCall, deadline_s: float) -> TaskBody:
        return await super()._submit(replace(call, attempt_id=new_attempt_id()), deadline_s)


class _Forked:
    """A forked process with the verbs of subprocess.Popen that GatewayProcess needs."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("gateway serve", timeout or 0)
        return code

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: Signals) -> None:
        os.kill(self._process.pid or 0, number)


class ForkedGateway(GatewayProcess):
    """A GatewayProcess that starts fast."""

    stand_ins: Mapping[str, type[Adapter]] = {}
    """The adapter in place of each of these kinds."""

    def __init__(self, folder: Path, config: Mapping[str, object], *, key: str) -> None:
        super().__init__(folder, config, key=key)
        self._told: dict[str, dict[str, Any]] = {}

    def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        """Of a gateway that has nothing more to do: what it says once it says until its next start, and PostgreSQL all at once."""
        assert not arguments, "only the books are asked for"
        if not self._told:
            if (self.folder / "var/gateway.sock").exists():
                self._told = {each: super(ForkedGateway, self).ask(each) for each in BOOKS}
            else:
                self._told = asyncio.run(_ask_database(self.config_path))
        return self._told[command]

    def launch(self, *arguments: str, command: Sequence[str | Path] = (GATEWAY,)) -> None:
        assert self._process is None, "this gateway runs already"
        self._starts += 1
        self._told.clear()
        process = _CONTEXT.Process(
            target=_serve,
            args=(self.folder, self.environ, (*self.arguments, *arguments), self._file("out"), self._file("err"), self.stand_ins),
            daemon=True,
        )  # fmt: skip
        for kind in ("out", "err"):
            self._file(kind).touch()
        process.start()
        self._process = _Forked(process)


async def _ask_database(config_path: Path | None) -> dict[str, dict[str, Any]]:
    told = {}
    async with open_office(load(config_path), SystemClock(), migrating=False) as office:
        for command in BOOKS:
            report = await office.operator.run(command, {})
            told[command] = {"rows": list(report.rows), "message": report.message, "failed": report.failed}
    return told


def _serve(
    folder: Path,
    environ: Mapping[str, str],
    arguments: Sequence[str],
    out: Path,
    err: Path,
    stand_ins: Mapping[str, type[Adapter]],
) -> None:
    """In the forked process: `gateway serve …`."""
    if sys.platform == "linux":
        die_with_parent()
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    genuine = registry.adapter_class
    cast(Any, registry).adapter_class = lambda kind: stand_ins.get(kind) or genuine(kind)
    cli.app(["serve", *arguments])
