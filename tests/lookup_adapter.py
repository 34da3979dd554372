"""The adapter for tests/emulators/lookup.py: the kind `lookup`, which no shipped adapter has yet, and a model for the first one that will.

How it fails: as every adapter. A question that goes wrong is raised, a call that went wrong is returned.
"""

from decimal import Decimal
from typing import ClassVar, Literal

import orjson
from pydantic import BaseModel

from gateway.domain.catalog import Capabilities, Recovery
from gateway.domain.tasks import Billed, Fault, Heard
from gateway.upstreams import faults
from gateway.upstreams.answers import decode_object
from gateway.upstreams.base import (
    Adapter,
    Found,
    Generated,
    InlineImage,
    LinkedImage,
    OnSubmitted,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.wire import Resources, Send, Wire


class Error(BaseModel):
    code: str
    message: str


class Body(BaseModel):
    """What both routes answer with 2xx."""

    status: Literal["working", "done", "failed"]
    images: list[str] = []
    usd: Decimal | None = None
    billed: bool = False
    error: Error | None = None

    def generated(self) -> Generated:
        return Generated(tuple(InlineImage(text.encode()) for text in self.images), cost_usd=self.usd)


def _decode(body: bytes | bytearray) -> Body:
    return Body.model_validate(decode_object(body))


class LookupAdapter(Adapter):
    kind: ClassVar[str] = "lookup"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        super().__init__(settings)
        self._wire = Wire(settings, resources, {"Authorization": f"Bearer {settings.api_key}"})

    def capabilities(self, upstream_model: str) -> Capabilities:
        return Capabilities(n=(1, 2, 3, 4), params=frozenset({"quality"}), recovery=Recovery.LOOKUP)

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        request = call.request
        body = {
            "reference": call.attempt_id, "model": call.offer.upstream_model, "prompt": request.prompt, "n": request.n,
        }  # fmt: skip
        deadline_s = self._wire.deadline_s(call.deadline_s)
        send = Send("POST", "/v1/pictures", deadline_s=deadline_s, body=orjson.dumps(body))
        return (await self._wire.call(send, _decode)).generated()

    async def find(self, call: UpstreamCall) -> Found:
        send = Send(
            "GET", f"/v1/pictures/{call.attempt_id}", deadline_s=self._wire.deadline_s(call.deadline_s), rows=_ROWS
        )
        try:
            body = await self._wire.call(send, _decode)
        except UpstreamFailure as exc:
            if exc.fault is Fault.BAD_REQUEST:
                return Heard.NOTHING
            raise
        if body.status == "working":
            return Heard.WORKING
        if body.status == "done":
            return body.generated()
        billed = Billed.YES if body.billed else Billed.NO
        return UpstreamFailure(Fault.FAILED, billed, body.error.message if body.error else "failed")

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        raise AssertionError("nothing here is linked")

    async def close(self) -> None:
        await self._wire.close()


_ROWS = (faults.Row(Fault.BAD_REQUEST, statuses=(404,), words="unknown_reference"),)
"""Only the API's own word for it: a 404 of something in front of the API proves nothing."""
