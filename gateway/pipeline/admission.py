"""May this call be made at all? Model, prompt length, size, n and quality, each with its own error; nothing is stored or held yet.

Every refusal names the field, what is wrong, and what may be written instead.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from gateway.domain.accounts import Principal, kind_and_name
from gateway.domain.catalog import LEGACY_SIZES, Catalog, Model, PriceFormula, TokenPrice
from gateway.domain.choice import ANY_UPSTREAM, ONLY_HEADER, PREFER_HEADER, UpstreamChoice
from gateway.domain.clock import Clock, SystemClock
from gateway.domain.errors import (
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    PromptTooLong,
    UnsupportedSize,
    UpstreamChoiceNotAllowed,
)
from gateway.domain.ids import AccountId
from gateway.domain.images import Background, ImageInput, ImageRequest, Operation, OutputFormat, Pixels, Quality
from gateway.domain.recent import Recent
from gateway.egress.errors import EgressRefused
from gateway.pipeline.references import Can, CheckUrl, check_count, check_urls, check_variation
from gateway.tokens.counter import TokenCounter

BEFORE_MAX, BEFORE_S = 2_000, 60.0
"""Admitted calls that are remembered twice as many and as long at most: some 2 KB each."""
MODELS_NAMED_MAX = 12
"""How many models an error message lists."""


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """A generation as the caller wrote it, with types and enumerations checked, nothing resolved yet."""

    model: str
    prompt: str
    n: int
    size: str | None
    quality: str | None
    background: str | None
    output_format: str | None
    options: tuple[tuple[str, str], ...]
    """Other parameters of OpenAI's contract by name, as JSON text, sorted by name."""
    model_given: bool
    """False where the configured default model stands in."""
    choice: UpstreamChoice = ANY_UPSTREAM
    """From the call's headers."""
    callback_url: str | None = None
    operation: Operation = Operation.GENERATE
    images: tuple[ImageInput, ...] = ()
    mask: ImageInput | None = None
    partial_images: int = 0
    input_names: tuple[str, ...] = ()
    """What the caller calls each picture, the mask last: for errors."""


