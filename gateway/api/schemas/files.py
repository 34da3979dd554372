"""Bodies and answers of the file routes: OpenAI's Files shape, and EvoLink's file service."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from gateway.api.schemas.answers import Answer

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_PATH = Field(
    max_length=200,
    validation_alias=AliasChoices("upload_path", "uploadPath"),
    description="Told back; means nothing here.",
)
_NAME = Field(
    max_length=255, validation_alias=AliasChoices("file_name", "fileName"), description="How the file is shown."
)


class FileForm(BaseModel):
    """An upload."""

    file: Annotated[str, Field(json_schema_extra=_FILE, description="A png, jpeg or webp of at most 50 MB.")]
    purpose: Literal["vision"]


class FileAnswer(Answer):
    """OpenAI's file object."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Literal["vision"]
    status: Literal["processed"]


class FileListAnswer(Answer):
    """Newest first."""

    object: Literal["list"]
    data: list[FileAnswer]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeletedAnswer(Answer):
    id: str
    object: Literal["file"]
    deleted: Literal[True]


class _Naming(BaseModel):
    """What EvoLink's uploads say besides, in either spelling. Unknown fields are tolerated."""

    model_config = ConfigDict(strict=True, extra="allow")

    upload_path: Annotated[str | None, _PATH] = None
    file_name: Annotated[str | None, _NAME] = None


class EvolinkBase64Body(_Naming):
    """Base64 with or without `data:image/png;base64,` before it."""

    base64_data: Annotated[str, Field(min_length=1, validation_alias=AliasChoices("base64_data", "base64Data"))]


class EvolinkUrlBody(_Naming):
    """A public https URL, fetched at once."""

    file_url: Annotated[str, Field(min_length=1, validation_alias=AliasChoices("file_url", "fileUrl"))]


class EvolinkFileForm(_Naming):
    """A file as a part of a form."""

    file: Annotated[str, Field(json_schema_extra=_FILE)]


class EvolinkFile(Answer):
    file_id: str
    file_name: str
    original_name: str
    file_size: int
    mime_type: str
    upload_path: str
    file_url: str
    download_url: str
    upload_time: str
    expires_at: str


class EvolinkFileAnswer(Answer):
    success: Literal[True]
    code: Literal[200]
    msg: str
    data: EvolinkFile
