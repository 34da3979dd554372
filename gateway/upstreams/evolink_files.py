"""EvoLink's file service: where callers' pictures go when this gateway has no links to give, since EvoLink takes pictures as URLs alone.

Uploads cost nothing, so whatever becomes of one is unbilled. An attempt that this process sends again names the same URLs; one that another
process sends again names others, which EvoLink refuses for the key it knows (`idempotency_conflict`): in doubt, and never paid twice.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel

from gateway.domain.ids import AttemptId
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Lenient, decode_object
from gateway.upstreams.base import Picture, UpstreamFailure, UpstreamSettings
from gateway.upstreams.bodies import multipart_body
from gateway.upstreams.wire import Resources, Send, Wire

USUAL_URL = "https://files-api.evolink.ai"
REMEMBERED_MAX = 1_000
"""Attempts whose uploads are remembered: more than can be sent again at one time."""
_URL_CHARS_MAX = 2_048
_ROWS = (faults.Row(Fault.FAILED, statuses=(404, 405)),)
"""No file service at this address says nothing against the key, nor against making pictures."""


class _File(BaseModel):
    file_url: Lenient[str] = None


class _Uploaded(BaseModel):
    data: Lenient[_File] = None


class EvoLinkFiles:
    """One account's. The session is opened by the first upload."""

    def __init__(self, settings: UpstreamSettings, resources: Resources, base_url: str) -> None:
        settings = replace(settings, base_url=base_url)
        self._wire = Wire(settings, resources, {"Authorization": f"Bearer {settings.api_key}"})
        self._known: OrderedDict[AttemptId, list[str]] = OrderedDict()

    async def urls(self, attempt_id: AttemptId, pictures: Sequence[Picture], deadline_s: float) -> list[str]:
        """Of all pictures of an attempt, in order. Raises UpstreamFailure, always unbilled."""
        known = self._known.get(attempt_id)
        if known is None:
            known = [await self._upload(picture, deadline_s) for picture in pictures]
            self._known[attempt_id] = known
            if len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
        return known

    async def close(self) -> None:
        await self._wire.close()

    async def _upload(self, picture: Picture, deadline_s: float) -> str:
        body = multipart_body({}, [("file", picture)])
        send = Send("POST", "/api/v1/files/upload/stream", deadline_s=deadline_s, body=body, rows=_ROWS)
        try:
            found = await self._wire.call(send, lambda answer: _Uploaded.model_validate(decode_object(answer)))
        except UpstreamFailure as exc:
            exc.billed = Billed.NO
            raise
        url = found.data.file_url if found.data is not None else None
        if url is None or not url.startswith(("https://", "http://")) or len(url) > _URL_CHARS_MAX:
            raise UpstreamFailure(Fault.FAILED, Billed.NO, "a picture was uploaded, and no usable URL came back")
        return url
