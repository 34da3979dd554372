"""What an administrator does in the browser: teams, keys and budgets, a fail-over, a doubt, a dead callback, an upstream that is left alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from playwright.async_api import Page, expect

from tests.console.browser import IN_THE_BROWSER, Visits
from tests.console.world import ADMIN, MODEL, World
from tests.emulators import behaviours as b

pytestmark = IN_THE_BROWSER
PYTHON = Path(__file__).parents[2] / ".venv-clients/openai-2/bin/python"
ONE_A_LINE = """
import sys
from openai import AuthenticationError, OpenAI
client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
for _ in sys.stdin:
    try:
        print(client.images.generate(model="poster", prompt="a poster of a red boat", size="1024x1024").data[0].url, flush=True)
    except AuthenticationError as exc:
        print(f"refused: {exc.code}", flush=True)
"""


class Package:
    """OpenAI's own package with a key, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls, world: World, secret: str) -> AsyncIterator[Self]:
        command = [str(PYTHON), "-c", ONE_A_LINE, world.house.base_url, secret]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            yield cls(process)
            await process.communicate(b"")  # closes its input
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def makes(self) -> str:
        """What it gets: a link, or why it was refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return (await self._process.stdout.readline()).decode()


async def test_a_team_and_its_key_from_making_to_revoking(world: World, visits: Visits) -> None:
    """The secret is shown once; what the `openai` package spends with it stands at key, team and overview; revoked, the package is refused."""
    page = await visits.open(world.house, "keys", secrets=[ADMIN])
    await page.get_by_role("button", name="New organisation or team").click()
    window = page.get_by_role("dialog")
    await window.get_by_label("Organisation").fill("studio")
    await window.get_by_label("Team").fill("posters")
    await window.get_by_label("Budgets").fill("1usd/day\n50images/month")
    await window.get_by_role("button", name="Create").click()
    team = page.get_by_test_id("account-team:studio/posters")
    await expect(team).to_contain_text("50 images")

    await page.get_by_role("button", name="New key").click()
    await window.get_by_label("Name").fill("brush")
    await window.get_by_label("Organisation").fill("studio")
    await window.get_by_label("Team").fill("posters")
    await page.keyboard.press("Tab")
    await window.get_by_role("button", name="Create").click()
    secret = await page.get_by_test_id("secret").input_value()
    await page.get_by_role("button", name="Copy").click()
    assert await page.evaluate("navigator.clipboard.readText()") == secret
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_role("link", name="brush")).to_be_visible()
    assert secret not in await page.content()
    await page.reload()
    await page.get_by_role("link", name="brush").click()
    await expect(page.get_by_test_id("key-state")).to_have_text("active")
    assert secret not in await page.content()

    async with Package.started(world, secret) as package:
        assert (await package.makes()).startswith(world.house.origin)
        await page.reload()
        used = page.get_by_role("definition").filter(has_text="$0.02")
        await expect(used.first).to_be_visible()
        await page.get_by_role("link", name="Overview").click()
        await expect(page.get_by_role("row", name="studio/posters")).to_contain_text("$0.02")
        await expect(page.get_by_text("$0.02 of $1.00 used").first).to_be_visible()

        await page.get_by_role("link", name="Keys and budgets").first.click()
        await page.get_by_role("link", name="brush").click()
        await page.get_by_role("button", name="Revoke").click()
        await window.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_test_id("key-state")).to_have_text("revoked")
        assert await package.makes() == "refused: key_disabled\n"


async def open_task(world: World, visits: Visits, task_id: str) -> Page:
    page = await visits.open(world.house, f"tasks/{task_id}", secrets=[ADMIN])
    await expect(page.get_by_role("heading", level=1)).to_have_text(task_id)
    return page


async def test_a_fail_over_is_seen_in_its_task(world: World, visits: Visits) -> None:
    """Both attempts with fault and words of the upstream, both offers with prices, and the money from hold to settlement."""
    world.cheap.next(b.Error(status=500, message="The engine has lost its pencil."))
    made = await world.house.generate("poster", size="1024x1024", headers={"Prefer": "respond-async"})
    await world.house.ended(made.text("id"))
    page = await open_task(world, visits, made.text("id"))
    attempts = page.get_by_role("table", name="Attempts").get_by_role("row")
    await expect(attempts).to_have_count(3)
    await expect(attempts.nth(1)).to_contain_text("cheap/dall-e-2")
    await expect(attempts.nth(1)).to_contain_text("failed")
    await expect(attempts.nth(1)).to_contain_text("pencil")
    await expect(attempts.nth(2)).to_contain_text("dear/dall-e-3")
    await expect(attempts.nth(2)).to_contain_text("succeeded")
    plan = page.get_by_role("table", name="Plan").get_by_role("row")
    await expect(plan.nth(1)).to_contain_text("$0.02")
    await expect(plan.nth(2)).to_contain_text("$0.04")
    money = page.get_by_role("table", name="Hold and settlement")
    await expect(money.get_by_role("row").filter(has_text="settle").first).to_be_visible()
    await expect(page.get_by_test_id("prompt")).to_have_count(0)
    await page.get_by_role("button", name="Show the prompt").click()
    await expect(page.get_by_test_id("prompt")).to_have_text("a red fox in fresh snow")


async def test_a_doubt_is_resolved(world: World, visits: Visits) -> None:
    """Listed with what it would have cost; booked as paid, it is gone, and stands in the upstream's books."""
    world.openai.next(b.Reset(bills=True))
    await world.house.generate(MODEL, size="1024x1024", quality="low")
    page = await visits.open(world.house, "upstreams", secrets=[ADMIN])
    doubts = page.get_by_role("table", name="In doubt")
    await expect(doubts).to_contain_text("$0.00591")
    await doubts.get_by_role("button", name="Resolve").click()
    window = page.get_by_role("dialog")
    await window.get_by_label("Why").fill("it is on the bill of November")
    await window.get_by_role("button", name="Book").click()
    await expect(page.get_by_text("Nothing is in doubt")).to_be_visible()
    assert (await world.house.get("/admin/v1/in-doubt", key=ADMIN)).json["data"] == []


