"""Everything that administers one gateway, as the admin routes are handed it."""

from dataclasses import dataclass

from gateway.administration.accounts import Accounts
from gateway.administration.admin_tokens import AdminTokenAdministration
from gateway.administration.alerts import Alerts
from gateway.administration.audit_log import AuditLog
from gateway.administration.callback_secrets import CallbackSecrets
from gateway.administration.callbacks import Callbacks
from gateway.administration.holds import Holds
from gateway.administration.in_doubt import InDoubt
from gateway.administration.keys import Keys
from gateway.administration.overview import Overviews
from gateway.administration.tasks import Tasks
from gateway.administration.upstreams import Upstreams
from gateway.administration.usage import Usage


@dataclass(frozen=True, slots=True)
class Administration:
    """One service a noun. Each takes the administrator who asks, and shows and changes only what that one sees."""

    accounts: Accounts
    keys: Keys
    tokens: AdminTokenAdministration
    audit_log: AuditLog
    alerts: Alerts
    usage: Usage
    tasks: Tasks
    in_doubt: InDoubt
    upstreams: Upstreams
    holds: Holds
    overviews: Overviews
    callbacks: Callbacks
    callback_secrets: CallbackSecrets
