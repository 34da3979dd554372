"""What is wrong, or may be, with the catalogue as it is served: for `check-config`, the start and `catalog check` alike.

Judges by the very plan that calls get (`routing.plan` over what each upstream's adapter says it can do), so that nothing is said of an offer that
would not be tried. Refuses nothing: what makes a config unusable is a problem of config_catalog.py. It fails with nothing but a finding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import isqrt

from gateway.domain import money
from gateway.domain.catalog import Model, PixelRange, PriceTable
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Pixels, Quality, parse_pixels
from gateway.routing.plan import Candidate, NotAble, PlannedOffer, plan
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.registry import build

MODELS_REMEMBERED = 256
"""More than a catalogue has; a few kilobytes each."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator. `warning`: something to know, not something to mend."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class PriceOrigin:
    """Where an offer's price comes from, and the day on which it was read there; None where the catalogue does not say."""

    model: str
    offer: str
    source: str | None
    as_of: date | None


def findings_of_models(
    models: Mapping[str, Model], upstreams: Iterable[UpstreamSettings], credits_per_usd: Decimal
) -> list[Finding]:
    """Sizes and qualities that a model lists and no offer makes, and offers that cost more than the model's fixed charge brings in."""
    # Imported here: the form of a config is checked, and every command's help printed, without an HTTP client.
    from concurrent.futures import ThreadPoolExecutor

    from gateway.upstreams.wire import Resources

    # Adapters open nothing before their first call; these are asked what they can do, and forgotten.
    resources = Resources(SystemClock(), ThreadPoolExecutor(1))
    adapters = {settings.name: build(settings, resources) for settings in upstreams}
    found: list[Finding] = []
    for model in models.values():
        candidates = tuple(
            (offer, adapters[offer.upstream].capabilities(offer.upstream_model))
            for offer in model.offers
            if offer.upstream in adapters
        )
        found += _of_model(model, candidates, credits_per_usd)
    return found


@lru_cache(maxsize=MODELS_REMEMBERED)  # it plans a hundred calls; a reload does so for what has changed
def _of_model(model: Model, candidates: tuple[Candidate, ...], credits_per_usd: Decimal) -> tuple[Finding, ...]:
    return (*_not_made(model, candidates), *_losses(model, candidates, credits_per_usd))


def findings_of_markups(models: Mapping[str, Model], general: Decimal, orgs: Mapping[str, Decimal]) -> list[Finding]:
    """Markups below 1, and the models without a fixed charge that they sell below what upstreams take; `orgs` by name. In order of precedence."""
    by_cost = [model for model in models.values() if model.charge_microcredits is None]
    places = [(f"org {org}", markup, by_cost) for org, markup in orgs.items()]
    places += [(f"model {model.name}", model.markup, [model]) for model in by_cost if model.markup is not None]
    places.append(("the config", general, [model for model in by_cost if model.markup is None]))
    return [
        Finding(
            f"{place}: a markup of {markup} charges less than upstreams take, for every offer of {', '.join(model.name for model in sold)}",
            warning=True,
        )
        for place, markup, sold in places
        if markup < 1 and sold
    ]


def findings_of_origins(origins: Sequence[PriceOrigin], today: date, age_days_max: float) -> list[Finding]:
    """Prices of which nobody knows where or when they were read, and, as warnings, those that were read too long ago."""
    found: list[Finding] = []
    for origin in origins:
        of = f"model {origin.model}: the price of {origin.offer}"
        missing = [name for name, value in (("source", origin.source), ("as_of", origin.as_of)) if not value]
        if missing:
            found.append(Finding(f"{of} has no {' and no '.join(missing)}: write where and on which day it was read"))
        elif origin.as_of is not None and origin.as_of > today:
            found.append(Finding(f"{of} was read on {origin.as_of}, which is yet to come"))
        elif origin.as_of is not None and (today - origin.as_of).days > age_days_max:
            age = f"{(today - origin.as_of).days} days ago ({origin.as_of})"
            found.append(Finding(f"{of} was read {age}: read it again at {origin.source}", warning=True))
    return found


def _not_made(model: Model, candidates: Sequence[Candidate]) -> list[Finding]:
    """One finding for the sizes that cannot be had at all, and one a quality for those that cannot be had in it."""
    never: list[str] = []
    missing: dict[Quality, list[str]] = {}
    for size in model.sizes.listed:
        lacking = [
            quality for quality in model.qualities if not _planned(model, candidates, size, quality)
        ]  # fmt: skip
        if len(lacking) == len(model.qualities):
            never.append(size)
            continue
        for quality in lacking:
            missing.setdefault(quality, []).append(size)
    texts = [f"model {model.name}: none of its offers that are on makes {', '.join(never)}"] if never else []
    texts += [
        f"model {model.name}: none of its offers that are on makes {', '.join(sizes)} at quality {quality}"
        for quality, sizes in missing.items()
    ]
    return [Finding(text) for text in texts]


def _losses(model: Model, candidates: Sequence[Candidate], credits_per_usd: Decimal) -> list[Finding]:
    """One finding an offer: the size and quality at which a picture costs most, and more than the charge. The prompt's tokens come on top."""
    if model.charge_microcredits is None:
        return []
    income = int(model.charge_microcredits / credits_per_usd)
    worst: dict[str, tuple[int, str]] = {}
    for size in _sizes_to_price(model):
        # What a caller leaves open is taken at its dearest, so it goes last: the size and quality that cost as much are named instead.
        for quality in sorted(model.qualities, key=lambda quality: quality is Quality.AUTO):
            for planned in _planned(model, candidates, size, quality):
                cost = planned.most_microusd
                if cost > worst.get(planned.offer.id, (income, ""))[0]:
                    made = dict(planned.offer.params).get("quality", quality)
                    worst[planned.offer.id] = (cost, f"{size} at quality {made}")
    return [
        Finding(
            f"model {model.name}: {offer} costs {money.format_micro(cost)} USD a picture of {what}, the fixed charge of "
            f"{money.format_micro(model.charge_microcredits)} credits brings in {money.format_micro(income)} USD"
        )
        for offer, (cost, what) in worst.items()
    ]


def _planned(model: Model, candidates: Sequence[Candidate], size: str, quality: Quality) -> tuple[PlannedOffer, ...]:
    """The offers that would be tried for one picture; empty where none can make it."""
    request = ImageRequest(model.name, "", size=size, pixels=model.sizes.resolve(size), quality=quality)
    found = plan(request, model, candidates)
    return () if isinstance(found, NotAble) else found.offers


def _sizes_to_price(model: Model) -> list[str]:
    """The listed sizes, `auto` last; where any size of a range may be asked for, also its largest square and those that a price table names."""
    sizes = sorted(model.sizes.listed, key=lambda size: size == "auto")
    span = model.sizes.pixel_range
    if span is not None:
        named = {row.size for offer in model.offers if isinstance(offer.price, PriceTable) for row in offer.price.table}
        inside = {size for size in named if size and (pixels := parse_pixels(size)) and span.allows(pixels)}
        sizes = [*sorted({str(_largest(span)), *inside} - set(sizes)), *sizes]
    return sizes


def _largest(span: PixelRange) -> Pixels:
    """By area and by every formula the dearest: a square, as large as edges and area may be."""
    edge = min(span.edge_max, isqrt(span.area_max)) // span.multiple_of * span.multiple_of
    return Pixels(edge, edge)
