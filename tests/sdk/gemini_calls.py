"""google-genai against the emulator. Prompts name the case, and the emulator's rules look at the prompt."""

from collections.abc import Callable

from google import genai
from google.genai import types
from sdk_given import PNG


def calls(base_url: str, api_key: str) -> dict[str, Callable[[], object]]:
    """Each call returns what the SDK's objects say, as plain values."""
    client = genai.Client(api_key=api_key, http_options=types.HttpOptions(base_url=base_url, timeout=30_000))
    stranger = genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=base_url, timeout=30_000))

    def asked(
        prompt: object,
        model: str = "gemini-2.5-flash-image",
        by: genai.Client = client,
        ratio: str = "1:1",
        size: str | None = None,
        **config: object,
    ) -> dict[str, object]:
        image = types.ImageConfig(aspect_ratio=ratio, image_size=size)
        options = types.GenerateContentConfig(response_modalities=["IMAGE"], image_config=image, **config)
        answer = by.models.generate_content(model=model, contents=prompt, config=options)
        candidates = answer.candidates or []
        parts = [part for one in candidates for part in (one.content.parts if one.content else [])]
        pictures = [part.inline_data for part in parts if part.inline_data]
        feedback = answer.prompt_feedback
        return {
            "pictures": [(picture.mime_type, len(picture.data)) for picture in pictures],
            "texts": [part.text for part in parts if part.text and not part.thought],
            "finish": [one.finish_reason.name for one in candidates],
            "block": feedback.block_reason.name if feedback else None,
            "tokens": (answer.usage_metadata.candidates_token_count, answer.usage_metadata.total_token_count),
        }

    def edited() -> dict[str, object]:
        picture = types.Part.from_bytes(data=PNG, mime_type="image/png")
        return asked(["a hat", picture], model="gemini-3-pro-image", ratio="16:9", size="2K", seed=3)

    made: dict[str, Callable[[], object]] = {
        "plain": lambda: asked("plain"),
        "edited": edited,
        "no picture": lambda: asked("no picture"),
        "ratio": lambda: asked("ratio", ratio="1:8"),
        "candidates": lambda: asked("candidates", candidate_count=2),
        "model": lambda: asked("model", model="gemini-9"),
        "key": lambda: asked("key", by=stranger),
        "models": lambda: [model.name for model in client.models.list()],
    }
    faults = (
        *("finish SAFETY", "finish usual", "block", "rate", "money", "free tier", "billing", "overloaded", "capacity"),
        *("internal", "page", "reset"),
    )
    return made | {name: (lambda name=name: asked(name)) for name in faults}
