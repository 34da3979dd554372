"""OpenAI's Images API: `POST /v1/images/generations`, `/v1/images/edits` (a form), `GET /v1/models`; synchronous, billed by tokens.

Owns the routes, the shape of answers and errors; what is accepted and what it costs is in `openai_rules`. Places with a
script: `create`, `models`, `download`, `other` (URLs that do not exist). With `legacy` it also serves the retired DALL·E
models (by default as links to itself), with `as_url` every model answers with links, as some compatible vendors do.

With `stream` it answers with events; the forms `stream` of a refusal and of overload are errors after a first partial picture.

`python -m tests.emulators.openai` runs it as a process of its own.
"""

import argparse
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.inputs import read_form
from tests.emulators.openai_edits import edit_fields, with_pictures
from tests.emulators.openai_events import event, partial_event, stream_of
from tests.emulators.openai_rules import (
    FAMILIES,
    LEGACY,
    Invalid,
    Job,
    check,
    output_tokens,
    price_usd,
    text_tokens,
)
from tests.emulators.pictures import spoiled
from tests.emulators.records import Bill, Received

_TYPES = {401: "invalid_request_error", 429: "rate_limit_error", 503: "service_unavailable_error"}
_CREATED_OF_MODELS = 1_745_000_000  # any past second; clients only show it


