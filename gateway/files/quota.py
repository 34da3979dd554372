"""How much a key may keep: pure. What belongs to one call is not counted, it goes with the call."""

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one key's uploaded pictures that have not expired."""

    bytes_max: int = 1_000 * MB
    files_max: int = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What a key keeps now."""

    files: int
    size_bytes: int


def refusal(quota: Quota, kept: Kept, size_bytes: int) -> str | None:
    """Why one more file of this size is not taken, and what to do; None: it is."""
    if kept.files + 1 > quota.files_max:
        return f"This key keeps {kept.files} files, the most it may. Delete files that are no longer needed."
    if kept.size_bytes + size_bytes > quota.bytes_max:
        left = max(0, quota.bytes_max - kept.size_bytes)
        return (
            f"This key's files have {kept.size_bytes} of {quota.bytes_max} bytes, so {left} are left, and this file needs {size_bytes}. "
            "Delete files that are no longer needed."
        )
    return None