@dataclass(slots=True)
class Noted:
    """What follows from an admitted request, once somebody worked it out. Calls that say the very same have it together."""

    request_json: str = ""
    fingerprint: tuple[str, str] | None = None
    """Who shares by it, and what it is."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be made, and the model that makes it."""

    request: ImageRequest
    model: Model
    choice: UpstreamChoice = ANY_UPSTREAM
    callback_url: str | None = None
    """Where its end is told; checked."""
    noted: Noted = field(default_factory=Noted, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Before:
    """Whose draft was admitted under which catalogue. Held, so that nothing else has their identities."""

    principal: Principal
    draft: RequestDraft
    catalog: Catalog
    admitted: Admitted


class Admission:
    """The checks before anything is held. `catalog` is asked for each call, since a reload replaces it; `upstreams` are those that are on.

    `check_callback_url` raises InvalidCallbackUrl; without one no callback is sent. Without `check_image_url` no picture is fetched.
    """

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        tokens: TokenCounter,
        upstreams: Collection[str] = (),
        check_callback_url: Callable[[str], Awaitable[None]] | None = None,
        check_image_url: CheckUrl | None = None,
        can: Can = lambda offer, operation: False,
        clock: Clock = SystemClock(),
    ) -> None:
        self._catalog = catalog
        self.tokens = tokens
        self._upstreams = upstreams
        self._check_callback_url = check_callback_url
        self._check_image_url = check_image_url
        self._can = can
        self._before: Recent[tuple[int, int], _Before] = Recent(clock, size=BEFORE_MAX, kept_s=BEFORE_S)

    def model(self, principal: Principal, name: str) -> Model:
        """The model behind a name or alias. Raises ModelNotFound or ModelNotAllowed."""
        catalog = self._catalog()
        model = catalog.find(name)
        if model is None:
            raise ModelNotFound(
                f"The model {_shown(name)} does not exist here. This key may use: {_usable(principal, catalog)}. GET /v1/models lists them.",
                param="model",
            )
        if not principal.may_use(model.name, name):
            raise ModelNotAllowed(
                f"This key may not use the model {_shown(name)}. It may use: {_usable(principal, catalog)}; or ask your administrator.",
                param="model",
            )
        return model

    async def admit(self, principal: Principal, draft: RequestDraft) -> Admitted:
        """The normalised request. Raises the errors of the contract's table for what is wrong, the first field first.

        The very same draft of the very same principal is the same request as long as the catalogue is the same: then nothing is checked again.
        """
        told = draft.choice is ANY_UPSTREAM and not draft.images and draft.callback_url is None
        if not told:
            return await self._admit(principal, draft)
        catalog, of = self._catalog(), (id(principal), id(draft))
        before = self._before.get(of)
        if before is not None and before.principal is principal and before.draft is draft and before.catalog is catalog:
            return before.admitted
        admitted = await self._admit(principal, draft)
        self._before.put(of, _Before(principal, draft, catalog, admitted))
        return admitted

    async def _admit(self, principal: Principal, draft: RequestDraft) -> Admitted:
        model = self.model(principal, draft.model)
        self._check_choice(principal, draft.choice)
        if draft.operation is Operation.VARIATION:
            check_variation(model, self._can)
        else:
            await self._check_prompt(draft.prompt, model)
        if draft.images:
            check_count(draft.input_names, len(draft.images), model)
        if draft.n not in model.n:
            allowed = (
                ", ".join(map(str, model.n)) if model.n != tuple(range(1, model.n[-1] + 1)) else f"1 to {model.n[-1]}"
            )
            raise InvalidRequest(f"n is {draft.n}; {model.name} makes {allowed} images in a call.", param="n")
        _check_count(principal, draft.n)
        size, pixels = _allowed_size(principal, draft, model)
        quality = Quality(draft.quality or Quality.AUTO)
        if quality not in model.qualities:
            raise InvalidRequest(
                f"quality is {quality}; {model.name} takes {', '.join(model.qualities)}.", param="quality"
            )
        background = Background(draft.background or Background.AUTO)
        output_format = OutputFormat(draft.output_format) if draft.output_format else None
        if background is Background.TRANSPARENT and output_format is OutputFormat.JPEG:
            raise InvalidRequest("A JPEG cannot be transparent: use output_format png or webp.", param="background")
        request = ImageRequest(
            model=model.name,
            prompt=draft.prompt,
            n=draft.n,
            size=size,
            pixels=pixels,
            quality=quality,
            background=background,
            output_format=output_format,
            prompt_tokens=await self._prompt_tokens(draft.prompt, model),
            options=draft.options,
            operation=draft.operation,
            images=draft.images,
            mask=draft.mask,
            partial_images=draft.partial_images,
        )
        if draft.images:  # last: these may take look-ups
            await self._check_urls(draft)
        if draft.callback_url is not None:
            await self._check_callback(draft.callback_url)
        return Admitted(request, model, draft.choice, draft.callback_url)

    async def _check_urls(self, draft: RequestDraft) -> None:
        pictures = draft.images if draft.mask is None else (*draft.images, draft.mask)
        await check_urls(draft.input_names, pictures, self._check_image_url or _fetch_nothing)

    async def _check_callback(self, url: str) -> None:
        if self._check_callback_url is None:
            raise InvalidRequest("callback_url: callbacks are not sent here; leave it out.", param="callback_url")
        await self._check_callback_url(url)

    def _check_choice(self, principal: Principal, choice: UpstreamChoice) -> None:
        """Raises UpstreamChoiceNotAllowed, and InvalidRequest for an upstream that is not on."""
        for header, names in ((PREFER_HEADER, choice.prefer), (ONLY_HEADER, choice.only)):
            if names and not principal.choose_upstream:
                raise UpstreamChoiceNotAllowed(
                    f"This key may not choose upstreams. Leave {header} out, or ask your administrator.", param=header
                )
            for name in names:
                if name not in self._upstreams:
                    known = ", ".join(sorted(self._upstreams))
                    raise InvalidRequest(
                        f"{header}: there is no upstream {_shown(name)} now; there are: {known or 'none'}.",
                        param=header,
                    )

    async def _check_prompt(self, prompt: str, model: Model) -> None:
        if not prompt.strip():
            raise InvalidRequest("The prompt is blank: describe the picture.", param="prompt")
        if not await self.tokens.check(prompt, model.prompt_tokens_max):
            raise PromptTooLong(
                f"The prompt is longer than {model.prompt_tokens_max} tokens (o200k_base), the most that {model.name} takes. Shorten it.",
                param="prompt",
            )

    async def _prompt_tokens(self, prompt: str, model: Model) -> int:
        """Exact where an offer is priced by tokens, else the UTF-8 length as an upper bound: then nothing depends on it."""
        if not counts_prompts(model):
            return len(prompt.encode("utf-8", "replace"))
        return await self.tokens.measure(prompt)


