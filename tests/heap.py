"""Keeps the memory of a test process small, and looking through it for garbage cheap. No test sees anything of it."""

import gc
from collections.abc import Generator

import pytest
from aiohttp import web_app


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of modules and tests are made and all of them stay: looking for garbage among them took a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """What exists now stays, so no collection has to walk it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """aiohttp keeps the handlers of its last thousand applications, and so whole gateways and emulators with all their pictures: gigabytes."""
    web_app._cached_build_middleware.cache_clear()
