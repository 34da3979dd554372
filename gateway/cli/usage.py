"""`gateway usage` and `gateway quote`."""

from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, answer_of, run


class UsageFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def usage(
    by: Annotated[
        list[str] | None, typer.Option(help="org, team, key, model, upstream, caller, day; may be repeated.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="The first day, such as 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="The last day.")] = None,
    org: Annotated[str | None, typer.Option(help="Only this org's.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this key's, by its name.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    config: ConfigOption = None,
    output: Annotated[UsageFormat, typer.Option("--format", help="For people, programs or spreadsheets.")] = (
        UsageFormat.TABLE
    ),
) -> None:
    """What was made, charged and paid, in sums; by team where nothing is said."""
    arguments = {
        "by": ",".join(by or ()), "since": since, "until": until, "org": org, "team": team, "key": key, "model": model,
        "format": output.value,
    }  # fmt: skip
    if output is UsageFormat.CSV:
        print(answer_of("usage", arguments, config).get("message", ""), end="")
        return
    run("usage", arguments, config, OutputFormat(output.value))


def quote(
    prompt: Annotated[str, typer.Argument(help="What would be drawn.")],
    model: Annotated[str, typer.Option(help="A model or alias.")],
    size: Annotated[str | None, typer.Option(help="auto, 1024x1024, 2:3 …")] = None,
    quality: Annotated[str | None, typer.Option(help="auto, low, medium, high …")] = None,
    n: Annotated[int, typer.Option(min=1, max=10, help="How many pictures.")] = 1,
    org: Annotated[str | None, typer.Option(help="For calls of this org; none: prices only.")] = None,
    team: Annotated[str | None, typer.Option(help="And of this team of it.")] = None,
    key: Annotated[str | None, typer.Option(help="And of this key, by its name.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """What a call would cost, hold and be answered. Nothing is made."""
    arguments = {
        "prompt": prompt, "model": model, "size": size, "quality": quality, "n": str(n), "org": org, "team": team, "key": key,
    }  # fmt: skip
    run("quote", arguments, config, output)
