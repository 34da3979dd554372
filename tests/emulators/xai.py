"""xAI: OpenAI's path with `aspect_ratio` and `resolution`; `size` and `style` are refused by name. The answer says what it cost.

A moderated call is a success of status 200: without any item (usual), with a `block_reason` beside the empty list, or with an item that has no
picture and `respect_moderation: false`. Refused calls are free here; a `bills` of the behaviour makes them cost. An empty account is 403, a wrong key
400. With `data_urls` the text in `b64_json` is a data URL. Places with a script: `create`, `free` (models), `download`.

`python -m tests.emulators.xai` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import from_url, take
from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job
from tests.emulators.records import Received

TICKS_PER_USD = 10_000_000_000
_RATIOS = (
    *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
    *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
)
MODELS: Mapping[str, Mapping[str, Decimal]] = {
    "grok-imagine-image": {"": Decimal("0.02")},
    "grok-imagine-image-2.0": {"": Decimal("0.06"), "low": Decimal("0.04")},  # the name is assumed
}
"""USD per picture by quality."""
_FIELDS = ("model", "prompt", "n", "aspect_ratio", "resolution", "quality", "response_format", "user")
_CODES = {
    400: "Client specified an invalid argument",
    403: "The caller does not have permission to execute the specified operation",
    404: "Some requested entity was not found",
    422: "Client specified an invalid argument",
    429: "Some resource has been exhausted",
    503: "The service is currently unavailable",
}


class XAIEmulator(CompatibleEmulator):
    """The vendor."""

    refusals = ("", "block_reason", "respect_moderation")
    edits = ("/images/edits",)

    def __init__(self, *, data_urls: bool = False, **options: Unpack[Options]) -> None:
        self._data_urls = data_urls
        super().__init__(**options)

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"code": sentence, "error": sentence}`."""
        body = {"code": _CODES.get(status, "Internal error"), "error": message}
        return json_response(body, status, {"x-request-id": received.id})

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """What moderation took away is missing in an answer that is otherwise a success."""
        match behaviour:
            case b.Refuse():
                return self._moderated(received, behaviour)
            case b.RateLimit():
                message = (
                    "Too many requests for team emulator and model grok-imagine-image. Requests per Minute: 300/300."
                )
                response = self.envelope(received, 429, None, message)
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                return self.envelope(
                    received, 503, None, "The service is temporarily overloaded. Please try again later."
                )
            case b.OutOfMoney():
                message = (
                    "Your team emulator has either used all available credits or reached its monthly spending limit. "
                    "To continue making API requests, please purchase more credits or raise your spending limit."
                )
                return self.envelope(received, 403, None, message)
            case _:
                return None

    def unauthorized(self, received: Received) -> web.Response:
        """400, not 401."""
        return self.envelope(received, 400, None, f"Incorrect API key provided: {received.bearer[:2]}***.")

    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """404 for a model, 400 for a field that is not supported, 422 for a value."""
        if invalid.kind == "model":
            return self.envelope(received, 404, None, invalid.message)
        if invalid.kind == "unknown":
            return self.envelope(received, 400, None, f"Argument not supported: {invalid.param}")
        return self.envelope(received, 422, None, invalid.message)

    def job_of(self, body: Body) -> Job:
        """One to ten pictures in one of the vendor's ratios."""
        body.only((*_FIELDS, "image", "images"))
        model = body.text("model")
        prices = MODELS.get(model)
        if prices is None:
            raise Invalid(
                "model", f"The model {model} does not exist or your team does not have access to it.", "model"
            )
        ratio = body.choice("aspect_ratio", ("auto", *_RATIOS), "auto")
        width, height = RATIO_SIZES["1:1" if ratio == "auto" else ratio]
        scale = 2 if body.choice("resolution", ("1k", "2k"), "1k") == "2k" else 1
        quality = body.choice("quality", ("low", "medium"), "medium")
        return Job(
            model=model,
            prompt=body.text("prompt"),
            n=body.integer("n", 1, 10, 1),
            size=(width * scale, height * scale),
            usd_per_image=prices.get(quality, prices[""]),
            output_format="jpeg",
            options={"inline": body.choice("response_format", ("url", "b64_json"), "url") == "b64_json"},
        )

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """`image` or `images`: objects with a URL, at the address for edits alone."""
        values = body.values.get("images", [body.values["image"]] if body.has("image") else [])
        if bool(values) is not received.path.endswith("/edits"):
            raise Invalid("missing", "Pictures go to /v1/images/edits, which needs one.", "image")
        if not isinstance(values, list) or not all(isinstance(one, dict) and set(one) == {"url"} for one in values):
            raise Invalid("type", "image must be {url}.", "image")
        take(received, [from_url(received, one["url"]) for one in values])
        return job

    def item_of(self, received: Received, job: Job, index: int, behaviour: b.Behaviour) -> dict[str, object]:
        """With its type, and perhaps as a data URL."""
        item = super().item_of(received, job, index, behaviour)
        if self._data_urls and "b64_json" in item:
            item["b64_json"] = f"data:image/jpeg;base64,{item['b64_json']}"
        return item | {"mime_type": "image/jpeg", "revised_prompt": ""}

    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """What it cost is counted in ticks of 1e-10 USD."""
        return {"data": items, "usage": {"cost_in_usd_ticks": int(len(items) * job.usd_per_image * TICKS_PER_USD)}}

    def _moderated(self, received: Received, behaviour: b.Refuse) -> web.Response:
        job = self.checked(received)
        if isinstance(job, web.Response):
            return job
        answer = self.answer_of(received, job, [])
        if behaviour.bills:
            answer["usage"] = {"cost_in_usd_ticks": int(job.n * job.usd_per_image * TICKS_PER_USD)}
        if behaviour.form == "block_reason":
            answer["block_reason"] = "content_moderated"
        if behaviour.form == "respect_moderation":
            answer["data"] = [{"url": "", "respect_moderation": False} for _ in range(job.n)]
        return json_response(answer, headers=self.answer_headers(received))


def _build(options: argparse.Namespace) -> Emulator:
    return XAIEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.xai", description="xAI, emulated"), _build)


if __name__ == "__main__":
    main()
