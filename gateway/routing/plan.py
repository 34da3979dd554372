"""Which offers can make this request, cheapest first, and how many pictures each call asks for.

Pure: the caller hands in the capabilities, circuits and budgets are looked at elsewhere. It fails by answering NotAble with one reason an offer.

An offer is able by operation, by the caller's pictures (how many, a mask, how they get there), by count (split where needed), by size, and by
having a price. Then the parameters that shape the picture
(`SHAPING`): where an able offer understands the caller's value, offers that do not leave the plan; where none does, the value is dropped and
reported. All other parameters are advisory: they never restrict, and are dropped and reported where no offer of the plan understands them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.domain.catalog import Capabilities, Model, Offer
from gateway.domain.considered import WHY_CHARS_MAX, Considered, Skip
from gateway.domain.images import Background, ImageRequest, OutputFormat, Quality
from gateway.domain.sizes import fit
from gateway.routing.quote import Quote, cost_usd

SHAPING = ("quality", "background", "output_format")
Candidate = tuple[Offer, Capabilities]


@dataclass(frozen=True, slots=True)
class PlannedOffer:
    """An offer of the plan with the price of the whole request."""

    offer: Offer
    capabilities: Capabilities
    expected_microusd: int
    most_microusd: int

    def parts(self, n: int) -> tuple[int, ...]:
        """How this offer makes `n` pictures: the count of each call."""
        return split(n, allowed_counts(self.offer, self.capabilities))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An offer that cannot make this request, and why; `param` is what it cannot do, where that is one thing."""

    offer: Offer
    param: str | None
    why: str

    def __str__(self) -> str:
        return f"{self.offer.id}: {self.why}"

    @property
    def considered(self) -> Considered:
        return Considered(self.offer.id, skipped=Skip.NOT_ABLE, said=self.why[:WHY_CHARS_MAX])


@dataclass(frozen=True, slots=True)
class Plan:
    """The able offers, cheapest first; parameters that none of them understands; why the other offers are not here."""

    offers: tuple[PlannedOffer, ...]
    dropped: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    considered: tuple[Considered, ...] = ()
    """Every offer of the model in the order of the plan, those that are not able at the end."""
    at_last: int = 0
    """How many of the offers, the last ones, are left alone now and tried only where nothing else is left."""

    @property
    def most_microusd(self) -> int:
        """The dearest offer's worst case: what must be held."""
        return max(offer.most_microusd for offer in self.offers)


@dataclass(frozen=True, slots=True)
class NotAble:
    """No offer can make this: one reason an offer, and the parameter at fault where it is the same for all."""

    reasons: tuple[LeftOut, ...]
    param: str | None = None


def plan(
    request: ImageRequest, model: Model, candidates: Sequence[Candidate], *, links: bool = False
) -> Plan | NotAble:
    """Orders the candidates for this very request by expected price, then worst case, then id.

    `links`: upstreams can fetch callers' pictures from this gateway; else those that take nothing but links cannot have any.
    """
    unable: list[LeftOut] = []
    quoted: list[tuple[Candidate, Quote]] = []
    for offer, capabilities in candidates:
        verdict = _pictures_unable(request, offer, capabilities, links=links) or _quote_or_unable(
            request, model, offer, capabilities
        )
        if isinstance(verdict, Quote):
            quoted.append(((offer, capabilities), verdict))
        else:
            unable.append(verdict)
    able = [candidate for candidate, _ in quoted]
    here = _honoured_here(request, model)
    wishes = [wish for wish in _shaping_wishes(request) if wish not in here]
    kept = {wish for wish in wishes if any(understands(request, wish, *candidate) for candidate in able)}
    planned: list[PlannedOffer] = []
    for (offer, capabilities), quote in quoted:
        missing = sorted(wish for wish in kept if not understands(request, wish, offer, capabilities))
        if missing:
            unable.append(LeftOut(offer, missing[0], f"does not understand {missing[0]} {_value(request, missing[0])}"))
        else:
            planned.append(PlannedOffer(offer, capabilities, quote.expected_microusd, quote.most_microusd))
    if not planned:
        params = {item.param for item in unable}
        return NotAble(tuple(unable), params.pop() if len(params) == 1 else None)
    planned.sort(key=lambda item: (item.expected_microusd, item.most_microusd, item.offer.id))
    wished = _wishes(request) - here
    dropped = {name for name in wished if not any(_is_sent(request, name, item) for item in planned)}
    if request.partial_images and not any(item.capabilities.streams for item in planned):
        dropped.add("partial_images")
    considered = [Considered(item.offer.id, item.expected_microusd, item.most_microusd) for item in planned]
    considered += [item.considered for item in unable]
    return Plan(tuple(planned), tuple(sorted(dropped)), tuple(unable), tuple(considered))


