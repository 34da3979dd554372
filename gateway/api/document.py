"""The OpenAPI 3.1 document, made from the table of routes and the pydantic models. Pure; made once at start."""

import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.multipart import FORM
from gateway.api.rendering import JsonMap, JsonValue
from gateway.api.route import Route
from gateway.api.routes import ROUTES
from gateway.api.schemas.answers import ErrorAnswer
from gateway.domain.ids import FILE_ID_PATTERN, TASK_ID_PATTERN

_REF = "#/components/schemas/{model}"
_NO_KEY_ERRORS = (401,)
_NO_TOKEN_ERRORS = (401, 403)
_ID_PATTERNS = {"task_id": TASK_ID_PATTERN, "file_id": FILE_ID_PATTERN}
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_ABOUT = "Image generation behind one key: OpenAI's images contract and durable tasks to poll are two views of the same call."


def openapi_document(*, version: str, public_url: str = "") -> bytes:
    """The document as JSON."""
    paths, schemas = _described()
    document: JsonMap = {
        "openapi": "3.1.0",
        "info": {"title": "Image gateway", "version": version, "description": _ABOUT},
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
                "adminToken": {"type": "http", "scheme": "bearer", "description": "An admin token, not an API key."},
            },
        },
    }
    if public_url:
        document["servers"] = [{"url": public_url}]
    return orjson.dumps(document)


@cache  # twenty times the work of all the rest of a start of the edge, and always the same
def _described() -> tuple[JsonMap, JsonValue]:
    """Paths and schemas, not to be changed by anybody."""
    return _paths(ROUTES), _schemas(ROUTES)


def _paths(routes: Sequence[Route]) -> JsonMap:
    paths: dict[str, JsonMap] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {path: operations for path, operations in paths.items()}  # noqa: C416 - widens the value type


def _operation(route: Route) -> JsonMap:
    operation: JsonMap = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', route.path)}".rstrip("_"),
        "responses": _responses(route),
    }
    parameters = [_path_parameter(name) for name in _PARAMETER.findall(route.path)]
    parameters += [
        {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": kind}}
        for name, kind, meaning in route.query
    ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": meaning, "schema": dict(schema)}
        for name, schema, meaning in route.headers
    ]
    if parameters:
        operation["parameters"] = parameters
    content: JsonMap = {
        kind: {"schema": _reference(model)}
        for kind, model in (("application/json", route.body), (FORM, route.form))
        if model is not None
    }
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    if route.public:
        operation["security"] = []
    if route.scope is not None:
        operation["security"] = [{"adminToken": []}]
        operation["description"] = f"Needs an admin token with the scope `{route.scope.value}`."
    return operation


def _path_parameter(name: str) -> JsonValue:
    schema: JsonMap = {"type": "string"}
    if name in _ID_PATTERNS:
        schema["pattern"] = f"^{_ID_PATTERNS[name].pattern}$"
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(route: Route) -> JsonMap:
    responses: JsonMap = {}
    for status, what in route.answers:
        answer: JsonMap = {"description": HTTPStatus(status).phrase}
        if isinstance(what, tuple):
            references: list[JsonValue] = [_reference(model) for model in what]
            schema: JsonValue = references[0] if len(references) == 1 else {"anyOf": references}
            answer["content"] = {"application/json": {"schema": schema}}
        elif what:
            answer["content"] = {what: {}}
        responses[str(status)] = answer
    refusals = () if route.public else _NO_KEY_ERRORS if route.scope is None else _NO_TOKEN_ERRORS
    for status in (*refusals, *route.errors):
        text = "The body is empty, as the method wants it" if route.method == "HEAD" else HTTPStatus(status).phrase
        error: JsonMap = {"description": text}
        if route.method != "HEAD":
            error["content"] = {"application/json": {"schema": _reference(ErrorAnswer)}}
        responses.setdefault(str(status), error)
    return dict(sorted(responses.items()))


def _schemas(routes: Sequence[Route]) -> JsonValue:
    bodies = {body for route in routes for body in (route.body, route.form) if body is not None}
    answers = {model for route in routes for _, what in route.answers if isinstance(what, tuple) for model in what}
    named = (
        sorted(bodies, key=lambda model: model.__name__),
        sorted(answers | {ErrorAnswer}, key=lambda model: model.__name__),
    )
    _, schema = models_json_schema(
        [*((model, "validation") for model in named[0]), *((model, "serialization") for model in named[1])],
        ref_template=_REF,
    )
    definitions: JsonValue = schema["$defs"]
    return definitions


def _reference(model: type[BaseModel]) -> JsonMap:
    return {"$ref": _REF.format(model=model.__name__)}
