"""Callers' pictures through a whole gateway: from a URL, a `data:` URL or an upload to upstreams of either kind of mask, and gone afterwards."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from tests.emulators.a1111 import A1111Emulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import Fields, House, Settings, openai_upstream, serving, write_config
from tests.uploads import picture

PNG, WEBP = picture(mode="RGBA"), picture("WEBP")


def offers_of(upstream: str, model: str, cost: object, **more: object) -> Settings:
    return {
        "prompt_tokens_max": 1000, "sizes": ["1024x1024"], "n": [1], "image_urls_max": 4, "response": "task", **more,
        "offers": [{"upstream": upstream, "model": model, "cost": cost}],
    }  # fmt: skip


MODELS: Settings = {
    "alpha": offers_of("openai", "gpt-image-2", {"formula": "gpt-image-2"}),
    "white": offers_of("a1111", "default", {"per_image_usd": 0}),
    "converted": offers_of("a1111", "default", {"per_image_usd": 0}, convert=True),
    "plain": offers_of("a1111", "default", {"per_image_usd": 0}),
}


def mask() -> bytes:
    """Red everywhere, transparent in its middle: colours must not matter."""
    image = Image.new("RGBA", (40, 30), (255, 0, 0, 255))
    image.paste((255, 0, 0, 0), (10, 8, 30, 20))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.fixture
async def site() -> AsyncIterator[TestServer]:
    """Where callers' URLs lead, and none of it to a second time."""
    files = {"/a.png": PNG, "/m.png": mask(), "/page": b"<html>not a picture</html>"}
    hits: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.path not in hits, "fetched twice"
        hits.append(request.path)
        data = files.get(request.path)
        return web.Response(status=404) if data is None else web.Response(body=data)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    async with server:
        yield server


def edited(house: House, upstream: str) -> tuple[list[bytes], bytes | None]:
    """What the upstream's last call had."""
    request = house.emulators[upstream].requests[-1]
    return request.images, request.mask


def is_white_where_clear(white: bytes, alpha: bytes) -> bool:
    clear = Image.open(io.BytesIO(alpha)).getchannel("A")
    return bytes(255 - value for value in clear.tobytes()) == Image.open(io.BytesIO(white)).convert("L").tobytes()


async def test_pictures_of_every_source_reach_both_kinds_of_upstreams(
    sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator, site: TestServer
) -> None:
    """By URL and `data:` URL, unchanged, the mask meaning the same at both; nothing of them is left; what fails is not charged."""
    async with A1111Emulator() as a1111:
        upstreams: dict[str, Settings] = {
            "openai": openai_upstream(openai_emulator),
            "a1111": {"kind": "a1111", "base_url": a1111.base_url, "api_key": a1111.api_key, "timeout": "5s"},
        }
        egress = {"allow": ["127.0.0.1"], "allow_http": True, "ports": [site.port]}
        config = write_config(tmp_path, sqlite_database, upstreams, models=MODELS, egress=egress)
        async with serving(config, {"openai": openai_emulator, "a1111": a1111}) as house:
            at = f"http://127.0.0.1:{site.port}"
            by_url = (await house.generate("alpha", image_urls=[f"{at}/a.png"], mask_url=f"{at}/m.png")).text("id")
            assert (await house.ended(by_url))["status"] == "completed"
            assert edited(house, "openai") == ([PNG], mask())
            inline = (await house.generate("white", image_urls=[data_url(PNG)], mask_url=data_url(mask()))).text("id")
            ended = await house.ended(inline)
            assert ended["status"] == "completed", ended
            images, white = edited(house, "a1111")
            assert images == [PNG]
            assert white is not None
            assert is_white_where_clear(white, mask())

            calls = len(a1111.requests) + len(openai_emulator.requests)
            refused: tuple[tuple[Fields, str], ...] = (
                ({"image_urls": [f"{at}/page"]}, "image_processing_error"),
                ({"image_urls": [f"{at}/missing"]}, "image_processing_error"),
                ({"image_urls": [data_url(picture(size=(41, 30)))], "mask_url": data_url(mask())}, "image_dimension_mismatch"),
            )  # fmt: skip
            for given, code in refused:
                failed = await house.ended((await house.generate("alpha", **given)).text("id"))
                error = failed["error"]
                assert isinstance(error, dict)
                assert error["code"] == code
            assert len(a1111.requests) + len(openai_emulator.requests) == calls
            left = [Path("not looked")]
            for _ in range(600):  # what a task had goes right behind its end
                left = [path for path in config.blobs.iterdir() if path.name.startswith(("file-", "task-"))]
                if not left:
                    break
                await asyncio.sleep(0.05)
            assert left == []
    assert house.settled.paid_microusd("openai") > 0


async def test_a_format_that_an_upstream_does_not_make_is_made_here(sqlite_database: str, tmp_path: Path) -> None:
    """With `convert` a JPEG as it was asked for, nothing dropped; without, the upstream's PNG, and the answer says so."""
    async with A1111Emulator() as a1111:
        upstreams: dict[str, Settings] = {
            "a1111": {"kind": "a1111", "base_url": a1111.base_url, "api_key": a1111.api_key, "timeout": "5s"}
        }
        config = write_config(tmp_path, sqlite_database, upstreams, models=MODELS)
        async with serving(config, {"a1111": a1111}) as house:
            wanted: Fields = {"output_format": "jpeg", "output_compression": 40, "response_format": "b64_json"}
            for model, magic, dropped in (
                ("converted", b"\xff\xd8\xff", None),
                ("plain", b"\x89PNG", "output_compression, output_format"),
            ):
                answer = await house.generate(model, **wanted)
                assert answer.status == 200, answer.body
                data = base64.b64decode(orjson.loads(answer.body)["data"][0]["b64_json"])
                assert data.startswith(magic)
                assert answer.headers.get("X-Dropped-Params") == dropped
