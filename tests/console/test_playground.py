"""The playground in the browser: a picture from prompt to history, an edit with a painted mask, a budget that is used up, a cancelled task."""

import asyncio
import io
import os
import random
import re
from pathlib import Path

import orjson
from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.console.browser import IN_THE_BROWSER, Visits, choose
from tests.console.world import MODEL, POOR, World
from tests.emulators import behaviours as b
from tests.integration.gateway_app import KEY, dict_of, list_of

pytestmark = IN_THE_BROWSER
PROMPT = "a lighthouse at dusk, seen from the sea"
PYTHON = Path(__file__).parents[2] / ".venv-clients/openai-2/bin/python"


async def at_the_desk(world: World, visits: Visits, prompt: str, *, key: str = KEY, model: str = MODEL) -> Page:
    """The playground with a prompt, and its price."""
    page = await visits.open(world.house, "playground", secrets=[key])
    await choose(page, "Model", model)
    await page.get_by_role("textbox", name="Prompt").fill(prompt)
    await expect(page.get_by_test_id("quote")).to_be_visible()
    return page


async def run(command: list[str], text: str = "", **environment: str) -> str:
    """What a program prints that ends well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await process.communicate(text.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_a_picture_from_its_prompt_to_its_history(world: World, visits: Visits) -> None:
    """Tokens are the server's, the price stands there before the click, a partial picture while it is drawn; the history outlives a reload."""
    page = await at_the_desk(world, visits, PROMPT)
    counted = await world.house.call("POST", "/console/api/tokens", body={"model": MODEL, "prompt": PROMPT})
    await expect(page.get_by_test_id("tokens")).to_have_text(
        f"{counted.json['tokens']} of {counted.json['tokens_max']:,} tokens"
    )
    quote = page.get_by_test_id("quote")
    await expect(quote).to_contain_text("First upstream: openai")
    await choose(page, "Quality", "low")
    body = {"model": MODEL, "prompt": PROMPT, "quality": "low"}
    size = await page.get_by_role("radio", checked=True).get_attribute("value")
    asked = (await world.house.call("POST", "/v1/images/quote", body={**body, "size": size})).json
    await expect(quote).to_contain_text(f"Holds {float(str(dict_of(asked, 'hold')['credits'])):g} credits")

    # The finished picture comes last, some seconds after the first partial one.
    world.openai.next(b.Drip(chunk_bytes=3000, pause_s=0.1))
    await page.get_by_role("textbox", name="Prompt").press("Control+Enter")
    partial, picture = page.get_by_test_id("partial"), page.get_by_test_id("picture")
    await expect(partial).to_be_visible()
    await expect(page.get_by_test_id("counts")).to_have_text("1 running · 0 completed")
    await expect(picture).to_be_visible()
    await expect(partial).to_have_count(0)
    await shows_a_picture(picture)
    await expect(page.get_by_test_id("counts")).to_have_text("0 running · 1 completed")
    assert world.openai.requests[-1].json is not None
    assert world.openai.requests[-1].json["stream"] is True

    await page.reload()
    past = page.get_by_role("button", name=PROMPT)
    await expect(past).to_contain_text(re.compile(r"Completed.*link valid for \d+ (h|min)"))
    await expect(page.get_by_test_id("counts")).to_have_text("0 running · 1 completed")
    await shows_a_picture(page.get_by_test_id("picture"))


async def shows_a_picture(picture: Locator) -> None:
    await expect(picture).to_be_visible()
    assert await picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0


async def test_the_call_is_copied_as_a_program_that_runs(world: World, visits: Visits) -> None:
    """curl and Python make the same picture again, quotes in the prompt and all; Node's text is a program."""
    prompt = 'it\'s "quoted", $HOME and `date`\nin two lines \\ with ü and 狐'
    page = await at_the_desk(world, visits, prompt)
    await choose(page, "Quality", "low")
    await page.get_by_role("button", name="Generate", exact=True).click()
    await expect(page.get_by_test_id("picture")).to_be_visible()
    texts = {}
    for kind in ("curl", "Python", "Node"):
        await page.get_by_role("button", name=re.compile("Copy as|Copied")).click()
        await page.get_by_role("menuitem", name=kind).click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        texts[kind] = await page.evaluate("navigator.clipboard.readText()")
    made = len(world.openai.requests)
    answer = await run(["bash", "-c", f"{texts['curl']} -sS"], GATEWAY_API_KEY=KEY)
    assert orjson.loads(answer)["data"][0]["url"].startswith(world.house.origin), answer
    link = await run([str(PYTHON), "-c", texts["Python"]], GATEWAY_API_KEY=KEY)
    assert link.startswith(world.house.origin)
    await run(["node", "--check", "--input-type=module", "-"], texts["Node"])
    sent = [request.json for request in world.openai.requests[made - 1 :]]
    assert [body and body["prompt"] for body in sent] == [prompt] * 3


