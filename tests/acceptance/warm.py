"""Importing this fills the memories that a gateway fills at its start, for a server that forks gateways."""

from functools import cache
from typing import Any, cast

import typer.main
from aiohttp import web

from gateway import __version__, app_console
from gateway.api import console_files
from gateway.api.document import openapi_document
from gateway.api.routes import add_routes
from gateway.cli.main import app
from gateway.config import load
from gateway.tokens.vocabulary import build_encoding, check_vocabulary

openapi_document(version=__version__)
# The shipped catalogue, and what is found in its models with the upstreams that most gateways under test have.
for environ in (
    {},
    {"OPENAI_API_KEY": "key"},
    {"EVOLINK_API_KEY": "key"},
    {"OPENAI_API_KEY": "key", "EVOLINK_API_KEY": "key"},
):
    load(None, environ)
check_vocabulary()
build_encoding()
add_routes(web.Application())  # compiles their patterns
# These have no memory of their own: a process needs them once.
cast(Any, typer.main).get_command = cache(typer.main.get_command)
typer.main.get_command(app)
cast(Any, app_console).read_console = cache(console_files.read_console)
cast(Any, app_console).read_console(app_console.FOLDER)
