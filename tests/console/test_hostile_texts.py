"""Markup in prompts, names, notes and upstreams' errors is text on every page: nothing of it is an element, a script, a dialog or a request."""

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import IN_THE_BROWSER, PHONE, Visits, choose
from tests.console.world import ADMIN, World
from tests.emulators import behaviours as b
from tests.integration.gateway_app import KEY

pytestmark = IN_THE_BROWSER
PICTURE = "<img src=https://evil.example/p.png onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
HOSTILE = f'A poster of {PICTURE}{SCRIPT}"><svg onload=alert(3)> javascript:alert(4) {{{{7*7}}}} \u202egnp.exe\u202c &lt;b&gt; {"wide" * 80}'
SAID = HOSTILE.replace("A poster of", "Refused:").replace("wide", "deep")
"""What upstreams and administrators say: nobody's prompt."""
NAME = "50% of <img src=x onerror=alert(7)><script>alert(8)"
"""As names go: without slashes and colons. What comes after it in an address is no escape."""
INJECTED = """
[...document.querySelectorAll("script:not([src]), iframe, object, embed, base, [onerror], [onload], [href^='javascript:' i], [src*='evil']")]
  .map((element) => element.outerHTML.slice(0, 200))
"""


async def is_text(page: Page, *words: str) -> None:
    """These words are to be read there, and nothing on the page came from them; they make it no wider either."""
    for word in words:
        await expect(page.get_by_text(word, exact=False).first).to_be_visible()
    assert await page.evaluate(INJECTED) == []
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("width", [1280, PHONE])
async def test_a_prompt_is_text(world: World, visits: Visits, width: int) -> None:
    """Where it is written, beside its picture, in the history, and on its task's page for an administrator."""
    page = await visits.open(world.house, "playground", secrets=[KEY, ADMIN], width=width)
    await choose(page, "Model", "poster")
    await page.get_by_role("textbox", name="Prompt").fill(HOSTILE)
    await page.get_by_role("button", name="Generate", exact=True).click()
    await expect(page.get_by_test_id("picture")).to_be_visible()
    await is_text(page, PICTURE)
    await page.reload()
    await is_text(page, PICTURE)
    await page.get_by_role("link", name="Task", exact=True).click()
    await page.get_by_role("button", name="Show the prompt").click()
    await expect(page.get_by_test_id("prompt")).to_have_text(HOSTILE)
    await is_text(page, SCRIPT)


async def test_an_upstreams_error_is_text(world: World, visits: Visits) -> None:
    """In the attempts of its task, in the task's error and in the list, for administrator and caller."""
    for emulator in (world.cheap, world.dear):
        emulator.next(b.Error(status=400, code="bad", message=SAID))
    made = await world.house.generate("poster", size="1024x1024", headers={"Prefer": "respond-async"})
    await world.house.ended(made.text("id"))
    page = await visits.open(world.house, f"tasks/{made.text('id')}", secrets=[ADMIN])
    await is_text(page, PICTURE, SCRIPT)
    await page.goto("tasks")
    await expect(page.get_by_role("table")).to_be_visible()
    await is_text(page)
    page = await visits.open(world.house, "playground", secrets=[KEY])
    await expect(page.get_by_test_id("result")).to_be_visible()
    await is_text(page)


async def test_names_and_notes_are_text(world: World, visits: Visits) -> None:
    """Of teams, keys and grants, wherever the gateway takes them; what it refuses is refused in text."""
    visits.expected |= {400, 404}
    page = await visits.open(world.house, "keys", secrets=[ADMIN])
    await page.get_by_role("button", name="New organisation or team").click()
    window = page.get_by_role("dialog")
    await window.get_by_label("Organisation").fill("hostile")
    await window.get_by_label("Team").fill(NAME)
    await window.get_by_label("Budgets").fill(SCRIPT)
    await window.get_by_role("button", name="Create").click()
    await expect(window.get_by_role("alert")).to_be_visible()
    await is_text(page)
    await window.get_by_label("Budgets").fill("")
    await window.get_by_role("button", name="Create").click()
    await expect(window).to_have_count(0)
    await is_text(page, NAME)
    made = await world.house.call(
        "POST", "/admin/v1/keys", key=ADMIN, body={"org": "hostile", "team": NAME, "name": NAME}
    )
    assert made.status == 201, made.body
    for path in ("keys", "overview", "tasks"):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await is_text(page)
    await page.goto("keys")
    for place in (0, -1):  # the team, and its key
        await page.get_by_role("link", name=NAME).nth(place).click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(NAME)
        await is_text(page)
        await page.go_back()
    await page.goto("keys/account/org%3Ahostile")
    await page.get_by_role("button", name="Grant credits").click()
    await window.get_by_label("Credits").fill("5")
    await window.get_by_label("Why").fill(SAID[:200])
    await window.get_by_role("button", name="Grant credits").click()
    await is_text(page, SCRIPT)
    await page.goto("tasks/%3Cimg%20src%3Dhttps%3A%2F%2Fevil.example%20onerror%3Dalert(5)%3E")
    await expect(page.get_by_role("alert")).to_be_visible()
    await is_text(page, "<img src=https://evil.example")


async def test_a_link_to_a_script_is_no_link(world: World, visits: Visits) -> None:
    """An address that is none is refused by the gateway's words, and never followed or shown by the browser."""
    visits.expected |= {400}
    page = await visits.open(world.house, "playground", secrets=[KEY])
    await page.get_by_role("textbox", name="Prompt").fill("the same at night")
    await page.get_by_placeholder("https://…").fill("javascript:alert(6)")
    await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_test_id("quote")).to_contain_text("Would be refused")
    await is_text(page, "javascript:alert(6)")
