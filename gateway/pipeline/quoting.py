"""What a call would cost and be answered at this moment: the functions of an acceptance, asked one by one, without taking anything.

Nothing is stored, held or counted, and no lock is taken, so an answer is true of the moment it is made in and promises nothing. How it fails: what an
acceptance would be refused for stands in the quote; only a database that cannot be read is StorageUnavailable.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.db.writer import Database
from gateway.domain.accounts import Principal
from gateway.domain.catalog import Offer
from gateway.domain.clock import Clock
from gateway.domain.considered import Considered, Skip
from gateway.domain.errors import GatewayError
from gateway.domain.ids import new_task_id
from gateway.domain.money import Amount
from gateway.domain.windows import ends_at_ms
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.model import BudgetRefusal, Tightest
from gateway.pipeline.admission import Admitted
from gateway.pipeline.commands import Command, HoldOption, Outcome
from gateway.pipeline.frozen import FrozenPlan, read_plan
from gateway.pipeline.offering import Offering, Terms
from gateway.pipeline.refusing import insufficient, options_within
from gateway.routing.plan import NotAble


@dataclass(frozen=True, slots=True)
class QuotedOffer:
    """One way to make the pictures. Prices are for all of them, None where it cannot; `skipped` is a word of Skip, None: it may be tried."""

    offer: Offer
    expected_microusd: int | None
    most_microusd: int | None
    skipped: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """The tightest budget of the path before the call, and when it begins anew."""

    tightest: Tightest
    resets_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Quote:
    """Offers in the order in which they would be tried, those that cannot make the request at the end."""

    admitted: Admitted
    offers: tuple[QuotedOffer, ...]
    plan: FrozenPlan | None
    """What would be frozen: charge, markup and rate; None where no offer may be tried."""
    hold: Amount | None
    """What would be held; what the cheapest plan needs where that does not fit."""
    budget: BudgetLeft | None
    """None: no budget in credits or USD limits the path."""
    refusal: GatewayError | None
    """What the call would be refused with; None: it would be accepted."""


Check = Callable[[], Awaitable[None]]


class Quoting:
    """Quotes of one gateway."""

    def __init__(
        self,
        offering: Offering,
        terms: Callable[[], Terms],
        database: Database[Command, Outcome],
        clock: Clock,
    ) -> None:
        self._offering = offering
        self._terms = terms
        self._database = database
        self._clock = clock

    async def of(
        self,
        principal: Principal,
        admitted: Admitted,
        max_microcredits: int | None = None,
        checks: Sequence[Check] = (),
    ) -> Quote:
        """As the call goes: `checks` (they raise what speaks against it before its prices), its offers, its own limit, its budgets."""
        refusals = [error for error in [await _error_of(check) for check in checks] if error is not None]
        terms, now_ms = self._terms(), self._clock.now_ms()
        books = await self._database.read(
            lambda connection: ledger_store.read_books(connection, principal.path, now_ms)
        )
        tightest = decide.tightest(books, principal.path, terms.credits_per_usd, now_ms)
        budget = None
        if tightest is not None:
            zone = books.terms[tightest.account].zone
            budget = BudgetLeft(tightest, ends_at_ms(tightest.budget.window, now_ms, zone))
        plan: FrozenPlan | None = None
        options: tuple[HoldOption, ...] = ()
        within: tuple[HoldOption, ...] = ()
        try:
            quoted = self._offering.quoted(principal, admitted, terms)
            plan, options = quoted.frozen, quoted.options
            within = options_within(options, max_microcredits)
        except GatewayError as exc:
            refusals.append(exc)
        chosen = within[-1] if within else None
        if within:
            amounts = [option.amount for option in within]
            verdict = decide.place_hold(
                books, new_task_id(now_ms), principal.path, amounts, terms.credits_per_usd, now_ms, now_ms
            )
            if isinstance(verdict, BudgetRefusal):
                refusals.append(insufficient(verdict, amounts[-1].microcredits, terms.credits_per_usd))
            else:
                chosen = within[verdict.option]
        offers = _offers(self._offering, admitted, options, within, chosen)
        hold = chosen or (options[-1] if options else None)
        refusal = refusals[0] if refusals else None
        return Quote(admitted, offers, plan, None if hold is None else hold.amount, budget, refusal)


async def _error_of(check: Check) -> GatewayError | None:
    try:
        await check()
    except GatewayError as exc:
        return exc
    return None


def _offers(
    offering: Offering,
    admitted: Admitted,
    options: Sequence[HoldOption],
    within: Sequence[HoldOption],
    chosen: HoldOption | None,
) -> tuple[QuotedOffer, ...]:
    by_id = {offer.id: offer for offer in admitted.model.offers}
    whole = offering.whole_plan(admitted.request, admitted.model, admitted.choice)
    if isinstance(whole, NotAble):
        return tuple(_quoted(item.offer, item.considered) for item in whole.reasons)
    affordable = _offers_of(chosen) if len(options) > 1 and chosen is not None else None
    allowed = _offers_of(within[0]) if len(options) > 1 and within else None
    quoted = []
    for item in offering.arranged(whole, admitted.choice).considered:
        skipped = item.skipped
        if (item.is_tried and options and not within) or (
            item.is_tried and allowed is not None and item.offer not in allowed
        ):
            skipped = Skip.OVER_MAX_CREDITS
        elif item.is_tried and affordable is not None and item.offer not in affordable:
            skipped = Skip.OVER_BUDGET
        quoted.append(_quoted(by_id[item.offer], item._replace(skipped=skipped)))
    return tuple(quoted)


def _offers_of(option: HoldOption) -> set[str]:
    return {offer.id for offer in read_plan(option.plan_json).offers}


def _quoted(offer: Offer, item: Considered) -> QuotedOffer:
    return QuotedOffer(offer, item.expected_microusd, item.most_microusd, item.skipped, item.why)
