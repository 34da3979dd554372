"""Together: OpenAI's path with `width` and `height`, and `response_format` of `base64` or `url`.

Fields that it does not know are ignored (`size` is one of them). A refusal is a 422 whose text says NSFW, and the price is by begun megapixel:
both from memory of others, not from its documentation. Links live an hour (assumed). Places with a script: `create`, `free` (models), `download`.

`python -m tests.emulators.together` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, json_response
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import take_urls
from tests.emulators.jobs import Body, Invalid, Job, megapixels
from tests.emulators.records import Received

MODELS: Mapping[str, Decimal] = {
    "black-forest-labs/FLUX.1-schnell": Decimal("0.0027"),
    "black-forest-labs/FLUX.1.1-pro": Decimal("0.04"),
}
"""USD per megapixel."""
_TYPES = {
    401: "invalid_request_error",
    402: "credit_limit",
    422: "invalid_request_error",
    429: "rate_limit",
    503: "service_unavailable",
}


class TogetherEmulator(CompatibleEmulator):
    """The vendor."""

    path = ""
    """Its SDK appends `/v1` by itself."""
    link_life_s = 3600.0

    def routes(self) -> list[web.RouteDef]:
        """Under `/v1`, whatever the SDK's base address is."""
        return [
            web.post("/v1/images/generations", self._create),
            web.get("/v1/models", self._ask_free),
            self.download_route(),
            web.route("*", "/v1/{tail:.*}", self._unknown_url),
        ]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"id", "error": {message, type, param, code}}`."""
        return self._error(received, status, message, code=code)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Each has a status of its own."""
        match behaviour:
            case b.Refuse():
                return self._error(received, 422, "NSFW content detected in prompt or picture.", param="prompt")
            case b.RateLimit():
                response = self._error(
                    received, 429, "You have been rate limited. Please slow down.", code="rate_limit"
                )
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                return self._error(received, 503, "The engine is overloaded. Please try again later.")
            case b.OutOfMoney():
                return self._error(received, 402, "Credit limit exceeded, please add funds to your account.")
            case _:
                return None

    def unauthorized(self, received: Received) -> web.Response:
        """401."""
        return self._error(received, 401, "Invalid API key provided.", code="invalid_api_key")

    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """404 for a model, else 400 with the field's name."""
        if invalid.kind == "model":
            return self._error(received, 404, invalid.message, code="model_not_available", param="model")
        return self._error(received, 400, invalid.message, param=invalid.param)

    def job_of(self, body: Body) -> Job:
        """Sides are multiples of 16 up to 1792."""
        model = body.text("model")
        if model not in MODELS:
            raise Invalid(
                "model", f"Unable to access model {model}. Please visit https://api.together.ai/models", "model"
            )
        size = tuple(body.integer(side, 64, 1792, 1024, multiple=16) for side in ("width", "height"))
        body.integer("steps", 1, 50, 4)
        body.integer("seed", -(2**63), 2**63, 0)
        return Job(
            model=model,
            prompt=body.text("prompt"),
            n=body.integer("n", 1, 4, 1),
            size=(size[0], size[1]),
            usd_per_image=MODELS[model] * megapixels((size[0], size[1])),
            output_format=body.choice("output_format", ("jpeg", "png"), "jpeg"),
            options={"inline": body.choice("response_format", ("base64", "url"), "url") == "base64"},
        )

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """One picture in `image_url`."""
        take_urls(received, body.pictures("image_url", 1))
        return job

    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """Each item says which of the two it is."""
        data = [{"index": index, "type": next(iter(item)), **item} for index, item in enumerate(items)]
        return {"id": received.id, "model": job.model, "object": "list", "data": data}

    def free_answer(self) -> object:
        """A bare list."""
        return [{"id": model, "object": "model", "type": "image"} for model in MODELS]

    def _error(
        self, received: Received, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> web.Response:
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        error = {"message": message, "type": kind, "param": param, "code": code}
        return json_response({"id": received.id, "error": error}, status, {"x-request-id": received.id})


def _build(options: argparse.Namespace) -> Emulator:
    return TogetherEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.together", description="Together, emulated"), _build)


if __name__ == "__main__":
    main()
