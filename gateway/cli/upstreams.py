"""`gateway upstreams …`."""

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Upstreams: how they work, and what they cost.", no_args_is_help=True)


@app.command("list")
def upstreams_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """All upstreams with what is paid, in flight and in doubt, and what their budgets have left."""
    run("upstreams list", {}, config, output)


@app.command("test")
def upstreams_test(name: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Try address and key by a call that costs nothing; exit 1 where it fails."""
    run("upstreams test", {"name": name}, config, output)
