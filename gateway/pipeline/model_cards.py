"""What somebody who writes a prompt wants to know of a model before the call: its limits, what it can do, and how long a prompt is in its tokens.

Pure memory; nothing is held, counted or stored. How it fails: ModelNotFound, ModelNotAllowed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.accounts import Principal
from gateway.domain.catalog import Capabilities, Model, Offer
from gateway.domain.images import Operation, OutputFormat
from gateway.pipeline.admission import Admission, size_refused_by
from gateway.tokens.counter import TEXT_CHARS_MAX

CapabilitiesOf = Callable[[Offer], Capabilities | None]
"""What the upstream of an offer can do with it; None: it is off."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as one key may use it. What only some of its upstreams can do counts as what it can do: routing picks those."""

    model: Model
    sizes: tuple[str, ...]
    """Those listed that the key's path allows."""
    free_sizes: bool
    """Whether other pixel sizes within `model.sizes.pixel_range` are taken, too."""
    n: tuple[int, ...]
    references_max: int
    edits: bool
    masks: bool
    variations: bool
    streams: bool
    """Whether partial pictures may come."""
    output_formats: tuple[OutputFormat, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A prompt in the model's tokens. `tokens` is None for a text that is too long to be counted, and too long for any model."""

    tokens: int | None
    tokens_max: int

    @property
    def fits(self) -> bool:
        return self.tokens is not None and self.tokens <= self.tokens_max


class ModelCards:
    """The models of one gateway, from a key's point of view."""

    def __init__(self, admission: Admission, capabilities: CapabilitiesOf) -> None:
        self._admission = admission
        self._capabilities = capabilities

    def of(self, principal: Principal, models: Iterable[Model]) -> list[ModelCard]:
        return [self._card(principal, model) for model in models]

    async def measure(self, principal: Principal, name: str, prompt: str) -> Measured:
        """Exact, as an admission counts."""
        model = self._admission.model(principal, name)
        tokens = None if len(prompt) > TEXT_CHARS_MAX else await self._admission.tokens.measure(prompt)
        return Measured(tokens, model.prompt_tokens_max)

    def _card(self, principal: Principal, model: Model) -> ModelCard:
        can = [found for offer in model.offers if (found := self._capabilities(offer)) is not None]
        edits = [each for each in can if Operation.EDIT in each.operations]
        references_max = min(model.image_urls_max, max((each.references_max for each in edits), default=0))
        formats = {each for capabilities in can for each in capabilities.output_formats}
        return ModelCard(
            model=model,
            sizes=tuple(
                size for size in model.sizes.listed if not size_refused_by(principal, size, model.sizes.resolve(size))
            ),
            free_sizes=model.sizes.pixel_range is not None and all("*" in each.sizes for _, each in principal.limits),
            n=_counts(principal, model.n),
            references_max=references_max,
            edits=references_max > 0,
            masks=references_max > 0 and any(each.mask is not None for each in edits),
            variations=any(Operation.VARIATION in each.operations for each in can),
            streams=any(each.streams for each in can),
            output_formats=tuple(each for each in OutputFormat if model.convert or each in formats),
        )


def _counts(principal: Principal, counts: Sequence[int]) -> tuple[int, ...]:
    most = min((each.n_max for _, each in principal.limits if each.n_max is not None), default=counts[-1])
    return tuple(n for n in counts if n <= most)
