"""One job from bytes to bytes: what the worker does between reading and answering. How it fails: Refused, GaveUp."""

from PIL import Image

from gateway.imaging.protocol import Job, Work
from gateway.imaging.sniff import SniffedImage
from gateway.imaging.worker import mask_pixels
from gateway.imaging.worker.encoding import encoded, on_white
from gateway.imaging.worker.opening import look, pixels_of
from gateway.imaging.worker.refusal import GaveUp, Refused


def perform(job: Job, data: bytes, pixels_max: int) -> bytes:
    """The result's file, at most `job.bytes_max` long."""
    found = look(data, pixels_max)
    wanted = job.pixels
    if wanted is not None and (found.width, found.height) != (wanted.width, wanted.height):
        raise Refused(f"the picture is {found.width}x{found.height} and must be {wanted}; resize it")
    try:
        return encoded(_made(job, data, found), job.output_format, job.compression, job.bytes_max)
    except MemoryError as exc:
        raise GaveUp("the picture takes too much memory; send a smaller one") from exc


def _made(job: Job, data: bytes, found: SniffedImage) -> Image.Image:
    match job.work:
        case Work.CONVERT:
            image = pixels_of(data, found, upright=True)
            return on_white(image) if job.opaque else image
        case Work.WHITE_MASK:
            mask = pixels_of(data, found, upright=False)
            return mask_pixels.white_from_alpha(mask, hard_edges=job.hard_edges, rgb=job.rgb)
        case Work.ALPHA_MASK:
            mask = pixels_of(data, found, upright=False)
            return mask_pixels.alpha_from_white(mask, hard_edges=job.hard_edges)
