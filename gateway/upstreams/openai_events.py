"""OpenAI's events: what each is, and what the last one says. Pure; a large one is for a thread.

A stream that ends with an error after a partial picture had tokens of its own: what would be free elsewhere is in doubt here, but for a refusal.
"""

from typing import Any

from gateway.domain.images import PartialImage
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import ImagesAnswer, decode_object, images_answer
from gateway.upstreams.base import UpstreamFailure
from gateway.upstreams.openai_profiles import Profile
from gateway.upstreams.wire import Reply

_DONE = b"[DONE]"


def read_event(data: bytearray) -> PartialImage | bool:
    """A partial picture; True for the last event, which is the answer, or an error; False for anything else. ValueError: no JSON object."""
    if data == _DONE:
        return False
    document = decode_object(data)
    kind = str(document.get("type"))
    if document.get("error") or kind == "error":
        return True
    if not kind.endswith(".partial_image"):
        return kind.endswith(".completed")
    text, index = document.get("b64_json"), document.get("partial_image_index")
    if not isinstance(text, str) or not text.isascii():
        return False
    return PartialImage(text.encode(), index if isinstance(index, int) else 0)


def last_event(reply: Reply, profile: Profile) -> ImagesAnswer:
    """The answer that the last event is. Raises UpstreamFailure where it is an error."""
    document = decode_object(reply.body)
    error: Any = document.get("error")
    if error or document.get("type") == "error":
        found = faults.read_error_object(0, {"error": error or document})
        fault, billed = faults.classify(found, profile.rows)
        if reply.partials and billed is Billed.NO and fault is not Fault.REFUSED:
            billed = Billed.UNKNOWN
        message = f"in a stream, after {reply.partials} partial pictures: {' '.join(found.words)}: {found.message}"
        raise UpstreamFailure(fault, billed, message, param=found.param)
    return images_answer({"data": [document], "usage": document.get("usage")})


def stream_fields(partial_images: int) -> dict[str, object]:
    """What asks for events."""
    return {"stream": True, "partial_images": partial_images}
