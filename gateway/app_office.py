"""The office of a gateway: the database of a config, open, and those who administer it. For `serve` and for commands without a running gateway.

How it fails: StartFailed with one sentence for the operator.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway import app_upstreams, secret_files
from gateway.administration.account_commands import AccountCommands
from gateway.administration.accounts import Accounts
from gateway.administration.admin_tokens import EVERYTHING, AdminTokenAdministration
from gateway.administration.alert_commands import AlertCommands
from gateway.administration.alerts import Alerts
from gateway.administration.backup import Backups
from gateway.administration.book_commands import BookCommands
from gateway.administration.callback_commands import CallbackCommands
from gateway.administration.callback_secrets import CallbackSecrets
from gateway.administration.callbacks import Callbacks
from gateway.administration.declared import DeclaredKey, Declaring
from gateway.administration.holds import Holds
from gateway.administration.in_doubt import InDoubt
from gateway.administration.in_doubt_commands import InDoubtCommands
from gateway.administration.key_commands import KeyCommands
from gateway.administration.keys import Keys
from gateway.administration.operator import Operator
from gateway.administration.overview import Overviews
from gateway.administration.task_commands import TaskCommands
from gateway.administration.tasks import Tasks
from gateway.administration.token_commands import TokenCommands
from gateway.administration.upstream_commands import UpstreamCommands
from gateway.administration.upstreams import Upstreams
from gateway.administration.usage import Usage
from gateway.administration.usage_commands import UsageCommands
from gateway.app_declared_secrets import DeclaredSecrets
from gateway.app_quote import quote_alone
from gateway.app_reload import Current, KnownModels
from gateway.app_state import tell_once
from gateway.blobs.opening import BlobsOnDemand
from gateway.config import Config, KeyDeclaration
from gateway.db.engine import open_database
from gateway.db.migrate import MigrationFailed, fits_postgresql, migrate
from gateway.db.sqlite import DatabaseLocked, SqliteLock
from gateway.db.url import Dialect
from gateway.db.writer import Database
from gateway.domain.accounts import Account, AccountKind
from gateway.domain.clock import Clock
from gateway.domain.errors import StorageUnavailable
from gateway.domain.ids import org_account_id, team_account_id
from gateway.keys.admin_tokens import AdminTokens
from gateway.keys.authenticator import Authenticator
from gateway.keys.secrets import new_admin_token, new_key
from gateway.pipeline import crash_points
from gateway.pipeline.apply import apply
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.intake import forget_erased
from gateway.tasks.erasing import Erasing

FIRST_ORG, FIRST_KEY = "default", "first"


class StartFailed(Exception):
    """The gateway cannot start; the text names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The API key, or the admin token, of an embedded gateway's first start. `secret` is None at later starts."""

    path: Path
    secret: str | None


@dataclass(frozen=True, slots=True)
class FirstSecrets:
    """What an embedded gateway made for itself. None: it makes none, or it was taken away."""

    key: FirstKey | None
    admin_token: FirstKey | None


@dataclass(frozen=True, slots=True)
class Office:
    """What commands need: the database, open, and who administers it."""

    database: Database[Command, Outcome]
    authenticator: Authenticator
    admin_tokens: AdminTokens
    accounts: Accounts
    keys: Keys
    tokens: AdminTokenAdministration
    alerts: Alerts
    callbacks: Callbacks
    callback_secrets: CallbackSecrets
    tasks: Tasks
    erasing: Erasing
    blobs: BlobsOnDemand
    """The pictures; opened by whoever first needs them."""
    in_doubt: InDoubt
    upstreams: Upstreams
    holds: Holds
    overviews: Overviews
    declaring: Declaring
    current: Current
    """What the config says now."""
    operator: Operator
    clock: Clock
    secret_key: str


@asynccontextmanager
async def open_office(config: Config, clock: Clock, *, migrating: bool) -> AsyncIterator[Office]:
    """The database of a config, for as long as the block runs. Raises StartFailed."""
    async with AsyncExitStack() as stack:
        lock: SqliteLock | None = None
        try:
            if config.database.dialect is Dialect.SQLITE:
                lock = SqliteLock(config.database.path)
                lock.acquire()
                stack.callback(lock.release)
            if migrating:
                await migrate(config.database)
            elif not await fits_postgresql(config.database):
                raise StartFailed(
                    "the database's schema is not that of this version: run `gateway migrate` first, with the newest version in use"
                )
            secret_key = config.secret_key or secret_files.read_or_make(config.beside_database("secret_key"))
            watched = crash_points.watched(apply)
            database = await open_database(config.database, watched, clock, lock, crash_points.committed)
        except (DatabaseLocked, MigrationFailed, StorageUnavailable, OSError) as exc:
            cause = exc.log if isinstance(exc, StorageUnavailable) else None
            raise StartFailed(f"the database cannot be opened: {exc}" + (f" ({cause})" if cause else "")) from exc
        stack.push_async_callback(database.close)
        blobs = BlobsOnDemand(config.bucket or config.blobs)
        stack.push_async_callback(blobs.close)
        yield _furnished(config, database, blobs, secret_key, clock)


