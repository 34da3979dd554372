"""The command `gateway`: parses, calls, prints. Beside a running embedded gateway, commands go through its Unix socket; else they open the database.

Exit codes: 0 done, 1 failed, 2 a config or a command line that cannot be used.
"""

import asyncio
import http.client
import json
import shlex
import socket
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.config import Config, ConfigError, default_path, load

app = typer.Typer(
    name="gateway",
    help="An OpenAI-compatible gateway for image generation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a traceback would print secrets
)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
accounts_app = typer.Typer(help="Accounts: org, team, key.", no_args_is_help=True)
ledger_app = typer.Typer(help="The ledger.", no_args_is_help=True)
in_doubt_app = typer.Typer(help="Attempts of which nobody knows whether they were billed.", no_args_is_help=True)
for name, group in {"keys": keys_app, "accounts": accounts_app, "ledger": ledger_app, "in-doubt": in_doubt_app}.items():
    app.add_typer(group, name=name)

SOCKET_TIMEOUT_S = 120.0
"""An audit of a large ledger takes its time."""


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The config file; default config/gateway.yaml, else built-in defaults.")
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", help="For people, or for programs.")]


def main() -> None:
    """The entry point of the command."""
    app()


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Listen here instead of server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Listen here instead of server.port; 0 takes a free one.")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM."""
    import uvloop

    from gateway.app import Gateway, StartFailed
    from gateway.app import serve as run

    loaded = _load(config).listening_on(host, port)

    def announce(gateway: Gateway) -> None:
        first = gateway.first_key
        print(_welcome(gateway.config, first.path if first else None, first.secret if first else None), flush=True)

    try:
        uvloop.run(run(loaded, announce))
    except StartFailed as exc:
        _fail(str(exc))


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check a config: exit 0, or 2 with every error."""
    for line in _load(config).summary():
        print(line)
    print("The config is good.")


@app.command("migrate")
def migrate_database(config: ConfigOption = None) -> None:
    """Bring the database to this version's schema."""
    from gateway.db.migrate import MigrationFailed, migrate
    from gateway.db.sqlite import DatabaseLocked, SqliteLock
    from gateway.db.statements import Dialect

    loaded = _load(config)
    lock = SqliteLock(loaded.database.path) if loaded.database.dialect is Dialect.SQLITE else None
    try:
        if lock is not None:
            lock.acquire()
        before, after = asyncio.run(migrate(loaded.database))
    except (MigrationFailed, DatabaseLocked, OSError) as exc:
        _fail(str(exc))
    print(
        f"The schema is at {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
    )