def reference() -> bytes:
    """A picture that takes some time to send."""
    stream = io.BytesIO()
    noise = random.Random(7).randbytes(320 * 240 * 3)
    Image.frombytes("RGB", (320, 240), noise).save(stream, "PNG")
    return stream.getvalue()


async def stroke(page: Page, canvas: Locator, *points: tuple[float, float]) -> None:
    """Through these shares of width and height, with the pointer down."""
    box = await canvas.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    await page.mouse.move(*places[0])
    await page.mouse.down()
    for place in places[1:]:
        await page.mouse.move(*place, steps=4)
    await page.mouse.up()


def transparent(mask: bytes | None, *points: tuple[float, float]) -> list[bool]:
    """Which of these places are to be made anew, in a mask of the picture's size."""
    assert mask is not None
    with Image.open(io.BytesIO(mask)) as image:
        assert image.size == (320, 240)
        alpha = image.convert("RGBA").getchannel("A")
        assert set(alpha.tobytes()) == {0, 255}
        return [alpha.getpixel((int(x * 320), int(y * 240))) == 0 for x, y in points]


async def test_an_edit_with_a_painted_mask(world: World, visits: Visits) -> None:
    """What was painted is transparent in the mask that the upstream gets, what was undone is not; inverted, it is the other way round."""
    page = await at_the_desk(world, visits, "a boat instead of the rock")
    await choose(page, "Quality", "low")
    wire = await page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 10_000}
    await wire.send("Network.emulateNetworkConditions", slow)
    picture: FilePayload = {"name": "sea.png", "mimeType": "image/png", "buffer": reference()}
    await page.locator("input[type=file]").set_input_files([picture])
    await expect(page.get_by_role("progressbar", name="uploading")).to_be_visible()
    await wire.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    await expect(page.get_by_role("progressbar", name="uploading")).to_have_count(0)

    left, right = (0.25, 0.3), (0.75, 0.3)
    await page.get_by_role("button", name="Paint a mask").click()
    canvas = page.get_by_test_id("mask-canvas")
    await stroke(page, canvas, right, (0.75, 0.6))
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Nothing is painted yet.")).to_be_visible()
    await stroke(page, canvas, left, (0.25, 0.6))
    await page.get_by_role("button", name="Use the mask").click()
    await expect(page.get_by_text(re.compile(r"^[\d.]+% is made anew"))).to_be_visible()
    await page.get_by_role("button", name="Edit", exact=True).click()
    await expect(page.get_by_test_id("compare")).to_be_visible()
    assert transparent(world.openai.requests[-1].mask, left, right) == [True, False]
    assert len(world.openai.requests[-1].images) == 1

    slider = page.get_by_role("slider", name="Share of the new picture")
    await slider.press("ArrowRight")
    await expect(slider).to_have_attribute("aria-valuenow", "51")

    await page.get_by_role("button", name="Change the mask").click()
    await page.get_by_role("button", name="Invert").click()
    await page.get_by_role("button", name="Use the mask").click()
    calls = len(world.openai.requests)
    await page.get_by_role("button", name="Edit", exact=True).click()
    await world.openai.until(lambda emulator: len(emulator.requests) > calls and emulator.requests[-1].status == 200)
    assert transparent(world.openai.requests[-1].mask, left, right) == [False, True]
    await expect(page.get_by_test_id("counts")).to_contain_text("0 running")


async def test_a_budget_that_is_used_up_says_so(world: World, visits: Visits) -> None:
    """In the price before the click, and in the answer after it, by the gateway's words."""
    visits.expected |= {429}
    page = await at_the_desk(world, visits, "more than this key can pay", key=POOR)
    quote = page.get_by_test_id("quote")
    await expect(quote).to_contain_text("Would be refused")
    refused = await world.house.generate(MODEL, key=POOR, size="1024x1024")
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    begin = str(refused.error["message"]).partition(":")[0][:40]
    await expect(quote).to_contain_text(begin)
    await page.get_by_role("button", name="Generate", exact=True).click()
    answer = page.get_by_role("alert").filter(has_text="insufficient_quota")
    await expect(answer).to_contain_text(begin)


async def test_a_running_task_is_cancelled(world: World, visits: Visits) -> None:
    """It ends as cancelled, costs nothing, and the counts say so."""
    page = await at_the_desk(world, visits, "a drawing that takes its time", model="slow")
    await page.get_by_role("button", name="Generate", exact=True).click()
    result = page.get_by_test_id("result")
    await expect(result).to_contain_text("Running")
    await result.get_by_role("button", name="Cancel").click()
    await expect(result).to_contain_text("Cancelled")
    await expect(page.get_by_test_id("counts")).to_contain_text("0 running")
    task = list_of((await world.house.get("/v1/tasks?page=1&page_size=1")).json, "data")[0]
    assert (task["status"], task["credits_used"]) == ("cancelled", 0)