def _furnished(
    config: Config, database: Database[Command, Outcome], blobs: BlobsOnDemand, secret_key: str, clock: Clock
) -> Office:
    pepper = secret_files.derive(secret_key, "image-gateway keys v1")
    token_pepper = secret_files.derive(secret_key, "image-gateway admin tokens v1")
    authenticator, admin_tokens = Authenticator(pepper, clock), AdminTokens(token_pepper, clock)
    current = Current(config)
    models = KnownModels(current)
    keys = Keys(database, authenticator, pepper, clock, models)
    tokens = AdminTokenAdministration(database, admin_tokens, token_pepper, clock, config.admin_token)
    in_doubt, holds = InDoubt(database), Holds(database)
    upstreams = Upstreams(
        database,
        clock,
        lambda: app_upstreams.configured(current.config),
        lambda name: app_upstreams.test(current.config, clock, name),
    )
    keys.tell = tokens.tell = tell_once(config, clock)
    accounts = Accounts(database, keys.changed, clock, models)
    alerts = Alerts(database, clock, sending=lambda: current.config.alerts is not None)
    callbacks_key = secret_files.derive(secret_key, "image-gateway callbacks v1")
    callbacks = Callbacks(database, clock)
    callback_secrets = CallbackSecrets(database, callbacks_key, DeclaredSecrets(current), clock)
    erasing = Erasing(database, blobs, clock, lambda store, ids: forget_erased(database, store, ids))
    tasks = Tasks(database, erasing, clock)
    operator = Operator(
        AccountCommands(accounts).commands,
        KeyCommands(keys, clock).commands,
        TokenCommands(tokens, clock).commands,
        BookCommands(database, holds).commands,
        InDoubtCommands(in_doubt).commands,
        UpstreamCommands(upstreams).commands,
        AlertCommands(alerts).commands,
        CallbackCommands(callbacks, callback_secrets).commands,
        UsageCommands(Usage(database)).commands,
        quote_alone(config, database, clock),
        TaskCommands(tasks).commands,
        Backups(database, config.database).commands,
    )
    declaring = Declaring(database, pepper, clock)
    return Office(
        database=database,
        authenticator=authenticator,
        admin_tokens=admin_tokens,
        accounts=accounts,
        keys=keys,
        tokens=tokens,
        alerts=alerts,
        callbacks=callbacks,
        callback_secrets=callback_secrets,
        tasks=tasks,
        erasing=erasing,
        blobs=blobs,
        in_doubt=in_doubt,
        upstreams=upstreams,
        holds=holds,
        overviews=Overviews(database, clock),
        declaring=declaring,
        current=current,
        operator=operator,
        clock=clock,
        secret_key=secret_key,
    )


async def declare(config: Config, office: Office) -> None:
    """Make the accounts and keys of the config true, and the accounts of our own books."""
    orgs, teams, keys = [], [], []
    for org in config.accounts:
        org_id = org_account_id(org.name)
        orgs.append(
            Account(
                org_id,
                AccountKind.ORG,
                org.name,
                None,
                org.budgets,
                limits=org.limits,
                zone=org.zone,
                markup=org.markup,
            )
        )
        keys += [_declared(org.name, None, key, org.zone) for key in org.keys]
        for team in org.teams:
            team_id = team_account_id(org.name, team.name)
            teams.append(
                Account(team_id, AccountKind.TEAM, team.name, org_id, team.budgets, limits=team.limits, zone=team.zone)
            )
            keys += [_declared(org.name, team.name, key, team.zone) for key in team.keys]
    upstreams = [upstream.name for upstream in config.upstreams]
    await office.declaring.declare(orgs, teams, keys, upstreams, config.upstream_budgets)
    office.tokens.declare(config.admin_token)
    await office.keys.reload()
    await office.tokens.reload()


def _declared(org: str, team: str | None, key: KeyDeclaration, zone: str) -> DeclaredKey:
    return DeclaredKey(
        org,
        team,
        key.name,
        key.secret,
        key.budgets,
        key.models,
        key.response,
        key.limits,
        key.expires_at_ms,
        zone,
        key.choose_upstream,
        key.cache,
    )


async def first_secrets(config: Config, office: Office) -> FirstSecrets:
    """An embedded gateway without any key, or without any admin token, makes one. On PostgreSQL nothing secret is ever made by itself."""
    if config.database.dialect is not Dialect.SQLITE or config.accounts:
        return FirstSecrets(None, None)
    return FirstSecrets(await _first_key(config, office), await _first_admin_token(config, office))


async def _first_key(config: Config, office: Office) -> FirstKey | None:
    path = config.beside_database("api_key")
    if await office.keys.all():
        return FirstKey(path, None) if path.exists() else None
    # Kept before it is valid: a crash between the two must not leave a key that nobody knows.
    secret = _kept(path) or new_key()
    secret_files.keep(path, secret)
    await office.keys.create(org=FIRST_ORG, team=None, name=FIRST_KEY, secret=secret)
    return FirstKey(path, secret)


async def _first_admin_token(config: Config, office: Office) -> FirstKey | None:
    path = config.beside_database("admin_token")
    if config.admin_token is not None:
        return None
    if await office.tokens.all():
        return FirstKey(path, None) if path.exists() else None
    secret = _kept(path) or new_admin_token()
    secret_files.keep(path, secret)
    await office.tokens.create(FIRST_KEY, EVERYTHING, secret=secret)
    return FirstKey(path, secret)


def _kept(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
