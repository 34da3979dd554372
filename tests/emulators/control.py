"""The control API of an emulator, for tests in another process or event loop.

Owns the routes under `/_emulator/` and nothing else: each is one call of the emulator. A change of the script that the
emulator does not accept is answered 400 with the reason.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Protocol

import orjson
from aiohttp import web
from pydantic import ValidationError

from tests.emulators import behaviours as b
from tests.emulators.records import BILLS, RECEIVED, Bill, Received


class Controlled(Protocol):
    """What the control API needs of an emulator."""

    requests: list[Received]

    @property
    def bills(self) -> list[Bill]: ...
    @property
    def billed_usd(self) -> Decimal: ...
    @property
    def billed_images(self) -> int: ...
    def change(self, change: b.Change) -> None: ...
    def reset(self) -> None: ...
    def release(self) -> None: ...
    async def refuse_connections(self) -> None: ...
    async def accept_connections(self) -> None: ...


def control_routes(emulator: Controlled) -> list[web.RouteDef]:
    """GET bills, requests; POST behaviour, reset, release, refuse, accept."""

    async def bills(_: web.Request) -> web.Response:
        data = {
            "usd": str(emulator.billed_usd),
            "images": emulator.billed_images,
            "bills": BILLS.dump_python(emulator.bills, mode="json"),
        }
        return _json(data)

    async def requests(_: web.Request) -> web.Response:
        return _json({"requests": RECEIVED.dump_python(emulator.requests, mode="json")})

    async def behaviour(request: web.Request) -> web.Response:
        try:
            emulator.change(b.CHANGE.validate_json(await request.read()))
        except (ValidationError, ValueError) as exc:
            return web.Response(status=400, text=str(exc))
        return web.Response(status=204)

    return [
        web.get("/_emulator/bills", bills),
        web.get("/_emulator/requests", requests),
        web.post("/_emulator/behaviour", behaviour),
        web.post("/_emulator/reset", _doing(emulator.reset)),
        web.post("/_emulator/release", _doing(emulator.release)),
        web.post("/_emulator/refuse", _doing(emulator.refuse_connections)),
        web.post("/_emulator/accept", _doing(emulator.accept_connections)),
    ]


def _json(data: object) -> web.Response:
    return web.Response(body=orjson.dumps(data), content_type="application/json")


def _doing(act: Callable[[], Awaitable[None] | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        done = act()
        if done is not None:
            await done
        return web.Response(status=204)

    return handler
