"""Bodies and answers of the routes that the console's playground is made with; an API key is asked for, as everywhere."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.schemas.answers import Answer

PROMPT_CHARS_MAX = 1_000_000


class TokensBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1, max_length=200)
    prompt: str = Field(max_length=PROMPT_CHARS_MAX)


class TokensAnswer(Answer):
    """`tokens` is null for a text that no model takes, which is not counted."""

    object: Literal["prompt.tokens"]
    model: str
    tokens: int | None
    tokens_max: int
    fits: bool


class PixelRangeAnswer(Answer):
    """Any WIDTHxHEIGHT with both sides multiples of `multiple_of`, within these bounds."""

    multiple_of: int
    ratio_max: int
    edge_max: int
    area_min: int
    area_max: int


class ModelCardAnswer(Answer):
    """`credits_per_image` is null where the charge follows the upstream's cost; `sizes` are those that this key may ask for."""

    id: str
    response: Literal["task", "image"]
    prompt_tokens_max: int
    sizes: list[str]
    pixel_range: PixelRangeAnswer | None
    n: list[int]
    qualities: list[str]
    output_formats: list[str]
    references_max: int
    reference_bytes_max: int
    mask_bytes_max: int
    edits: bool
    masks: bool
    variations: bool
    streams: bool
    estimated_time_s: int
    credits_per_image: float | None


class ModelCardListAnswer(Answer):
    object: Literal["list"]
    default_model: str
    credits_per_usd: float
    data: list[ModelCardAnswer]
