"""OpenAI's Images API and everything that speaks it behind a base URL of its own. Synchronous.

A lost answer cannot be found again (Recovery.NONE): OpenAI documents no idempotency key. Fails as `wire` and `faults` say, and with
NO_IMAGE or REFUSED where a 2xx answer holds no picture.

Options: `params` (comma-separated names that this server understands besides model, prompt, n and size) and `response_format`
(`b64_json`, `url`, or empty to leave it out); both default by the model's name.
"""

import re
from typing import ClassVar

import orjson

from gateway.domain.catalog import Capabilities, Offer, Recovery
from gateway.domain.images import ImageRequest, OutputFormat
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import ImagesAnswer, decode_images, decode_object
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.params import extra_params, fixed_params, optional_params
from gateway.upstreams.wire import Resources, Send, Wire

_GPT_IMAGE = re.compile(r"(?:.*/)?(?:gpt-image-|chatgpt-image-).*")
_GPT_IMAGE_PARAMS = frozenset(
    ("quality", "background", "output_format", "output_compression", "moderation", "user", "safety_identifier")
)
"""`response_format` and `style` are missing on purpose: GPT image models answer 400 unknown_parameter to them."""
_OTHER_PARAMS = frozenset(("quality", "output_format", "style", "user"))
"""What servers that copy the API accept or ignore, going by their documentation."""
_IMAGE_ASSUMED_BYTES = 4 * 1024 * 1024
"""A detailed 1024x1536 PNG in base64; answers are often chunked and announce no length."""


class OpenAIAdapter(Adapter):
    kind: ClassVar[str] = "openai"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        super().__init__(settings)
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._capabilities: dict[str, Capabilities] = {}
        self._wire = Wire(settings, resources, headers)

    def capabilities(self, upstream_model: str) -> Capabilities:
        known = self._capabilities.get(upstream_model)
        if known is None:  # asked for several times in every call; the catalogue's models bound the dictionary
            known = self._capabilities[upstream_model] = self._made_capabilities(upstream_model)
        return known

    def _made_capabilities(self, upstream_model: str) -> Capabilities:
        declared = self.settings.options.get("params")
        if declared is not None:
            params = frozenset(filter(None, (name.strip() for name in declared.split(","))))
        else:
            params = _GPT_IMAGE_PARAMS if _GPT_IMAGE.fullmatch(upstream_model) else _OTHER_PARAMS
        formats = frozenset(OutputFormat) if "output_format" in params else frozenset({OutputFormat.PNG})
        return Capabilities(
            n=tuple(range(1, 11)), sizes=None, params=params, output_formats=formats, recovery=Recovery.NONE
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        send = Send(
            "POST",
            "/images/generations",
            deadline_s=self._wire.deadline_s(call.deadline_s),
            body=orjson.dumps(self._body(call.request, call.offer)),
            assumed_bytes=call.request.n * _IMAGE_ASSUMED_BYTES,
        )
        return await self._wire.call(send, _read_pictures)

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        send = Send("GET", "/models", deadline_s=self._wire.deadline_s(deadline_s))
        await self._wire.call(send, decode_object)
        return "GET /models answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()

    def _body(self, request: ImageRequest, offer: Offer) -> dict[str, object]:
        body: dict[str, object] = {"model": offer.upstream_model, "prompt": request.prompt, "n": request.n}
        if request.pixels is not None:
            body["size"] = str(request.pixels)
        if not _GPT_IMAGE.fullmatch(offer.upstream_model):
            body["response_format"] = self.settings.options.get("response_format", "b64_json")
        body.update(optional_params(request, self.capabilities(offer.upstream_model).params))
        body.update(fixed_params(offer.params))
        body.update(extra_params(offer))
        if body.get("output_format", "png") == "png":
            body.pop(
                "output_compression", None
            )  # OpenAI answers 400 to it, though PNG merely has nothing to compress away
        return {name: value for name, value in body.items() if value != ""}


def _read_pictures(body: bytearray) -> Generated:
    """As a whole in a thread where the body is large: taking the base64 text out copies it."""
    return pictures(decode_images(body))


def pictures(answer: ImagesAnswer) -> Generated:
    """The pictures of a 2xx answer, fewer than asked for included. Without any: a refusal where something says so, else NO_IMAGE.

    Billed: a refused or empty item was made and counted (Ideogram documents it, token usage proves it), so YES; an answer without any item and
    without tokens follows the price lists, which charge per picture or per token, so NO. Failing over is right in both cases.
    """
    items = answer.data or ()
    images = tuple(image for image in (item.image() for item in items if not item.refused) if image is not None)
    usage = answer.usage.usage() if answer.usage is not None else None
    if images:
        return Generated(images, usage)
    spent = usage is not None and usage.output_tokens > 0
    billed = Billed.YES if spent else Billed.NO
    if any(item.refused for item in items):
        raise UpstreamFailure(Fault.REFUSED, Billed.YES, "the picture was withheld by the upstream's content filter")
    for error in (answer.error, *(item.error for item in items)):
        if error:
            found = faults.read_error_object(0, {"error": error})
            fault, verdict = faults.classify(found)
            raise UpstreamFailure(
                fault, Billed.YES if spent else verdict, f"in a 2xx answer: {found.message}", param=found.param
            )
    if items:
        raise UpstreamFailure(Fault.NO_IMAGE, Billed.YES, f"{len(items)} items, none with a picture")
    raise UpstreamFailure(Fault.NO_IMAGE, billed, "an answer without pictures")