class OpenAIEmulator(Emulator):
    """The vendor."""

    path = "/v1"
    points: tuple[str, ...] = ("create", "models", "download", "other")
    unsupported = (b.FailTask, b.StallTask)
    stream_forms = ("stream",)

    def __init__(
        self, *, legacy: bool = False, as_url: bool = False, streams: bool = True, **options: Unpack[Options]
    ) -> None:
        self._streams = streams
        """False: `stream` is ignored, as by gateways that pass models on."""
        self._files: dict[str, tuple[bytes, str]] = {}
        self._legacy = legacy
        self._as_url = as_url
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """Everything outside these answers as the vendor does for an unknown URL."""
        return [
            web.post("/v1/images/generations", self._create),
            web.post("/v1/images/edits", self._create),
            web.get("/v1/models", self._models),
            web.get("/v1/models/{model}", self._models),
            web.get("/files/{name}", self._download),
            web.route("*", "/v1/{tail:.*}", self._unknown_url),
        ]

    def prompt_of(self, received: Received) -> str:
        """In a form, its part."""
        return received.prompt or str((edit_fields(received) or {}).get("prompt", ""))

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {message, type, param, code}}`."""
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return self._error(received, status, message, kind, code=code)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Moderation is a 400, an empty account a 429, like a rate limit."""
        match behaviour:
            case b.Refuse(form="stream"):
                return self._broken_stream(received, self._refusal(received, behaviour))
            case b.Overloaded(form="stream"):
                broken = self.envelope(received, 503, "server_is_overloaded", "The engine is currently overloaded.")
                return self._broken_stream(received, broken)
            case b.Refuse():
                return self._refusal(received, behaviour)
            case b.RateLimit():
                wait = f"in {behaviour.retry_in}s" if behaviour.retry_in is not None else "later"
                message = f"Rate limit reached for images per minute. Please try again {wait}."
                response = self._error(received, 429, message, "requests", code="rate_limit_exceeded")
                if behaviour.retry_after is not None:
                    response.headers["retry-after"] = behaviour.retry_after
                if behaviour.retry_after_ms is not None:
                    response.headers["retry-after-ms"] = str(behaviour.retry_after_ms)
                return response
            case b.Overloaded():
                return self.envelope(received, 503, "server_is_overloaded", "The engine is currently overloaded.")
            case b.OutOfMoney():
                code = behaviour.code or "insufficient_quota"
                message = "You exceeded your current quota, please check your plan and billing details."
                return self._error(received, 429, message, "insufficient_quota", code=code)
            case _:
                return None

    def forget(self) -> None:
        """The files behind links."""
        self._files.clear()

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._generate)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "models", self._list_models)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "download", self._send_file)

    async def _unknown_url(self, request: web.Request) -> web.StreamResponse:
        message = f"Invalid URL ({request.method} {request.path})"
        return await self.serve(request, "other", lambda received, _: self.envelope(received, 404, None, message))

    # --- answers

    def _generate(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        edits = urlsplit(received.path).path.endswith("/edits")
        body = edit_fields(received) if edits else received.json
        if body is None:
            message = "We could not parse the JSON body of your request."
            return self.envelope(received, 400, None, message)
        try:
            job = self._job(received, body)
            if edits:
                job = with_pictures(received, job)
        except Invalid as exc:
            return self._error(
                received, exc.status, exc.message, "invalid_request_error", code=exc.code, param=exc.param
            )
        images = min(job.n, behaviour.images) if isinstance(behaviour, b.Fewer) else job.n
        usd = price_usd(job, images)
        self.bill(Bill(request_id=received.id, model=job.model, images=images, usd=usd, prompt=job.prompt))
        data = [self._item(received, job, index, behaviour) for index in range(images)]
        answer = self._answer(job, images, data)
        if job.streams and self._streams:
            events = stream_of(job, answer, data, edits=edits)
            return self._with_headers(received, web.Response(body=events, content_type="text/event-stream"))
        return self._with_headers(received, json_response(answer))

    def _job(self, received: Received, body: Mapping[str, object]) -> Job:
        """The valid request of a body; a vendor that copies this API and takes less, or names models elsewhere, says so here."""
        return check(body, legacy=self._legacy)

    def _item(self, received: Received, job: Job, index: int, behaviour: b.Behaviour) -> dict[str, object]:
        label = f"{received.id}/{index}"
        content = spoiled(
            behaviour.what if isinstance(behaviour, b.WrongImage) else None,
            job.size,
            job.output_format,
            label,
            transparent=job.background == "transparent",
            padding_bytes=self.picture_bytes,
        )
        if not (self._as_url or job.as_url):
            return {"b64_json": base64.b64encode(content).decode()}
        name = f"{received.id}-{index}.{job.output_format}"
        self._files[name] = (content, f"image/{job.output_format}")
        return {"url": f"{self.origin}/files/{name}"}

    def _answer(self, job: Job, images: int, data: list[dict[str, object]]) -> dict[str, object]:
        answer: dict[str, object] = {"created": int(self.now()), "data": data}
        if job.legacy:
            return answer
        text, out, pictures = text_tokens(job.prompt), output_tokens(job, images), job.image_tokens_in
        return answer | {
            "background": job.background,
            "output_format": job.output_format,
            "quality": job.quality,
            "size": job.size_text,
            "usage": {
                "input_tokens": text + pictures,
                "output_tokens": out,
                "total_tokens": text + pictures + out,
                "input_tokens_details": {"text_tokens": text, "image_tokens": pictures},
                "output_tokens_details": {"image_tokens": out, "text_tokens": 0},
            },
        }

    def _list_models(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        names = [*FAMILIES, *(LEGACY if self._legacy else ())]
        models = [
            {"id": name, "object": "model", "created": _CREATED_OF_MODELS, "owned_by": "system"} for name in names
        ]
        wanted = received.path.removeprefix("/v1/models").strip("/")
        if not wanted:
            return self._with_headers(received, json_response({"object": "list", "data": models}))
        for model in models:
            if model["id"] == wanted:
                return self._with_headers(received, json_response(model))
        message = f"The model '{wanted}' does not exist or you do not have access to it."
        return self._error(received, 404, message, "invalid_request_error", code="model_not_found", param="model")

    def _send_file(self, received: Received, _: b.Behaviour) -> web.Response:
        content, content_type = self._files.get(received.path.removeprefix("/files/"), (b"", ""))
        if not content_type:
            return web.Response(body=b"not found", status=404, content_type="text/plain")
        return web.Response(body=content, content_type=content_type)

    # --- errors

    def _denied(self, received: Received) -> web.Response | None:
        if received.bearer == self.api_key:
            return None
        if not received.bearer:
            return self.envelope(received, 401, None, "You didn't provide an API key.")
        message = f"Incorrect API key provided: {received.bearer[:3]}***."
        return self.envelope(received, 401, "invalid_api_key", message)

    def _broken_stream(self, received: Received, error: web.Response) -> web.Response:
        """A partial picture, and then the error as an event."""
        body = edit_fields(received) if read_form(received) is not None else received.json
        job = self._job(received, body or {})
        assert isinstance(error.body, bytes)
        item = self._item(received, job, 0, b.Succeed())
        events = partial_event(job, item, 0, edits=received.path.partition("?")[0].endswith("/edits"))
        return web.Response(body=events + event(orjson.loads(error.body)), content_type="text/event-stream")

    def _refusal(self, received: Received, behaviour: b.Refuse) -> web.Response:
        message = (
            "Your request was rejected by the safety system. If you believe this is an error, contact us and include "
            f"the request ID {received.id}. safety_violations=[{', '.join(behaviour.categories)}]."
        )
        details = {"moderation_stage": behaviour.stage, "categories": list(behaviour.categories)}
        kind = "image_generation_user_error"
        return self._error(
            received, 400, message, kind, code="moderation_blocked", extra={"moderation_details": details}
        )

    def _error(
        self,
        received: Received,
        status: int,
        message: str,
        kind: str,
        *,
        code: str | None = None,
        param: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> web.Response:
        error = {"message": message, "type": kind, "param": param, "code": code} | dict(extra or {})
        return self._with_headers(received, json_response({"error": error}, status))

    def _with_headers(self, received: Received, response: web.Response) -> web.Response:
        response.headers.update(
            {
                "x-request-id": received.id,
                "openai-version": "2020-10-01",
                "openai-organization": "org-emulator",
                "openai-processing-ms": "1",
                "x-ratelimit-limit-requests": "1000",
                "x-ratelimit-remaining-requests": "999",
                "x-ratelimit-reset-requests": "60ms",
            }
        )
        return response


def _build(options: argparse.Namespace) -> Emulator:
    state_file: Path | None = options.state_file
    return OpenAIEmulator(
        legacy=options.legacy,
        as_url=options.as_url,
        api_key=options.api_key,
        state_file=state_file,
        picture_bytes=options.picture_bytes,
    )


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.openai", description="OpenAI's Images API, emulated")
    parser.add_argument("--legacy", action="store_true", help="also serve dall-e-2 and dall-e-3")
    parser.add_argument("--as-url", action="store_true", help="answer with links instead of base64")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