async def test_a_dead_callback_is_sent_again(world: World, visits: Visits) -> None:
    """Given up after a refusal; sent again from the task's page, it arrives, and both tries are listed."""
    world.receiver.answers = [410]
    made = await world.house.generate("poster", size="1024x1024", callback_url=world.hook)
    await world.receiver.until(1)
    page = await open_task(world, visits, made.text("id"))
    state = page.get_by_test_id("callback-state")
    await expect(state).to_have_text("given up")
    await page.get_by_role("button", name="Send again").click()
    await expect(state).to_have_text("delivered")
    tries = page.get_by_role("table", name="Callback")
    for status in ("410", "204"):
        await expect(tries.get_by_role("cell", name=status, exact=True)).to_have_count(1)
    first, again = world.receiver.received
    assert (first.id, first.body) == (again.id, again.body)


async def test_an_upstream_that_is_left_alone_is_shown(world: World, visits: Visits) -> None:
    """With its reason; the plan of the next task says why it was not asked, and a passed test brings it back."""
    world.cheap.next(b.Error(status=401, code="invalid_api_key", message="Incorrect API key provided."))
    await world.house.generate("poster", size="1024x1024")
    page = await visits.open(world.house, "upstreams", secrets=[ADMIN])
    badge = page.get_by_test_id("upstream-cheap")
    await expect(badge).to_have_text("needs you")
    await expect(page.get_by_role("alert").filter(has_text="cheap/dall-e-2")).to_be_visible()
    made = await world.house.generate("poster", size="1024x1024", headers={"Prefer": "respond-async"})
    await world.house.ended(made.text("id"))
    card = page.get_by_role("region", name="cheap")
    await card.get_by_role("button", name="Test").click()
    await expect(card.get_by_role("status")).to_contain_text("Passed")
    await page.goto(f"tasks/{made.text('id')}")
    plan = page.get_by_role("table", name="Plan").get_by_role("row").filter(has_text="cheap/dall-e-2")
    await expect(plan).to_contain_text(re.compile("failing|needs"))
    await expect(page.get_by_role("table", name="Attempts").get_by_role("row")).to_have_count(2)
