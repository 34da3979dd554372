"""`gateway callbacks …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Callbacks about ended tasks, and how their delivery went.", no_args_is_help=True)


@app.command("list")
def callbacks_list(
    state: Annotated[str | None, typer.Option(help="Only due, sent or dead ones.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """The latest callbacks; `--state dead` are those that were given up."""
    run("callbacks list", {"state": state}, config, output)


@app.command("show")
def callbacks_show(callback_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """The tries of one callback."""
    run("callbacks show", {"id": callback_id}, config, output)


@app.command("resend")
def callbacks_resend(callback_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Have a callback sent again, under the same id."""
    run("callbacks resend", {"id": callback_id}, config, output)
