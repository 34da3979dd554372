"""What Replicate's models take and can do, by family: names, sizes, counts and formats of their inputs, and where predictions are made. Pure.

A family is a row of FAMILIES; the last one takes every model that no other knows, with the inputs that nearly all of them share. Inputs that a model
does not know are ignored there. Every model makes PNG here where nothing else is asked for, as OpenAI's API does; by itself FLUX makes WebP.
"""

import re
from dataclasses import dataclass, replace

from gateway.domain.catalog import Capabilities, MaskPolarity, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation, OutputFormat
from gateway.domain.sizes import PixelBounds, Ratios, Sizes, Step
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import NO_INPUTS, Inputs, Picture, UpstreamFailure
from gateway.upstreams.bodies import data_url
from gateway.upstreams.params import extra_params, fixed_params, optional_params

LINKS_LIVE_S = 3600.0
DATA_URL_BYTES_MAX = 256 * 1024
_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_ANY_FORMAT = frozenset(OutputFormat)
_PNG_JPEG = frozenset({OutputFormat.PNG, OutputFormat.JPEG})
_PNG = frozenset({OutputFormat.PNG})
_SPELLED = {"output_compression": "output_quality"}
"""OpenAI's name of a parameter, and Replicate's."""
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_MODEL = re.compile(rf"(?P<deployment>deployments/)?(?P<owner>{_NAME})/(?P<name>{_NAME})(:(?P<version>[A-Za-z0-9]+))?")


@dataclass(frozen=True, slots=True)
class Family:
    """Models with the same inputs."""

    models: str
    """Regular expression that matches `owner/name` whole."""
    sizes: Sizes
    n: tuple[int, ...] = (1,)
    params: frozenset[str] = frozenset({"output_format", "output_compression", "seed"})
    formats: frozenset[OutputFormat] = _ANY_FORMAT
    step_input: str | None = None
    """Where the resolution step goes."""
    custom: bool = False
    """Pixels want the ratio `custom` beside them."""
    pictures: str | None = None
    """The input that takes one; none: text alone."""
    mask: bool = False
    """Whether there is a `mask` beside it, white where the picture is made anew."""
    generates: bool = True
    """False: it cannot do without a picture."""
    edits_keep_size: bool = False

    def capabilities(self) -> Capabilities:
        operations = {Operation.GENERATE} if self.generates else set[Operation]()
        return Capabilities(
            operations=frozenset(operations if self.pictures is None else operations | {Operation.EDIT}),
            n=self.n,
            sizes=self.sizes,
            params=self.params,
            output_formats=self.formats,
            recovery=Recovery.ASYNC_JOB,
            can_cancel=True,
            references_max=0 if self.pictures is None else 1,
            mask=MaskPolarity.WHITE if self.mask else None,
            edits_keep_size=self.edits_keep_size,
            links_live_s=LINKS_LIVE_S,
        )


