"""What the gateway is compared with: aiohttp's server, aiohttp's client, and nothing between. `python -m bench.passthrough PORT UPSTREAM BLOCKS`.

It gets what the gateway gets of the tools (uvloop, no access log, no cookies, no limit of connections) and answers the upstream's bytes.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

from bench import loop_probe

BACKLOG = 1024
BODY_BYTES_MAX = 64 * 1024 * 1024


async def main(port: int, upstream: str, blocks: Path) -> None:
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as session:

        async def forward(request: web.Request) -> web.Response:
            body = await request.read()
            headers = {
                "Content-Type": "application/json",
                "Authorization": request.headers["Authorization"],
                "Accept-Encoding": "identity",
            }
            async with session.post(upstream + request.path, data=body, headers=headers) as response:
                return web.Response(body=await response.read(), status=response.status, content_type="application/json")

        async def ready(_: web.Request) -> web.Response:
            return web.Response()

        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/readyz", ready)
        app.router.add_post("/{path:.*}", forward)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG).start()
        await loop_probe.watch(blocks)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        uvloop.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
