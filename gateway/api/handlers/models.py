"""`/v1/models`: what this key may use, in OpenAI's list shape."""

from aiohttp import web

from gateway.api.answers import json_answer
from gateway.api.rendering import JsonMap
from gateway.api.state import PIPELINE, PRINCIPAL
from gateway.domain.catalog import Model


async def index(request: web.Request) -> web.Response:
    models = request.app[PIPELINE].models(request[PRINCIPAL])
    return json_answer({"object": "list", "data": [_model(model, model.name) for model in models]})


async def get(request: web.Request) -> web.Response:
    """One model; an alias is answered under the name that was asked for."""
    name = request.match_info["model"]
    return json_answer(_model(request.app[PIPELINE].model(request[PRINCIPAL], name), name))


def _model(model: Model, name: str) -> JsonMap:
    return {"id": name, "object": "model", "created": model.created_at_s, "owned_by": model.owned_by}
