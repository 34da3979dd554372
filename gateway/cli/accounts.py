"""`gateway accounts …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Accounts: org, team, key.", no_args_is_help=True)


NameArgument = Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")]
BudgetOption = Annotated[
    list[str] | None,
    typer.Option("--budget", help="AMOUNT(usd|credits|images)/(day|week|month|total); may be repeated."),
]
TimezoneOption = Annotated[
    str | None, typer.Option(help="Where its days, weeks and months begin, such as Europe/Berlin.")
]
RpmOption = Annotated[str | None, typer.Option(help="Most image requests in any 60 seconds; none: no limit.")]
ConcurrencyOption = Annotated[str | None, typer.Option(help="Most tasks under way at once; none: no limit.")]
ModelsOption = Annotated[str | None, typer.Option(help="Models by name, with commas; none: all.")]
SizesOption = Annotated[str | None, typer.Option(help="Sizes, with commas; none: all.")]
CountOption = Annotated[str | None, typer.Option("--n-max", help="Most pictures of one call; none: no limit.")]
MarkupOption = Annotated[
    str | None, typer.Option(help="Of an org: a factor in place of the model's and the config's; none: theirs.")
]


@app.command("list")
def accounts_list(
    org: Annotated[str | None, typer.Option(help="Only this org, its teams and keys.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Accounts with what is used, held, and left of their budgets; the first 1000."""
    run("accounts list", {"org": org}, config, output)


@app.command("show")
def accounts_show(name: NameArgument, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """One account, a row for each budget: used, held, left, and when it begins anew."""
    run("accounts show", {"name": name}, config, output)


@app.command("create")
def accounts_create(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    org: Annotated[str, typer.Option(help="The org's name.")],
    team: Annotated[str | None, typer.Option(help="A team of it; the org is made where it does not exist.")] = None,
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    rpm: RpmOption = None,
    concurrency: ConcurrencyOption = None,
    models: ModelsOption = None,
    sizes: SizesOption = None,
    n_max: CountOption = None,
    markup: MarkupOption = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make an org or a team."""
    terms = _terms(budget, timezone, rpm, concurrency, models, sizes, n_max, markup)
    run("accounts create", {"org": org, "team": team, **terms}, config, output)


@app.command("set")
def accounts_set(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    name: NameArgument,
    budget: BudgetOption = None,
    timezone: TimezoneOption = None,
    rpm: RpmOption = None,
    concurrency: ConcurrencyOption = None,
    models: ModelsOption = None,
    sizes: SizesOption = None,
    n_max: CountOption = None,
    markup: MarkupOption = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Refuse all keys of the org or team, or no longer.")
    ] = None,
    prepaid: Annotated[bool | None, typer.Option(help="--no-prepaid: it may spend more than was granted.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Change budgets (all of them at once; `--budget none` takes them away), limits, the time zone; what is not named stays."""
    arguments = {
        "name": name,
        **_terms(budget, timezone, rpm, concurrency, models, sizes, n_max, markup),
        "disabled": _word(disable),
        "prepaid": _word(prepaid),
    }
    run("accounts set", arguments, config, output)


def _terms(
    budget: list[str] | None,
    timezone: str | None,
    rpm: str | None,
    concurrency: str | None,
    models: str | None,
    sizes: str | None,
    n_max: str | None,
    markup: str | None,
) -> dict[str, str | None]:
    return {
        "budgets": ",".join(budget or ()),
        "timezone": timezone,
        "rpm": rpm,
        "concurrency": concurrency,
        "models": models,
        "sizes": sizes,
        "n_max": n_max,
        "markup": markup,
    }


def _word(choice: bool | None) -> str | None:
    return None if choice is None else "yes" if choice else "no"


IdOption = Annotated[
    str | None,
    typer.Option("--id", help="A name of your own for it: granted once, however often the command is run."),
]


@app.command("grant")
def accounts_grant(
    name: NameArgument,
    amount: Annotated[str, typer.Argument(help="Such as 500credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")] = "granted",
    grant_id: IdOption = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Give prepaid credits; the first grant makes the account prepaid."""
    run("accounts grant", {"name": name, "amount": amount, "why": why, "id": grant_id}, config, output)


@app.command("adjust", context_settings={"ignore_unknown_options": True})
def accounts_adjust(
    name: Annotated[str, typer.Argument(help="A prepaid org, team or key.")],
    amount: Annotated[str, typer.Argument(help="Such as -20credits.")],
    why: Annotated[str, typer.Option(help="Kept with the entry.")],
    grant_id: IdOption = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Correct prepaid credits, up or down."""
    run("accounts adjust", {"name": name, "amount": amount, "why": why, "id": grant_id}, config, output)
