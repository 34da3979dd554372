"""Recraft: OpenAI's path with sizes from a list or as ratios, up to six pictures, and the cost of the call in credits (1000 are one dollar).

Errors are flat: `{"code", "message"}`. The words of its refusal are assumed, as is that it ignores fields it does not know. Pictures are WebP behind
links of a day. Places with a script: `create`, `free` (the account), `download`.

`python -m tests.emulators.recraft` runs it as a process of its own.
"""

import argparse
import dataclasses
from collections.abc import Mapping
from decimal import Decimal

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, json_response
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import read_form, take
from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job, Size, parsed_size
from tests.emulators.pictures import decoded
from tests.emulators.records import Received

CREDITS_PER_USD = 1000
MODELS: Mapping[str, Decimal] = {
    "recraftv4_1": Decimal("0.035"),  # this name is assumed
    "recraftv3": Decimal("0.04"),
    "recraftv2": Decimal("0.022"),
}
"""USD per picture."""
_SIZES = (
    *(
        "1024x1024",
        "1365x1024",
        "1024x1365",
        "1536x1024",
        "1024x1536",
        "1820x1024",
        "1024x1820",
        "1024x2048",
        "2048x1024",
    ),
    *("1434x1024", "1024x1434", "1024x1280", "1280x1024", "1024x1707", "1707x1024"),
)
_RATIOS = ("1:1", "2:1", "1:2", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16")
_PROMPT_CHARS_MAX = 1_000


class RecraftEmulator(CompatibleEmulator):
    """The vendor."""

    free = "/users/me"
    edits = ("/images/imageToImage", "/images/inpaint")

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"code", "message"}`."""
        return json_response({"code": code or "internal_error", "message": message}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Codes tell more than statuses."""
        match behaviour:
            case b.Refuse():
                return self.envelope(
                    received, 422, "content_policy_violation", "The prompt was rejected by moderation."
                )
            case b.RateLimit():
                response = self.envelope(received, 429, "rate_limit_exceeded", "Too many requests.")
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                return self.envelope(received, 503, "service_unavailable", "The service is overloaded.")
            case b.OutOfMoney():
                code = behaviour.code or "not_enough_credits"
                return self.envelope(received, 402, code, "Not enough credits to run the request.")
            case _:
                return None

    def unauthorized(self, received: Received) -> web.Response:
        """401."""
        return self.envelope(received, 401, "unauthorized", "Invalid API token.")

    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """400 with the field in the text."""
        return self.envelope(received, 400, "invalid_request_parameter", f"{invalid.param}: {invalid.message}")

    def job_of(self, body: Body) -> Job:
        """One to six pictures in one of the vendor's sizes."""
        model = body.choice("model", MODELS, "recraftv3")
        return Job(
            model=model,
            prompt=body.text("prompt", chars_max=_PROMPT_CHARS_MAX),
            n=body.integer("n", 1, 6, 1),
            size=_size(body.text("size", "1024x1024")),
            usd_per_image=MODELS[model],
            output_format="webp",
            options={"inline": body.choice("response_format", ("url", "b64_json"), "url") == "b64_json"},
        )

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """A form with one picture, whose size the result has; inpainting needs a mask, white where the picture changes."""
        form = read_form(received)
        if received.path.endswith("/generations"):
            return job
        files = form.files if form is not None else {}
        inpaints = received.path.endswith("/inpaint")
        if len(files.get("image", [])) != 1 or len(files.get("mask", [])) != inpaints or "image[]" in files:
            raise Invalid("missing", "One image is required, and a mask where it is inpainted.", "image")
        if body.has("size"):
            raise Invalid("unknown", "An edit has the size of its picture.", "size")
        if "strength" not in body.values:
            raise Invalid("missing", "Missing required parameter: 'strength'.", "strength")
        body.number("strength", 0, 1)
        take(received, files["image"], next(iter(files.get("mask", [])), None), "white")
        return dataclasses.replace(job, size=decoded(files["image"][0])[1])

    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """With the credits that it took."""
        credits = int(len(items) * job.usd_per_image * CREDITS_PER_USD)
        return {"created": int(self.now()), "credits": credits, "data": items}

    def free_answer(self) -> object:
        """Who the key's owner is, and what is left."""
        return {"id": "emulator", "name": "Emulator", "email": "emulator@example.com", "credits": 1000}


def _size(text: str) -> Size:
    found = RATIO_SIZES[text] if text in _RATIOS else parsed_size(text) if text in _SIZES else None
    if found is None:
        raise Invalid("value", f"Invalid value: '{text}'.", "size")
    return found


def _build(options: argparse.Namespace) -> Emulator:
    return RecraftEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.recraft", description="Recraft, emulated"), _build)


if __name__ == "__main__":
    main()
