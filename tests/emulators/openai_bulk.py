"""OpenAI's Images API for calls in bulk: pictures of any size come in without being kept, and go out as one that was encoded once.

Takes little of the processor, so that the gateway in front of it is what is measured. It checks the key and that every byte announced has come;
a generation is answered with a picture of `picture_bytes`, an edit with a small one, and generations wait for each other until `together` of them
are there. `python -m tests.emulators.openai_bulk` runs it as a process of its own.
"""

import argparse
import asyncio
import base64
import time
import uuid
from decimal import Decimal
from typing import Unpack

import orjson
from aiohttp import web

from tests.emulators import pictures, process
from tests.emulators.base import Emulator, Options
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.records import Bill, Received

WAIT_S_MAX = 30.0
SIZE = (1024, 1024)
USAGE = {
    "input_tokens": 10,
    "output_tokens": 196,
    "total_tokens": 206,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
}


class BulkOpenAIEmulator(OpenAIEmulator):
    """The vendor, without any memory of what it was sent."""

    def __init__(self, *, together: int = 1, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._small, self._large = _answer(0), _answer(self.picture_bytes)
        self._together = together
        self._waiting = 0
        self._enough = asyncio.Event()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(
            id=f"req_{uuid.uuid4().hex}", at="create", method=request.method, path=request.path_qs, headers=headers,
            came_s=time.monotonic(),
        )  # fmt: skip
        came = 0
        async for piece in request.content.iter_any():
            came += len(piece)
        if received.bearer != self.api_key or came != request.content_length:
            return web.Response(status=400, text=f"{came} bytes")
        self.requests.append(received)
        self.bill(Bill(request_id=received.id, model="gpt-image-2", images=1, usd=Decimal("0.01"), prompt=""))
        if request.path.endswith("/edits"):
            return web.Response(body=self._small, content_type="application/json")
        await self._wait_for_others()
        return web.Response(body=self._large, content_type="application/json")

    async def _wait_for_others(self) -> None:
        self._waiting += 1
        if self._waiting >= self._together:
            self._waiting = 0
            self._enough.set()
            self._enough = asyncio.Event()
            return
        enough = self._enough
        async with asyncio.timeout(WAIT_S_MAX):
            await enough.wait()


def _answer(padding_bytes: int) -> bytes:
    picture = pictures.picture(SIZE, "png", "bulk", padding_bytes=padding_bytes)
    return orjson.dumps(
        {"created": 1_745_000_000, "data": [{"b64_json": base64.b64encode(picture).decode()}], "usage": USAGE}
    )


def _build(options: argparse.Namespace) -> Emulator:
    return BulkOpenAIEmulator(together=options.together, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.openai_bulk", description="OpenAI's Images API, in bulk")
    parser.add_argument("--together", type=int, default=1, help="generations that are answered at one time")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
