"""Pictures that callers give: what is known of a stored one, and how large they may be."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.ids import AccountId, FileId
from gateway.domain.images import Pixels

FILE_BYTES_MAX = 50_000_000
"""OpenAI: a picture of an edit has less than 50 MB."""
URL_BYTES_MAX = 10_000_000
"""The task contract: each picture behind a URL has at most 10 MB."""
MASK_BYTES_MAX = 4 * 1024 * 1024 - 1
"""Both contracts: a PNG below 4 MB."""
INPUTS_MAX = 16
"""OpenAI: reference pictures in one edit; a model may allow fewer."""


class Purpose(StrEnum):
    """Why a file is kept. Those for a CALL belong to one call and are not listed."""

    VISION = "vision"  # uploaded by its owner, usable in any number of calls until it expires
    CALL = "call"  # a part of a form, or a `data:` URL of one call


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A picture that is stored here, looked at by its headers."""

    id: FileId
    account: AccountId
    """The key whose file it is; nobody else sees it."""
    purpose: Purpose
    filename: str
    """As the caller named it, for showing alone; never a path."""
    content_type: str
    """By its bytes: image/png, image/jpeg or image/webp."""
    size_bytes: int
    pixels: Pixels
    has_alpha: bool
    sha256: str
    created_at_ms: int
    expires_at_ms: int
