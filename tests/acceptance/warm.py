"""Importing this fills the memories that a gateway fills at its start, for a server that forks gateways: the same for every config."""

from gateway import __version__
from gateway.api.document import openapi_document
from gateway.config_catalog import shipped_catalog_path
from gateway.config_text import Problems, read_file
from gateway.tokens.vocabulary import build_encoding

openapi_document(version=__version__)
read_file(shipped_catalog_path(), {}, Problems(), "catalog")
build_encoding()
