"""Importing this fills the memories that a gateway fills at its start, for a server that forks gateways."""

from gateway import __version__
from gateway.api.document import openapi_document
from gateway.config import load
from gateway.tokens.vocabulary import build_encoding

openapi_document(version=__version__)
# The shipped catalogue, and what is found in its models with the upstreams that most gateways under test have.
for environ in (
    {},
    {"OPENAI_API_KEY": "key"},
    {"EVOLINK_API_KEY": "key"},
    {"OPENAI_API_KEY": "key", "EVOLINK_API_KEY": "key"},
):
    load(None, environ)
build_encoding()
