"""Every page for everybody: no serious finding of axe in both themes, both languages, on a phone and a desk; nothing wider than the screen; all by keyboard."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.console.browser import IN_THE_BROWSER, PHONE, Visits, choose
from tests.console.world import ADMIN, MODEL, World
from tests.emulators import behaviours as b
from tests.integration.gateway_app import KEY

pytestmark = IN_THE_BROWSER
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
FOUND = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((finding) => ["serious", "critical"].includes(finding.impact))
  .map((finding) => `${finding.id}: ${finding.nodes.map((node) => `${node.target} ${node.any.map((check) => check.message)}`).join(" | ")}`)
"""
WAITING = ".mantine-Skeleton-root, .mantine-Loader-root"
PAGES = ("playground", "overview", "tasks", "keys", "keys/account/team%3Aacme%2Fdesign", "upstreams", "nowhere")


async def findings(page: Page) -> list[str]:
    """What axe calls serious or worse. Run beside the page's policy, which lets no test's script in."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(FOUND)
    return found


async def problems_of(page: Page, where: str) -> list[str]:
    """In both themes; and whether it is wider than the screen."""
    too_wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    problems = [] if too_wide <= 0 else [f"{where}: {too_wide} px too wide"]
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two literals
        await expect(page.locator(f"html[data-mantine-color-scheme={scheme}]")).to_have_count(1)
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        problems += [f"{where}, {scheme}: {finding}" for finding in await findings(page)]
    return problems


async def filled(world: World) -> str:
    """A task with attempts, errors and a callback: pages have something to show."""
    world.cheap.next(b.Error(status=500, message="out of pencils"))
    made = await world.house.generate("poster", size="1024x1024", callback_url=world.hook)
    await world.house.ended(made.text("id"))
    return made.text("id")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", PHONE)])
async def test_every_page_is_for_everybody(world: World, visits: Visits, language: str, width: int) -> None:
    """With pictures, tasks and budgets to show, and the windows that open on them."""
    visits.expected |= {404}
    task = await filled(world)
    page = await visits.open(world.house, language=language, width=width)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh" else "en")
    problems = await problems_of(page, "sign-in")

    page = await visits.open(world.house, secrets=[KEY, ADMIN], language=language, width=width)
    title = page.get_by_role("heading", level=1)
    for path in (*PAGES, f"tasks/{task}"):
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        await page.goto(path)
        await expect(title).to_be_visible()
        await expect(page.locator(WAITING)).to_have_count(0)
        if language == "zh" and not path.startswith("tasks/"):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in await page.inner_text("main"))
        problems += await problems_of(page, path)
    assert problems == [], "\n".join(problems)
