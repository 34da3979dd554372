"""Official `openai` clients of several major versions edit pictures: what the upstream gets is what they sent, byte by byte and in order."""

import asyncio
import io
from pathlib import Path

import orjson
from PIL import Image

from tests.emulators.inputs import read_form
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import KEY, House, Settings, openai_upstream, serving, write_config
from tests.uploads import picture

PROGRAM = Path(__file__).with_name("openai_edits.py")
DRAWING: Settings = {
    "prompt_tokens_max": 1000, "sizes": ["1024x1024"], "n": [1], "image_urls_max": 4,
    "offers": [{"upstream": "sandbox", "model": "sandbox", "cost": {"per_image_usd": 0.02}}],
}  # fmt: skip
PNG = ["89504e47", True]
ANSWERS: dict[str, list[object]] = {
    "bytes": [PNG], "handle": [PNG], "path": [["52494646", True]], "tuple": [["", True]], "several": [PNG, PNG], "mask": [PNG], "by id": [PNG],
    "azure": [PNG], "azure edit": [PNG], "azure v1": [PNG],
}  # fmt: skip


def mask() -> bytes:
    """Transparent in its middle."""
    image = Image.new("RGBA", (40, 30), (255, 0, 0, 255))
    image.paste((255, 0, 0, 0), (10, 8, 30, 20))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


async def outcomes_of(python: Path, house: House, folder: Path) -> dict[str, dict[str, object]]:
    process = await asyncio.create_subprocess_exec(
        str(python), "-I", str(PROGRAM), house.origin, KEY, str(folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    outcomes: dict[str, dict[str, object]] = orjson.loads(printed)
    return outcomes


async def test_every_version_of_the_client_edits_pictures(
    client_python: Path, sqlite_database: str, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Bytes, handles, paths, several, a mask, a file by its id, Azure's client; strictly validated. Refusals are the documented exceptions."""
    first, second = picture(mode="RGBA"), picture("WEBP")
    for name, content in (("first.png", first), ("second.webp", second), ("mask.png", mask())):
        (tmp_path / name).write_bytes(content)
    upstreams: dict[str, Settings] = {
        "openai": openai_upstream(openai_emulator),
        "sandbox": {"kind": "sandbox", "latency": "10ms"},
    }
    config = write_config(tmp_path, sqlite_database, upstreams, models={"drawing": DRAWING})
    async with serving(config, {"openai": openai_emulator}) as house:
        outcomes = await outcomes_of(client_python, house, tmp_path)
    for name, expected in ANSWERS.items():
        assert outcomes[name].get("answer") == expected, (name, outcomes[name])
    assert outcomes["variation"].get("answer") == [PNG], outcomes["variation"]
    kept = outcomes["files"]["answer"]
    assert isinstance(kept, list)
    assert kept[:5] == ["kept.webp", len(second), True, True, True]
    assert (kept[5]["error"], kept[5]["code"]) == ("NotFoundError", "file_not_found")
    events = outcomes["streamed"].get("answer")
    assert isinstance(events, list), outcomes["streamed"]
    assert events[-1] == "image_edit.completed"
    partial, completed = "image_generation.partial_image", "image_generation.completed"
    for name in ("generated", "generated async"):  # two that come in one piece are one to the caller: the newest
        assert outcomes[name].get("answer") in ([partial, completed], [partial, partial, completed]), outcomes[name]
    refused = outcomes["no picture"]
    assert (refused["error"], refused["code"], refused["param"]) == ("BadRequestError", "invalid_image", "image")
    refused = outcomes["no variation"]
    assert (refused["error"], refused["code"], refused["param"]) == ("NotFoundError", "model_not_found", "model")
    assert "/v1/images/edits" in str(refused["text"])

    pictures = {"several": [first, second], "by id": [first, second], "azure edit": [first, second]}
    sent = {str(form.fields["prompt"]): request for request in openai_emulator.requests if (form := read_form(request))}
    assert set(sent) == (set(ANSWERS) - {"azure"}) | {"streamed"}
    for name, request in sent.items():
        assert request.images == pictures.get(name, [first]), name
        assert (request.mask is not None) == (name == "mask"), name