_FLUX = Family(
    r"black-forest-labs/flux-(schnell|dev)(-lora)?",
    Ratios(_RATIOS, (Step("0.25", 512), Step("1", 1024))),
    n=(1, 2, 3, 4),
    step_input="megapixels",
)
FAMILIES: tuple[Family, ...] = (
    replace(_FLUX, models=r"black-forest-labs/flux-dev(-lora)?", pictures="image", edits_keep_size=True),
    _FLUX,
    Family(
        r"black-forest-labs/flux-1\.1-pro-ultra", Ratios(_RATIOS, (Step("", 2048),)), formats=_PNG_JPEG,
        params=frozenset({"output_format", "seed"}), pictures="image_prompt",
    ),
    Family(
        r"black-forest-labs/flux-kontext-(pro|max|dev)", Ratios(_RATIOS), formats=_PNG_JPEG,
        params=frozenset({"output_format", "seed"}), pictures="input_image",
    ),
    Family(
        r"black-forest-labs/flux-fill-(pro|dev)", Ratios(_RATIOS), formats=_PNG_JPEG,
        params=frozenset({"output_format", "seed"}), pictures="image", mask=True, generates=False, edits_keep_size=True,
    ),
    Family(
        r"black-forest-labs/flux-(1\.1-)?pro", PixelBounds(multiple_of=32, edge_min=256, edge_max=1440),
        custom=True, pictures="image_prompt",
    ),
    Family(
        r"stability-ai/sdxl", PixelBounds(multiple_of=8, edge_min=512, edge_max=1536, area_max=1_572_864),
        n=(1, 2, 3, 4), params=frozenset({"seed"}), formats=_PNG, pictures="image", mask=True, edits_keep_size=True,
    ),
    Family(r".*", Ratios(("1:1", "16:9", "3:2", "2:3", "3:4", "4:3", "9:16")), params=frozenset({"output_format"}), formats=_PNG_JPEG),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where predictions of one model are made."""

    model: str
    """`owner/name`."""
    path: str
    version: str | None = None
    """What goes into the body, where the path does not name the model."""
    by_time: bool = False
    """A version or a deployment is charged for the time it ran, whatever came of it; an official model for its pictures."""


def place_of(upstream_model: str) -> Place:
    """`owner/name` is an official model, `owner/name:version` any, `deployments/owner/name` one's own. Raises UpstreamFailure for another text."""
    match = _MODEL.fullmatch(upstream_model)
    if match is None or (match["deployment"] and match["version"]):
        why = f"{upstream_model!r} is no model; write owner/name, owner/name:version or deployments/owner/name"
        raise UpstreamFailure(Fault.CREDENTIALS, Billed.NO, why)
    model = f"{match['owner']}/{match['name']}"
    if match["deployment"]:
        return Place(model, f"/v1/deployments/{model}/predictions", by_time=True)
    if match["version"]:
        return Place(model, "/v1/predictions", version=upstream_model, by_time=True)
    return Place(model, f"/v1/models/{model}/predictions")


def family_of(upstream_model: str) -> Family:
    """The first row that matches; the last matches everything. A deployment is known by its own name, so mostly it is one of the last."""
    model = upstream_model.removeprefix("deployments/").partition(":")[0]
    return next(family for family in FAMILIES if re.fullmatch(family.models, model))


def input_of(request: ImageRequest, offer: Offer, inputs: Inputs = NO_INPUTS) -> dict[str, object]:
    """The `input` of a prediction. Raises UpstreamFailure for a size that the model does not make."""
    family = family_of(offer.upstream_model)
    wishes: dict[str, object] = {"output_format": "png"} if "output_format" in family.params else {}
    wishes.update(optional_params(request, family.params))
    wishes.update(fixed_params(offer.params))
    if wishes.get("output_format") == "png":
        wishes.pop("output_compression", None)  # PNG has nothing to lose
    if wishes.get("output_format") == "jpeg":
        wishes["output_format"] = "jpg"
    body: dict[str, object] = {"prompt": request.prompt, **_size(request, family)}
    if family.n != (1,):
        body["num_outputs"] = request.n
    if inputs.images and family.pictures is not None:
        body[family.pictures] = _given(inputs.images[0])
    if inputs.mask is not None:
        body["mask"] = _given(inputs.mask)
    body.update({_SPELLED.get(name, name): value for name, value in wishes.items()})
    body.update(extra_params(offer))
    return body


def _given(picture: Picture) -> object:
    """A `data:` URL, which Replicate advises up to 256 kB; larger ones by a link, where this gateway has such."""
    link = picture.link() if picture.size_bytes > DATA_URL_BYTES_MAX else None
    return data_url(picture) if link is None else link


def _size(request: ImageRequest, family: Family) -> dict[str, object]:
    """Nothing for `auto`: the model chooses."""
    if request.pixels is None:
        return {}
    made = family.sizes.fit(request.size, request.pixels)
    if made is None:
        raise UpstreamFailure(Fault.BAD_REQUEST, Billed.NO, f"does not make {request.size}", param="size")
    if isinstance(family.sizes, Ratios):
        step = {family.step_input: made.step} if family.step_input is not None and made.step else {}
        return {"aspect_ratio": made.text, **step}
    sides: dict[str, object] = {"width": made.pixels.width, "height": made.pixels.height}
    return {"aspect_ratio": "custom", **sides} if family.custom else sides
