"""Gateways in which other adapters may stand in for those of a kind, and which are asked for their books as cheaply as it goes: for the crash matrix.

The stand-ins are for ways of finding a lost call again that no shipped one has. One is here,
of which nothing but a stored job id helps: EvoLink's with another key for every submit. How it fails: as GatewayProcess does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import tests.lookup_adapter  # noqa: F401 - the server is to know it
from gateway.app_office import open_office
from gateway.cli.main import main
from gateway.config import load
from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.ids import new_attempt_id
from gateway.upstreams import registry
from gateway.upstreams.base import Adapter, UpstreamCall
from gateway.upstreams.evolink import EvoLinkAdapter, TaskBody
from tests.acceptance import hurried
from tests.acceptance.gateway_process import MODULES, GatewayProcess, Process
from tests.forked import fork_server

BOOKS = ("ledger audit", "accounts list", "in-doubt list")
"""The commands that tell what the books contain."""


class JobOnlyAdapter(EvoLinkAdapter):
    """An upstream without idempotency keys: a submit that is sent again is another job, and another bill."""

    def capabilities(self, upstream_model: str) -> Capabilities:
        return replace(super().capabilities(upstream_model), recovery=Recovery.ASYNC_JOB)

    async def _submit(self, call: UpstreamCall, deadline_s: float) -> TaskBody:
        return await super()._submit(replace(call, attempt_id=new_attempt_id()), deadline_s)


class ForkedGateway(GatewayProcess):
    """A GatewayProcess with stand-ins."""

    stand_ins: Mapping[str, type[Adapter]] = {}
    """The adapter in place of each of these kinds."""
    hurried = False
    """Whether its waits are short (hurried.py)."""

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

    def _fork(self, argv: Sequence[str], out: IO[bytes], err: IO[bytes]) -> Process:
        self._told.clear()
        return fork_server(*MODULES).start(
            f"{__name__}:run", (self.stand_ins, self.hurried), argv=argv, environ=self.environ, folder=self.folder, stdout=out, stderr=err
        )  # fmt: skip


async def _ask_database(config_path: Path | None) -> dict[str, dict[str, Any]]:
    told = {}
    async with open_office(load(config_path), SystemClock(), migrating=False) as office:
        for command in BOOKS:
            report = await office.operator.run(command, {})
            told[command] = {"rows": list(report.rows), "message": report.message, "failed": report.failed}
    return told


def run(stand_ins: Mapping[str, type[Adapter]], hurry: bool) -> None:
    """In the forked process: `gateway …`."""
    if hurry:
        hurried.shorten()
    genuine = registry.adapter_class
    cast(Any, registry).adapter_class = lambda kind: stand_ins.get(kind) or genuine(kind)
    main()
