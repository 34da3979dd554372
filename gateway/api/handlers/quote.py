"""`POST /v1/images/quote`: what the same body would cost, hold and be answered as a call."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.call import read_any, read_call
from gateway.api.pictures import BodyPictures
from gateway.api.rendering import JsonMap, JsonValue
from gateway.api.state import LOG, PIPELINE, PRINCIPAL
from gateway.domain import money
from gateway.domain.accounts import kind_and_name
from gateway.domain.errors import GatewayError
from gateway.pipeline.quoting import BudgetLeft, Quote, QuotedOffer


async def create(request: web.Request) -> web.Response:
    """Counts against no limit and stores nothing. What is wrong with the body itself is an error, as for a call."""
    principal, pipeline = request[PRINCIPAL], request.app[PIPELINE]
    async with BodyPictures(request) as pictures:
        call = await read_call(request, pictures, read_any)
        admitted = await pipeline.admit(principal, await pictures.resolved(call.generation, call.draft))
        found = await pipeline.quote(principal, admitted, call.most)
    request[LOG].update(model=admitted.model.name, n=admitted.request.n)
    return json_answer(answer(found, call.generation.dropped))


def answer(quote: Quote, also_dropped: tuple[str, ...] = ()) -> JsonMap:
    request, plan, hold = quote.admitted.request, quote.plan, quote.hold
    dropped = {*also_dropped, *(() if plan is None else plan.dropped)}
    return {
        "object": "image.quote",
        "model": request.model,
        "n": request.n,
        "size": request.size,
        "quality": request.quality.value,
        "offers": [_offer(offer) for offer in quote.offers],
        "charge": _charge(quote),
        "hold": None
        if hold is None
        else {
            "credits": money.json_number(hold.microcredits),
            "usd": money.json_number(hold.microusd),
            "images": hold.images,
        },
        "budget_left": None if quote.budget is None else _budget(quote.budget),
        "dropped_params": [*sorted(dropped)],
        "admitted": quote.refusal is None,
        "error": None if quote.refusal is None else _error(quote.refusal),
    }


def _offer(offer: QuotedOffer) -> JsonMap:
    skipped: JsonValue = None if offer.skipped is None else {"reason": offer.skipped, "message": offer.why or ""}
    return {
        "upstream": offer.offer.upstream,
        "model": offer.offer.upstream_model,
        "expected_usd": _usd(offer.expected_microusd),
        "most_usd": _usd(offer.most_microusd),
        "skipped": skipped,
    }


def _charge(quote: Quote) -> JsonMap | None:
    plan = quote.plan
    if plan is None:
        return None
    if plan.charge_microcredits is not None:
        return {"rule": "per_image", "credits_per_image": money.json_number(plan.charge_microcredits), "markup": None}
    return {"rule": "cost", "credits_per_image": None, "markup": float(plan.markup)}


def _budget(left: BudgetLeft) -> JsonMap:
    kind, name = kind_and_name(left.tightest.account)
    return {
        "scope": kind.value,
        "name": name,
        "budget": str(left.tightest.budget),
        "credits": money.json_number(left.tightest.left_microcredits),
        "resets_at_ms": left.resets_at_ms,
    }


def _error(error: GatewayError) -> JsonMap:
    return {"code": error.code, "message": error.message, "param": error.param}


def _usd(microusd: int | None) -> JsonValue:
    return None if microusd is None else money.json_number(microusd)
