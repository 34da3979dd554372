"""`gateway alerts …`."""

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Alerts about budgets that are nearly used up.", no_args_is_help=True)


@app.command("list")
def alerts_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """The latest alerts, and how their delivery went."""
    run("alerts list", {}, config, output)


@app.command("resend")
def alerts_resend(alert_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Have an alert sent again."""
    run("alerts resend", {"id": alert_id}, config, output)
