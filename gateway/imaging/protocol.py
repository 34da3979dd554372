"""What the gateway and a decoding worker say to each other over a socket pair: fixed headers, each followed by as many bytes as it states.

Never a pickle, no nesting, no text that is parsed: a worker may have been taken over by a picture, so all that its answers can hold is
a status and bytes, within a length that the reader chose. Pure; how it fails: ProtocolBroken, after which the worker is of no more use.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging.sniff import BYTES_MAX

TEXT_BYTES_MAX = 200
"""Of a reason."""
_MAGIC = b"GIW1"
_JOB = struct.Struct(
    "!4sIBBBBIIII"
)  # magic, number, work, format, compression, flags, width, height, bytes_max, length
_ANSWER = struct.Struct("!4sIBI")  # magic, number, status, length
JOB_HEADER_BYTES = _JOB.size
ANSWER_HEADER_BYTES = _ANSWER.size
_HARD_EDGES, _RGB, _OPAQUE = 1, 2, 4
_FORMATS = tuple(OutputFormat)


class ProtocolBroken(Exception):
    """The other side said something that has no meaning, or stopped in the middle."""


class Work(IntEnum):
    """What is done with a picture."""

    CONVERT = 1  # another format, upright, without metadata
    WHITE_MASK = 2  # transparent-is-edit to white-is-edit
    ALPHA_MASK = 3  # white-is-edit to transparent-is-edit


class Status(IntEnum):
    """How a job ended; the worker takes another one, except after GAVE_UP."""

    DONE = 1  # with the picture
    REFUSED = 2  # with the reason, for whoever sent the picture
    GAVE_UP = 3  # as REFUSED, but inside a decoder: who knows what else the picture did there, so the worker ends


@dataclass(frozen=True, slots=True)
class Job:
    """One picture's way. What does not belong to the work is ignored."""

    work: Work
    output_format: OutputFormat = OutputFormat.PNG
    compression: int = 100
    hard_edges: bool = False
    rgb: bool = False
    """A white mask in three channels instead of one."""
    opaque: bool = False
    """A converted picture gets white behind what is transparent, in every format."""
    pixels: Pixels | None = None
    """The size that the picture must have."""
    bytes_max: int = BYTES_MAX
    """Of the result."""


def pack_job(number: int, job: Job, length: int) -> bytes:
    flags = _HARD_EDGES * job.hard_edges | _RGB * job.rgb | _OPAQUE * job.opaque
    width, height = (job.pixels.width, job.pixels.height) if job.pixels else (0, 0)
    form = _FORMATS.index(job.output_format)
    return _JOB.pack(_MAGIC, number, job.work, form, job.compression, flags, width, height, job.bytes_max, length)


def unpack_job(header: bytes) -> tuple[int, Job, int]:
    """Number, job and the length of the picture that follows."""
    magic, number, work, form, compression, flags, width, height, bytes_max, length = _JOB.unpack(header)
    if magic != _MAGIC or form >= len(_FORMATS) or length > BYTES_MAX:
        raise ProtocolBroken("not a job")
    pixels = Pixels(width, height) if width or height else None
    hard_edges, rgb, opaque = bool(flags & _HARD_EDGES), bool(flags & _RGB), bool(flags & _OPAQUE)
    return number, Job(_work(work), _FORMATS[form], compression, hard_edges, rgb, opaque, pixels, bytes_max), length


def pack_answer(number: int, status: Status, length: int) -> bytes:
    return _ANSWER.pack(_MAGIC, number, status, length)


def unpack_answer(header: bytes, number: int, bytes_max: int) -> tuple[Status, int]:
    """Status and the length of what follows, which is at most `bytes_max`, and TEXT_BYTES_MAX for a reason."""
    magic, answered, code, length = _ANSWER.unpack(header)
    try:
        status = Status(code)
    except ValueError as exc:
        raise ProtocolBroken("an answer of unknown status") from exc
    if magic != _MAGIC or answered != number or length > (bytes_max if status is Status.DONE else TEXT_BYTES_MAX):
        raise ProtocolBroken("not an answer to this job")
    return status, length


def text_bytes(reason: str) -> bytes:
    """A reason as it is sent."""
    return reason.encode("ascii", "replace")[:TEXT_BYTES_MAX]


def reason_text(data: bytes) -> str:
    """A reason as it was sent; what a text of ours never holds is replaced."""
    return "".join(character if " " <= character <= "~" else "?" for character in data.decode("latin-1"))


def _work(code: int) -> Work:
    try:
        return Work(code)
    except ValueError as exc:
        raise ProtocolBroken("unknown work") from exc
