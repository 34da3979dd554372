"""`gateway tasks …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Tasks of all callers.", no_args_is_help=True)


@app.command("list")
def tasks_list(
    org: Annotated[str | None, typer.Option(help="Only of this org.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team of the org.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this key, by its name within its team or org.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, processing, completed, failed or cancelled.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    before: Annotated[str | None, typer.Option(help="Only tasks older than this one.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Tasks, newest first."""
    arguments = {"org": org, "team": team, "key": key, "state": state, "model": model, "limit": str(limit), "before": before}  # fmt: skip
    run("tasks list", arguments, config, output)


@app.command("show")
def tasks_show(
    task_id: str,
    prompt: Annotated[bool, typer.Option("--prompt", help="With its prompt, while that is kept.")] = False,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """One task: its plan, its attempts and how it was booked."""
    run("tasks show", {"id": task_id, "prompt": "yes" if prompt else None}, config, output)


@app.command("erase")
def tasks_erase(task_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Delete the prompt and the pictures of an ended task; what it cost stays."""
    run("tasks erase", {"id": task_id}, config, output)