def counts_prompts(model: Model) -> bool:
    """Whether the exact length of every prompt is asked for."""
    return any(isinstance(offer.price, PriceFormula | TokenPrice) for offer in model.offers)


async def _fetch_nothing(_: str) -> None:
    raise EgressRefused("no URLs are fetched here")


def _usable(principal: Principal, catalog: Catalog) -> str:
    """What the caller may name, as far as a message can list it; an alias only where its model's own name is not allowed."""
    models = [name for name in catalog.models if principal.may_use(name)]
    aliases = [
        name for name, model in catalog.aliases.items() if model not in models and principal.may_use(model, name)
    ]
    known = sorted([*models, *aliases])
    return (", ".join(known[:MODELS_NAMED_MAX]) + (" …" if len(known) > MODELS_NAMED_MAX else "")) or "none"


def _check_count(principal: Principal, n: int) -> None:
    """Every account of the path must allow so many. Raises InvalidRequest."""
    for account, limits in principal.limits:
        if limits.n_max is not None and n > limits.n_max:
            kind, name = kind_and_name(account)
            raise InvalidRequest(
                f"n is {n}; the {kind} {name!r} may ask for at most {limits.n_max} images in a call.", param="n"
            )


def _allowed_size(principal: Principal, draft: RequestDraft, model: Model) -> tuple[str, Pixels | None]:
    """The size, where model and path allow it. A call without a size takes the first listed one that the path allows. Raises UnsupportedSize."""
    size, pixels = _resolve_size(draft, model)
    refusing = size_refused_by(principal, size, pixels)
    if refusing is None:
        return size, pixels
    for other in model.sizes.listed if draft.size is None else ():
        if size_refused_by(principal, other, model.sizes.resolve(other)) is None:
            return other, model.sizes.resolve(other)
    account, allowed = refusing
    kind, name = kind_and_name(account)
    raise UnsupportedSize(
        f"The size {_shown(size)} is not open to the {kind} {name!r}. Use one of: {', '.join(allowed)}.", param="size"
    )


def size_refused_by(principal: Principal, size: str, pixels: Pixels | None) -> tuple[AccountId, tuple[str, ...]] | None:
    """The nearest account that does not allow a size, by its word or its pixels, and what it allows."""
    for account, limits in principal.limits:
        if "*" not in limits.sizes and size not in limits.sizes and str(pixels) not in limits.sizes:
            return account, limits.sizes
    return None


def _resolve_size(draft: RequestDraft, model: Model) -> tuple[str, Pixels | None]:
    """The size as answers name it, and its pixels. An alias's old sizes mean the nearest present one; without a size the model's default counts."""
    listed = model.sizes.listed
    text = draft.size or "auto"
    if text not in listed:
        text = LEGACY_SIZES.get(draft.model, {}).get(text, text)
    if text == "auto" and text not in listed:
        text = "1024x1024" if "1024x1024" in listed else listed[0]
    try:
        return text, model.sizes.resolve(text)
    except ValueError as exc:
        raise UnsupportedSize(
            f"The size {_shown(text)} is not offered by {model.name}. Use one of: {exc}.", param="size"
        ) from exc


def _shown(text: str) -> str:
    """A caller's value in a message, not longer than a line."""
    return repr(text if len(text) <= 64 else text[:61] + "…")
