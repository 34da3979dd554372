"""What image answers of OpenAI's shape contain, read with tolerance: an odd field beside a paid picture must not cost the picture.

Pure. ValueError where the body is not a JSON object.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from gateway.domain.images import Usage
from gateway.upstreams.base import InlineImage, LinkedImage, UpstreamImage
from gateway.upstreams.long_texts import taken_apart

T = TypeVar("T")


def _none_if_odd(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


Lenient = Annotated[T | None, WrapValidator(_none_if_odd)]
"""A field that counts as absent where it has not the form expected."""

_FILTERED = re.compile(r"content_?filter(ed)?", re.IGNORECASE)


def _no_boolean(value: object) -> object:
    """JSON's `true` is no 1: as a count of tokens it would make a picture all but free."""
    if isinstance(value, bool):
        raise ValueError("is no number")
    return value


Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=10**9)]
Ticks = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=10**14)]
"""Of 1e-10 USD."""
Credits = Annotated[Decimal, Field(ge=0, le=10**7, allow_inf_nan=False)]


class Details(BaseModel):
    text_tokens: Count | None = None
    image_tokens: Count | None = None


class UsageBody(BaseModel):
    """Token usage as OpenAI reports it; some gateways leave the details out."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: Details | None = None
    cost_in_usd_ticks: Ticks | None = None
    """xAI's word for what the call cost."""

    def usage(self) -> Usage | None:
        """None unless both sums are there: a part of a bill is no bill."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        images = (self.input_tokens_details.image_tokens if self.input_tokens_details else None) or 0
        images = min(images, self.input_tokens)
        return Usage(self.input_tokens - images, images, self.output_tokens)


class Item(BaseModel):
    """One element of `data`. The last four are how various vendors mark a refused picture in a successful answer."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    error: dict[str, Any] | None = None
    is_image_safe: bool | None = None
    respect_moderation: bool | None = None
    finish_reason: str | None = None
    _long: bytes | None = PrivateAttr(None)

    def restore(self, texts: dict[str, bytes]) -> None:
        """Where a name stands for the base64, take what it stands for out of `texts`."""
        self._long = texts.pop(self.b64_json or "", None)

    @property
    def refused(self) -> bool:
        return (
            self.is_image_safe is False
            or self.respect_moderation is False
            or (self.finish_reason is not None and _FILTERED.fullmatch(self.finish_reason) is not None)
        )

    def image(self) -> UpstreamImage | None:
        """The picture; base64 may come as a data URL in either field."""
        if self._long is not None:
            return InlineImage(self._long, self.revised_prompt or None)
        for text in (self.b64_json, self.url):
            if not text:
                continue
            if text.startswith("data:"):
                head, _, payload = text.partition(",")
                if head.endswith(";base64") and payload.isascii() and payload:
                    return InlineImage(payload.encode(), self.revised_prompt or None)
            elif text is self.b64_json:
                if text.isascii():
                    return InlineImage(text.encode(), self.revised_prompt or None)
            else:
                return LinkedImage(text, self.revised_prompt or None)
        return None


class ImagesAnswer(BaseModel):
    """A 2xx answer to POST /images/generations."""

    data: tuple[Item, ...] | None = None
    usage: UsageBody | None = None
    error: dict[str, Any] | str | None = None
    block_reason: str | None = None
    """xAI's reason why there are no pictures."""
    credits: Credits | None = None
    """Recraft's word for what the call cost, in its units."""


# The same for an answer in which something is odd: each odd field counts as absent. Asked second, since it costs three times as much.


class _OddDetails(Details):
    text_tokens: Lenient[Count] = None
    image_tokens: Lenient[Count] = None


class _OddUsage(UsageBody):
    input_tokens: Lenient[Count] = None
    output_tokens: Lenient[Count] = None
    input_tokens_details: Lenient[_OddDetails] = None
    cost_in_usd_ticks: Lenient[Ticks] = None


class _OddItem(Item):
    b64_json: Lenient[str] = None
    url: Lenient[str] = None
    revised_prompt: Lenient[str] = None
    error: Lenient[dict[str, Any]] = None
    is_image_safe: Lenient[bool] = None
    respect_moderation: Lenient[bool] = None
    finish_reason: Lenient[str] = None


class _OddAnswer(ImagesAnswer):
    data: Lenient[tuple[_OddItem, ...]] = None
    usage: Lenient[_OddUsage] = None
    error: Lenient[dict[str, Any] | str] = None
    block_reason: Lenient[str] = None
    credits: Lenient[Credits] = None


def decode_images(body: bytes | bytearray) -> ImagesAnswer:
    """Safe to call in a thread; the texts of pictures are not copied by the validation, and long ones are not parsed."""
    rest, texts = taken_apart(body)
    answer = images_answer(decode_object(rest))
    for item in answer.data or () if texts else ():
        item.restore(texts)
    return images_answer(decode_object(body)) if texts else answer  # one stood where no picture does


def images_answer(document: dict[str, Any]) -> ImagesAnswer:
    """The same of what was parsed already."""
    try:
        return ImagesAnswer.model_validate(document)
    except ValidationError:
        return _OddAnswer.model_validate(document)


def decode_object(body: bytes | bytearray) -> dict[str, Any]:
    """The body's JSON object."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document