def understands(request: ImageRequest, name: str, offer: Offer, capabilities: Capabilities) -> bool:
    """Whether an offer honours the caller's value of a parameter. A value fixed by the offer hides the caller's, unless it is the same."""
    fixed = dict(offer.params).get(name)
    if fixed is not None:
        return fixed == _value(request, name)
    if name == "output_format" and request.output_format is not None:
        formats = capabilities.output_formats
        # A single format needs no parameter: the upstream always makes it.
        return request.output_format in formats and (name in capabilities.params or len(formats) == 1)
    if name == "quality" and capabilities.qualities is not None and request.quality not in capabilities.qualities:
        return False
    return name in capabilities.params


def request_for(request: ImageRequest, offer: Offer, capabilities: Capabilities, n: int | None = None) -> ImageRequest:
    """The request as this offer gets it: values fixed by the offer applied, what it does not understand left out. `n` where it gets only a part.

    Fixed parameters other than quality, background and output_format are the adapter's to add from `offer.params`. A part gets no seed: its pictures
    would be the other parts'.
    """
    count = request.n if n is None else n
    plain = count == request.n and not offer.params and request.output_format is None
    plain = plain and (capabilities.qualities is None or request.quality in capabilities.qualities)
    partial_images = request.partial_images if capabilities.streams else 0
    plain = plain and partial_images == request.partial_images
    if plain and request.option_names() <= capabilities.params:
        return request  # mostly so, and a call comes here several times
    fixed = dict(offer.params)

    def value(name: str, default: str) -> str:
        wish = _value(request, name) if understands(request, name, offer, capabilities) else default
        return fixed.get(name, wish or default)

    format_text = value("output_format", "")
    quality, background = Quality(value("quality", Quality.AUTO)), Background(value("background", Background.AUTO))
    output_format = OutputFormat(format_text) if format_text else None
    options = tuple(
        (name, text)
        for name, text in request.options
        if name not in fixed
        and understands(request, name, offer, capabilities)
        and not (name == "seed" and count != request.n)
    )
    same = (
        request.n,
        request.quality,
        request.background,
        request.output_format,
        request.options,
        request.partial_images,
    )
    if (count, quality, background, output_format, options, partial_images) == same:
        return request  # a copy costs more than all of the above
    return replace(
        request,
        n=count,
        quality=quality,
        background=background,
        output_format=output_format,
        options=options,
        partial_images=partial_images,
    )


def allowed_counts(offer: Offer, capabilities: Capabilities) -> tuple[int, ...]:
    """Counts that one call of this offer may ask for, ascending."""
    return tuple(sorted(count for count in capabilities.n if offer.n_max is None or count <= offer.n_max))


