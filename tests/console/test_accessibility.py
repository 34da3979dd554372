"""Every page for everybody: nothing serious for axe in both themes and languages, on a phone and a desk; not too wide; all by keyboard."""

import base64
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.console.browser import IN_THE_BROWSER, PHONE, Visits, choose
from tests.console.world import ADMIN, MODEL, World
from tests.emulators import behaviours as b
from tests.integration.gateway_app import KEY

pytestmark = IN_THE_BROWSER
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
FOUND = """
async (rules) => (await axe.run(document, { resultTypes: ["violations"], ...rules })).violations
  .filter((finding) => ["serious", "critical"].includes(finding.impact))
  .map((finding) => `${finding.id}: ${finding.nodes.map((node) => `${node.target} ${node.any.map((check) => check.message)}`).join(" | ")}`)
"""
OLD = "h1[data-old]"
TURN = """
(path) => {
  document.querySelectorAll("h1").forEach((title) => { title.dataset.old = "" });
  history.pushState({}, "", path);
}
"""
WAITING = ".mantine-Skeleton-root, .mantine-Loader-root"
PAGES = (
    "playground",
    "overview",
    "tasks",
    "callbacks",
    "keys",
    "keys/account/team%3Aacme%2Fdesign",
    "keys/declared%3Akey%3Aacme%2Fdesign%2Fci",
    "upstreams",
    "nowhere",
)


async def findings(page: Page, scheme: str) -> list[str]:
    """What axe calls serious or worse. Run beside the page's policy, which lets no test's script in."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    # A theme is colours and nothing else: everything is looked for in one, and what colours can spoil in the other.
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast", "link-in-text-block"]}
    found: list[str] = await page.evaluate(FOUND, rules)
    return found


async def problems_of(page: Page, where: str) -> list[str]:
    """In both themes, beginning with the one it is in; and whether it is wider than the screen."""
    too_wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    problems = [] if too_wide <= 0 else [f"{where}: {too_wide} px too wide"]
    first: str = await page.evaluate("document.documentElement.dataset.mantineColorScheme")
    for scheme in ("light", "dark") if first == "light" else ("dark", "light"):
        if scheme != first:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await expect(page.locator(f"html[data-mantine-color-scheme={scheme}]")).to_have_count(1)
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        problems += [f"{where}, {scheme}: {finding}" for finding in await findings(page, scheme)]
    return problems


async def turn_to(page: Page, path: str) -> None:
    """Another page of the console, as its links do it: without loading its scripts, and axe, anew."""
    await page.evaluate(TURN, f"/console/{path}")
    await expect(page.locator(OLD)).to_have_count(0)
    await is_there(page)


async def is_there(page: Page) -> None:
    """With all it waits for."""
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator(WAITING)).to_have_count(0)


async def filled(world: World) -> str:
    """A task with attempts, errors and a callback: pages have something to show."""
    world.cheap.next(b.Error(status=500, message="out of pencils"))
    made = await world.house.generate("poster", size="1024x1024", callback_url=world.hook)
    await world.house.ended(made.text("id"))
    return made.text("id")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", PHONE)])
async def test_every_page_is_for_everybody(world: World, visits: Visits, language: str, width: int) -> None:
    """With pictures, tasks and budgets to show, and the windows that open on them."""
    task = await filled(world)
    page = await visits.open(world.house, language=language, width=width)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh" else "en")
    problems = await problems_of(page, "sign-in")

    page = await visits.open(world.house, PAGES[0], secrets=[KEY, ADMIN], language=language, width=width)
    await is_there(page)
    for path in (*PAGES, f"tasks/{task}"):
        if path != PAGES[0]:
            await turn_to(page, path)
        if language == "zh" and not path.startswith("tasks/"):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in await page.inner_text("main"))
        problems += await problems_of(page, path)
    assert problems == [], "\n".join(problems)


async def test_what_a_key_sees_is_for_everybody(world: World, visits: Visits) -> None:
    """Its own spending, its tasks and one of them, on a phone in English."""
    task = await filled(world)
    page = await visits.open(world.house, "playground", secrets=[KEY], width=PHONE)
    await is_there(page)
    problems = []
    for path in ("overview", "tasks", f"tasks/{task}"):
        await turn_to(page, path)
        problems += await problems_of(page, path)
    assert problems == [], "\n".join(problems)


async def test_the_windows_are_for_everybody(world: World, visits: Visits) -> None:
    """Those for a key, an account, credits, a new secret, an end of a key, and the mask's painter."""
    page = await visits.open(world.house, "keys", secrets=[KEY, ADMIN])
    problems = []
    for name in ("New key", "New organisation or team"):
        await page.get_by_role("button", name=name).click()
        problems += await problems_of(page, name)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="New key").click()
    window = page.get_by_role("dialog")
    await window.get_by_label("Name").fill("brush")
    await window.get_by_label("Organisation").fill("acme")
    await page.keyboard.press("Tab")
    await window.get_by_role("button", name="Create").click()
    await expect(page.get_by_test_id("secret")).to_be_visible()
    problems += await problems_of(page, "a new secret")
    await page.get_by_role("button", name="I have kept it").click()
    await page.get_by_role("link", name="brush").click()
    await page.get_by_role("button", name="Revoke").click()
    await expect(window).to_be_visible()
    problems += await problems_of(page, "Revoke")
    await page.keyboard.press("Escape")
    await expect(window).to_have_count(0)
    await turn_to(page, "keys/account/team%3Aacme%2Fdesign")
    await page.get_by_role("button", name="Grant credits").click()
    problems += await problems_of(page, "Grant credits")
    await page.keyboard.press("Escape")
    await expect(window).to_have_count(0)
    await turn_to(page, "playground")
    await choose(page, "Model", MODEL)
    await with_a_reference(page)
    await page.get_by_role("button", name="Paint a mask").click()
    await expect(page.get_by_test_id("mask-canvas")).to_be_visible()
    problems += await problems_of(page, "the painter")
    assert problems == [], "\n".join(problems)


