"""What the tests of adapters with tasks share: an adapter before its vendor, what the pipeline would have stored, and one failure."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pytest

from gateway.domain.clock import SystemClock
from gateway.upstreams.base import Adapter, Generated, UpstreamCall, UpstreamFailure, UpstreamSettings
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators.base import Emulator
from tests.unit.upstreams.calls import a_call, an_offer

V = TypeVar("V", bound=Emulator)


@dataclass
class TaskBench(Generic[V]):
    """One adapter and its vendor."""

    vendor: V
    adapter: Adapter
    refs: list[str] = field(default_factory=list)
    polls_before_stored: int = -1

    async def generate(self, call: UpstreamCall | None = None) -> Generated:
        return await self.adapter.generate(call or a_call(offer=an_offer("gpt-image-2")), self._store)

    async def failure(self, call: UpstreamCall | None = None) -> UpstreamFailure:
        with pytest.raises(UpstreamFailure) as caught:
            await self.generate(call)
        return caught.value

    def count(self, at: str) -> int:
        return sum(received.at == at for received in self.vendor.requests)

    @property
    def sent(self) -> dict[str, object]:
        """The body of the last submit."""
        return next(dict(one.json or {}) for one in reversed(self.vendor.requests) if one.at == "create")

    async def _store(self, upstream_ref: str) -> None:
        self.polls_before_stored = self.count("poll")
        self.refs.append(upstream_ref)


@asynccontextmanager
async def opened(kind: str, vendor: V, base_url: str = "", **options: str) -> AsyncIterator[TaskBench[V]]:
    """The adapter of a kind before a vendor that is started already."""
    settings = UpstreamSettings(
        kind,
        kind,
        base_url=base_url or vendor.base_url,
        api_key=vendor.api_key,
        options={"poll_interval": "30ms"} | options,
    )
    with ThreadPoolExecutor(1) as threads:
        adapter = build(settings, Resources(SystemClock(), threads))
        try:
            yield TaskBench(vendor, adapter)
        finally:
            await adapter.close()
