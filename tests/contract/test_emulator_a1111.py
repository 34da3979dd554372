"""The AUTOMATIC1111 emulator, driven by the documented wire: there is no official client."""

import asyncio
import base64
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tests.emulators import behaviours as b
from tests.emulators.a1111 import USER, A1111Emulator
from tests.emulators.masks import mask
from tests.emulators.pictures import decoded, picture

TXT2IMG = "/sdapi/v1/txt2img"
AUTH = {"Authorization": aiohttp.encode_basic_auth(*USER.split(":"))}
# As the reference lists the fields; the checkpoint is a setting of this call only.
BODY = {
    "prompt": "a cat",
    "negative_prompt": "",
    "width": 1000,
    "height": 768,
    "steps": 20,
    "cfg_scale": 7,
    "seed": 5,
    "batch_size": 2,
    "n_iter": 1,
    "sampler_name": "Euler a",
    "override_settings": {"sd_model_checkpoint": "juggernaut"},
    "override_settings_restore_afterwards": True,
    "send_images": True,
    "save_images": False,
}


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[A1111Emulator]:
    """A server with a password."""
    async with A1111Emulator() as started:
        yield started


@pytest_asyncio.fixture
async def session(emulator: A1111Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that knows the password."""
    async with aiohttp.ClientSession(emulator.base_url, headers=AUTH) as opened:
        yield opened


async def test_pictures_of_a_batch(session: aiohttp.ClientSession, emulator: A1111Emulator) -> None:
    """Base64 PNGs whose sides are multiples of eight, seeds in a JSON text, and no bill."""
    async with session.post(TXT2IMG, json=BODY) as response:
        answer = await response.json()
    assert [decoded(base64.b64decode(text)) for text in answer["images"]] == [("png", (1000, 768))] * 2
    info = orjson.loads(answer["info"])
    assert (info["all_seeds"], info["index_of_first_image"]) == ([5, 6], 0)
    assert answer["parameters"]["sampler_name"] == "Euler a"
    [bill] = emulator.bills
    assert (bill.images, bill.usd, bill.model) == (2, Decimal(0), "juggernaut")
    async with session.post(TXT2IMG, json=BODY | {"width": 1001, "save_images": True}) as response:
        gridded = await response.json()
    assert [decoded(base64.b64decode(text))[1] for text in gridded["images"]] == [(2000, 768), (1000, 768), (1000, 768)]
    assert orjson.loads(gridded["info"])["index_of_first_image"] == 1


async def test_pictures_of_pictures(session: aiohttp.ClientSession) -> None:
    """img2img wants a picture to begin with, as base64 or as a data URL."""
    picture_text, mask_text = (
        base64.b64encode(a_picture).decode() for a_picture in (picture((64, 48), "png", "a"), mask("white"))
    )
    changes = {
        "init_images": [f"data:image/png;base64,{picture_text}"],
        "mask": mask_text,
        "denoising_strength": 0.75,
        "mask_blur": 4,
    }
    async with session.post("/sdapi/v1/img2img", json=BODY | changes) as response:
        answer = await response.json()
        assert len(answer["images"]) == 2
        assert "init_images" not in answer["parameters"]
    async with session.post("/sdapi/v1/img2img", json=BODY | {"init_images": ["AAAA"]}) as response:
        assert (response.status, (await response.json())["errors"]) == (500, "cannot identify image file")
    async with session.post("/sdapi/v1/img2img", json=BODY) as response:
        assert (response.status, (await response.json())["detail"]) == (404, "Init image not found")


async def test_what_is_rejected_and_how(session: aiohttp.ClientSession, emulator: A1111Emulator) -> None:
    """422 names the field, an unknown sampler is 404, a full card 500; nobody without the password is served."""
    for changes, status, word in (
        ({"width": "wide"}, 422, "width"),
        ({"cfg_scale": 99}, 422, "cfg_scale"),
        ({"sampler_name": "DPM9"}, 404, "Sampler not found"),
    ):
        async with session.post(TXT2IMG, json=BODY | changes) as response:
            assert response.status == status
            assert word in await response.text()
    emulator.next(b.Overloaded())
    async with session.post(TXT2IMG, json=BODY) as response:
        assert (response.status, (await response.json())["error"]) == (500, "OutOfMemoryError")
    async with aiohttp.ClientSession(emulator.base_url) as stranger:
        async with stranger.post(TXT2IMG, json=BODY) as response:
            assert (response.status, (await response.json())["detail"]) == (401, "Not authenticated")
        async with stranger.post(
            TXT2IMG, json=BODY, headers={"Authorization": aiohttp.encode_basic_auth("sd", "wrong")}
        ) as response:
            assert (response.status, (await response.json())["detail"]) == (401, "Incorrect username or password")
    assert emulator.bills == []
    for behaviour in (b.Refuse(), b.OutOfMoney(), b.RateLimit()):
        with pytest.raises(ValueError):
            emulator.next(behaviour)


async def test_it_draws_one_job_at_a_time(session: aiohttp.ClientSession, emulator: A1111Emulator) -> None:
    """A second call waits for the first; meanwhile the server tells of its work."""
    emulator.next(b.Hang(bills=True))
    calls = [asyncio.create_task(session.post(TXT2IMG, json=BODY)) for _ in range(2)]
    await emulator.until(lambda one: one.hanging == 1)
    async with session.get("/sdapi/v1/progress?skip_current_image=true") as response:
        assert (await response.json())["state"]["job_count"] == 1
    assert emulator.billed_images == 2
    emulator.release()
    assert [(await call).status for call in calls] == [200, 200]
    assert emulator.billed_images == 4
    async with session.get("/sdapi/v1/sd-models") as response:
        assert [model["title"] for model in await response.json()] == ["sd_xl_base_1.0.safetensors"]


async def test_a_server_may_have_no_password() -> None:
    """As most do at home."""
    async with A1111Emulator(api_key="") as emulator, aiohttp.ClientSession(emulator.base_url) as session:
        async with session.post(TXT2IMG, json={}) as response:
            picture = (await response.json())["images"][0]
        assert decoded(base64.b64decode(picture)) == ("png", (512, 512))
