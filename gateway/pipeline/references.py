"""The checks of a call's pictures before anything is held: how many, and whether their URLs may be fetched at all. Fetches nothing.

Each error names the field as the caller wrote it. A refused URL is told in one text, whatever the reason is: answers must not tell what a
network looks like inside.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.domain.catalog import Model, Offer
from gateway.domain.errors import InvalidRequest, ModelNotFound, Overloaded, UnsupportedParameter
from gateway.domain.images import ImageInput, InputSource, Operation
from gateway.egress.caller_urls import TooManyLookups
from gateway.egress.errors import EgressRefused

CheckUrl = Callable[[str], Awaitable[None]]
"""Raises EgressRefused, TooManyLookups."""
Can = Callable[[Offer, Operation], bool]
"""Whether an offer's upstream is on and does this at all."""

URL_TEXT = (
    "must be an absolute https URL of at most 2048 characters whose host is public, without user name or password; "
    "or a data: URL, or the id of an uploaded file (file-…)"
)


def check_count(names: tuple[str, ...], images: int, model: Model) -> None:
    """Raises UnsupportedParameter where a model takes no pictures, InvalidRequest where it takes fewer."""
    if images <= model.image_urls_max:
        return
    name = names[0].partition("[")[0] if names else "image_urls"
    if not model.image_urls_max:
        raise UnsupportedParameter(
            f"{name}: {model.name} takes no pictures. Leave it out, or use another model.", param=name
        )
    raise InvalidRequest(
        f"{name}: has {images} pictures; {model.name} takes at most {model.image_urls_max}.", param=name
    )


def check_variation(model: Model, can: Can) -> None:
    """OpenAI retired variations: nearly no model has them. Raises ModelNotFound."""
    if not any(can(offer, Operation.VARIATION) for offer in model.offers):
        raise ModelNotFound(
            f"No upstream makes variations with {model.name}. "
            "Send the picture to POST /v1/images/edits with a prompt that says what shall vary.",
            param="model",
        )


async def check_urls(names: tuple[str, ...], pictures: tuple[ImageInput, ...], check: CheckUrl) -> None:
    """All at once; the first one that may not be fetched counts. Raises InvalidRequest, Overloaded."""
    named = [
        (name, picture.value)
        for name, picture in zip(names, pictures, strict=True)
        if picture.source is InputSource.URL
    ]  # fmt: skip
    outcomes = await asyncio.gather(*(check(url) for _, url in named), return_exceptions=True)
    for (name, _), outcome in zip(named, outcomes, strict=True):
        if isinstance(outcome, EgressRefused):
            raise InvalidRequest(f"{name}: {URL_TEXT}.", param=name, log=outcome.reason) from outcome
        if isinstance(outcome, TooManyLookups):
            text = "too many URLs are being looked up. Try again shortly."
            raise Overloaded(f"{name}: {text}", param=name, retry_after_s=5) from outcome
        if outcome is not None:
            raise outcome
