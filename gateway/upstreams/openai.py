"""OpenAI's Images API and everything that speaks it, more or less, behind a base URL of its own. Synchronous.

Owns the call: path, key, body and what the answer means; in what a vendor differs is data in `openai_profiles`. A lost answer cannot be found again
(Recovery.NONE): none of them documents an idempotency key. Fails as `wire` and `faults` say, and with NO_IMAGE or REFUSED where a 2xx answer holds no
picture.

Options: `profile` (whose copy of the API it is; none: OpenAI), `params` (comma-separated names that this server understands besides model, prompt, n
and size) and `response_format` (`b64_json`, `url`, or empty to leave it out); the last two default by profile and model.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import orjson

from gateway.domain.catalog import Capabilities, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation, OutputFormat
from gateway.domain.sizes import Fit, fit
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import ImagesAnswer, decode_images
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.bodies import Body
from gateway.upstreams.openai_edits import edit_body, edit_path
from gateway.upstreams.openai_events import last_event, read_event, stream_fields
from gateway.upstreams.openai_profiles import Profile, SizeForm, Traits, profile_of
from gateway.upstreams.params import extra_params, fixed_params, optional_params
from gateway.upstreams.wire import Hearing, Reply, Resources, Send, Wire

_IMAGE_ASSUMED_BYTES = 4 * 1024 * 1024
"""A detailed 1024x1536 PNG in base64; answers are often chunked and announce no length."""

_GENERATES = frozenset({Operation.GENERATE})


class OpenAIAdapter(Adapter):
    kind: ClassVar[str] = "openai"

    def __init__(self, settings: UpstreamSettings, resources: Resources, profile: Profile | None = None) -> None:
        super().__init__(settings)
        self.profile = profile or profile_of(settings.options)
        key = settings.api_key
        self._capabilities: dict[str, Capabilities] = {}
        self._known_traits: dict[str, Traits] = {}
        self._wire = Wire(settings, resources, {self.profile.key_header: self.profile.key_prefix + key} if key else {})

    def capabilities(self, upstream_model: str) -> Capabilities:
        known = self._capabilities.get(upstream_model)
        if known is None:  # asked for several times in every call; the catalogue's models bound the dictionary
            known = self._capabilities[upstream_model] = self._made_capabilities(upstream_model)
        return known

    def _made_capabilities(self, upstream_model: str) -> Capabilities:
        traits, declared = self.profile.traits_of(upstream_model), self.settings.options.get("params")
        params = traits.params
        if declared is not None:
            params = frozenset(filter(None, (name.strip() for name in declared.split(","))))
        unasked = frozenset[OutputFormat]() if traits.output_format is None else frozenset({traits.output_format})
        asks_for_links = traits.base64 is not None and self.settings.options.get("response_format") in ("url", "")
        edits = traits.edits
        return Capabilities(
            operations=_GENERATES if edits is None else _GENERATES | {Operation.EDIT},
            n=traits.n,
            sizes=traits.sizes,
            params=params,
            qualities=traits.qualities,
            output_formats=traits.output_formats if "output_format" in params else unasked,
            recovery=Recovery.NONE,
            prompt_chars_max=traits.prompt_chars_max,
            references_max=traits.references_max,
            edits_keep_size=edits is not None and edits.keep_size,
            mask=traits.mask,
            streams=traits.streams,
            links_live_s=self.profile.links_live_s if asks_for_links else None,
            cost=traits.cost,
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        # Of several pictures in one stream no event says which it is of: they are asked for whole.
        on_partial = call.on_partial if call.request.n == 1 and self._traits(call.offer).streams else None
        path, body = self._written(call, {} if on_partial is None else stream_fields(call.request.partial_images))
        send = Send(
            "POST",
            self._address(path, call.offer.upstream_model),
            deadline_s=self._wire.deadline_s(call.deadline_s),
            body=body,
            assumed_bytes=call.request.n * _IMAGE_ASSUMED_BYTES,
            rows=self.profile.rows,
            hearing=None if on_partial is None else Hearing(read_event, on_partial),
        )
        return await self._wire.reply(send, self._read_pictures)

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        check = self.profile.check
        if check is None:
            return await super().check(deadline_s)
        path = self._check_path(check.path)
        send = Send("GET", path, deadline_s=self._wire.deadline_s(deadline_s), rows=self.profile.rows)
        await self._wire.call(send, orjson.loads)
        taken = "and the key is taken" if check.needs_key else "which says nothing of the key"
        return f"GET {path.partition('?')[0]} answered: the address is right, {taken}"

    async def close(self) -> None:
        await self._wire.close()

    def _traits(self, offer: Offer) -> Traits:
        """Found once: it is looked for by up to ten patterns, and asked for several times in every call. Bounded as above."""
        known = self._known_traits.get(offer.upstream_model)
        if known is None:
            known = self._known_traits[offer.upstream_model] = self.profile.traits_of(offer.upstream_model)
        return known

    def _written(self, call: UpstreamCall, more: Mapping[str, object]) -> tuple[str, Body]:
        """Path and body."""
        fields = self._body(call.request, call.offer) | dict(more)
        edits = self._traits(call.offer).edits
        if call.request.operation is Operation.EDIT and edits is not None:
            return edit_path(edits, call.inputs), edit_body(edits, fields, call.inputs)
        return self.profile.path, orjson.dumps(fields)

    def _address(self, path: str, upstream_model: str) -> str:
        return path

    def _check_path(self, path: str) -> str:
        return path

    def _body(self, request: ImageRequest, offer: Offer) -> dict[str, object]:
        traits = self._traits(offer)
        body: dict[str, object] = {"model": offer.upstream_model, "prompt": request.prompt}
        if traits.sends_n:
            body["n"] = request.n
        body.update(_size_fields(request, traits))
        if traits.base64 is not None:
            wanted = self.settings.options.get("response_format", "b64_json")
            body["response_format"] = traits.base64 if wanted == "b64_json" else wanted
        body.update(traits.fixed)
        body.update(optional_params(request, self.capabilities(offer.upstream_model).params))
        body.update(fixed_params(offer.params))
        body.update(extra_params(offer))
        if body.get("output_format", "png") == "png":
            body.pop(
                "output_compression", None
            )  # OpenAI answers 400 to it, though PNG merely has nothing to compress away
        return {name: value for name, value in body.items() if value != ""}

    def _read_pictures(self, reply: Reply) -> Generated:
        """As a whole in a thread where the body is large: taking the base64 text out copies it."""
        answer = last_event(reply, self.profile) if reply.is_event else decode_images(reply.body)
        return pictures(answer, self.profile)


def _size_fields(request: ImageRequest, traits: Traits) -> dict[str, object]:
    """Nothing for auto. A size that the model does not make goes as it is: the upstream's answer says more than another picture would."""
    if request.pixels is None:
        return {}
    width, height = request.pixels.ratio
    as_asked = f"{width}:{height}" if traits.size_form is SizeForm.RATIO else str(request.pixels)
    made = fit(traits.sizes, request.size, request.pixels) or Fit(as_asked, request.pixels)
    match traits.size_form:
        case SizeForm.SIZE:
            return {"size": made.text}
        case SizeForm.SIDES:
            return {"width": made.pixels.width, "height": made.pixels.height}
        case SizeForm.RATIO:
            fields: dict[str, object] = {"aspect_ratio": made.text}
            return fields | {"resolution": made.step} if made.step else fields


