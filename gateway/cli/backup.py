"""`gateway backup` and `gateway restore`."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, fail, load_config, run

BACKUP_S_MAX = 4 * 3600.0
"""As long as this a running gateway is waited for."""


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Write the whole database into one file, while the gateway serves."""
    # The gateway may run in another folder.
    arguments = {"file": str(file.absolute()), "force": "yes" if force else None}
    run("backup", arguments, config, output, timeout_s=BACKUP_S_MAX)


def restore(
    file: Annotated[Path, typer.Argument(help="What `gateway backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="SQLite: move a database that is there aside. PostgreSQL must be empty.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup in the place of the database; the gateway must be stopped."""
    import asyncio

    from gateway.administration.backup import NOT_HELD
    from gateway.app_restore import RestoreRefused
    from gateway.app_restore import restore as put_in_place
    from gateway.domain.clock import SystemClock

    try:
        done = asyncio.run(put_in_place(load_config(config), file.absolute(), force=force, clock=SystemClock()))
    except RestoreRefused as exc:
        fail(str(exc))
    if done.aside is not None:
        print(f"The database that was there is now {done.aside}.")
    print(
        f"Restored. Under way at the time of the backup, and ended: {done.ended.unsent} tasks not sent (failed), "
        f"{done.ended.sent} sent (in doubt). Nobody is charged for them."
    )
    print(NOT_HELD)
    for difference in done.audit.differences:
        print(difference)
    if done.audit.differences:
        fail(f"{len(done.audit.differences)} differences in the ledger; they were in the backup")
    print(f"The ledger is clean: {done.audit.accounts} accounts, {done.audit.entries} entries, no differences.")
