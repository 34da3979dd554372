"""Which offers may make a request now, and on which terms: plan, open circuits, and what follows from them in money.

Holds nothing and stores nothing; acceptances and quotes ask the same questions here. How it fails: UnsupportedSize, InvalidRequest,
AllUpstreamsUnavailable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from gateway.domain.accounts import Principal
from gateway.domain.catalog import Capabilities, Model, Offer
from gateway.domain.choice import ANY_UPSTREAM, ONLY_HEADER, UpstreamChoice
from gateway.domain.considered import Considered, Skip
from gateway.domain.errors import RETRY_AFTER_S_MAX, AllUpstreamsUnavailable, InvalidRequest, UnsupportedSize
from gateway.domain.images import ImageRequest
from gateway.pipeline import pricing
from gateway.pipeline.admission import Admitted
from gateway.pipeline.commands import LEASE_MS
from gateway.pipeline.quotation import Quotation, Quotations
from gateway.routing.health import Circuits
from gateway.routing.last_resort import Resort
from gateway.routing.order import arrange
from gateway.routing.plan import Candidate, LeftOut, NotAble, Plan, PlannedOffer, plan
from gateway.upstreams.base import Adapter


@dataclass(frozen=True, slots=True)
class Terms:
    """What the config says about every call."""

    markup: Decimal
    credits_per_usd: Decimal
    deadline_s: float
    lease_ms: int = LEASE_MS


class Offering:
    """The offers of one process."""

    def __init__(self, adapters: Mapping[str, Adapter], circuits: Circuits, *, links: bool = False) -> None:
        """`links`: callers' pictures can be fetched from this gateway by upstreams."""
        self._adapters = adapters
        self._circuits = circuits
        self._links = links
        self._quotations = Quotations(self.whole_plan)

    def capabilities(self, offer: Offer) -> Capabilities | None:
        """What its upstream can do with an offer; None: it is off."""
        adapter = self._adapters.get(offer.upstream)
        return None if adapter is None else adapter.capabilities(offer.upstream_model)

    def quoted(self, principal: Principal, admitted: Admitted, terms: Terms) -> Quotation:
        """Over the offers that can make this request and may be tried now. Raises UnsupportedSize, InvalidRequest, AllUpstreamsUnavailable."""
        request, model, choice = admitted.request, admitted.model, admitted.choice
        found = self._quotations.of(
            request,
            model,
            open_now=lambda planned: self._open_now(planned, model, choice),
            markup=pricing.markup_of(principal.markup, model, terms.markup),
            credits_per_usd=terms.credits_per_usd,
            choice=choice,
        )
        if isinstance(found, NotAble):
            raise _not_able(found, request, model, choice)
        return found

    def whole_plan(self, request: ImageRequest, model: Model, choice: UpstreamChoice = ANY_UPSTREAM) -> Plan | NotAble:
        """With every offer that is able and chosen, whether it may be tried now or not; what is not chosen does not make a request impossible."""
        candidates = [
            (offer, self._adapters[offer.upstream].capabilities(offer.upstream_model))
            for offer in model.offers
            if offer.upstream in self._adapters
        ]
        chosen = [candidate for candidate in candidates if choice.allows(candidate[0].upstream)]
        found = plan(request, model, chosen, links=self._links)
        if isinstance(found, NotAble) or len(chosen) == len(model.offers):
            return found
        absent = tuple(
            LeftOut(offer, None, "its upstream is not served by this process")
            for offer in model.offers
            if offer.upstream not in self._adapters
        )
        others = (
            ()
            if len(chosen) == len(candidates)
            else _not_chosen(plan(request, model, candidates, links=self._links), chosen)
        )
        considered = (*found.considered, *others, *(item.considered for item in absent))
        return replace(found, left_out=(*found.left_out, *absent), considered=considered)

    def arranged(self, planned: Plan, choice: UpstreamChoice = ANY_UPSTREAM) -> Plan:
        """Without the offers that may not be tried now, perhaps without any, and in the order of now; the very same plan where nothing changes.

        Failing ones that may be tried where nothing else is left stand at the end.
        """
        closed: dict[str, Skip] = {}
        resorts: dict[str, Resort] = {}
        for item in planned.offers:
            why = self._why_closed(item)
            if isinstance(why, Resort):
                closed[item.offer.id], resorts[item.offer.id] = Skip.LAST_RESORT, why
            elif why is not None:
                closed[item.offer.id] = why
        return arrange(planned, closed, self._circuits.latencies.step, choice, resorts)

    def _open_now(self, planned: Plan, model: Model, choice: UpstreamChoice) -> Plan:
        usable = self.arranged(planned, choice)
        if not usable.offers:
            raise self._none_usable(planned, model)
        return usable

    def _why_closed(self, planned: PlannedOffer) -> Skip | Resort | None:
        """None: it may be tried. Each question is asked once, since a circuit's time may be over at the next."""
        closed = self._circuits.closed.is_closed(planned.offer.upstream, planned.most_microusd)
        resort = self._circuits.resort(planned.offer.id)
        if resort is not None:
            return Skip.CIRCUIT_OPEN if closed else resort
        if self._circuits.is_open(planned.offer.id):
            return Skip.CIRCUIT_OPEN
        return Skip.BUDGET_CLOSED if closed else None

    def _none_usable(self, planned: Plan, model: Model) -> AllUpstreamsUnavailable:
        """Our own budgets are no caller's business: only the log names them."""
        closed = self._circuits.closed.all()
        spent = {item.offer.upstream for item in planned.offers} & closed.keys()
        log = "; ".join(f"the budget {closed[name].budget} of the upstream {name} is used up" for name in sorted(spent))
        if log:
            text = f"No upstream of {model.name} can be used now. Try again later."
            return AllUpstreamsUnavailable(text, log=log, retry_after_s=RETRY_AFTER_S_MAX, param="model")
        waits = [circuit.reopens_in_s for circuit in self._circuits.open_offers().values()]
        return AllUpstreamsUnavailable(
            f"Every upstream of {model.name} is failing now. Try again shortly.",
            retry_after_s=int(min(waits, default=30)) + 1,
            param="model",
        )


def _not_chosen(whole: Plan | NotAble, chosen: Sequence[Candidate]) -> tuple[Considered, ...]:
    """The other offers, with what they would have cost where they are able."""
    kept = {offer.id for offer, _ in chosen}
    considered = [item.considered for item in whole.reasons] if isinstance(whole, NotAble) else whole.considered
    return tuple(item._replace(skipped=Skip.NOT_CHOSEN, said=None) for item in considered if item.offer not in kept)


def _not_able(verdict: NotAble, request: ImageRequest, model: Model, choice: UpstreamChoice) -> InvalidRequest:
    reasons = "; ".join(map(str, verdict.reasons))
    if choice.only:
        names = ", ".join(choice.only)
        return InvalidRequest(
            f"{ONLY_HEADER}: {names} cannot make this request of {model.name}. Name others, or leave the header out.",
            param=ONLY_HEADER,
            log=reasons,
        )
    if verdict.param == "size":
        return UnsupportedSize(
            f"No upstream of {model.name} makes the size {request.size} now.", param="size", log=reasons
        )
    wish = f"this {verdict.param}" if verdict.param else "this request"
    return InvalidRequest(f"No upstream of {model.name} can make {wish}.", param=verdict.param, log=reasons)