def pictures(answer: ImagesAnswer, profile: Profile) -> Generated:
    """The pictures of a 2xx answer, fewer than asked for included. Without any: a refusal where something says so, else NO_IMAGE.

    Billed: what the answer itself says it cost, where the vendor says so. Else a refused or empty item was made and counted (Ideogram documents it,
    token usage proves it), so YES; an answer without any item and without tokens follows the price lists, which charge per picture or per token, so
    NO. Failing over is right in both cases.
    """
    items = answer.data or ()
    images = tuple(image for image in (item.image() for item in items if not item.refused) if image is not None)
    usage = answer.usage.usage() if answer.usage is not None else None
    cost_usd = profile.cost_usd(answer) if profile.cost_usd is not None else None
    if images:
        unshown = sum(item.image() is None or item.refused for item in items if not item.error)
        return Generated(images, usage, cost_usd, withheld=unshown)
    spent = usage is not None and usage.output_tokens > 0

    def failure(fault: Fault, otherwise: Billed, message: str, param: str | None = None) -> UpstreamFailure:
        billed = Billed.YES if spent else otherwise
        if cost_usd is not None:
            billed = Billed.YES if cost_usd > 0 else Billed.NO
        return UpstreamFailure(fault, billed, message, cost_usd=_positive(cost_usd), param=param)

    if any(item.refused for item in items):
        raise failure(Fault.REFUSED, Billed.YES, "the picture was withheld by the upstream's content filter")
    for error in (answer.error, *(item.error for item in items)):
        if error:
            found = faults.read_error_object(0, {"error": error})
            fault, verdict = faults.classify(found, profile.rows)
            raise failure(fault, verdict, f"in a 2xx answer: {found.message}", found.param)
    if items:
        raise failure(Fault.NO_IMAGE, Billed.YES, f"{len(items)} items, none with a picture")
    if answer.block_reason or profile.empty_is_refusal:
        reason = (answer.block_reason or "an answer without pictures")[:100]
        raise failure(Fault.REFUSED, Billed.UNKNOWN, f"withheld by the upstream's moderation: {reason}")
    raise failure(Fault.NO_IMAGE, Billed.NO, "an answer without pictures")


def _positive(cost_usd: Decimal | None) -> Decimal | None:
    return cost_usd or None
