"""What fal.ai's endpoints take and can do, by family: each has its own words for size and format. Pure.

A family is a row of FAMILIES; the last one takes every endpoint that no other knows. Its bounds are what the vendor documents, else what its
models make well. Every endpoint makes PNG here where nothing else is asked for, as OpenAI's API does; by itself FLUX would make JPEG.
"""

import re
from dataclasses import dataclass

from gateway.domain.catalog import Capabilities, MaskPolarity, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation, OutputFormat
from gateway.domain.sizes import PixelBounds, Ratios, Sizes, Step
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import NO_INPUTS, Inputs, UpstreamFailure
from gateway.upstreams.bodies import data_url
from gateway.upstreams.params import extra_params, fixed_params, optional_params

LINKS_LIVE_S = 86_400.0
"""The account's setting decides; every one that is usual keeps files for longer than a day."""
_UP_TO_4 = (1, 2, 3, 4)
_PNG_JPEG = frozenset({OutputFormat.PNG, OutputFormat.JPEG})
_ANY_FORMAT = frozenset(OutputFormat)
_RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
_1K, _2K, _4K = Step("1K", 1024), Step("2K", 2048), Step("4K", 4096)
_FLUX_SIZES = PixelBounds(multiple_of=16, edge_min=256, edge_max=2048, area_max=4_194_304)


@dataclass(frozen=True, slots=True)
class Family:
    """Endpoints with the same body."""

    endpoints: str
    """Regular expression that matches one endpoint's path whole."""
    sizes: Sizes
    n: tuple[int, ...] = _UP_TO_4
    params: frozenset[str] = frozenset({"output_format", "seed"})
    formats: frozenset[OutputFormat] = _PNG_JPEG
    defaults: tuple[tuple[str, str], ...] = (("output_format", "png"),)
    """Sent where the caller leaves it open, because the endpoint's own default is another than OpenAI's."""
    references_max: int = 0
    """Of its endpoints for edits."""
    pictures: str = "image_urls"
    """Where these take them; `image_url` is one text."""
    edits: str = r".*/edit"
    """Regular expression that matches an endpoint for edits whole."""
    mask: MaskPolarity | None = None

    def is_edit(self, endpoint: str) -> bool:
        return self.references_max > 0 and re.fullmatch(self.edits, endpoint) is not None

    def capabilities(self, endpoint: str) -> Capabilities:
        edits = self.is_edit(endpoint)
        return Capabilities(
            operations=frozenset(
                {Operation.EDIT if edits else Operation.GENERATE}
            ),  # edits cannot do without a picture
            n=self.n,
            sizes=self.sizes,
            params=self.params,
            output_formats=self.formats,
            recovery=Recovery.ASYNC_JOB,
            can_cancel=True,
            references_max=self.references_max if edits else 0,
            mask=self.mask if edits else None,
            links_live_s=LINKS_LIVE_S,
        )


FAMILIES: tuple[Family, ...] = (
    Family(
        r"openai/gpt-image-\d.*",
        PixelBounds(multiple_of=16, edge_max=3840, area_min=655_360, area_max=8_294_400, ratio_max=3),
        params=frozenset({"quality", "background", "output_format"}),
        formats=_ANY_FORMAT,
        defaults=(("output_format", "png"), ("quality", "auto")),  # else it is high
        references_max=16,
        mask=MaskPolarity.WHITE,
    ),
    Family(r"fal-ai/nano-banana(/edit)?", Ratios(_RATIOS), formats=_ANY_FORMAT, references_max=10),
    Family(r"fal-ai/nano-banana-pro(/edit)?", Ratios(_RATIOS, (_1K, _2K, _4K)), formats=_ANY_FORMAT, references_max=10),
    Family(
        r"fal-ai/nano-banana-2.*",
        Ratios(_RATIOS, (Step("0.5K", 512), _1K, _2K, _4K)),
        formats=_ANY_FORMAT,
        references_max=10,
    ),
    Family(r"fal-ai/flux-pro/v1\.1-ultra", Ratios((*_RATIOS, "9:21"), (Step("", 2048),))),
    Family(  # how many it takes is not said
        r"fal-ai/flux-pro/kontext(/max)?/multi", Ratios((*_RATIOS, "9:21")), references_max=2, edits=r".*"
    ),
    Family(
        r"fal-ai/flux-pro/kontext.*",
        Ratios((*_RATIOS, "9:21")),
        references_max=1,
        pictures="image_url",
        edits=r"(?!.*/text-to-image$).*",
    ),
    Family(r"fal-ai/flux-pro/v1\.1", PixelBounds(multiple_of=32, edge_min=256, edge_max=1440)),
    Family(r"fal-ai/recraft/.*", _FLUX_SIZES, n=(1,), params=frozenset(), formats=frozenset(), defaults=()),
    Family(r".*", _FLUX_SIZES),
)


def family_of(endpoint: str) -> Family:
    """The first row that matches; the last matches everything."""
    return next(family for family in FAMILIES if re.fullmatch(family.endpoints, endpoint))


def body_of(request: ImageRequest, offer: Offer, inputs: Inputs = NO_INPUTS) -> dict[str, object]:
    """The body of a submit, with `data:` URLs of the pictures. Raises UpstreamFailure for a size that the endpoint does not make."""
    family = family_of(offer.upstream_model)
    body: dict[str, object] = {"prompt": request.prompt, **dict(family.defaults), **_size(request, family.sizes)}
    if family.n != (1,):
        body["num_images"] = request.n
    if inputs.images:
        urls: list[object] = [data_url(picture) for picture in inputs.images]
        body[family.pictures] = urls if family.pictures == "image_urls" else urls[0]
    if inputs.mask is not None:
        body["mask_url"] = data_url(inputs.mask)
    body.update(optional_params(request, family.params))
    body.update(fixed_params(offer.params))
    body.update(extra_params(offer))
    return body


def _size(request: ImageRequest, sizes: Sizes) -> dict[str, object]:
    """Nothing for `auto`: the endpoint chooses."""
    if request.pixels is None:
        return {}
    made = sizes.fit(request.size, request.pixels)
    if made is None:
        raise UpstreamFailure(Fault.BAD_REQUEST, Billed.NO, f"does not make {request.size}", param="size")
    if not isinstance(sizes, Ratios):
        return {"image_size": {"width": made.pixels.width, "height": made.pixels.height}}
    return {"aspect_ratio": made.text, **({"resolution": made.step} if made.step else {})}
