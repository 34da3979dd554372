"""The command itself: what starts, checks and migrates a gateway, and the nouns that have commands of their own."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli import (
    accounts,
    admin_tokens,
    alerts,
    backup,
    books,
    callbacks,
    catalog,
    healthcheck,
    keys,
    tasks,
    upstreams,
    usage,
)
from gateway.cli.operator import ConfigOption, fail, load_config

app = typer.Typer(
    name="gateway",
    help="An OpenAI-compatible gateway for image generation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a traceback would print secrets
)
GROUPS = {
    "keys": keys.app,
    "accounts": accounts.app,
    "admin-tokens": admin_tokens.app,
    "audit-log": admin_tokens.audit_log_app,
    "catalog": catalog.app,
    "ledger": books.ledger_app,
    "in-doubt": books.in_doubt_app,
    "alerts": alerts.app,
    "callbacks": callbacks.app,
    "tasks": tasks.app,
    "upstreams": upstreams.app,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
app.command("healthcheck")(healthcheck.healthcheck)
app.command("usage")(usage.usage)
app.command("quote")(usage.quote)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)


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

    from gateway.app import Gateway
    from gateway.app import serve as run
    from gateway.app_office import StartFailed
    from gateway.cli.welcome import welcome
    from gateway.config import Config, load
    from gateway.config_socket import default_path

    def reread(running: Collection[str]) -> Config:
        return load(config or default_path(Path()), running=running).listening_on(host, port)

    loaded = load_config(config).listening_on(host, port)

    def announce(gateway: Gateway) -> None:
        print(welcome(gateway.config, gateway.first), flush=True)

    try:
        uvloop.run(run(loaded, announce, reread))
    except StartFailed as exc:
        fail(str(exc))


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check a config: exit 0, or 2 with every error."""
    for line in load_config(config, strict=True).summary():
        print(line)
    print("The config is good.")


@app.command("config-reference")
def config_reference() -> None:
    """Print every setting with its type, default and form, as Markdown."""
    from gateway.config_reference import reference

    print(reference(), end="")


@app.command("migrate")
def migrate_database(
    config: ConfigOption = None,
    phase: Annotated[
        Literal["expand", "contract"],
        typer.Option(
            help="expand: what this version needs; contract: take away what no version in use needs any more."
        ),
    ] = "expand",
) -> None:
    """Bring the database to this version's schema."""
    import asyncio

    from gateway.db.migrate import MigrationFailed, Phase, migrate
    from gateway.db.sqlite import DatabaseLocked, SqliteLock
    from gateway.db.url import Dialect

    loaded = load_config(config)
    lock = SqliteLock(loaded.database.path) if loaded.database.dialect is Dialect.SQLITE else None
    try:
        if lock is not None:
            lock.acquire()
        before, after = asyncio.run(migrate(loaded.database, Phase(phase)))
    except (MigrationFailed, DatabaseLocked, OSError) as exc:
        fail(str(exc))
    print(
        f"The schema is at {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
    )
