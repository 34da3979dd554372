"""replicate against the emulator. Prompts name the case, and the emulator's rules look at the prompt."""

import io
import time
from collections.abc import Callable

import replicate
from replicate.helpers import FileOutput
from sdk_given import PNG

SCHNELL = "black-forest-labs/flux-schnell"


def calls(base_url: str, api_key: str) -> dict[str, Callable[[], object]]:
    """Each call returns the SDK's answer as plain values."""
    client = replicate.Client(api_token=api_key, base_url=base_url)
    client.poll_interval = 0.02
    stranger = replicate.Client(api_token="r8_other", base_url=base_url)

    def ran(
        prompt: str,
        model: str = SCHNELL,
        wait: object = True,
        file_encoding_strategy: str | None = None,
        **arguments: object,
    ) -> object:
        inputs = {"prompt": prompt, **arguments}
        output = client.run(model, input=inputs, wait=wait, file_encoding_strategy=file_encoding_strategy)
        links = output if isinstance(output, list) else [output]
        return [len(FileOutput(link, client).read()) for link in links]  # the SDK does so by itself for https links

    def created(prompt: str, **arguments: object) -> object:
        prediction = client.models.predictions.create(
            SCHNELL, input={"prompt": prompt, **arguments}, webhook="https://x/y", webhook_events_filter=["completed"]
        )
        first = prediction.status
        prediction.wait()
        return {"first": first, "last": prediction.status, "error": prediction.error, "metrics": prediction.metrics}

    def by_version() -> object:
        prediction = client.predictions.create(version=SCHNELL, input={"prompt": "by version"})
        prediction.wait()
        return prediction.status

    def cancelled() -> object:
        prediction = client.models.predictions.create(SCHNELL, input={"prompt": "cancelled"})
        time.sleep(0.15)  # half of the work: it runs by now
        prediction.reload()
        before = prediction.status
        prediction.cancel()
        return [before, prediction.status]

    made: dict[str, Callable[[], object]] = {
        "plain": lambda: ran("plain", num_outputs=2, aspect_ratio="3:2", output_format="png"),
        "one": lambda: ran("one", "black-forest-labs/flux-1.1-pro", aspect_ratio="custom", width=1440, height=1024),
        "edited": lambda: ran(
            "edited",
            "black-forest-labs/flux-fill-pro",
            file_encoding_strategy="base64",
            image=io.BytesIO(PNG),
            mask=io.BytesIO(PNG),
        ),
        "polled": lambda: ran("polled", wait=False),
        "created": lambda: created("created"),
        "by version": by_version,
        "cancelled": cancelled,
        "too long": lambda: client.models.predictions.create(SCHNELL, input={"prompt": "too long"}, wait=1).status,
        "interrupted": lambda: created("interrupted"),
        "too many": lambda: ran("too many", num_outputs=5),
        "ratio": lambda: ran("ratio", aspect_ratio="7:5"),
        "no prompt": lambda: client.run(SCHNELL, input={}),
        "model": lambda: ran("model", "black-forest-labs/none"),
        "unknown": lambda: client.predictions.get("none"),
        "key": lambda: stranger.run(SCHNELL, input={"prompt": "key"}),
        "account": lambda: client.accounts.current().username,
    }
    faults = ("refused", "sensitive", "busy", "no credit", "throttled", "overloaded", "reset")
    return made | {name: (lambda name=name: ran(name)) for name in faults}
