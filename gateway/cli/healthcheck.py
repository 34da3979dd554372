"""`gateway healthcheck`: is the gateway of this machine alive? For containers, which have no curl to ask with.

Asks over the port that callers use. Reads of the config only where that is, so that it costs little every half a minute, and a config that was
broken since the start does not make a gateway sick that goes on with what it read.
"""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, fail

ANSWER_S_MAX = 5.0


def healthcheck(
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it takes traffic, not only whether it lives.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Ask here instead of at server.host.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Ask here instead of at server.port.")] = None,
    config: ConfigOption = None,
) -> None:
    """Ask the gateway of this machine whether it lives: exit 0, or 1."""
    import http.client
    from pathlib import Path

    from gateway.config_socket import default_path, served_at

    served_host, served_port = served_at(config or default_path(Path()))
    path = "/readyz" if ready else "/healthz"
    connection = http.client.HTTPConnection(host or served_host, port or served_port, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            text = answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        fail(f"no answer from {connection.host}:{connection.port}{path}: {exc}")
    finally:
        connection.close()
    if answer.status != 200:
        fail(f"{connection.host}:{connection.port}{path} answers {answer.status}: {text}")
