"""What Google's `generateContent` answers of status 200 contain: a picture, a refusal, or nothing, and the tokens that it took. Pure.

Read with tolerance: an odd field beside a paid picture must not cost the picture. ValueError where the body is not a JSON object.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.domain.catalog import Price, TokenPrice
from gateway.domain.images import Usage
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Count, Lenient, decode_object
from gateway.upstreams.base import Generated, InlineImage, UpstreamFailure

REFUSALS = (
    *("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
)
"""What `finishReason` says of content that is not shown. Any other one without a picture only means that none was made."""


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class InlineData(_Body):
    data: Lenient[Annotated[str, Field(min_length=1)]] = None


class Part(_Body):
    inline_data: Lenient[InlineData] = None
    text: Lenient[str] = None
    thought: Lenient[bool] = None
    """A sketch or a thought on the way, not the result."""

    @property
    def base64(self) -> bytes | None:
        data = self.inline_data.data if self.inline_data is not None else None
        return data.encode() if data is not None and data.isascii() and not self.thought else None


class Content(_Body):
    parts: Lenient[list[Lenient[Part]]] = None


class Candidate(_Body):
    content: Lenient[Content] = None
    finish_reason: Lenient[str] = None
    finish_message: Lenient[str] = None

    @property
    def parts(self) -> list[Part]:
        return [part for part in (self.content.parts if self.content else None) or () if part is not None]


class Feedback(_Body):
    block_reason: Lenient[str] = None
    block_reason_message: Lenient[str] = None


class Modality(_Body):
    modality: Lenient[str] = None
    token_count: Lenient[Count] = None


class UsageMetadata(_Body):
    prompt_token_count: Lenient[Count] = None
    candidates_token_count: Lenient[Count] = None
    thoughts_token_count: Lenient[Count] = None
    total_token_count: Lenient[Count] = None
    prompt_tokens_details: Lenient[list[Lenient[Modality]]] = None
    candidates_tokens_details: Lenient[list[Lenient[Modality]]] = None

    def usage(self) -> Usage | None:
        """None without the prompt's count: a part of a bill is no bill. What no detail calls text is taken for picture, which costs more."""
        prompt, thoughts = self.prompt_token_count, self.thoughts_token_count or 0
        if prompt is None:
            return None
        made = self.candidates_token_count
        if made is None:
            made = max(0, (self.total_token_count or 0) - prompt - thoughts)
        images_in = min(_image_tokens(self.prompt_tokens_details) or 0, prompt)
        images_out = _image_tokens(self.candidates_tokens_details)
        text_out = 0 if images_out is None else max(0, made - images_out)
        return Usage(prompt - images_in, images_in, made + thoughts, text_out + thoughts)


class Answer(_Body):
    candidates: Lenient[list[Lenient[Candidate]]] = None
    prompt_feedback: Lenient[Feedback] = None
    usage_metadata: Lenient[UsageMetadata] = None


def read_answer(body: bytes | bytearray, price: Price, rows: tuple[faults.Row, ...] = ()) -> Generated:
    """The picture and its tokens. Without one raises UpstreamFailure: REFUSED or NO_IMAGE, or what an error in a 200 says.

    Billed by the tokens that the answer counts, at `price`: Google charges for every answer of status 200. Without any count nothing was made.
    """
    document = decode_object(body)
    answer = Answer.model_validate(document)
    usage = answer.usage_metadata.usage() if answer.usage_metadata is not None else None
    candidate = next((one for one in answer.candidates or () if one is not None), Candidate())
    picture = next((data for part in candidate.parts if (data := part.base64) is not None), None)
    if picture is not None:
        return Generated((InlineImage(picture),), usage)
    if document.get("error"):
        error = faults.read_error_object(200, document)
        fault, billed = faults.classify(error, rows)
        raise UpstreamFailure(fault, billed, f"in a 2xx answer: {error.message}", param=error.param)
    raise _failure(answer.prompt_feedback or Feedback(), candidate, usage, price)


def _failure(feedback: Feedback, candidate: Candidate, usage: Usage | None, price: Price) -> UpstreamFailure:
    """`cost_usd` where the price goes by tokens. A prompt alone is not billed as a picture where it goes by pictures."""
    reason = candidate.finish_reason or "no reason"
    if feedback.block_reason is not None:
        fault, message = Fault.REFUSED, f"prompt blocked: {feedback.block_reason} {feedback.block_reason_message or ''}"
    elif reason in REFUSALS:
        fault, message = Fault.REFUSED, f"withheld: {reason} {candidate.finish_message or ''}"
    else:
        text = " ".join(part.text for part in candidate.parts if part.text and not part.thought)
        fault, message = Fault.NO_IMAGE, f"no picture: {reason} {candidate.finish_message or text}"
    by_tokens = isinstance(price, TokenPrice)
    spent = usage is not None and (usage.output_tokens > 0 or (by_tokens and usage.total_tokens > 0))
    cost_usd = price.usd(usage) if spent and usage is not None and isinstance(price, TokenPrice) else None
    return UpstreamFailure(fault, Billed.YES if spent else Billed.NO, message, cost_usd=cost_usd)


def _image_tokens(details: list[Modality | None] | None) -> int | None:
    """Of the picture's part of a count; None where there is no such detail."""
    found = [one.token_count for one in details or () if one is not None and one.modality == "IMAGE"]
    return sum(count or 0 for count in found) if found else None