def split(n: int, allowed: tuple[int, ...]) -> tuple[int, ...]:
    """3 of (1, 2, 4) -> (2, 1): the fewest large calls first. Raises ValueError where the counts cannot add up to n."""
    parts: list[int] = []
    rest = n
    for count in sorted(allowed, reverse=True):
        parts += [count] * (rest // count)
        rest %= count
    if rest or not parts:
        raise ValueError(f"{n} pictures cannot be made in calls of {', '.join(map(str, allowed)) or 'none'}")
    return tuple(parts)


def _pictures_unable(request: ImageRequest, offer: Offer, capabilities: Capabilities, *, links: bool) -> LeftOut | None:
    """Why an offer can do nothing with the operation and its pictures; None where it can."""
    if request.operation not in capabilities.operations:
        return LeftOut(offer, None, f"cannot {request.operation}")
    references = len(request.images)
    if references > capabilities.references_max:
        return LeftOut(offer, "image", f"takes {capabilities.references_max} reference pictures, not {references}")
    if request.mask is not None and capabilities.mask is None:
        return LeftOut(offer, "mask", "takes no mask")
    if references and capabilities.references_by_link and not links:
        why = "takes pictures as links alone, and this gateway has no public https address (server.public_url)"
        return LeftOut(offer, None, why)
    if references and capabilities.edits_keep_size and request.pixels is not None:
        return LeftOut(offer, "size", "edits keep the size of their picture: ask for size auto")
    return None


def _quote_or_unable(request: ImageRequest, model: Model, offer: Offer, capabilities: Capabilities) -> Quote | LeftOut:
    most = capabilities.prompt_chars_max
    if most is not None and len(request.prompt) > most:
        return LeftOut(offer, "prompt", f"takes {most} characters of prompt, not {len(request.prompt)}")
    sizes = capabilities.sizes
    if request.pixels is not None and fit(sizes, request.size, request.pixels) is None:
        return LeftOut(offer, "size", f"does not make {request.size}; it makes {sizes}")
    try:
        calls = len(split(request.n, allowed_counts(offer, capabilities)))
    except ValueError as exc:
        return LeftOut(offer, "n", str(exc))
    shaped = request_for(request, offer, capabilities)
    quote = cost_usd(offer.price, shaped, pixels=request.pixels, n=request.n, calls=calls, sizes=sizes)
    if quote is not None:
        return quote
    any_quality = replace(shaped, quality=Quality.AUTO)
    has_size = (
        cost_usd(offer.price, any_quality, pixels=request.pixels, n=request.n, calls=calls, sizes=sizes) is not None
    )
    why = f"has no price for size {request.size} at quality {shaped.quality} of {model.name}"
    return LeftOut(offer, "quality" if has_size else "size", why)


def _is_sent(request: ImageRequest, name: str, item: PlannedOffer) -> bool:
    """Whether an offer gets the caller's value; a seed only where one call makes all pictures."""
    alone = name != "seed" or len(item.parts(request.n)) == 1
    return alone and understands(request, name, item.offer, item.capabilities)


def _shaping_wishes(request: ImageRequest) -> list[str]:
    """Parameters of SHAPING whose value differs from what any upstream does anyway: an opaque PNG of the model's own quality."""
    wishes = request.option_names() & set(SHAPING)
    if request.background is Background.OPAQUE:
        wishes -= {"background"}
    if request.output_format is OutputFormat.PNG:
        wishes -= {"output_format"}
    return sorted(wishes)


def _honoured_here(request: ImageRequest, model: Model) -> frozenset[str]:
    """Parameters that this gateway sees to itself, whatever an upstream makes of them: they neither restrict nor are dropped."""
    if not model.convert:
        return frozenset()
    return frozenset(
        {"output_format", "output_compression"} | ({"background"} if request.background is Background.OPAQUE else set())
    )


def _wishes(request: ImageRequest) -> frozenset[str]:
    """All parameters that are worth reporting when dropped. PNG is what an upstream without the parameter makes, so it is none."""
    names = request.option_names()
    return names - {"output_format"} if request.output_format is OutputFormat.PNG else names


def _value(request: ImageRequest, name: str) -> str | None:
    match name:
        case "quality":
            return request.quality.value
        case "background":
            return request.background.value
        case "output_format":
            return request.output_format.value if request.output_format else None
        case _:
            return dict(request.options).get(name)
