"""Server-sent events as OpenAI's image stream has them: partial pictures, the finished ones, an error in the middle, and heartbeats.

Base64 text is written as it is between encoded parts; it has no line breaks. An event goes out whole or the connection breaks. It fails with
ConnectionError where the client has gone.
"""

from collections.abc import Mapping, Sequence

import orjson
from aiohttp import web

from gateway.api.errors import error_body
from gateway.api.parts import write_part
from gateway.api.rendering import JsonMap, about_pictures
from gateway.api.state import RATE_HEADERS, REQUEST_ID
from gateway.domain.errors import GatewayError
from gateway.domain.images import ImageRequest, Operation, PartialImage
from gateway.domain.tasks import Task
from gateway.pipeline.picture_texts import PictureText

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""nginx would otherwise keep the events until they fill a buffer."""
_HEARTBEAT = b": still at it\n\n"
_NAMES = {Operation.GENERATE: "image_generation", Operation.EDIT: "image_edit", Operation.VARIATION: "image_edit"}
NO_USAGE: JsonMap = {
    "input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
}  # fmt: skip
"""The contract demands a usage in `completed`; upstreams that are not paid by tokens count none."""


class EventStream:
    """One streamed answer. Open it once the call is accepted: until then errors have statuses of their own."""

    def __init__(self, request: web.Request, task: Task, asked: ImageRequest) -> None:
        self._request = request
        self._task = task
        self._asked = asked
        self._name = _NAMES[asked.operation]
        self.response = web.StreamResponse()

    async def open(self, headers: Mapping[str, str]) -> None:
        """Sends status and headers."""
        response, request = self.response, self._request
        response.headers.update({**_HEADERS, **headers, "X-Request-Id": request[REQUEST_ID]})
        response.headers.update(request.get(RATE_HEADERS, {}))
        response.content_type = "text/event-stream"
        await response.prepare(request)

    async def heartbeat(self) -> None:
        """A comment, so that neither a proxy nor the client takes the silence for the end."""
        await self.response.write(_HEARTBEAT)

    async def partial(self, partial: PartialImage) -> None:
        fields = self._about(self._task, ()) | {"partial_image_index": partial.index}
        await self._send(f"{self._name}.partial_image", partial.base64, fields)

    async def completed(self, task: Task, dropped: Sequence[str], pictures: Sequence[PictureText]) -> None:
        """One event a picture. The usage is the whole task's: it stands in the last one, the others have none of it."""
        fields = self._about(task, dropped)
        usage = about_pictures(task, dropped, self._asked).get("usage", NO_USAGE)
        last = len(pictures) - 1
        for index, picture in enumerate(pictures):
            await self._send(
                f"{self._name}.completed", picture, fields | {"usage": usage if index == last else NO_USAGE}
            )

    async def error(self, error: GatewayError) -> None:
        """The end of a stream that has no picture to show."""
        body = orjson.dumps(error_body(error, self._request[REQUEST_ID]))
        await self.response.write(b"event: error\ndata: " + body + b"\n\n")

    async def close(self) -> None:
        await self.response.write_eof()

    def _about(self, task: Task, dropped: Sequence[str]) -> JsonMap:
        """Every field of an event, `auto` where a value is not known: SDKs that validate strictly miss an absent one."""
        asked = self._asked
        known: JsonMap = {
            "created_at": self._task.created_at_ms // 1000,
            "size": "auto",
            "quality": "auto",
            "background": asked.background.value if "background" not in dropped else "auto",
            "output_format": "png" if asked.output_format is None else asked.output_format.value,
        }
        about = about_pictures(task, dropped, asked)
        return known | {name: about[name] for name in known if name in about}

    async def _send(self, name: str, base64: PictureText, fields: JsonMap) -> None:
        head = b'event: %b\ndata: {"type":"%b","b64_json":"' % (name.encode(), name.encode())
        await self.response.write(head)
        await write_part(self.response, base64)
        await self.response.write(b'",' + orjson.dumps(fields)[1:] + b"\n\n")
