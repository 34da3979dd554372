"""`gateway admin-tokens …` and `gateway audit-log …`."""

from typing import Annotated

import typer

from gateway.cli.operator import ConfigOption, FormatOption, OutputFormat, run

app = typer.Typer(help="Tokens for /admin/v1.", no_args_is_help=True)
audit_log_app = typer.Typer(help="Every change by an administrator.", no_args_is_help=True)


@app.command("create")
def admin_tokens_create(
    name: Annotated[str, typer.Option(help="Its name, as the audit log will show it.")],
    scopes: Annotated[str, typer.Option(help="Of read, keys, money, with commas.")] = "read,keys,money",
    org: Annotated[str | None, typer.Option(help="The only org that exists for it; none: all.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d or 12h from now, or a date such as 2027-01-31.")
    ] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """Make an admin token; it is shown once."""
    run("admin-tokens create", {"name": name, "scopes": scopes, "org": org, "expires": expires}, config, output)


@app.command("list")
def admin_tokens_list(config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """All admin tokens, without their secrets."""
    run("admin-tokens list", {}, config, output)


@app.command("revoke")
def admin_tokens_revoke(token_id: str, config: ConfigOption = None, output: FormatOption = OutputFormat.TABLE) -> None:
    """Refuse an admin token from now on."""
    run("admin-tokens revoke", {"id": token_id}, config, output)


@audit_log_app.command("list")
def audit_log_list(
    org: Annotated[str | None, typer.Option(help="Only of this org.")] = None,
    config: ConfigOption = None,
    output: FormatOption = OutputFormat.TABLE,
) -> None:
    """The latest changes: who did what to what."""
    run("audit-log list", {"org": org}, config, output)
