"""`gateway quote`: the same quote as over HTTP, for any org, team or key, or for nobody. Makes nothing, holds nothing.

Beside a running gateway it is answered there, with its circuits and the limits of the moment; alone every offer counts as open. How it fails: the
errors of a call that could not be made at all, and SubjectNotFound.
"""

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from gateway.administration.reports import Arguments, Command, Report, Row, Value
from gateway.api.schemas.generation import parse_generation
from gateway.app_pictures import is_public
from gateway.app_reload import Current
from gateway.config import Config
from gateway.db.connection import Connection
from gateway.db.writer import Database
from gateway.domain import money
from gateway.domain.accounts import UNLIMITED, Principal, kind_and_name
from gateway.domain.clock import Clock
from gateway.domain.errors import AdministrationError, SubjectNotFound
from gateway.domain.ids import AccountId, KeyId, key_account_id, org_account_id, team_account_id
from gateway.keys import store as key_store
from gateway.ledger import accounts as account_store
from gateway.pipeline.admission import Admission, Admitted, RequestDraft
from gateway.pipeline.commands import Command as Written
from gateway.pipeline.commands import Outcome
from gateway.pipeline.offering import Offering, Terms
from gateway.pipeline.quoting import Quote, QuotedOffer, Quoting
from gateway.routing.health import Circuits
from gateway.tokens.counter import TokenCounter
from gateway.upstreams.registry import build as build_adapter
from gateway.upstreams.wire import Resources

Admit = Callable[[Principal, RequestDraft], Awaitable[Admitted]]
Price = Callable[[Principal, Admitted], Awaitable[Quote]]
NOBODY = Principal(KeyId("nobody"), "nobody", (), "", None)
"""Has no account, and so no budget and no limit."""


class QuoteCommands:
    """`admit` and `price` are a call's own, up to where something would be held."""

    def __init__(self, database: Database[Written, Outcome], current: Current, admit: Admit, price: Price) -> None:
        self._database = database
        self._current = current
        self._admit = admit
        self._price = price
        self.commands: Mapping[str, Command] = {"quote": self.quote}

    async def quote(self, arguments: Arguments) -> Report:
        principal = await self._principal(arguments)
        wishes = {name: arguments.get(name) for name in ("model", "prompt", "size", "quality")}
        count = arguments.get("n") or "1"
        if not (count.isascii() and count.isdigit() and len(count) <= 2):
            raise AdministrationError(f"n: {count!r} is no number of pictures", param="n")
        body: dict[str, object] = {name: text for name, text in wishes.items() if text}
        draft = parse_generation({**body, "n": int(count)}, self._current.config.catalog.default_model).draft
        quote = await self._price(principal, await self._admit(principal, draft))
        return Report(tuple(map(_row, quote.offers)), _verdict(quote), failed=quote.refusal is not None)

    async def _principal(self, arguments: Arguments) -> Principal:
        org, team, key = (arguments.get(name) or None for name in ("org", "team", "key"))
        if org is None:
            if team or key:
                raise AdministrationError("org is missing: say --org with --team and --key", param="org")
            return NOBODY
        path = [org_account_id(org)]
        if team is not None:
            path.insert(0, team_account_id(org, team))
        if key is not None:
            path.insert(0, key_account_id(org, team, key))
        return await self._database.read(lambda connection: _read_principal(connection, path, org, team))


async def _read_principal(connection: Connection, path: list[AccountId], org: str, team: str | None) -> Principal:
    known = {account.id: account for account in await account_store.read_accounts(connection)}
    missing = [account for account in path if account not in known]
    if missing:
        raise SubjectNotFound(f"there is no account {missing[0]}; `gateway accounts list` shows them")
    models = [key.models for key in await key_store.read_keys(connection) if key.account == path[0]]
    limits = tuple((account, known[account].limits) for account in path if known[account].limits != UNLIMITED)
    return Principal(
        KeyId("quote"), "quote", tuple(path), org, team, models[-1] if models else ("*",), limits=limits, markup=known[path[-1]].markup
    )  # fmt: skip


def quote_alone(config: Config, database: Database[Written, Outcome], clock: Clock) -> Mapping[str, Command]:
    """Without a gateway that serves."""

    async def quote(arguments: Arguments) -> Report:
        return await _alone(config, database, clock).quote(arguments)

    return {"quote": quote}


def _alone(config: Config, database: Database[Written, Outcome], clock: Clock) -> QuoteCommands:
    resources = Resources(clock, ThreadPoolExecutor(1, thread_name_prefix="quote"), egress=config.egress)
    adapters = {settings.name: build_adapter(settings, resources) for settings in config.upstreams}
    terms = Terms(config.markup, config.credits_per_usd, config.deadline_s)
    offering = Offering(adapters, Circuits(clock), links=is_public(config.server.public_url))
    quoting = Quoting(offering, lambda: terms, database, clock)
    admission = Admission(lambda: config.catalog, TokenCounter())
    return QuoteCommands(database, Current(config), admission.admit, quoting.of)


def _row(offer: QuotedOffer) -> Row:
    return {
        "offer": offer.offer.id,
        "expected_usd": _usd(offer.expected_microusd),
        "most_usd": _usd(offer.most_microusd),
        "skipped": "" if offer.skipped is None else f"{offer.skipped}: {offer.why}",
    }


def _verdict(quote: Quote) -> str:
    parts = []
    if quote.hold is not None:
        credits, usd = money.format_micro(quote.hold.microcredits), money.format_micro(quote.hold.microusd)
        parts.append(
            f"Holds {credits} credits ({usd} USD) for {quote.hold.images} image{'' if quote.hold.images == 1 else 's'}."
        )
    if quote.budget is not None:
        left = quote.budget.tightest
        kind, name = kind_and_name(left.account)
        parts.append(
            f"Tightest: {left.budget} of the {kind} {name!r}, {money.format_micro(left.left)} {left.budget.unit} left."
        )
    parts.append(
        "The call would be accepted."
        if quote.refusal is None
        else f"The call would be refused with {quote.refusal.code}: {quote.refusal.message}"
    )
    return " ".join(parts)


def _usd(microusd: int | None) -> Value:
    return None if microusd is None else money.format_micro(microusd)