@keys_app.command("create")
def keys_create(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    name: Annotated[str, typer.Option(help="The key's name within its team or org.")],
    org: Annotated[str, typer.Option(help="Its org.")] = "default",
    team: Annotated[str | None, typer.Option(help="Its team; none: directly under the org.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="AMOUNT(usd|credits|images)/(day|week|month|total); may be repeated.")
    ] = None,
    models: Annotated[str, typer.Option(help="Models by name, with commas; * for all.")] = "*",
    sizes: Annotated[str, typer.Option(help="Sizes, with commas; * for all.")] = "*",
    n_max: Annotated[int | None, typer.Option(min=1, max=100, help="Most pictures of one call.")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Most image requests in any 60 seconds.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most tasks under way at once.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d or 12h from now, or a date such as 2027-01-31.")
    ] = None,
    response: Annotated[
        str | None, typer.Option(help="image or task: the contract when a request does not say.")
    ] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make a key; it is shown once."""
    arguments = {
        "name": name,
        "org": org,
        "team": team,
        "budgets": ",".join(budget or ()),
        "models": models,
        "sizes": sizes,
        "n_max": None if n_max is None else str(n_max),
        "rpm": None if rpm is None else str(rpm),
        "concurrency": None if concurrency is None else str(concurrency),
        "expires": expires,
        "response": response,
    }
    _run("keys create", arguments, config, output)


@keys_app.command("list")
def keys_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """All keys, without their secrets."""
    _run("keys list", {}, config, output)


@keys_app.command("revoke")
def keys_revoke(key_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Refuse a key from now on."""
    _run("keys revoke", {"id": key_id}, config, output)


@accounts_app.command("list")
def accounts_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """All accounts with what is used and held."""
    _run("accounts list", {}, config, output)


BudgetOption = Annotated[
    list[str] | None,
    typer.Option("--budget", help="AMOUNT(usd|credits|images)/(day|week|month|total); may be repeated."),
]
TimezoneOption = Annotated[
    str | None, typer.Option(help="Where its days, weeks and months begin, such as Europe/Berlin.")
]


@accounts_app.command("create")
def accounts_create(
    org: Annotated[str, typer.Option(help="The org's name.")],
    team: Annotated[str | None, typer.Option(help="A team of it; the org is made where it does not exist.")] = None,
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make an org or a team."""
    arguments = {"org": org, "team": team, "budgets": ",".join(budget or ()), "timezone": timezone}
    _run("accounts create", arguments, config, output)


@accounts_app.command("set")
def accounts_set(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    prepaid: Annotated[bool | None, typer.Option(help="--no-prepaid: it may spend more than was granted.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Change budgets (all of them at once; `--budget none` takes them away) or the time zone."""
    wish = None if prepaid is None else "yes" if prepaid else "no"
    arguments = {"name": name, "budgets": ",".join(budget or ()), "timezone": timezone, "prepaid": wish}
    _run("accounts set", arguments, config, output)


@accounts_app.command("grant")
def accounts_grant(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    amount: Annotated[str, typer.Argument(help="Such as 500credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")] = "granted",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Give prepaid credits; the first grant makes the account prepaid."""
    _run("accounts grant", {"name": name, "amount": amount, "why": why}, config, output)


@accounts_app.command("adjust", context_settings={"ignore_unknown_options": True})
def accounts_adjust(
    name: Annotated[str, typer.Argument(help="A prepaid org, team or key.")],
    amount: Annotated[str, typer.Argument(help="Such as -20credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")],
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Correct prepaid credits, up or down."""
    _run("accounts adjust", {"name": name, "amount": amount, "why": why}, config, output)


@in_doubt_app.command("list")
def in_doubt_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Attempts whose outcome is not known."""
    _run("in-doubt list", {}, config, output)


@ledger_app.command("audit")
def ledger_audit(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Recompute every balance from the entries; exit 1 and name each difference."""
    _run("ledger audit", {}, config, output)


def _load(path: Path | None) -> Config:
    try:
        return load(path or default_path(Path()))
    except ConfigError as exc:
        for problem in exc.errors:
            print(problem, file=sys.stderr)
        raise typer.Exit(2) from exc


def _run(command: str, arguments: Mapping[str, str | None], path: Path | None, output: OutputFormat) -> None:
    """Run an operator's command, beside a running gateway or alone, and print its answer."""
    from gateway.app import control_socket

    config = _load(path)
    control = control_socket(config)
    answer = _ask(control, command, arguments) if control is not None and control.exists() else None
    if answer is None:
        answer = asyncio.run(_run_alone(config, command, arguments))
    if "error" in answer:
        _fail(str(answer["error"]))
    if output is OutputFormat.JSON:
        print(json.dumps(answer))  # noqa: TID251 - a small answer for programs
    else:
        _print_table(answer)
    if answer.get("failed"):
        raise typer.Exit(1)


def _ask(control: Path, command: str, arguments: Mapping[str, str | None]) -> dict[str, object] | None:
    """The running gateway's answer; None where nobody listens."""
    connection = http.client.HTTPConnection("localhost", timeout=SOCKET_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(SOCKET_TIMEOUT_S)
    try:
        connection.sock.connect(str(control))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    body = json.dumps({"command": command, "arguments": arguments})  # noqa: TID251 - a small command
    connection.request("POST", "/command", body, {"Content-Type": "application/json"})
    answer: object = json.loads(connection.getresponse().read())
    connection.close()
    if not isinstance(answer, dict):
        _fail("the gateway's answer is not understood; are command and gateway of the same version?")
    return answer


async def _run_alone(config: Config, command: str, arguments: Mapping[str, str | None]) -> dict[str, object]:
    from gateway.administration.accounts import AdministrationError
    from gateway.app import StartFailed, open_office
    from gateway.db.statements import Dialect
    from gateway.domain.clock import SystemClock
    from gateway.domain.errors import StorageUnavailable

    try:
        async with open_office(config, SystemClock(), migrating=config.database.dialect is Dialect.SQLITE) as office:
            report = await office.operator.run(command, arguments)
    except (AdministrationError, StartFailed, StorageUnavailable) as exc:
        return {"error": str(exc)}
    return {"rows": list(report.rows), "message": report.message, "failed": report.failed}


def _print_table(answer: Mapping[str, object]) -> None:
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


def _fail(text: str) -> NoReturn:
    print(f"gateway: {text}", file=sys.stderr)
    raise typer.Exit(1)


def _welcome(config: Config, key_path: Path | None, secret: str | None) -> str:
    """What a newcomer needs: where it serves, with which key, and two calls to paste."""
    base_url = f"{config.server.public_url}/v1"
    lines = [f"Image gateway serves at {base_url}", *(f"  {line}" for line in config.summary())]
    if key_path is None:
        return "\n".join(lines)
    key_path = key_path.absolute()  # the snippets are pasted into another terminal, in whatever folder that is
    if secret is not None:
        lines += ["", f"API key (shown once, kept in {key_path}):", f"  {secret}"]
    else:
        lines += ["", f"The API key of the first start is in {key_path}."]
    key = secret or f"$(cat {shlex.quote(str(key_path))})"
    model = config.catalog.default_model
    python_key = repr(secret) if secret else f"open({str(key_path)!r}).read().strip()"
    # The snippets stand at the left edge: pasted into a Python prompt, indented lines would be an error.
    return "\n".join(
        [
            *lines,
            "",
            "A picture with curl, saved as cat.png:",
            "",
            f"""curl -s {base_url}/images/generations -H "Authorization: Bearer {key}" \\""",
            """  -H "Content-Type: application/json" """
            f"""-d '{{"model": "{model}", "prompt": "A cat playing in the grass", "response_format": "b64_json"}}' \\""",
            """  | python3 -c "import base64, json, sys; """
            """open('cat.png', 'wb').write(base64.b64decode(json.load(sys.stdin)['data'][0]['b64_json']))\"""",
            "",
            "The same with Python (pip install openai), saved as cat2.png:",
            "",
            "import base64, openai",
            f"client = openai.OpenAI(base_url={base_url!r}, api_key={python_key})",
            f"picture = client.images.generate(model={model!r}, prompt='A cat playing in the grass')",
            "open('cat2.png', 'wb').write(base64.b64decode(picture.data[0].b64_json))",
            "",
            f"API reference: {config.server.public_url}/docs    Stop with Ctrl-C.",
        ]
    )
