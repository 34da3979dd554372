"""fal-client against the emulator's queue. Prompts name the case, and the emulator's rules look at the prompt."""

import os
import urllib.parse
from collections.abc import Callable

from sdk_given import PNG


def calls(base_url: str, api_key: str) -> dict[str, Callable[[], object]]:
    """Each call returns the SDK's own answer."""
    host = urllib.parse.urlsplit(base_url).netloc
    os.environ["FAL_RUN_HOST"] = os.environ["FAL_QUEUE_RUN_HOST"] = host  # read when the module is imported
    import fal_client
    import httpx

    client = fal_client.SyncClient(key=api_key, default_timeout=30)
    stranger = fal_client.SyncClient(key="id:other")

    def subscribed(prompt: str, path: str = "fal-ai/flux/schnell", **arguments: object) -> object:
        return client.subscribe(path, {"prompt": prompt, **arguments})

    def fetched() -> object:
        seen: list[str] = []
        answer = client.subscribe(
            "fal-ai/flux/dev",
            {"prompt": "fetched", "image_size": {"width": 1536, "height": 1024}, "num_images": 2},
            with_logs=True,
            on_queue_update=lambda status: seen.append(type(status).__name__),
        )
        sizes = [len(httpx.get(image["url"]).content) for image in answer["images"]]
        return {"answer": answer, "seen": sorted(set(seen)), "sizes": sizes}

    def cancelled() -> object:
        handle = client.submit("fal-ai/flux/dev", {"prompt": "cancelled"})
        status = type(handle.status()).__name__
        handle.cancel()
        over = handle.status()
        return {"status": status, "over": type(over).__name__, "why": over.error_type}

    def late() -> object:
        handle = client.submit("fal-ai/flux/dev", {"prompt": "late"})
        handle.get()
        handle.cancel()
        return None

    made: dict[str, Callable[[], object]] = {
        "plain": lambda: subscribed("plain"),
        "fetched": fetched,
        "inline": lambda: subscribed("inline", sync_mode=True, output_format="png"),
        "gpt": lambda: subscribed("gpt", "openai/gpt-image-2", image_size="square_hd", quality="low", num_images=2),
        "edited": lambda: subscribed(
            "edited",
            "openai/gpt-image-2/edit",
            image_urls=[fal_client.encode(PNG, "image/png")] * 2,
            mask_url=fal_client.encode(PNG, "image/png"),
            image_size="square_hd",
            quality="low",
        ),
        "banana": lambda: subscribed("banana", "fal-ai/nano-banana", aspect_ratio="16:9"),
        "cancelled": cancelled,
        "late": late,
        "too many": lambda: subscribed("too many", num_images=9),
        "size": lambda: subscribed("size", image_size="1024x1024"),
        "no prompt": lambda: client.subscribe("fal-ai/flux/schnell", {}),
        "no pictures": lambda: subscribed("no pictures", "fal-ai/nano-banana/edit"),
        "application": lambda: subscribed("application", "fal-ai/none"),
        "key": lambda: stranger.submit("fal-ai/flux/schnell", {"prompt": "key"}),
    }
    faults = ("refused", "bare", "as text", "black", "locked", "overloaded", "page", "internal", "scheduling")
    return made | {name: (lambda name=name: subscribed(name)) for name in faults}
