"""`gateway ledger …` and `gateway in-doubt …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

ledger_app = typer.Typer(help="The ledger.", no_args_is_help=True)
in_doubt_app = typer.Typer(help="Attempts of which nobody knows whether they were billed.", no_args_is_help=True)


@in_doubt_app.command("list")
def in_doubt_list(
    after: Annotated[str | None, typer.Option(help="Only those behind this attempt.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Attempts whose outcome is not known, oldest first."""
    run("in-doubt list", {"after": after}, config, output)


@in_doubt_app.command("resolve")
def in_doubt_resolve(
    attempt_id: Annotated[str, typer.Argument(help="An id of `in-doubt list`.")],
    paid: Annotated[bool, typer.Option("--paid", help="The upstream has billed it: our loss.")] = False,
    unpaid: Annotated[bool, typer.Option("--unpaid", help="The upstream has not billed it.")] = False,
    cost_usd: Annotated[
        str | None, typer.Option(help="With --paid: the bill, where it is not the presumed cost.")
    ] = None,
    why: Annotated[str, typer.Option(help="Kept with the entry and in the audit log.")] = "",
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Book what you found out about an attempt in doubt, once."""
    outcome = None if paid == unpaid else "paid" if paid else "unpaid"
    run("in-doubt resolve", {"id": attempt_id, "outcome": outcome, "cost_usd": cost_usd, "why": why}, config, output)


@ledger_app.command("audit")
def ledger_audit(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Recompute every balance from the entries; exit 1 and name each difference."""
    run("ledger audit", {}, config, output)


@ledger_app.command("entries")
def ledger_entries(
    name: Annotated[str, typer.Argument(help="An org (acme), a team (acme/design), or an id of `accounts list`.")],
    task: Annotated[str | None, typer.Option(help="Only of this task.")] = None,
    before: Annotated[int | None, typer.Option(min=1, help="Only entries with a smaller id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """An account's entries, newest first; each call looks at the latest 100,000 of the whole ledger."""
    arguments = {"name": name, "task": task, "before": None if before is None else str(before), "limit": str(limit)}
    run("ledger entries", arguments, config, output)


@ledger_app.command("holds")
def ledger_holds(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Pending holds whose task is over or missing; exit 1 where there are any."""
    run("ledger holds", {}, config, output)
