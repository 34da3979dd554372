"""What gateway and worker say to each other: comes through as it was, and nonsense is recognised."""

import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging import protocol
from gateway.imaging.protocol import Job, ProtocolBroken, Status, Work
from gateway.imaging.sniff import BYTES_MAX


@pytest.mark.parametrize(
    "job",
    [
        Job(*each)
        for each in product(
            Work,
            OutputFormat,
            (0, 100),
            (False, True),
            (False, True),
            (False, True),
            (None, Pixels(8192, 1)),
            (0, BYTES_MAX),
        )
    ],
)
def test_a_job_comes_through(job: Job) -> None:
    """Every field, with number and length."""
    header = protocol.pack_job(2**32 - 1, job, BYTES_MAX)
    assert len(header) == protocol.JOB_HEADER_BYTES
    assert protocol.unpack_job(header) == (2**32 - 1, job, BYTES_MAX)


@pytest.mark.parametrize("status", Status)
def test_an_answer_comes_through(status: Status) -> None:
    """Up to exactly the length that its reader allows."""
    most = 1_000 if status is Status.DONE else protocol.TEXT_BYTES_MAX
    assert protocol.unpack_answer(protocol.pack_answer(7, status, most), 7, 1_000) == (status, most)
    with pytest.raises(ProtocolBroken):
        protocol.unpack_answer(protocol.pack_answer(7, status, most + 1), 7, 1_000)


@pytest.mark.parametrize(
    "header",
    [
        protocol.pack_answer(8, Status.DONE, 1),
        b"GIW2" + protocol.pack_answer(7, Status.DONE, 1)[4:],
        struct.pack("!4sIBI", b"GIW1", 7, 0, 1),
        struct.pack("!4sIBI", b"GIW1", 7, 9, 1),
    ],
)
def test_an_answer_to_something_else_is_broken(header: bytes) -> None:
    """Another number, another magic, an unknown status."""
    with pytest.raises(ProtocolBroken):
        protocol.unpack_answer(header, 7, 1_000)


@given(st.binary(min_size=protocol.JOB_HEADER_BYTES, max_size=protocol.JOB_HEADER_BYTES), st.booleans())
def test_any_job_header_is_a_job_or_broken(data: bytes, magic: bool) -> None:
    """Never another error, never a length beyond the limit."""
    try:
        _, job, length = protocol.unpack_job(b"GIW1" + data[4:] if magic else data)
    except ProtocolBroken:
        return
    assert length <= BYTES_MAX
    assert job.work in Work


@given(st.binary(max_size=400))
def test_a_reason_is_harmless_text(data: bytes) -> None:
    """Whatever a worker sends: no control characters for a log, nothing but ASCII."""
    text = protocol.reason_text(data)
    assert len(text) == len(data)
    assert all(" " <= character <= "~" for character in text)


def test_a_reason_of_ours_comes_through() -> None:
    """Cut to what a reader accepts."""
    assert protocol.reason_text(protocol.text_bytes("the picture is 1x2; resize it")) == "the picture is 1x2; resize it"
    assert len(protocol.text_bytes("x" * 1_000)) == protocol.TEXT_BYTES_MAX
