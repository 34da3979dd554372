"""`gateway keys …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command("create")
def keys_create(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    name: Annotated[str, typer.Option(help="The key's name within its team or org.")],
    org: Annotated[str, typer.Option(help="Its org.")] = "default",
    team: Annotated[str | None, typer.Option(help="Its team; none: directly under the org.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="AMOUNT(usd|credits|images)/(day|week|month|total); may be repeated.")
    ] = None,
    models: Annotated[str, typer.Option(help="Models by name, with commas; * for all.")] = "*",
    sizes: Annotated[str, typer.Option(help="Sizes, with commas; * for all.")] = "*",
    n_max: Annotated[int | None, typer.Option(min=1, max=100, help="Most pictures of one call.")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Most image requests in any 60 seconds.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most tasks under way at once.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d or 12h from now, or a date such as 2027-01-31.")
    ] = None,
    response: Annotated[
        str | None, typer.Option(help="image or task: the contract when a request does not say.")
    ] = None,
    choose_upstream: Annotated[
        bool, typer.Option("--choose-upstream", help="Its calls may prefer upstreams, or exclude others.")
    ] = False,
    cache: Annotated[
        bool, typer.Option(" /--no-cache", help="Its calls get pictures of their own, and give others none.")
    ] = True,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make a key; it is shown once."""
    arguments = {
        "name": name,
        "org": org,
        "team": team,
        "budgets": ",".join(budget or ()),
        "models": models,
        "sizes": sizes,
        "n_max": None if n_max is None else str(n_max),
        "rpm": None if rpm is None else str(rpm),
        "concurrency": None if concurrency is None else str(concurrency),
        "expires": expires,
        "response": response,
        "choose_upstream": "yes" if choose_upstream else None,
        "cache": None if cache else "no",
    }
    run("keys create", arguments, config, output)


@app.command("set")
def keys_set(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    key_id: str,
    budget: Annotated[
        list[str] | None, typer.Option(help="All its budgets from now on; may be repeated; none takes them away.")
    ] = None,
    models: Annotated[str | None, typer.Option(help="Models by name, with commas; none: all of them.")] = None,
    sizes: Annotated[str | None, typer.Option(help="Sizes, with commas; none: all of them.")] = None,
    n_max: Annotated[str | None, typer.Option(help="Most pictures of one call, or none.")] = None,
    rpm: Annotated[str | None, typer.Option(help="Most image requests in any 60 seconds, or none.")] = None,
    concurrency: Annotated[str | None, typer.Option(help="Most tasks under way at once, or none.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: 90d, a date, or none.")] = None,
    response: Annotated[str | None, typer.Option(help="image, task, or none.")] = None,
    choose_upstream: Annotated[
        bool | None, typer.Option(help="Whether its calls may prefer upstreams, or exclude others.")
    ] = None,
    cache: Annotated[
        bool | None, typer.Option(help="Whether its calls are answered with others' pictures, and others with its own.")
    ] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Change what a key may do; what is not said stays."""
    arguments = {
        "id": key_id,
        "budgets": ",".join(budget or ()),
        "models": models,
        "sizes": sizes,
        "n_max": n_max,
        "rpm": rpm,
        "concurrency": concurrency,
        "expires": expires,
        "response": response,
        "choose_upstream": None if choose_upstream is None else "yes" if choose_upstream else "no",
        "cache": None if cache is None else "yes" if cache else "no",
    }
    run("keys set", arguments, config, output)


@app.command("list")
def keys_list(
    org: Annotated[str | None, typer.Option(help="Only of this org.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of the team of this name.")] = None,
    state: Annotated[str | None, typer.Option(help="Only active, expired, revoked or disabled ones.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """All keys, without their secrets: state, limits, budgets, when they end and when they were last used."""
    run("keys list", {"org": org, "team": team, "state": state}, config, output)


@app.command("rotate")
def keys_rotate(
    key_id: str,
    overlap: Annotated[
        str, typer.Option(help="How long the old secret stays valid: 24h, 7d; 0s for not at all.")
    ] = "24h",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Give a key a new secret; it is shown once."""
    run("keys rotate", {"id": key_id, "overlap": overlap}, config, output)


@app.command("callback-secret")
def keys_callback_secret(
    key_id: str,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one first.")] = False,
    overlap: Annotated[
        str, typer.Option(help="How long callbacks are signed with the old one, too: 24h, 7d; 0s for not at all.")
    ] = "24h",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Show what signs a key's callbacks, for its receivers."""
    arguments = {"id": key_id, "rotate": "yes" if rotate else None, "overlap": overlap}
    run("keys callback-secret", arguments, config, output)


@app.command("revoke")
def keys_revoke(key_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Refuse a key from now on."""
    run("keys revoke", {"id": key_id}, config, output)
