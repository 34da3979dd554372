"""The API of AUTOMATIC1111's web UI, which Forge, SD.Next, koboldcpp and sd.cpp share. Synchronous; a server of one's own, so nothing is paid.
Edits are its img2img: of one picture, in that picture's size where none is asked for.

A lost answer cannot be found again (Recovery.NONE), though making the picture anew costs time only: `on_unknown: next` is the sensible setting.
The server draws one job at a time and lets others wait: `concurrency: 1` keeps that wait out of the time-out. It refuses no content.

The key is `user:password` (its `--api-auth`), or empty; without a colon it is a bearer token, for a proxy in front. An offer's model is the
checkpoint; `default` leaves the loaded one. Steps, sampler, seed and the like come from the offer's `extra`.
"""

from base64 import b64encode
from typing import ClassVar

from pydantic import BaseModel

from gateway.domain.catalog import Capabilities, MaskPolarity, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation, Pixels
from gateway.domain.sizes import PixelBounds
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.answers import Count, Item, Lenient, decode_object
from gateway.upstreams.base import (
    NO_INPUTS,
    Adapter,
    Generated,
    Inputs,
    LinkedImage,
    OnSubmitted,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.bodies import Base64Text, json_body
from gateway.upstreams.params import extra_params, fixed_params
from gateway.upstreams.wire import Resources, Send, Wire

SIZES = PixelBounds(multiple_of=8, edge_min=64, edge_max=2048)
"""As its own page lets one choose."""
N_MAX = 8
"""The same for `batch_size`; an offer's `n_max` says how many the card has memory for."""
LOADED_MODEL = "default"
_IMAGE_ASSUMED_BYTES = 4 * 1024 * 1024


class Info(BaseModel):
    """What the text `info` says, as far as it matters here."""

    index_of_first_image: Lenient[Count] = None


class Txt2Img(BaseModel):
    """A 2xx answer."""

    images: Lenient[list[str]] = None
    info: Lenient[str] = None


class A1111Adapter(Adapter):
    kind: ClassVar[str] = "a1111"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        super().__init__(settings)
        self._wire = Wire(settings, resources, _auth(settings.api_key))

    def capabilities(self, upstream_model: str) -> Capabilities:
        return Capabilities(
            operations=frozenset({Operation.GENERATE, Operation.EDIT}),
            n=tuple(range(1, N_MAX + 1)),
            sizes=SIZES,
            recovery=Recovery.NONE,
            references_max=1,
            mask=MaskPolarity.WHITE,
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        n, edits = call.request.n, bool(call.inputs.images)
        send = Send(
            "POST",
            "/sdapi/v1/img2img" if edits else "/sdapi/v1/txt2img",
            deadline_s=self._wire.deadline_s(call.deadline_s),
            body=json_body(drawing_body(call.request, call.offer, call.inputs)),
            assumed_bytes=n * _IMAGE_ASSUMED_BYTES,
        )
        return await self._wire.call(send, lambda body: _read_pictures(body, n))

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        send = Send("GET", "/sdapi/v1/options", deadline_s=self._wire.deadline_s(deadline_s))
        await self._wire.call(send, decode_object)
        return "GET /sdapi/v1/options answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()


def drawing_body(request: ImageRequest, offer: Offer, inputs: Inputs = NO_INPUTS) -> dict[str, object]:
    """The request's fields under the offer's; settings that the offer overrides join the checkpoint instead of replacing it."""
    body: dict[str, object] = {
        "prompt": request.prompt,
        "batch_size": request.n,
        "send_images": True,
        "save_images": False,
    }
    asked = request.pixels
    if inputs.images:
        first = inputs.images[0]
        body["init_images"] = [Base64Text(first)]
        if inputs.mask is not None:
            body["mask"] = Base64Text(inputs.mask)
        asked = asked or _near(first.pixels)
    if asked is not None:
        made = SIZES.fit(request.size, asked)
        pixels = made.pixels if made is not None else asked
        body |= {"width": pixels.width, "height": pixels.height}
    settings = {} if offer.upstream_model == LOADED_MODEL else {"sd_model_checkpoint": offer.upstream_model}
    fields = fixed_params(offer.params) | extra_params(offer)
    own = fields.get("override_settings")
    if settings or own:
        fields["override_settings"] = settings | own if isinstance(own, dict) else settings
    return body | fields


def _near(pixels: Pixels) -> Pixels:
    """A picture's size, made smaller or larger as a whole until the server draws it."""
    scale = min(1.0, SIZES.edge_max / max(pixels.width, pixels.height))
    scale = max(scale, SIZES.edge_min / min(pixels.width, pixels.height))
    sides = (round(side * scale / SIZES.multiple_of) * SIZES.multiple_of for side in (pixels.width, pixels.height))
    width, height = (min(max(side, SIZES.edge_min), SIZES.edge_max) for side in sides)
    return Pixels(width, height)


def _read_pictures(body: bytearray, n: int) -> Generated:
    answer = Txt2Img.model_validate(decode_object(body))
    texts = answer.images or []
    first = _first_image(answer.info)
    if first is None:
        first = 1 if n > 1 and len(texts) == n + 1 else 0
    # Before them may stand a grid of all, after them what scripts add, such as ControlNet's maps.
    images = tuple(image for text in texts[first : first + n] if (image := Item(b64_json=text).image()) is not None)
    if not images:
        raise UpstreamFailure(Fault.NO_IMAGE, Billed.NO, f"{len(texts)} items, none with a picture")
    return Generated(images)


def _first_image(info: str | None) -> int | None:
    try:
        return Info.model_validate_json(info or "{}").index_of_first_image
    except ValueError:
        return None


def _auth(api_key: str) -> dict[str, str]:
    if not api_key:
        return {}
    if ":" in api_key:
        return {"Authorization": f"Basic {b64encode(api_key.encode()).decode()}"}
    return {"Authorization": f"Bearer {api_key}"}
