"""OpenAI's server-sent events: partial pictures, the completed one with its usage, errors."""

from collections.abc import Mapping

import orjson

from tests.emulators.openai_rules import Job


def event(document: Mapping[str, object]) -> bytes:
    """One event; its name repeats the type."""
    name = str(document.get("type", "error"))
    return f"event: {name}\ndata: ".encode() + orjson.dumps(document) + b"\n\n"


def partial_event(job: Job, item: Mapping[str, object], index: int, *, edits: bool) -> bytes:
    """A picture on the way; here it is the finished one already."""
    return event({"type": f"{_prefix(edits)}.partial_image", "partial_image_index": index, **_told(job), **item})


def stream_of(job: Job, answer: Mapping[str, object], data: list[dict[str, object]], *, edits: bool) -> bytes:
    """All events of an answer."""
    events = b": streaming\n\n"
    for item in data:
        for index in range(job.partial_images):
            events += partial_event(job, item, index, edits=edits)
        done = {"type": f"{_prefix(edits)}.completed", **_told(job), **item, "usage": answer["usage"]}
        events += event(done)
    return events


def _prefix(edits: bool) -> str:
    return "image_edit" if edits else "image_generation"


def _told(job: Job) -> dict[str, object]:
    return {
        "created_at": 1_764_000_000,
        "background": job.background,
        "output_format": job.output_format,
        "quality": job.quality,
        "size": job.size_text,
    }
