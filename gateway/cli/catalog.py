"""`gateway catalog …`."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, load_config

DAY_S = 86_400

app = typer.Typer(help="Models, offers and their prices.", no_args_is_help=True)


@app.command("check")
def catalog_check(
    max_age: Annotated[
        str, typer.Option("--max-age", help="Prices read longer ago get a warning, such as 90d.")
    ] = "90d",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Check the catalogue in use: exit 1 and one line a problem."""
    from gateway.config_findings import findings_of_origins
    from gateway.config_text import parse_duration_s
    from gateway.domain.clock import SystemClock

    try:
        age_days_max = parse_duration_s(max_age) / DAY_S
    except ValueError as exc:
        raise typer.BadParameter(f"{max_age!r} {exc}", param_hint="--max-age") from exc
    loaded = load_config(config)
    today = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC).date()
    found = [*loaded.findings, *findings_of_origins(loaded.price_origins, today, age_days_max)]
    problems = [finding.text for finding in found if not finding.warning]
    warnings = [finding.text for finding in found if finding.warning]
    message = f"The catalogue is good; models served: {len(loaded.catalog.models)}."
    if problems:
        message = f"The catalogue has {len(problems)} problem{'s' if len(problems) > 1 else ''}."
    if output is OutputFormat.JSON:
        rows = [{"problem": text} for text in problems] + [{"warning": text} for text in warnings]
        print(json.dumps({"rows": rows, "message": message, "failed": bool(problems)}))  # noqa: TID251 - a small answer for programs
    else:
        print("\n".join([*problems, *(f"warning: {text}" for text in warnings), message]))
    if problems:
        raise typer.Exit(1)
