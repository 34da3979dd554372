"""The browser, its visits, and the gateway that most tests of the console look at."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.console.browser import ARGUMENTS, BUILT, Rooms, Visits
from tests.console.world import World, open_world
from tests.debian import installed

SHELL = "chromium-headless-shell"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rooms() -> AsyncIterator[Rooms]:
    """One browser a test process."""
    if not BUILT.exists():
        pytest.fail("the console is not built: `make console` does it, with Node 20 or newer")
    path = await asyncio.to_thread(_chromium)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield Rooms(browser)
        await browser.close()


def _chromium() -> str:
    """Its shell, which draws and runs as Chromium does without windows, menus and extensions: a third less of the processor. Else Chromium itself."""
    try:
        return installed(SHELL, SHELL)
    except RuntimeError:  # a system that has no such package
        return installed("chromium", "chromium")


@pytest_asyncio.fixture(loop_scope="session")
async def visits(rooms: Rooms) -> AsyncIterator[Visits]:
    """Pages of the test's own; what they do and may not fails it at its end."""
    made = Visits(rooms)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A gateway with emulated upstreams, one for all tests of a file."""
    async with open_world(tmp_path_factory.mktemp("console")) as opened:
        yield opened
