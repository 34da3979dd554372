"""What a user of the official `openai` client does, as a program for any of its versions: calls, and one JSON line of what came of them.

Run as `python openai_calls.py BASE_URL KEY POOR_KEY`; it must not import anything but the client and the standard library.
"""

import base64
import json
import struct
import sys
from collections.abc import Callable

import openai

PROMPT = "a red fox in fresh snow"


def main() -> None:
    """Make every call, then say what came of each."""
    base_url, key, poor_key = sys.argv[1:]
    rich = openai.OpenAI(base_url=base_url, api_key=key, _strict_response_validation=True)
    poor = rich.with_options(api_key=poor_key)
    wrong = rich.with_options(api_key="sk-wrong-wrong-wrong")

    def generate(client: openai.OpenAI, model: str = "gpt-image-2", **fields: object) -> Callable[[], object]:
        body = {"model": model, "prompt": PROMPT, **fields}
        return lambda: _answer(client.images.generate(**body))  # type: ignore[call-overload]  # as dynamic users do

    calls: dict[str, Callable[[], object]] = {
        "neither": generate(rich, size="1024x1024"),
        "b64_json": generate(rich, response_format="b64_json"),
        "url": generate(rich, response_format="url"),
        "two": generate(rich, n=2, quality="low"),
        "old name": generate(rich, "dall-e-3", size="1792x1024", quality="hd", style="vivid"),
        "task model": generate(rich, "gpt-4o-image"),
        "models": lambda: sorted(model.id for model in rich.models.list()),
        "wrong key": generate(wrong),
        "unknown model": generate(rich, "gpt-image-0"),
        "blank prompt": generate(rich, prompt="   "),
        "2001 tokens": generate(rich, "gpt-4o-image", prompt="a" + " fox" * 2000),
        "n of 3": generate(rich, "gpt-4o-image", n=3),
        "no credits": generate(poor),
        "dropped": lambda: _dropped(rich),
    }
    sys.stdout.write(json.dumps({name: _outcome(call) for name, call in calls.items()}) + "\n")  # noqa: TID251 - runs in an environment without orjson


def _outcome(call: Callable[[], object]) -> object:
    """The answer, or the exception as its user sees it."""
    try:
        return {"answer": call()}
    except openai.APIStatusError as exc:
        return {"error": type(exc).__name__, "status": exc.status_code, "code": exc.code, "text": str(exc)}


def _answer(answer: openai.types.ImagesResponse) -> list[dict[str, object]]:
    """Of each item: its size in pixels by the bytes, its link, and whether there are bytes."""
    items: list[dict[str, object]] = []
    for item in answer.data or []:
        content = base64.b64decode(item.b64_json) if item.b64_json else b""
        pixels = struct.unpack(">II", content[16:24]) if content else None
        items.append({"pixels": pixels, "url": item.url})
    return items


def _dropped(client: openai.OpenAI) -> str | None:
    raw = client.images.with_raw_response.generate(model="gpt-image-2", prompt=PROMPT, extra_body={"seed": 7})
    return raw.headers.get("x-dropped-params")


if __name__ == "__main__":
    main()
