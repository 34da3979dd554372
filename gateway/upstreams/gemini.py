"""Google's Gemini API: `generateContent` of models that draw. Synchronous, one picture a call, billed by tokens.

A lost answer cannot be found again (Recovery.NONE): Google documents no idempotency key. Fails as `wire` and `faults` say, and with REFUSED or
NO_IMAGE where a 200 holds no picture, with what its tokens cost. A size becomes the nearest `aspectRatio` and, for models that have several, an
`imageSize`; `seed` is passed on. Callers' pictures stand before the prompt; there are no masks.

Option: `api_version` (`v1beta`, the documentation's and the default, or `v1`).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote

from gateway.domain.catalog import Capabilities, CostSource, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation
from gateway.domain.sizes import Ratios, Step
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import decode_object
from gateway.upstreams.base import (
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
from gateway.upstreams.gemini_answers import read_answer
from gateway.upstreams.params import extra_params, optional_params
from gateway.upstreams.wire import Resources, Send, Wire

ROWS: tuple[faults.Row, ...] = (
    # Google's word for "not with this project": no billing account, or a region it does not serve.
    faults.Row(Fault.NO_MONEY, statuses=(400, 403), words="failed_precondition", message=r"\bbilling\b"),
    faults.Row(Fault.CREDENTIALS, statuses=(400,), words="failed_precondition"),
)
SEED_SPAN = 2**31
"""Google takes an int32; a larger seed is folded into it."""

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_EXTREME_RATIOS = ("1:4", "4:1", "1:8", "8:1")
_512, _1K, _2K, _4K = Step("512", 512), Step("1K", 1024), Step("2K", 2048), Step("4K", 4096)
_SIZES: tuple[tuple[re.Pattern[str], Ratios], ...] = (
    (re.compile(r"gemini-3(\.\d+)?-flash-image(-preview)?"), Ratios((*_RATIOS, *_EXTREME_RATIOS), (_512, _1K, _2K, _4K))),
    (re.compile(r"gemini-3(\.\d+)?-pro-image(-preview)?"), Ratios((*_RATIOS, *_EXTREME_RATIOS), (_1K, _2K, _4K))),
)  # fmt: skip
_OTHER_SIZES = Ratios(_RATIOS, (_1K,))
"""gemini-2.5-flash-image, and the least that any model has."""
_REFERENCES_MAX: tuple[tuple[str, int], ...] = (("gemini-3", 14), ("", 3))
"""As the documentation advises, by the beginning of a model's name."""
_API_VERSION = re.compile(r"v\d+[a-z]*\d*")
_BYTES_A_PIXEL = 8 / 3
"""Of a detailed PNG in base64; answers announce no length."""


class GeminiAdapter(Adapter):
    kind: ClassVar[str] = "gemini"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        # The address is pasted with and without the version, which has an option of its own.
        settings = replace(settings, base_url=re.sub(r"/(v1|v1beta)?/?$", "", settings.base_url))
        super().__init__(settings)
        self._version = settings.options.get("api_version", "v1beta")
        if not _API_VERSION.fullmatch(self._version):
            raise ValueError(
                f"upstreams.{settings.name}.api_version: {self._version!r} is no version; write v1beta or v1"
            )
        self._wire = Wire(settings, resources, {"x-goog-api-key": settings.api_key})

    def capabilities(self, upstream_model: str) -> Capabilities:
        model = upstream_model.removeprefix("models/")
        return Capabilities(
            operations=frozenset({Operation.GENERATE, Operation.EDIT}),
            n=(1,),
            sizes=_sizes(model),
            params=frozenset({"seed"}),
            recovery=Recovery.NONE,
            references_max=next(count for name, count in _REFERENCES_MAX if model.startswith(name)),
            cost=CostSource.TOKENS,
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        model = call.offer.upstream_model.removeprefix("models/")
        send = Send(
            "POST",
            f"/{self._version}/models/{quote(model, safe='')}:generateContent",
            deadline_s=self._wire.deadline_s(call.deadline_s),
            body=json_body(_body(call.request, call.offer, call.inputs)),
            assumed_bytes=_assumed_bytes(call.request, _sizes(model)),
            rows=ROWS,
        )
        price = call.offer.price
        return await self._wire.call(send, lambda body: read_answer(body, price, ROWS))

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise UpstreamFailure(Fault.RESULT_LOST, Billed.YES, "this upstream sends no links")

    async def check(self, deadline_s: float) -> str:
        path = f"/{self._version}/models"
        send = Send("GET", f"{path}?pageSize=1", deadline_s=self._wire.deadline_s(deadline_s), rows=ROWS)
        await self._wire.call(send, decode_object)
        return f"GET {path} answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()


def _sizes(model: str) -> Ratios:
    return next((sizes for name, sizes in _SIZES if name.fullmatch(model)), _OTHER_SIZES)


def _assumed_bytes(request: ImageRequest, sizes: Ratios) -> int:
    made = None if request.pixels is None else sizes.fit(request.size, request.pixels)
    area = _1K.edge**2 if made is None else made.pixels.area
    return round(area * _BYTES_A_PIXEL)


def _body(request: ImageRequest, offer: Offer, inputs: Inputs) -> dict[str, object]:
    """Pictures alone are asked for: text beside them would cost, too. What an offer fixes of OpenAI's parameters has no name here."""
    config: dict[str, object] = {"responseModalities": ["IMAGE"]}
    sizes = _sizes(offer.upstream_model.removeprefix("models/"))
    made = None if request.pixels is None else sizes.fit(request.size, request.pixels)
    if made is not None:
        config["imageConfig"] = {"aspectRatio": made.text}
        if len(sizes.steps) > 1 and made.step is not None:  # a model with one resolution does not know the field
            config["imageConfig"] = {"aspectRatio": made.text, "imageSize": made.step}
    seed = optional_params(request, frozenset({"seed"})).get("seed")
    if isinstance(seed, int):
        config["seed"] = seed % SEED_SPAN
    parts: list[object] = [
        {"inlineData": {"mimeType": picture.content_type, "data": Base64Text(picture)}} for picture in inputs.images
    ]
    parts.append({"text": request.prompt})
    body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
    return _laid_over(body, extra_params(offer))


def _laid_over(body: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """The operator's fields over ours, object by object: a temperature must not cost the size."""
    made = dict(body)
    for name, value in extra.items():
        ours = made.get(name)
        made[name] = _laid_over(ours, value) if isinstance(ours, dict) and isinstance(value, dict) else value
    return made
