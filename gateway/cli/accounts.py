"""`gateway accounts …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Accounts: org, team, key.", no_args_is_help=True)


@app.command("list")
def accounts_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """All accounts with what is used and held."""
    run("accounts list", {}, config, output)


BudgetOption = Annotated[
    list[str] | None,
    typer.Option("--budget", help="AMOUNT(usd|credits|images)/(day|week|month|total); may be repeated."),
]
TimezoneOption = Annotated[
    str | None, typer.Option(help="Where its days, weeks and months begin, such as Europe/Berlin.")
]


@app.command("create")
def accounts_create(
    org: Annotated[str, typer.Option(help="The org's name.")],
    team: Annotated[str | None, typer.Option(help="A team of it; the org is made where it does not exist.")] = None,
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make an org or a team."""
    arguments = {"org": org, "team": team, "budgets": ",".join(budget or ()), "timezone": timezone}
    run("accounts create", arguments, config, output)


@app.command("set")
def accounts_set(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    prepaid: Annotated[bool | None, typer.Option(help="--no-prepaid: it may spend more than was granted.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Change budgets (all of them at once; `--budget none` takes them away) or the time zone."""
    wish = None if prepaid is None else "yes" if prepaid else "no"
    arguments = {"name": name, "budgets": ",".join(budget or ()), "timezone": timezone, "prepaid": wish}
    run("accounts set", arguments, config, output)


@app.command("grant")
def accounts_grant(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    amount: Annotated[str, typer.Argument(help="Such as 500credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")] = "granted",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Give prepaid credits; the first grant makes the account prepaid."""
    run("accounts grant", {"name": name, "amount": amount, "why": why}, config, output)


@app.command("adjust", context_settings={"ignore_unknown_options": True})
def accounts_adjust(
    name: Annotated[str, typer.Argument(help="A prepaid org, team or key.")],
    amount: Annotated[str, typer.Argument(help="Such as -20credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")],
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Correct prepaid credits, up or down."""
    run("accounts adjust", {"name": name, "amount": amount, "why": why}, config, output)
