"""What cached hits are compared with: aiohttp's server that reads a call and answers a line, and nothing besides. `python -m bench.hello PORT`."""

import asyncio
import contextlib
import sys

import uvloop
from aiohttp import web

BACKLOG = 1024


async def main(port: int) -> None:
    async def hello(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b'{"hello":"world"}', content_type="application/json")

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/readyz", ready)
    app.router.add_post("/{path:.*}", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        uvloop.run(main(int(sys.argv[1])))
