"""From the catalogue's text to the domain's Catalog: which models are served, by which offers, given the upstreams that are on.

Owns the rules between models and upstreams: a sandbox offer stays only while none of the model's other offers is on, offers of upstreams that
are off go, a model without offers goes, a model past its last day goes; each with a finding. Problems are collected, nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from gateway.config_findings import Finding, PriceOrigin
from gateway.config_schema import check, nearest
from gateway.config_sections import CostSection, ModelSection, OfferSection
from gateway.config_text import Plain, Problems, join, read_file
from gateway.domain import money
from gateway.domain.catalog import (
    Catalog,
    Model,
    Offer,
    PerImage,
    PerMegapixel,
    PixelRange,
    Price,
    PriceFormula,
    PriceRow,
    PriceTable,
    SizeRule,
    TokenPrice,
)
from gateway.domain.images import Background, OutputFormat, Quality, parse_pixels, parse_ratio
from gateway.routing.quote import FORMULAS

DEFAULT_MODEL = "gpt-image-2"
DEFAULT_ALIASES = {"dall-e-3": "gpt-image-2", "dall-e-2": "gpt-image-2"}

_PARAMS: Mapping[str, tuple[str, ...] | None] = {
    "quality": tuple(Quality),
    "background": tuple(Background),
    "output_format": tuple(OutputFormat),
    "moderation": ("auto", "low"),
    "style": ("vivid", "natural"),
    "output_compression": None,
}
"""Parameters of the image contract that an offer may fix, with their values; None: any number."""


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """What the catalogue must know of the upstreams: which are on, which of them only draw, and all names that an offer may use."""

    on: frozenset[str]
    sandboxes: frozenset[str]
    known: frozenset[str]


@dataclass(slots=True)
class ModelsFound:
    """All models of the catalogue, served or not, and what there is to say about them and about their prices."""

    served: dict[str, Model] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    """Models and aliases that are not served."""
    origins: list[PriceOrigin] = field(default_factory=list)
    """Of the price of every offer, on or not, of the models that have not ended."""


def shipped_catalog_path() -> Path:
    """The one shipped catalogue: inside the package when installed as a wheel, beside it in a working copy."""
    package = Path(__file__).parent
    inside = package / "catalog.yaml"
    return inside if inside.is_file() else package.parent / "config" / "catalog.yaml"


def read_models(
    catalog: Path, inline: Mapping[str, Plain], environ: Mapping[str, str], problems: Problems
) -> dict[str, ModelSection]:
    """The file's models with the inline ones laid over them: given keys replace the file's keys, new names are added."""
    raw = read_file(catalog, environ, problems, "catalog")
    for name in sorted(raw.keys() - {"models"}):
        problems.add(f"{catalog.name}: {name}", None, "is no key of a catalogue", nearest(name, ("models",)))
    models = raw.get("models") or {}
    if not isinstance(models, dict):
        problems.add(f"{catalog.name}: models", models, "is not a mapping", "Write the models by name.")
        models = {}
    sections: dict[str, ModelSection] = {}
    for name in [*models, *(name for name in inline if name not in models)]:
        base, over = models.get(name, {}), inline.get(name, {})
        key = join("models" if name in inline else f"{catalog.name}: models", name)
        if not isinstance(base, dict) or not isinstance(over, dict):
            problems.add(key, None, "is not a mapping", "Write the model's keys: sizes, prompt_tokens_max and offers.")
            continue
        section = check(ModelSection, base | over, problems, key)
        if section is not None:
            sections[name] = section
            _check_model(section, key, problems)
    return sections


def build_models(
    sections: Mapping[str, ModelSection], upstreams: UpstreamNames, today: date, problems: Problems
) -> ModelsFound:
    """Domain models with the offers that can be served now."""
    found = ModelsFound(known=set(sections))
    for name, section in sections.items():
        offers = _offers(section, join("models", name), upstreams, problems)
        if section.until is not None and today >= section.until:
            found.findings.append(Finding(f"model {name} is not served: it ended on {section.until}", warning=True))
            continue
        for offer, item in zip(offers, section.offers, strict=True):
            found.origins.append(PriceOrigin(name, offer.id, item.cost.source, item.cost.as_of))
        on = [offer for offer in offers if offer.upstream in upstreams.on]
        real = tuple(offer for offer in on if offer.upstream not in upstreams.sandboxes)
        served = real or tuple(on)
        if served:
            found.served[name] = _model(name, section, served)
        else:
            off = ", ".join(sorted({offer.upstream for offer in offers}))
            found.findings.append(Finding(f"model {name} is not served: none of its upstreams is on ({off})"))
    return found


def build_catalog(
    found: ModelsFound, aliases: Mapping[str, str] | None, default_model: str | None, problems: Problems
) -> Catalog:
    """Aliases and the default checked against all known models; those that lead to a model not served are left out with a finding."""
    for alias, target in (aliases or {}).items():
        key = join("aliases", alias)
        if target not in found.known:
            problems.add(key, target, "is no model", nearest(target, sorted(found.known)))
        elif alias in found.known:
            problems.add(key, target, "a model has this name itself", "Choose another alias, or rename the model.")
        elif target not in found.served:
            found.findings.append(Finding(f"alias {alias} is not served: its model {target} is not"))
    wanted = DEFAULT_ALIASES if aliases is None else aliases
    kept = {alias: target for alias, target in wanted.items() if target in found.served and alias not in found.known}
    known = sorted({*found.known, *wanted})
    if default_model is not None and default_model not in known:
        problems.add("default_model", default_model, "is no model", nearest(default_model, known))
    wish = default_model or DEFAULT_MODEL
    first = next(iter(found.served), wish)
    if kept.get(wish, wish) not in found.served and found.served and (default_model is not None or wish in found.known):
        found.findings.append(Finding(f"default_model {wish} is not served: {first} takes its place"))
    default = wish if kept.get(wish, wish) in found.served else first
    return Catalog(found.served, kept, default)


def _check_model(section: ModelSection, key: str, problems: Problems) -> None:
    rule = SizeRule(section.sizes)
    for index, size in enumerate(section.sizes):
        place = join(join(key, "sizes"), index)
        if size != "auto" and parse_pixels(size) is None and parse_ratio(size) is None:
            problems.add(place, size, "is no size", "Write auto, pixels such as 1024x1024, or a ratio such as 2:3.")
            continue
        try:
            rule.resolve(size)
        except ValueError:
            problems.add(
                place, size, "no listed pixel size has this ratio", "List one as well, such as 1024x1024 for 1:1."
            )
    for index, offer in enumerate(section.offers):
        place = join(join(key, "offers"), index)
        if offer.cost.formula is not None and offer.cost.formula not in FORMULAS:
            problems.add(
                f"{place}.cost.formula",
                offer.cost.formula,
                "is no published formula",
                nearest(offer.cost.formula, tuple(FORMULAS)),
            )
        for name, value in offer.params.items():
            _check_param(f"{place}.params.{name}", name, value, problems)


def _check_param(key: str, name: str, value: str, problems: Problems) -> None:
    if name not in _PARAMS:
        problems.add(key, value, "is no parameter that an offer can fix", nearest(name, tuple(_PARAMS)))
        return
    values = _PARAMS[name]
    if value not in values if values is not None else not (value.isdigit() and int(value) <= 100):
        problems.add(
            key, value, f"is no value of {name}", f"Write {', '.join(values) if values else 'a number from 0 to 100'}."
        )


def _offers(section: ModelSection, key: str, upstreams: UpstreamNames, problems: Problems) -> list[Offer]:
    offers: list[Offer] = []
    ids: dict[str, int] = {}
    for index, item in enumerate(section.offers):
        if item.upstream not in upstreams.known:
            place = f"{join(join(key, 'offers'), index)}.upstream"
            problems.add(place, item.upstream, "is no upstream", nearest(item.upstream, sorted(upstreams.known)))
        offer_id = f"{item.upstream}/{item.model}"
        ids[offer_id] = ids.get(offer_id, 0) + 1
        if ids[offer_id] > 1:  # the same model with other fixed parameters
            offer_id = f"{offer_id}#{ids[offer_id]}"
        offers.append(_offer(offer_id, item))
    return offers


def _offer(offer_id: str, item: OfferSection) -> Offer:
    return Offer(
        id=offer_id,
        upstream=item.upstream,
        upstream_model=item.model,
        price=_price(item.cost),
        params=tuple(sorted(item.params.items())),
        extra=tuple(sorted(item.extra.items())),
        on_unknown=item.on_unknown,
        n_max=item.n_max,
    )


def _price(cost: CostSection) -> Price:
    if cost.per_image_usd is not None:
        return PerImage(cost.per_image_usd, cost.per_reference_usd)
    if cost.per_megapixel_usd is not None:
        return PerMegapixel(cost.per_megapixel_usd, cost.whole_megapixels, cost.per_reference_usd)
    if cost.table is not None:
        rows = tuple(PriceRow(row.usd, row.size, row.quality, row.step) for row in cost.table)
        return PriceTable(rows, cost.per_reference_usd)
    if cost.tokens is not None:
        tokens = cost.tokens
        return TokenPrice(
            tokens.text_in,
            tokens.image_in,
            tokens.image_out,
            tokens.image_out_tokens_max,
            image_out_tokens=tuple(sorted(tokens.image_out_tokens.items())),
            text_out=tokens.text_out,
            text_out_tokens_max=tokens.text_out_tokens_max,
            own_tokenizer=tokens.own_tokenizer,
            image_in_tokens_max=tokens.image_in_tokens_max,
        )
    return PriceFormula(cost.formula or "", cost.round_up_usd)


def _model(name: str, section: ModelSection, offers: Sequence[Offer]) -> Model:
    span = section.size_range
    model = Model(
        name=name,
        response=section.response,
        prompt_tokens_max=section.prompt_tokens_max,
        sizes=SizeRule(
            section.sizes,
            None
            if span is None
            else PixelRange(span.multiple_of, span.ratio_max, span.edge_max, span.area_min, span.area_max),
        ),
        n=tuple(sorted(set(section.n))),
        offers=tuple(offers),
        estimated_time_s=max(1, round(section.estimated_time)),
        charge_microcredits=None if section.charge is None else money.to_micro(section.charge.credits),
        markup=section.markup,
        qualities=section.qualities,
        image_urls_max=section.image_urls_max,
        convert=section.convert,
        cache=section.cache,
        owned_by=section.owned_by,
    )
    if section.created_at is None:
        return model
    return replace(model, created_at_s=int(datetime.combine(section.created_at, time(), UTC).timestamp()))
