"""Prints the gateway's OpenAPI document without titles; `npm run types` makes the console's types from it."""

import sys

import orjson

from gateway.api.document import openapi_document


def _untitled(node: object) -> object:
    """The same without the titles of properties, which only repeat their names."""
    if isinstance(node, dict):
        return {name: _untitled(part) for name, part in node.items() if not (name == "title" and isinstance(part, str))}
    return [_untitled(part) for part in node] if isinstance(node, list) else node


sys.stdout.buffer.write(orjson.dumps(_untitled(orjson.loads(openapi_document(version="0")))))
