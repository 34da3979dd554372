"""Ark (BytePlus, Volcengine) with its Seedream models: OpenAI's path below `/api/v3`, sizes in pixels or as `2K`, several pictures by a sequence.

There is no `n` (ignored, as any field it does not know); `sequential_image_generation` with `max_images` asks for more. An item of the answer
may be an error: `Fewer(images=k)` delivers and bills k, and says of the others that they are sensitive. A refusal of the whole call is a 400; its
forms are the vendor's codes, the usual one OutputImageSensitiveContentDetected. Overloaded: 429 (usual) or `503`, both ServerOverloaded. The least
number of pixels by model is from memory. Places with a script: `create`, `download`.

`python -m tests.emulators.ark` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, json_response
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import take_urls
from tests.emulators.jobs import Body, Invalid, Job, Size, parsed_size
from tests.emulators.records import Received

_SENSITIVE = "OutputImageSensitiveContentDetected"
_MESSAGE = "The request failed because the output image may contain sensitive information. Request id: "
_PIXELS_MAX = 4096 * 4096
_SEQUENCE_MAX = 15
_TOKEN_PIXELS = 256  # output tokens of a picture: its pixels through this


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model, billed by picture."""

    usd: Decimal
    names: Mapping[str, Size]
    pixels_min: int
    pictures_max: int = 14


_2K, _4K = {"2K": (2048, 2048)}, {"4K": (4096, 4096)}
MODELS: Mapping[str, Model] = {
    "seedream-4-0-250828": Model(
        usd=Decimal("0.03"), names={"1K": (1024, 1024), **_2K, **_4K}, pixels_min=1280 * 720, pictures_max=10
    ),
    "seedream-4-5-251128": Model(usd=Decimal("0.04"), names={**_2K, **_4K}, pixels_min=2560 * 1440),
    "seedream-5-0-lite-260128": Model(usd=Decimal("0.035"), names=_2K, pixels_min=2560 * 1440),
}


class ArkEmulator(CompatibleEmulator):
    """The vendor."""

    path = "/api/v3"
    free = ""
    refusals = ("", _SENSITIVE, "InputTextSensitiveContentDetected", "InputImageSensitiveContentDetected")
    overloads = ("", "503")

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {code, message, param, type}}`."""
        return self._error(status, code or "InternalServiceError", message)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Codes tell more than statuses."""
        match behaviour:
            case b.Refuse():
                return self._error(400, behaviour.form or _SENSITIVE, _MESSAGE + received.id)
            case b.RateLimit():
                message = "Requests to this model have exceeded the images-per-minute limit."
                response = self._error(429, "RateLimitExceeded.ModelImagesPerMinute", message)
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                message = "The service is currently unable to handle additional requests due to server overload."
                return self._error(int(behaviour.form or 429), "ServerOverloaded", message)
            case b.OutOfMoney():
                message = "The request failed because your account has an overdue balance."
                return self._error(403, "AccountOverdueError", message)
            case _:
                return None

    def unauthorized(self, received: Received) -> web.Response:
        """401."""
        return self._error(401, "AuthenticationError", "The API key in the request is missing or invalid.")

    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """404 for a model, else 400."""
        if invalid.kind == "model":
            return self._error(404, "ModelNotOpen", invalid.message)
        code = "MissingParameter" if invalid.kind == "missing" else "InvalidParameter"
        return self._error(400, code, invalid.message, invalid.param)

    def job_of(self, body: Body) -> Job:
        """One picture, or a sequence of them."""
        name = body.text("model")
        model = MODELS.get(name)
        if model is None:
            raise Invalid("model", f"Your account has not activated the model {name}.", "model")
        body.pictures("image", model.pictures_max)
        body.integer("seed", -1, 2**31 - 1, -1)
        body.flag("watermark", True)
        options = body.values.get("sequential_image_generation_options")
        several = body.choice("sequential_image_generation", ("auto", "disabled"), "disabled") == "auto"
        count = Body(options if isinstance(options, dict) else {}).integer(
            "max_images", 1, _SEQUENCE_MAX, _SEQUENCE_MAX
        )
        return Job(
            model=name,
            prompt=body.text("prompt"),
            n=count if several else 1,
            size=_size(body, model),
            usd_per_image=model.usd,
            output_format="jpeg",
            options={"inline": body.choice("response_format", ("url", "b64_json"), "url") == "b64_json"},
        )

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """One in `image`, or a list of them."""
        take_urls(received, body.pictures("image", MODELS[job.model].pictures_max))
        return job

    def item_of(self, received: Received, job: Job, index: int, behaviour: b.Behaviour) -> dict[str, object]:
        """With its size."""
        item = super().item_of(received, job, index, behaviour)
        return item | {"size": f"{job.size[0]}x{job.size[1]}"}

    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """Pictures first, then an error for each that was not made; only pictures are counted."""
        failed = {"error": {"code": _SENSITIVE, "message": _MESSAGE + received.id}}
        tokens = len(items) * job.size[0] * job.size[1] // _TOKEN_PIXELS
        usage = {"generated_images": len(items), "output_tokens": tokens, "total_tokens": tokens}
        data = [*items, *[failed] * (job.n - len(items))]
        return {"model": job.model, "created": int(self.now()), "data": data, "usage": usage}

    def _error(self, status: int, code: str, message: str, param: str = "") -> web.Response:
        kind = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}.get(
            status, "BadRequest"
        )
        return json_response({"error": {"code": code, "message": message, "param": param, "type": kind}}, status)


def _size(body: Body, model: Model) -> Size:
    text = body.text("size", "2048x2048")
    size = model.names.get(text) or parsed_size(text)
    if size is None or not model.pixels_min <= size[0] * size[1] <= _PIXELS_MAX or max(size) > 16 * min(size):
        message = (
            f"The parameter `size` specified in the request is not valid: {text}. At least {model.pixels_min} pixels."
        )
        raise Invalid("value", message, "size")
    return size


def _build(options: argparse.Namespace) -> Emulator:
    return ArkEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.ark", description="Ark's Seedream, emulated"), _build)


if __name__ == "__main__":
    main()
