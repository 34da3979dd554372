"""How long a thread has waited for a processor that others had: what a test takes off a pause that it measured, so that only its own is left."""

from pathlib import Path


def waited_s() -> float:
    """Of this thread, until now (schedstat of Linux). 0 where there is none."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
