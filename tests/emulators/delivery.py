"""What emulators do with pictures: count them, bill them, put them inside the answer or behind a link of their own.

Owns the links (`/files/{name}`, drawn when they are fetched) and how long they live. Place with a script: `download`.
"""

import base64
import functools
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators.base import Emulator, Options
from tests.emulators.jobs import Job
from tests.emulators.pictures import blackened, spoiled
from tests.emulators.records import Bill, Received


@dataclass(frozen=True, slots=True)
class _File:
    draw: Callable[[], bytes]
    content_type: str
    created_s: float


class PictureEmulator(Emulator):
    """A vendor that delivers pictures."""

    points: tuple[str, ...] = ("create", "download")
    link_life_s: float = math.inf
    """How long a link works after it was made."""
    gone_status = 404
    """What a link answers afterwards."""

    def __init__(self, **options: Unpack[Options]) -> None:
        self._files: dict[str, _File] = {}
        super().__init__(**options)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The vendor's routes and `download_route`."""

    def download_route(self) -> web.RouteDef:
        """Where links point."""
        return web.get("/files/{name}", self._download)

    def forget(self) -> None:
        """The files behind links."""
        self._files.clear()

    def charge(self, received: Received, job: Job, images: int, *, task_id: str = "") -> None:
        """Bill this many pictures of a job."""
        self.bill(
            Bill(
                request_id=received.id,
                model=job.model,
                images=images,
                usd=images * job.usd_per_image,
                prompt=job.prompt,
                task_id=task_id,
            )
        )

    def content(self, job: Job, label: str, behaviour: b.Behaviour, *, black: bool = False) -> bytes:
        """One picture, or what the behaviour wants instead of it."""
        if black:
            return blackened(job.size, job.output_format, label)
        what = behaviour.what if isinstance(behaviour, b.WrongImage) else None
        return spoiled(what, job.size, job.output_format, label, padding_bytes=self.picture_bytes)

    def base64_of(self, job: Job, label: str, behaviour: b.Behaviour) -> str:
        """The same as text inside an answer."""
        return base64.b64encode(self.content(job, label, behaviour)).decode()

    def link(self, job: Job, label: str, behaviour: b.Behaviour, *, black: bool = False) -> str:
        """The same behind a link of this server."""
        name = f"{label.replace('/', '-')}.{job.output_format}"
        draw = functools.partial(self.content, job, label, behaviour, black=black)
        self._files.setdefault(name, _File(draw, f"image/{job.output_format}", self.now()))
        return f"{self.origin}/files/{name}"

    async def _download(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "download", self._send_file)

    def _send_file(self, received: Received, _: b.Behaviour) -> web.Response:
        file = self._files.get(received.path.removeprefix("/files/"))
        if file is None:
            return web.Response(body=b"not found", status=404, content_type="text/plain")
        if self.now() - file.created_s > self.link_life_s:
            return web.Response(body=b"gone", status=self.gone_status, content_type="text/plain")
        return web.Response(body=file.draw(), content_type=file.content_type)


def delivered(job: Job, behaviour: b.Behaviour) -> int:
    """How many pictures a call gets."""
    return min(job.n, behaviour.images) if isinstance(behaviour, b.Fewer) else job.n


def wait_headers(behaviour: b.RateLimit) -> dict[str, str]:
    """The hints of a rate limit that are headers."""
    headers = {"retry-after": behaviour.retry_after} if behaviour.retry_after is not None else {}
    if behaviour.retry_after_ms is not None:
        headers["retry-after-ms"] = str(behaviour.retry_after_ms)
    return headers
