"""What the root tells administration of upstreams: how they are configured, how they work now, and a test of one.

How it fails: a test answers what failed; nothing here raises.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from gateway.administration.upstreams import ConfiguredUpstream, LeftAlone, ListedPrice, LiveUpstream, Tested
from gateway.config import Config
from gateway.domain.clock import Clock
from gateway.limits.slots import Slots
from gateway.routing.health import Circuits
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources

TEST_S = 15.0
"""Of one test: longer, and an operator takes it for hung."""


def configured(config: Config) -> list[ConfiguredUpstream]:
    """Those that are on, then those that are off."""
    prices: dict[str, list[ListedPrice]] = {}
    origins = {(origin.model, origin.offer): origin for origin in config.price_origins}
    for name, model in config.catalog.models.items():
        for offer in model.offers:
            origin = origins.get((name, offer.id))
            listed = ListedPrice(name, offer, origin.source if origin else None, origin.as_of if origin else None)
            prices.setdefault(offer.upstream, []).append(listed)
    on = [
        ConfiguredUpstream(
            up.name, up.kind, None, tuple(dict.fromkeys(each.offer.id for each in listed)), tuple(listed)
        )
        for up in config.upstreams
        for listed in [prices.get(up.name, [])]
    ]
    return on + [ConfiguredUpstream(off.name, off.kind, off.reason) for off in config.upstreams_off]


def live(config: Config, circuits: Circuits, slots: Slots) -> Mapping[str, LiveUpstream]:
    """By name, of those that are on."""
    alone = {
        name: LeftAlone(circuit.fault.value, round(circuit.reopens_in_s, 1), circuit.alert)
        for name, circuit in circuits.open_offers().items()
    }
    return {
        upstream.name: LiveUpstream(
            slots.taken(upstream.name),
            {name: item for name, item in alone.items() if name.partition("/")[0] == upstream.name},
        )
        for upstream in config.upstreams
    }


async def test(config: Config, clock: Clock, name: str) -> Tested:
    """By an adapter of its own, so that it says the same beside a running gateway and without one. Never a paid call."""
    settings = next(upstream for upstream in config.upstreams if upstream.name == name)
    with ThreadPoolExecutor(1, thread_name_prefix="test") as threads:
        try:
            adapter = build(settings, Resources(clock, threads, egress=config.egress))
        except ValueError as exc:
            return Tested(name, settings.kind, False, str(exc))
        try:
            return Tested(name, settings.kind, True, await adapter.check(clock.monotonic_s() + TEST_S))
        except UpstreamFailure as exc:
            return Tested(name, settings.kind, False, f"{exc.fault.value}: {exc.message}")
        finally:
            await adapter.close()
