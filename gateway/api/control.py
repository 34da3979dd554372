"""The operator's door: commands over a Unix socket beside the database, for `gateway …` next to a running gateway.

Whoever may open the socket (mode 0600: the gateway's own user) may do everything; nothing here listens on a network.
"""

import logging
from collections.abc import Mapping

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.administration.operator import Operator
from gateway.domain.errors import GatewayError
from gateway.telemetry.redaction import without_keys

_logger = logging.getLogger(__name__)
BODY_BYTES_MAX = 64 * 1024
OPERATOR = web.AppKey("operator", Operator)


class CommandBody(BaseModel):
    """One command of `gateway`, with its options as texts."""

    model_config = ConfigDict(extra="forbid")
    command: str
    arguments: Mapping[str, str | None] = {}


def make_control_app(operator: Operator) -> web.Application:
    """The application behind the socket: one route."""
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[OPERATOR] = operator
    app.router.add_post("/command", _command)
    return app


async def _command(request: web.Request) -> web.Response:
    try:
        body = CommandBody.model_validate_json(await request.read())
        report = await request.app[OPERATOR].run(body.command, body.arguments)
    except ValidationError:  # its text would quote what was sent
        return _json({"error": 'this is no command: send {"command": …, "arguments": {…}} with texts'}, status=400)
    except GatewayError as exc:
        return _json({"error": without_keys(str(exc))}, status=400)
    _logger.info("an operator's command was run", extra={"command": body.command})
    return _json({"rows": list(report.rows), "message": report.message, "failed": report.failed})


def _json(answer: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")
