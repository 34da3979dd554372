"""Signing in and out in the browser: with a key, with an admin token, with neither."""

from playwright.async_api import expect

from tests.console.browser import IN_THE_BROWSER, Visits
from tests.console.world import ADMIN, World
from tests.integration.gateway_app import KEY

pytestmark = IN_THE_BROWSER


async def test_a_key_sees_its_own_pages_and_an_admin_token_all(world: World, visits: Visits) -> None:
    """A wrong secret is answered by the gateway's words. Signed out, the cookie is worth nothing, and the page asks again."""
    visits.expected |= {401}
    page = await visits.open(world.house)
    secret = page.get_by_label("API key or admin token")
    await secret.fill("nobody's secret")
    await page.get_by_role("button", name="Sign in").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The gateway refused")
    refused = await world.house.call(
        "POST", "/console/api/session", key=None, body={"secret": "x"}, headers={"Origin": world.house.origin}
    )
    await expect(alert).to_contain_text(str(refused.error["message"]))

    await secret.fill(KEY)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    await expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Playground", "Overview", "Tasks"])
    [cookie] = [one for one in await page.context.cookies() if one["name"] == "igw_session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert await page.evaluate("document.cookie") == ""

    await page.get_by_role("button", name="Signed in as").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    old = {"Cookie": f"igw_session={cookie['value']}", "Sec-Fetch-Site": "same-origin"}
    assert (await world.house.call("GET", "/v1/models", key=None, headers=old)).status == 401

    await secret.fill(ADMIN)
    await secret.press("Enter")
    await expect(page.get_by_role("navigation").get_by_role("link", name="Upstreams")).to_be_visible()
    await page.get_by_label("API key").fill(KEY)
    await page.get_by_role("button", name="Use this key").click()
    await expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
