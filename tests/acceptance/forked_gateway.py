"""Gateways forked from a server process that has imported everything already: real processes, real kills, a start in a fraction of the time.

Also declares, in such a process only, an upstream of which nothing but a stored job id helps to find a lost call again: EvoLink's adapter with
another key for every submit. How it fails: as GatewayProcess does.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import Signals
from typing import cast

import gateway.app  # noqa: F401 - what the fork server imports before it forks
from gateway import cli
from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.ids import new_attempt_id
from gateway.upstreams import registry
from gateway.upstreams.base import UpstreamCall
from gateway.upstreams.evolink import EvoLinkAdapter, TaskBody
from tests.acceptance.gateway_process import GATEWAY, GatewayProcess, die_with_parent

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "uvloop"])


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
    """A GatewayProcess that starts fast. With `job_only`, EvoLink has no idempotency keys."""

    job_only = False

    def launch(self, *arguments: str, command: Sequence[str | Path] = (GATEWAY,)) -> None:
        assert self._process is None, "this gateway runs already"
        self._starts += 1
        process = _CONTEXT.Process(
            target=_serve,
            args=(self.folder, self.environ, (*self.arguments, *arguments), self._file("out"), self._file("err"), self.job_only),
            daemon=True,
        )  # fmt: skip
        for kind in ("out", "err"):
            self._file(kind).touch()
        process.start()
        self._process = _Forked(process)


def _serve(
    folder: Path, environ: Mapping[str, str], arguments: Sequence[str], out: Path, err: Path, job_only: bool
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
    if job_only:
        cast(dict[str, object], registry._ADAPTERS)[EvoLinkAdapter.kind] = JobOnlyAdapter
    cli.app(["serve", *arguments])
