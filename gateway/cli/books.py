"""`gateway ledger …` and `gateway in-doubt …`."""

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
