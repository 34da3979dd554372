"""Servers that copy OpenAI's Images API, each with its own omissions: vLLM-Omni, SGLang, LocalAI, Ollama, DeepInfra, and gateways (LiteLLM, new-api).

Owns one profile for each: how a picture comes back, which size it makes when none is asked for, how it words errors, what it can say at all. Servers
of one's own are free and never refuse content; gateways rewrite what their upstream said (LiteLLM makes every code the status as text, new-api every
type its own). Fields that they do not know are ignored. Bodies of errors are from memory of the projects' code. Places with a script: `create`,
`free` (models), `download`.

`python -m tests.emulators.servers --profile vllm` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Unpack

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.compatible import CompatibleEmulator
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import read_form, take
from tests.emulators.jobs import Body, Invalid, Job, Size, megapixels, parsed_size
from tests.emulators.records import Received

Words = Literal["numbers", "texts", "new_api", "openai", "detail"]

_SERVED = "Qwen/Qwen-Image"
_MEANINGS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "throttling_error",
    503: "service_unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server."""

    formats: tuple[str, ...] = ("b64_json",)
    """What `response_format` may say; the first is what it does without."""
    size: Size = (1024, 1024)
    n_max: int = 10
    words: Words = "openai"
    megapixel_usd: Decimal = Decimal(0)
    gateway: bool = False
    """Whether something with accounts and filters is behind it."""
    pictures_max: int = 0
    """How many pictures its edits take."""


PROFILES: Mapping[str, Profile] = {
    "vllm": Profile(words="numbers", pictures_max=4),
    "sglang": Profile(formats=("b64_json", "url"), words="detail", pictures_max=4),
    "localai": Profile(formats=("url", "b64_json"), size=(512, 512), words="numbers"),
    "ollama": Profile(n_max=1),
    "deepinfra": Profile(megapixel_usd=Decimal("0.014"), gateway=True, pictures_max=1),
    "litellm": Profile(formats=("b64_json", "url"), words="texts", megapixel_usd=Decimal("0.04"), gateway=True),
    "new-api": Profile(formats=("url", "b64_json"), words="new_api", megapixel_usd=Decimal("0.04"), gateway=True),
}


class ServerEmulator(CompatibleEmulator):
    """One server; a key is checked where there is one."""

    edits = ("/images/edits",)

    def __init__(self, profile: str = "vllm", **options: Unpack[Options]) -> None:
        self.profile = PROFILES[profile]
        if not self.profile.gateway:
            self.unsupported = (*type(self).unsupported, b.Refuse, b.OutOfMoney, b.RateLimit)
        super().__init__(**options)

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """In the server's own words."""
        kind = _MEANINGS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        if self.profile.words == "detail":
            return json_response({"detail": message}, status)
        match self.profile.words:
            case "numbers":
                error: object = {"message": message, "type": kind, "param": None, "code": status}
            case "texts":
                error = {"message": f"litellm.{kind}: {message}", "type": None, "param": None, "code": str(status)}
            case "new_api":
                error = {
                    "message": f"{message} (request id: {received.id})",
                    "type": "new_api_error",
                    "param": "",
                    "code": code or "",
                }
            case _:
                error = {"message": message, "type": kind, "param": None, "code": code}
        return json_response({"error": error}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """What a gateway makes of its upstream's errors; a server of one's own can only be full."""
        match behaviour:
            case b.Refuse():
                message = "Your request was rejected by the safety system. safety_violations=[sexual]."
                return self.envelope(received, 400, "content_policy_violation", message)
            case b.RateLimit():
                response = self.envelope(received, 429, "rate_limit_exceeded", "Rate limit reached for this model.")
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                if self.profile.words == "new_api":
                    return self.envelope(received, 503, "model_not_found", "No available channel for this model.")
                return self.envelope(received, 503, "overloaded", "The server is overloaded, please try again later.")
            case b.OutOfMoney() if self.profile.words == "new_api":
                return self.envelope(received, 403, "insufficient_user_quota", "The user's quota is insufficient.")
            case b.OutOfMoney() if self.profile.words == "texts":
                message = "ExceededBudget: Budget has been exceeded! Current cost: 10.1, Max budget: 10.0"
                return self.envelope(received, 400, None, message)
            case b.OutOfMoney():
                return self.envelope(received, 402, "insufficient_balance", "Insufficient balance, please top up.")
            case _:
                return None

    def unauthorized(self, received: Received) -> web.Response:
        """401."""
        return self.envelope(received, 401, "invalid_api_key", "Invalid API key.")

    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """404 for a model, else 400 (422 where pydantic speaks itself)."""
        if invalid.kind == "model":
            return self.envelope(received, 404, "model_not_found", invalid.message)
        if self.profile.words == "detail":
            detail = {"loc": ["body", invalid.param], "msg": invalid.message, "type": "value_error"}
            return json_response({"detail": [detail]}, 422)
        return self.envelope(received, 400, "invalid_value", invalid.message)

    def job_of(self, body: Body) -> Job:
        """Any size that is one; the model only where it is named."""
        profile = self.profile
        model = body.text("model", _SERVED)
        if model == "none":
            raise Invalid("model", f"The model `{model}` does not exist.", "model")
        asked = body.text("size", "auto")
        size = profile.size if asked == "auto" else parsed_size(asked)
        if size is None or not 16 <= min(size) <= max(size) <= 4096:
            raise Invalid("value", f"Invalid size format: '{asked}'. Use WIDTHxHEIGHT.", "size")
        wanted = body.choice("response_format", profile.formats, profile.formats[0])
        return Job(
            model=model,
            prompt=body.text("prompt"),
            n=body.integer("n", 1, profile.n_max, 1),
            size=size,
            usd_per_image=profile.megapixel_usd * megapixels(size),
            options={"inline": wanted == "b64_json"},
        )

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """A form, as OpenAI's; masks are not known."""
        form = read_form(received)
        if received.path.endswith("/edits"):
            files = form.files if form is not None else {}
            images = [*files.get("image", []), *files.get("image[]", [])]
            if not images or len(images) > self.profile.pictures_max or "mask" in files:
                raise Invalid("value", f"{len(images)} images are not supported by this model.", "image")
            take(received, images)
        return job

    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """The least that OpenAI's clients want."""
        return {"created": int(self.now()), "data": items}


def _build(options: argparse.Namespace) -> Emulator:
    return ServerEmulator(options.profile, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.servers", description="A server that copies OpenAI's API")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="vllm")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
