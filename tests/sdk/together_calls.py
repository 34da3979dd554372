"""together against the emulator. Prompts name the case, and the emulator's rules look at the prompt."""

import base64
from collections.abc import Callable

import httpx
import together
from sdk_given import PNG

SCHNELL = "black-forest-labs/FLUX.1-schnell"


def calls(base_url: str, api_key: str) -> dict[str, Callable[[], object]]:
    """Each call returns the SDK's answer as plain values; the SDK is told to be strict about what it reads."""
    client = together.Together(
        api_key=api_key, base_url=base_url, max_retries=0, timeout=30, _strict_response_validation=True
    )
    stranger = together.Together(api_key="other", base_url=base_url, max_retries=0)

    def drawn(prompt: str, model: str = SCHNELL, **options: object) -> dict[str, object]:
        answer = client.images.generate(model=model, prompt=prompt, **options)
        kinds = [one.type for one in answer.data]
        contents = [
            base64.b64decode(one.b64_json) if one.type == "b64_json" else httpx.get(one.url).content
            for one in answer.data
        ]
        return {"kinds": kinds, "starts": [content[:4].hex() for content in contents], "model": answer.model}

    def foreign_size() -> object:
        """`size` is nothing to this vendor."""
        return drawn("foreign size", extra_body={"size": "512x512"}, response_format="base64")

    made: dict[str, Callable[[], object]] = {
        "links": lambda: drawn("links", n=2, output_format="png"),
        "inline": lambda: drawn("inline", width=1536, height=1024, seed=1, steps=4, response_format="base64"),
        "edited": lambda: drawn("edited", image_url=f"data:image/png;base64,{base64.b64encode(PNG).decode()}"),
        "pro": lambda: drawn("pro", "black-forest-labs/FLUX.1.1-pro"),
        "foreign size": foreign_size,
        "side": lambda: drawn("side", width=1000),
        "too many": lambda: drawn("too many", n=5),
        "format": lambda: drawn("format", output_format="webp"),
        "model": lambda: drawn("model", "black-forest-labs/none"),
        "key": lambda: stranger.images.generate(model=SCHNELL, prompt="key"),
    }
    faults = ("refused", "no credit", "limited", "overloaded", "internal", "page", "reset")
    return made | {name: (lambda name=name: drawn(name)) for name in faults}
