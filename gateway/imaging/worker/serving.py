"""Reads jobs, performs them, answers."""

import io
from collections.abc import Callable

from PIL import Image

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging import protocol
from gateway.imaging.protocol import Job, Status, Work
from gateway.imaging.worker import confinement, jobs
from gateway.imaging.worker.opening import DECODERS, forbid_bombs
from gateway.imaging.worker.refusal import GaveUp, Refused

READY = 0
"""The number of the answer that nobody asked for: decoders are loaded."""


def serve(read: Callable[[int], bytes], write: Callable[[bytes], None], cpu_s: int, pixels_max: int) -> None:
    """Until the other side closes, or a decoder has failed."""
    write(protocol.pack_answer(READY, Status.DONE, 0))
    status = Status.DONE
    while status is not Status.GAVE_UP:
        try:
            number, job, length = protocol.unpack_job(read(protocol.JOB_HEADER_BYTES))
            data = read(length)
        except (EOFError, ConnectionError):
            return
        confinement.start_job(cpu_s)
        status, result = _answer(job, data, pixels_max)
        del data
        write(protocol.pack_answer(number, status, len(result)))
        write(result)


def warm_up(pixels_max: int) -> None:
    """One picture through every decoder and encoder: whatever they import late is there before no file can be opened any more."""
    assert all(DECODERS)
    forbid_bombs(pixels_max)
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in OutputFormat:
        file = io.BytesIO()
        Image.new("RGB", (3, 2)).save(file, form.value.upper(), exif=exif, icc_profile=b"-")
        for output_format in OutputFormat:
            jobs.perform(Job(Work.CONVERT, output_format), file.getvalue(), pixels_max)
    clear = io.BytesIO()
    Image.new("RGBA", (3, 2)).save(clear, "PNG")
    jobs.perform(Job(Work.WHITE_MASK, pixels=Pixels(3, 2)), clear.getvalue(), pixels_max)


def _answer(job: Job, data: bytes, pixels_max: int) -> tuple[Status, bytes]:
    try:
        return Status.DONE, jobs.perform(job, data, pixels_max)
    except GaveUp as exc:
        return Status.GAVE_UP, protocol.text_bytes(str(exc))
    except Refused as exc:
        return Status.REFUSED, protocol.text_bytes(str(exc))
