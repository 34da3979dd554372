"""The worker's life: confine itself, load the decoders, then one job after the other from the socket on descriptor 0.

Arguments: memory in bytes, processor seconds a job, jobs in a life, pixels of a picture. Ends when the other side closes, on GaveUp, and on a
message that has no meaning; a picture that eats its processor time ends it by SIGXCPU. Nothing is kept from one picture to the next.
"""

import os
import sys

from gateway.imaging.worker import confinement

_READ_BYTES = 1 << 20


def main(arguments: list[str]) -> None:
    memory_bytes, cpu_s, jobs_max, pixels_max = map(int, arguments)
    confinement.before_imports(memory_bytes, cpu_s * (jobs_max + 1))
    # Only now: what is imported here is what a hostile picture is handed to.
    from gateway.imaging.worker.serving import serve, warm_up

    warm_up(pixels_max)
    confinement.after_imports()
    serve(_read, _write, cpu_s, pixels_max)


def _read(length: int) -> bytes:
    """So many bytes; EOFError when the other side has closed."""
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        count = os.readv(0, [view[at : at + _READ_BYTES]])
        if not count:
            raise EOFError
        at += count
    return bytes(data)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(0, view) :]


if __name__ == "__main__":
    main(sys.argv[1:])
