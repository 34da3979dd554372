"""Debian's Chromium without windows for tests of the console: one browser for them all, and what no page may do.

A page may log no error or warning, break no policy, open no dialog, and ask nobody but the gateway; each is a fault of the test. Answers of 400 and
above, which browsers log as errors, are expected by their status.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect

from tests.integration.gateway_app import House

BUILT = Path(__file__).parents[2] / "gateway/console/index.html"
ARGUMENTS = (
    "--no-sandbox",  # it runs as root in a container, and sees nothing but what the tests serve
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--process-per-site", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
ANSWER_MS = 60_000
"""How long anything on a page may take on a loaded machine."""
expect.set_options(timeout=ANSWER_MS)
PHONE = 360

IN_THE_BROWSER = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    # The first one may have to install the browser.
    pytest.mark.timeout(600),
]
"""The marks of every module here."""

WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
KEPT = "local_storage,indexeddb,service_workers,cache_storage"
"""What an origin can keep, besides cookies; what a tab keeps goes with it."""
STATUS = re.compile(r"^Failed to load resource: the server responded with a status of (\d+)")


class Rooms:
    """Contexts of the browser, one a gateway and language: the next page has what the one before has fetched and compiled, and nothing else."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._rooms: dict[tuple[str, str], BrowserContext] = {}

    async def emptied(self, origin: str, locale: str) -> BrowserContext:
        """Signed out, with nothing kept, and without a page but the one that keeps its process."""
        room = self._rooms.get((origin, locale))
        if room is None:
            room = await self._new(origin, locale)
        for page in room.pages[1:]:
            await page.close()
        await room.clear_cookies()
        wire = await room.new_cdp_session(room.pages[0])
        await wire.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": KEPT})
        await wire.detach()
        return room

    async def _new(self, origin: str, locale: str) -> BrowserContext:
        for known in [known for known in self._rooms if known[0] != origin]:
            await self._rooms.pop(known).close()  # its gateway is gone
        room = await self._browser.new_context(
            locale=locale,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
            base_url=f"{origin}/console/",
        )
        self._rooms[(origin, locale)] = room
        room.set_default_timeout(ANSWER_MS)
        await room.add_init_script(WATCH)
        await (await room.new_page()).goto("icon.svg")
        return room


@dataclass(slots=True)
class Visits:
    """Makes pages, and keeps what they did that they may not."""

    rooms: Rooms
    faults: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)
    """Statuses that the test provokes."""
    page: Page | None = None

    async def open(
        self, house: House, path: str = "", *, secrets: Iterable[str] = (), language: str = "en", width: int = 1280
    ) -> Page:
        """A page of the console as in a browser that nobody has used, signed in with these secrets. The page before it is closed."""
        room = await self.rooms.emptied(house.origin, "zh-CN" if language == "zh" else "en-US")
        for secret in secrets:
            await sign_in(room, house, secret)
        page = self.page = await room.new_page()
        await page.set_viewport_size({"width": width, "height": 900})
        self._watch(page, house.origin)
        await page.goto(path)
        return page

    def _watch(self, page: Page, origin: str) -> None:
        def heard(message: ConsoleMessage) -> None:
            status = STATUS.match(message.text)
            if status is not None and int(status[1]) in self.expected:
                return
            if message.type in ("error", "warning"):
                self.faults.append(f"{message.type}: {message.text} ({message.location})")

        async def asked(dialog: Dialog) -> None:
            self.faults.append(f"dialog: {dialog.message}")
            await dialog.dismiss()

        def sent(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("blob", "data") and f"{parts.scheme}://{parts.netloc}" != origin:
                self.faults.append(f"request: {request.url}")

        page.on("console", heard)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("dialog", asked)
        page.on("request", sent)

    async def close(self) -> None:
        """AssertionError with everything that a page did and may not."""
        if self.page is not None:
            await self.page.close()
        assert self.faults == [], "\n".join(self.faults)


async def sign_in(context: BrowserContext, house: House, secret: str) -> None:
    """As the form does, without it: a second secret is added to the session."""
    session = f"{house.origin}/console/api/session"
    known = await (await context.request.get(session)).json()
    headers = {"Origin": house.origin, "X-CSRF-Token": known["csrf"] or ""}
    answer = await context.request.post(session, data={"secret": secret}, headers=headers)
    assert answer.ok, await answer.text()


async def choose(page: Page, label: str, option: str) -> None:
    """An option of one of Mantine's selects."""
    await page.get_by_label(label, exact=True).first.click()
    await page.get_by_role("option", name=option, exact=True).click()
