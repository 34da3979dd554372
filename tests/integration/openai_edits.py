"""What a user of the official `openai` client does with pictures, as a program for any of its versions: calls, and one JSON line of outcomes.

Run as `python openai_edits.py ORIGIN KEY FOLDER`, where the folder has `first.png`, `second.webp` and `mask.png`; it must not import anything but the
client and the standard library. Each call has a prompt of its own, so that the other side can tell what belongs to which.
"""

import asyncio
import base64
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import openai

MODEL = "gpt-image-2"


def main() -> None:
    """Make every call, then say what came of each."""
    warnings.simplefilter("ignore")  # the SDK deprecates variations
    origin, key, folder = sys.argv[1:]
    first, second, mask = (Path(folder, name) for name in ("first.png", "second.webp", "mask.png"))
    client = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, _strict_response_validation=True)
    azure = openai.AzureOpenAI(
        azure_endpoint=origin, api_key=key, api_version="2025-04-01-preview", _strict_response_validation=True
    )
    azure_v1 = openai.OpenAI(base_url=f"{origin}/openai/v1/", api_key=key, _strict_response_validation=True)

    def edit(name: str, image: object, by: openai.OpenAI = client, **fields: object) -> Callable[[], object]:
        body = {"model": MODEL, "prompt": name, "image": image, "size": "1024x1024", **fields}
        return lambda: _answer(by.images.edit(**body))  # type: ignore[call-overload]  # as dynamic users do

    def by_id() -> object:
        file = client.files.create(file=first, purpose="vision")
        images = [
            {"file_id": file.id},
            {"image_url": f"data:image/webp;base64,{base64.b64encode(second.read_bytes()).decode()}"},
        ]
        body = {"model": MODEL, "prompt": "by id", "images": images, "size": "1024x1024"}
        return _answer(client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse))

    def events(image: bytes) -> object:
        stream = client.images.edit(model=MODEL, prompt="streamed", image=image, size="1024x1024", stream=True)
        return [event.type for event in stream]

    drawn = {"model": MODEL, "size": "1024x1024", "quality": "low", "stream": True, "partial_images": 2}

    async def generated() -> object:
        async with openai.AsyncOpenAI(base_url=f"{origin}/v1", api_key=key, _strict_response_validation=True) as client:
            stream = await client.images.generate(prompt="generated async", **drawn)  # type: ignore[call-overload]  # as dynamic users do
            return [event.type async for event in stream]

    def files() -> object:
        made = client.files.create(file=("kept.webp", second.read_bytes()), purpose="vision")
        listed = made.id in [file.id for file in client.files.list()]
        content = client.files.content(made.id).content == second.read_bytes()
        return [
            made.filename,
            made.bytes,
            listed,
            content,
            client.files.delete(made.id).deleted,
            _outcome(lambda: client.files.retrieve(made.id)),
        ]

    calls: dict[str, Callable[[], object]] = {
        "bytes": edit("bytes", first.read_bytes()),
        "handle": edit("handle", first.open("rb")),
        "path": edit("path", first, quality="low", output_format="webp"),
        "tuple": edit("tuple", ("a/b.png", first.read_bytes(), "image/png"), response_format="url"),
        "several": edit("several", [first.read_bytes(), second.open("rb")], n=2),
        "mask": edit("mask", first.read_bytes(), mask=mask.read_bytes()),
        "streamed": lambda: events(first.read_bytes()),
        "generated": lambda: [event.type for event in client.images.generate(prompt="generated", **drawn)],  # type: ignore[call-overload]  # the same
        "generated async": lambda: asyncio.run(generated()),
        "no picture": edit("no picture", b"no picture at all"),
        "by id": by_id,
        "files": files,
        "variation": lambda: _answer(
            client.images.create_variation(image=first.read_bytes(), model="drawing", size="1024x1024")
        ),
        "no variation": lambda: _answer(client.images.create_variation(image=first.read_bytes(), model=MODEL)),
        "azure": lambda: _answer(azure.images.generate(model=MODEL, prompt="azure", size="1024x1024")),
        "azure edit": edit("azure edit", [first.read_bytes(), second.read_bytes()], azure),
        "azure v1": edit("azure v1", first, azure_v1),
    }
    sys.stdout.write(json.dumps({name: _outcome(call) for name, call in calls.items()}) + "\n")  # noqa: TID251 - runs in an environment without orjson


def _outcome(call: Callable[[], object]) -> object:
    """The answer, or the exception as its user sees it."""
    try:
        return {"answer": call()}
    except openai.APIStatusError as exc:
        return {
            "error": type(exc).__name__,
            "status": exc.status_code,
            "code": exc.code,
            "param": exc.param,
            "text": str(exc),
        }


def _answer(answer: openai.types.ImagesResponse) -> list[object]:
    """Of each item: how its bytes begin, and whether there is a link."""
    items = answer.data or []
    return [[base64.b64decode(item.b64_json or "")[:4].hex(), item.url is not None] for item in items]


if __name__ == "__main__":
    main()
