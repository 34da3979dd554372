"""The bodies of `POST /v1/images/edits` and `/v1/images/variations`: JSON, and forms, whose texts become the same fields.

Where the pictures of a form are, the name stands under which its reader keeps them. Null and an empty text mean absent.
"""

from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.api.body import JsonObject
from gateway.api.errors import error_of_validation
from gateway.api.schemas.generation import DrawingBody, Generation, Reference, generation_of
from gateway.domain.errors import InvalidRequest
from gateway.domain.files import FILE_BYTES_MAX, INPUTS_MAX, MASK_BYTES_MAX
from gateway.domain.images import Operation

Body = TypeVar("Body", bound=DrawingBody)
_FILE = {"type": "string", "format": "binary"}


class ImageReference(BaseModel):
    """Exactly one of both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image_url: Annotated[
        str | None, Field(description="A public https URL, a `data:` URL, a file's URL, or a link of this gateway.")
    ] = None
    file_id: Annotated[str | None, Field(description="Of POST /v1/files.")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("needs exactly one of image_url and file_id")
        return self

    def named(self, field: str, bytes_max: int) -> Reference:
        if self.file_id is not None:
            return Reference(field, self.file_id, bytes_max, is_id=True)
        return Reference(field, self.image_url or "", bytes_max)


class EditBody(DrawingBody):
    """An edit of one or more pictures, as JSON."""

    model_config = ConfigDict(title="ImageEdit")

    prompt: Annotated[str, Field(description="What the picture shall become.")]
    images: Annotated[list[ImageReference], Field(min_length=1, max_length=INPUTS_MAX)]
    mask: Annotated[
        ImageReference | None,
        Field(description="A PNG below 4 MB of the first picture's size: what is transparent in it is made anew."),
    ] = None


class EditForm(DrawingBody):
    """An edit as a form. For the OpenAPI document alone: its parts are read one by one."""

    model_config = ConfigDict(title="ImageEditForm")

    prompt: str
    image: Annotated[
        list[str],
        Field(
            description="One part `image`, or up to 16 parts `image[]`: png, jpeg or webp below 50 MB each.",
            json_schema_extra={"items": _FILE},
        ),
    ]
    mask: Annotated[str | None, Field(json_schema_extra=_FILE, description="As in the JSON form.")] = None


class VariationBody(DrawingBody):
    """A variation of one picture."""

    model_config = ConfigDict(title="ImageVariation")

    images: Annotated[list[ImageReference], Field(min_length=1, max_length=1)]


class VariationForm(DrawingBody):
    """A variation as a form. For the OpenAPI document alone."""

    model_config = ConfigDict(title="ImageVariationForm")

    image: Annotated[str, Field(json_schema_extra=_FILE)]


def parse_edit(body: JsonObject, default_model: str, *, is_form: bool = False) -> Generation:
    """Checks a body. Raises InvalidRequest or UnsupportedParameter with the name of the field."""
    fields = _checked(EditBody, body, is_form=is_form)
    mask = None if fields.mask is None else fields.mask.named("mask", MASK_BYTES_MAX)
    return generation_of(
        fields, fields.prompt, default_model, _named(fields.images, is_form=is_form), mask, Operation.EDIT
    )


def parse_variation(body: JsonObject, default_model: str, *, is_form: bool = False) -> Generation:
    """Checks a body. Raises as `parse_edit` does."""
    fields = _checked(VariationBody, body, is_form=is_form)
    return generation_of(
        fields, "", default_model, _named(fields.images, is_form=is_form), operation=Operation.VARIATION
    )


def _checked(kind: type[Body], body: JsonObject, *, is_form: bool) -> Body:
    """A form's texts may spell numbers and truths, and its pictures are called as its parts are."""
    images, most = body.get("images"), INPUTS_MAX if kind is EditBody else 1
    if is_form and isinstance(images, list) and len(images) > most:
        raise InvalidRequest(f"image: may be {most} at most; there are {len(images)}.", param="image")
    if is_form and not images:
        raise InvalidRequest(
            "image: is required: send the picture as the part `image`, or several as `image[]`.", param="image"
        )
    try:
        return kind.model_validate(body, strict=False if is_form else None)
    except ValidationError as exc:
        raise error_of_validation(exc) from exc


def _named(images: list[ImageReference], *, is_form: bool) -> tuple[Reference, ...]:
    if is_form and len(images) == 1:
        return (images[0].named("image", FILE_BYTES_MAX),)
    name = "image" if is_form else "images"
    return tuple(image.named(f"{name}[{at}]", FILE_BYTES_MAX) for at, image in enumerate(images))
