"""How a command reaches its gateway, and how its answer is printed: through a running embedded one's Unix socket, else by opening the database.

Exit codes: 0 done, 1 failed, 2 a config or a command line that cannot be used.
"""

import json
import socket
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.config import Config

SOCKET_TIMEOUT_S = 120.0
"""An audit of a large ledger takes its time."""


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="GATEWAY_CONFIG",
        help="The config file; default config/gateway.yaml, else built-in defaults.",
    ),
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", help="For people, or for programs.")]


def run(
    command: str,
    arguments: Mapping[str, str | None],
    path: Path | None,
    output: OutputFormat,
    timeout_s: float = SOCKET_TIMEOUT_S,
) -> None:
    """Run an operator's command, beside a running gateway or alone, and print its answer."""
    answer = answer_of(command, arguments, path, timeout_s)
    if output is OutputFormat.JSON:
        print(json.dumps(answer))  # noqa: TID251 - a small answer for programs
    else:
        _print_table(answer)
    if answer.get("failed"):
        raise typer.Exit(1)


def answer_of(
    command: str, arguments: Mapping[str, str | None], path: Path | None, timeout_s: float = SOCKET_TIMEOUT_S
) -> dict[str, object]:
    """The answer of a command, unprinted; ends the process with 1 where it failed."""
    from gateway.config_socket import control_socket, default_path

    # What runs answers whatever the config says now; reading all of it takes longer to import than the question takes.
    control = control_socket(path or default_path(Path()))
    answer = _ask(control, command, arguments, timeout_s) if control is not None and control.exists() else None
    if answer is None:
        import asyncio

        answer = asyncio.run(_run_alone(load_config(path), command, arguments))
    if "error" in answer:
        fail(str(answer["error"]))
    return answer


def _ask(
    control: Path, command: str, arguments: Mapping[str, str | None], timeout_s: float
) -> dict[str, object] | None:
    """The running gateway's answer; None where nobody listens."""
    import http.client

    connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout_s)
    try:
        connection.sock.connect(str(control))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    body = json.dumps({"command": command, "arguments": arguments})  # noqa: TID251 - a small command
    connection.request("POST", "/command", body, {"Content-Type": "application/json"})
    answer: object = json.loads(connection.getresponse().read())
    connection.close()
    if not isinstance(answer, dict):
        fail("the gateway's answer is not understood; are command and gateway of the same version?")
    return answer


async def _run_alone(config: "Config", command: str, arguments: Mapping[str, str | None]) -> dict[str, object]:
    from gateway.app_office import StartFailed, open_office
    from gateway.db.url import Dialect
    from gateway.domain.clock import SystemClock
    from gateway.domain.errors import GatewayError
    from gateway.telemetry.redaction import without_keys

    try:
        async with open_office(config, SystemClock(), migrating=config.database.dialect is Dialect.SQLITE) as office:
            report = await office.operator.run(command, arguments)
    except (GatewayError, StartFailed) as exc:
        return {"error": without_keys(str(exc))}
    return {"rows": list(report.rows), "message": report.message, "failed": report.failed}


def _print_table(answer: Mapping[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200)
    rows = answer.get("rows")
    if isinstance(rows, list) and rows:
        table = Table(*rows[0].keys(), box=None, pad_edge=False)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        console.print(table)
    elif isinstance(rows, list) and not answer.get("message"):
        console.print("Nothing to list.")
    if answer.get("message"):
        console.print(str(answer["message"]), highlight=False)


def load_config(path: Path | None, *, strict: bool = False) -> "Config":
    from gateway.config import ConfigError, load
    from gateway.config_socket import default_path

    try:
        return load(path or default_path(Path()), strict=strict)
    except ConfigError as exc:
        for problem in exc.errors:
            print(problem, file=sys.stderr)
        raise typer.Exit(2) from exc


def fail(text: str) -> NoReturn:
    print(f"gateway: {text}", file=sys.stderr)
    raise typer.Exit(1)
