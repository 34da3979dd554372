"""Google's `generateContent` for models that draw: one synchronous call, one picture inside the answer, billed by tokens.

Owns the routes (`/v1` and `/v1beta`), the shape of answers and errors; what is accepted and what it costs is in `gemini_rules`. A refusal is an
answer of status 200: a `finishReason` (its forms are those names; the usual one is IMAGE_SAFETY) or a `promptFeedback` (forms `blockReason:…`).
`Fewer(images=0)` is an answer with text alone. Out of money: 402 RESOURCE_EXHAUSTED (usual), 400 FAILED_PRECONDITION, or a free tier whose
limit is zero. Overloaded: 503 UNAVAILABLE (usual) or 429 MODEL_CAPACITY_EXHAUSTED. Places with a script: `create`, `models`.

`python -m tests.emulators.gemini` runs it as a process of its own.
"""

import argparse
from collections.abc import Sequence
from typing import Unpack
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import PictureEmulator, wait_headers
from tests.emulators.gemini_rules import (
    BLOCK_REASONS,
    FINISH_REFUSALS,
    MODELS,
    GeminiJob,
    check,
    inline_pictures,
    prompt_text,
)
from tests.emulators.inputs import Unusable, from_base64, take
from tests.emulators.jobs import Invalid
from tests.emulators.pictures import decoded
from tests.emulators.records import Bill, Received

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC = "type.googleapis.com/google.rpc"


