"""`gateway ledger …` and `gateway in-doubt …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

ledger_app = typer.Typer(help="The ledger.", no_args_is_help=True)
in_doubt_app = typer.Typer(help="Attempts of which nobody knows whether they were billed.", no_args_is_help=True)


@in_doubt_app.command("list")
def in_doubt_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Attempts whose outcome is not known."""
    run("in-doubt list", {}, config, output)


@ledger_app.command("audit")
def ledger_audit(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Recompute every balance from the entries; exit 1 and name each difference."""
    run("ledger audit", {}, config, output)


@ledger_app.command("entries")
def ledger_entries(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    task: Annotated[str | None, typer.Option(help="Only of this task.")] = None,
    before: Annotated[int | None, typer.Option(min=1, help="Only entries with a smaller id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """An account's entries, newest first; each call looks at the latest 100,000 of the whole ledger."""
    arguments = {"name": name, "task": task, "before": None if before is None else str(before), "limit": str(limit)}
    run("ledger entries", arguments, config, output)
