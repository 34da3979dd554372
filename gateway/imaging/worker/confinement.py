"""What the worker takes from itself before it sees a picture, so that one which takes it over can do little.

The kernel's limits only; they need no privilege and cannot be raised again. Two steps, because Python needs files while it imports.
"""

import math
import os
import resource


def before_imports(memory_bytes: int, cpu_s_max: int) -> None:
    """No core files (they would hold pictures), no writing to files, no child processes; memory and processor time are bounded."""
    # The gateway's own descriptors close by themselves at exec; those that it inherited do not, under every event loop.
    os.closerange(3, min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s_max)


def after_imports() -> None:
    """No further descriptor: no file, no directory and no socket can be opened. The three that are open stay."""
    _limit(resource.RLIMIT_NOFILE, 3)


def start_job(cpu_s: int) -> None:
    """So much processor time from now on, then SIGXCPU ends the process. The kernel counts whole seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(math.ceil(used.ru_utime + used.ru_stime) + cpu_s, hard), hard))


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