class GeminiEmulator(PictureEmulator):
    """The vendor."""

    points = ("create", "models")
    unsupported = (b.FailTask, b.StallTask)
    refusals = ("", *FINISH_REFUSALS, *(f"blockReason:{reason}" for reason in BLOCK_REASONS))
    overloads = ("", "MODEL_CAPACITY_EXHAUSTED")
    shortages = ("", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "free_tier")

    def __init__(self, *, thoughts: int = 0, listed_errors: bool = False, **options: Unpack[Options]) -> None:
        self._thoughts = thoughts
        """Tokens that the model thinks before it draws; they are billed, too."""
        self._listed_errors = listed_errors
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """Both versions: the vendor's SDK asks the first, its documentation the second."""
        return [
            web.post(r"/{version:v1|v1beta}/models/{model}:generateContent", self._create),
            web.get(r"/{version:v1|v1beta}/models", self._models),
        ]

    def prompt_of(self, received: Received) -> str:
        """All texts of all contents."""
        return prompt_text(received.json or {})

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {code, message, status, details}}`; the code given is the status' name where it is one."""
        named = code if code is not None and code.isupper() else _STATUSES.get(status, "UNKNOWN")
        return self._error(status, named, message)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Refusals are answers; limits, load and money share a status and differ in their details."""
        match behaviour:
            case b.Refuse():
                return self._refusal(received, behaviour)
            case b.RateLimit():
                details: list[object] = [_quota("GenerateRequestsPerMinutePerProjectPerModel", 10)]
                if behaviour.retry_in is not None:
                    details.append({"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{behaviour.retry_in}s"})
                response = self._error(429, "RESOURCE_EXHAUSTED", "You exceeded your current rate limit.", details)
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded(form="MODEL_CAPACITY_EXHAUSTED"):
                message = "No capacity available for the model on the server."
                return self._error(429, "RESOURCE_EXHAUSTED", message, [_info("MODEL_CAPACITY_EXHAUSTED")])
            case b.Overloaded():
                return self._error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
            case b.OutOfMoney(code="FAILED_PRECONDITION"):
                message = "User location or billing account is not usable. Please enable billing on project."
                return self._error(400, "FAILED_PRECONDITION", message)
            case b.OutOfMoney(code="free_tier"):
                message = "You exceeded your current quota, please check your plan and billing details. limit: 0"
                return self._error(429, "RESOURCE_EXHAUSTED", message, [_quota("FreeTier", 0)])
            case b.OutOfMoney():
                return self._error(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")
            case _:
                return None

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._generate)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "models", self._list_models)

    # --- answers

    def _generate(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        model = urlsplit(received.path).path.rpartition("/")[2].removesuffix(":generateContent")
        try:
            job = check(model, received.json)
            pictures = inline_pictures(received.json or {})
            take(received, [from_base64(data) for _, data in pictures])
            if [kind for kind, _ in pictures] != [f"image/{decoded(image)[0]}" for image in received.images]:
                raise Unusable("The mime type is not that of the image.")
        except Unusable as exc:
            return self._error(400, "INVALID_ARGUMENT", f"Unable to process input image. {exc.message}")
        except Invalid as exc:
            if exc.kind == "model":
                return self._error(404, "NOT_FOUND", exc.message)
            violation = {"field": exc.param, "description": exc.message}
            details = [{"@type": f"{_RPC}.BadRequest", "fieldViolations": [violation]}]
            return self._error(400, "INVALID_ARGUMENT", exc.message, details)
        draws = job.draws and not isinstance(behaviour, b.Fewer)
        images, thoughts = int(draws), self._thoughts if draws else 0
        usd = job.usd(images, thoughts)
        self.bill(Bill(request_id=received.id, model=model, images=images, usd=usd, prompt=job.request.prompt))
        parts: list[object] = [{"text": "Here it is."}] if job.talks or not draws else []
        if thoughts:
            parts.insert(0, {"text": "The user wants a picture.", "thought": True})
        if draws:
            data = self.base64_of(job.request, f"{received.id}/0", behaviour)
            parts.append({"inlineData": {"mimeType": "image/png", "data": data}, "thoughtSignature": "c2ln"})
        candidate: dict[str, object] = {
            "content": {"role": "model", "parts": parts},
            "finishReason": "STOP",
            "index": 0,
        }
        if job.draws and not draws:
            candidate["finishReason"] = "NO_IMAGE"
        return self._answer(received, job, images, thoughts, {"candidates": [candidate]})

    def _refusal(self, received: Received, behaviour: b.Refuse) -> web.Response:
        try:
            job = check(urlsplit(received.path).path.rpartition("/")[2].partition(":")[0], received.json)
        except Invalid:
            return self._error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        if not behaviour.bills:  # the prompt was read, and is counted in the answer's usage
            prompt = job.request.prompt
            self.bill(Bill(request_id=received.id, model=job.request.model, images=0, usd=job.usd(0, 0), prompt=prompt))
        kind, _, reason = behaviour.form.rpartition(":")
        if kind == "blockReason":
            return self._answer(received, job, 0, 0, {"promptFeedback": {"blockReason": reason}})
        reason = reason or "IMAGE_SAFETY"
        message = f"Unable to show the generated image: {reason}."
        candidate = {"finishReason": reason, "finishMessage": message, "index": 0}
        return self._answer(received, job, 0, 0, {"candidates": [candidate]})

    def _answer(
        self, received: Received, job: GeminiJob, images: int, thoughts: int, answer: dict[str, object]
    ) -> web.Response:
        usage = job.usage(images, thoughts)
        return json_response(
            answer | {"usageMetadata": usage, "modelVersion": job.request.model, "responseId": received.id}
        )

    def _list_models(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        models = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]} for name in MODELS]
        return json_response({"models": models})

    # --- errors

    def _denied(self, received: Received) -> web.Response | None:
        query = parse_qs(urlsplit(received.path).query)
        key = received.headers.get("x-goog-api-key") or query.get("key", [""])[0]
        if key == self.api_key:
            return None
        if not key:
            message = "Method doesn't allow unregistered callers (callers without established identity)."
            return self._error(403, "PERMISSION_DENIED", message)
        message = "API key not valid. Please pass a valid API key."
        return self._error(400, "INVALID_ARGUMENT", message, [_info("API_KEY_INVALID")])

    def _error(self, status: int, named: str, message: str, details: Sequence[object] = ()) -> web.Response:
        error: dict[str, object] = {"code": status, "message": message, "status": named}
        if details:
            error["details"] = list(details)
        body: object = {"error": error}
        return json_response([body] if self._listed_errors else body, status)


def _info(reason: str) -> object:
    return {"@type": f"{_RPC}.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def _quota(quota_id: str, value: int) -> object:
    violation = {"quotaId": quota_id, "quotaValue": str(value)}
    return {"@type": f"{_RPC}.QuotaFailure", "violations": [violation]}


def _build(options: argparse.Namespace) -> Emulator:
    return GeminiEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.gemini", description="Gemini, emulated"), _build)


if __name__ == "__main__":
    main()