async def with_a_reference(page: Page) -> None:
    picture = await page.evaluate(DRAWN)
    file: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": base64.b64decode(picture)}
    await page.locator("input[type=file]").set_input_files([file])
    await expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()


DRAWN = """
() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 96 });
  canvas.getContext("2d").fillRect(0, 0, 64, 96);
  return canvas.toDataURL("image/png").split(",")[1];
}
"""
FOCUSED = """
() => {
  const element = document.activeElement;
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  const style = getComputedStyle(element);
  const box = element.closest(".mantine-Input-wrapper, .mantine-Slider-root, .mantine-Switch-root, .mantine-Checkbox-root") ?? element;
  const ring = [element, box, ...box.querySelectorAll("*")].some((one) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(one);
    return outlineStyle !== "none" && outlineWidth !== "0px";
  });
  const border = style.borderColor === getComputedStyle(document.body).getPropertyValue("--focus") || element.matches("input, textarea");
  return [name.trim(), ring || border];
}
"""


async def test_the_playground_by_keyboard_alone(world: World, visits: Visits) -> None:
    """The tab key reaches everything in the order of the page, whatever has the focus is seen to have it, and a mask can be painted with keys."""
    page = await visits.open(world.house, "playground", secrets=[KEY])
    await choose(page, "Model", MODEL)
    await with_a_reference(page)
    await page.get_by_role("textbox", name="Prompt").fill("the boat in another colour")
    await expect(page.get_by_role("button", name="Edit", exact=True)).to_be_enabled()
    await page.evaluate("document.activeElement.blur(); getSelection().removeAllRanges(); document.body.focus()")
    await page.goto("playground")
    await with_a_reference(page)
    await expect(page.get_by_role("button", name="Edit", exact=True)).to_be_enabled()
    await page.mouse.click(2, 600)
    seen: list[str] = []
    for _ in range(45):
        await page.keyboard.press("Tab")
        name, marked = await page.evaluate(FOCUSED)
        assert marked, f"{name} has the focus, and nobody sees it"
        seen.append(name)
        if name == "Edit":
            break
    wanted = [
        "Model", "Prompt", "auto", "Other size", "Images", "Quality", "Format", "Show it while it is drawn", "Image URL", "Remove a.png",
        "Paint a mask", "Edit",
    ]  # fmt: skip
    reached = [name for name in seen if name in wanted]
    assert reached == wanted, seen

    await page.get_by_role("button", name="Paint a mask").press("Enter")
    canvas = page.get_by_test_id("mask-canvas")
    await canvas.focus()
    await canvas.press("ArrowLeft")
    await canvas.press(" ")
    await expect(page.get_by_text("is made anew")).to_be_visible()
    await canvas.press("Control+z")
    await expect(page.get_by_text("Nothing is painted yet.")).to_be_visible()
    await canvas.press("Control+Shift+z")
    await page.get_by_role("button", name="Use the mask").press("Enter")
    await expect(page.get_by_role("button", name="Change the mask")).to_be_focused()
