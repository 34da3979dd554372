"""`/console/api/…`: what the playground asks about models, prompts and its key's own account. An API key is asked for, as everywhere."""

from aiohttp import web
from pydantic import ValidationError

from gateway.api.answers import json_answer
from gateway.api.body import read_json
from gateway.api.errors import error_of_validation
from gateway.api.handlers.admin.accounts import account_answer
from gateway.api.rendering import JsonMap
from gateway.api.schemas.playground import TokensBody
from gateway.api.state import ADMINISTRATION, PIPELINE, PRINCIPAL, SETTINGS
from gateway.domain import money
from gateway.domain.files import FILE_BYTES_MAX, MASK_BYTES_MAX
from gateway.pipeline.model_cards import ModelCard


async def models(request: web.Request) -> web.Response:
    """Every model that this key may use, with its limits and what it can do."""
    principal, pipeline, settings = request[PRINCIPAL], request.app[PIPELINE], request.app[SETTINGS]
    cards = pipeline.cards.of(principal, pipeline.models(principal))
    return json_answer(
        {
            "object": "list",
            "default_model": settings.default_model(),
            "credits_per_usd": float(settings.credits_per_usd()),
            "data": [_card(card) for card in cards],
        }
    )


async def tokens(request: web.Request) -> web.Response:
    """How long a prompt is. Exact; too long is no error here."""
    try:
        body = TokensBody.model_validate(await read_json(request))
    except ValidationError as exc:
        raise error_of_validation(exc) from exc
    found = await request.app[PIPELINE].cards.measure(request[PRINCIPAL], body.model, body.prompt)
    return json_answer(
        {
            "object": "prompt.tokens",
            "model": body.model,
            "tokens": found.tokens,
            "tokens_max": found.tokens_max,
            "fits": found.fits,
        }
    )


async def account(request: web.Request) -> web.Response:
    """This key's own account: its budgets, what is used and held. Those of its team and org are not its own."""
    state = await request.app[ADMINISTRATION].accounts.state(request[PRINCIPAL].account)
    return json_answer(account_answer(state))


def _card(card: ModelCard) -> JsonMap:
    model, free = card.model, card.model.sizes.pixel_range if card.free_sizes else None
    return {
        "id": model.name,
        "response": model.response.value,
        "prompt_tokens_max": model.prompt_tokens_max,
        "sizes": [*card.sizes],
        "pixel_range": None
        if free is None
        else {
            "multiple_of": free.multiple_of,
            "ratio_max": free.ratio_max,
            "edge_max": free.edge_max,
            "area_min": free.area_min,
            "area_max": free.area_max,
        },
        "n": [*card.n],
        "qualities": [quality.value for quality in model.qualities],
        "output_formats": [each.value for each in card.output_formats],
        "references_max": card.references_max,
        "reference_bytes_max": FILE_BYTES_MAX,
        "mask_bytes_max": MASK_BYTES_MAX,
        "edits": card.edits,
        "masks": card.masks,
        "variations": card.variations,
        "streams": card.streams,
        "estimated_time_s": model.estimated_time_s,
        "credits_per_image": None
        if model.charge_microcredits is None
        else money.json_number(model.charge_microcredits),
    }
