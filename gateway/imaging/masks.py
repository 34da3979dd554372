"""Masks for upstreams of either meaning: transparent-is-edit, as OpenAI has it and callers send it, and white-is-edit.

A mask is a PNG below 4 MB of exactly the picture's pixels as they are stored: an EXIF orientation in the mask means nothing, and a picture
that has one is to be converted first. The check needs headers alone. How it fails: ImageRefused, which names the remedy; DecodingUnavailable.
"""

from enum import StrEnum

from gateway.domain.files import MASK_BYTES_MAX
from gateway.domain.images import Pixels
from gateway.imaging.decode import Decoder, ImageRefused
from gateway.imaging.protocol import Job, Work
from gateway.imaging.sniff import NotAnImage, sniff


class Edges(StrEnum):
    """What becomes of values between nothing and all."""

    SOFT = "soft"  # kept: white is 255 less alpha
    HARD = "hard"  # cut at 128


def check_mask(mask: bytes, pixels: Pixels, *, alpha: bool = True) -> None:
    """ImageRefused unless the headers are those of a mask for a picture of that size. `alpha`: transparent is edit, so there must be some."""
    if len(mask) > MASK_BYTES_MAX:
        raise ImageRefused(
            "the mask must be smaller than 4 MB; save it with fewer colours, or the picture and it in a smaller size"
        )
    try:
        found = sniff(mask)
    except NotAnImage as exc:
        raise ImageRefused(f"the mask cannot be used: {exc.reason}; save it as PNG") from exc
    if found.content_type != "image/png":
        raise ImageRefused(f"the mask is {found.content_type}; save it as PNG")
    if (found.width, found.height) != (pixels.width, pixels.height):
        raise ImageRefused(
            f"the mask is {found.width}x{found.height} and the picture {pixels}; make the mask of exactly that size"
        )
    if alpha and not found.has_alpha:
        raise ImageRefused(
            "the mask has no alpha channel; save it as PNG with transparency where the picture is to change (black and white say nothing)"
        )


async def white_from_alpha(
    decoder: Decoder, mask: bytes, pixels: Pixels, *, edges: Edges = Edges.SOFT, rgb: bool = False
) -> bytes:
    """A PNG of one channel, or three equal ones with `rgb`: white where the mask is transparent. Refuses one that is transparent nowhere."""
    check_mask(mask, pixels)
    return await decoder.run(_job(Work.WHITE_MASK, pixels, edges, rgb=rgb), mask)


async def alpha_from_white(decoder: Decoder, mask: bytes, pixels: Pixels, *, edges: Edges = Edges.SOFT) -> bytes:
    """A black PNG with alpha: transparent where the mask is white. Colours count by their brightness. Refuses one that is black all over."""
    check_mask(mask, pixels, alpha=False)
    return await decoder.run(_job(Work.ALPHA_MASK, pixels, edges), mask)


def _job(work: Work, pixels: Pixels, edges: Edges, *, rgb: bool = False) -> Job:
    return Job(work, hard_edges=edges is Edges.HARD, rgb=rgb, pixels=pixels, bytes_max=MASK_BYTES_MAX)
