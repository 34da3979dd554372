"""Azure OpenAI: OpenAI's Images API under a deployment's path, and under `/openai/v1` with the deployment's name as the model.

Owns what differs from OpenAI: paths, the `api-key` header, `api-version`, the deployments, and the words of its errors. Everything else is
`openai`'s. An empty account is OpenAI's 429, which is assumed: Azure bills afterwards. On a deployment's path `model` in the body is refused.
Refuses content as `contentFilter` (its usual form), `content_policy_violation` or `moderation_blocked`.

`python -m tests.emulators.azure` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from typing import Unpack
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.openai_rules import FAMILIES, Invalid, Job, check
from tests.emulators.records import Received

API_VERSION = "2025-04-01-preview"
_FILTERS = ("hate", "sexual", "self_harm", "violence")


class AzureEmulator(OpenAIEmulator):
    """The vendor: one resource."""

    path = ""
    points = ("create", "models", "download", "other")
    refusals = ("", "contentFilter", "content_policy_violation", "moderation_blocked")

    def __init__(
        self,
        *,
        deployments: Mapping[str, str] | None = None,
        entra_token: str = "entra-emulator",
        **options: Unpack[Options],
    ) -> None:
        self.deployments = dict(deployments or {"pictures": "gpt-image-2"})
        self.entra_token = entra_token
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """Both surfaces; everything else does not exist."""
        return [
            web.post("/openai/deployments/{deployment}/images/{operation:generations|edits}", self._create),
            web.post("/openai/v1/images/{operation:generations|edits}", self._create),
            web.get("/openai/models", self._models),
            web.get("/openai/v1/models", self._models),
            web.get("/files/{name}", self._download),
            web.route("*", "/openai/{tail:.*}", self._unknown_url),
        ]

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """The content filter has shapes of its own; a rate limit is worded by the API management in front."""
        match behaviour:
            case b.Refuse() if behaviour.form not in ("moderation_blocked", "stream"):
                return self._filtered(received, behaviour)
            case b.RateLimit():
                wait = behaviour.retry_in or behaviour.retry_after or "60"
                message = (
                    "Requests to the Create an image Operation under Azure OpenAI API have exceeded call rate limit of "
                    f"your current OpenAI pricing tier. Please retry after {wait} seconds."
                )
                response = self.envelope(received, 429, "429", message)
                if behaviour.retry_after is not None:
                    response.headers["retry-after"] = behaviour.retry_after
                if behaviour.retry_after_ms is not None:
                    response.headers["retry-after-ms"] = str(behaviour.retry_after_ms)
                return response
            case _:
                return super().fault(received, behaviour)

    def _denied(self, received: Received) -> web.Response | None:
        v1 = received.path.startswith("/openai/v1/")
        if not v1 and "api-version" not in parse_qs(urlsplit(received.path).query):
            return self.envelope(received, 404, "404", "Resource not found")
        # A key as a bearer is what the v1 surface takes from OpenAI's own client.
        bearers = (self.entra_token, self.api_key) if v1 else (self.entra_token,)
        if received.headers.get("api-key") == self.api_key or received.bearer in bearers:
            return None
        message = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for "
            "an active subscription and use a correct regional API endpoint for your resource."
        )
        return self.envelope(received, 401, "401", message)

    def _job(self, received: Received, body: Mapping[str, object]) -> Job:
        path = urlsplit(received.path).path
        if path.startswith("/openai/v1/"):
            name = str(body.get("model", ""))
        else:
            name = unquote(path.split("/")[3])
            if "model" in body:
                raise Invalid("invalid_value", "The model is the deployment's.", "model")
        if name not in self.deployments:
            message = (
                "The API deployment for this resource does not exist. If you created the deployment within the last "
                "5 minutes, please wait a moment and try again."
            )
            raise Invalid("DeploymentNotFound", message, status=404)
        return check({**body, "model": self.deployments[name]}, legacy=False)

    def _list_models(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        models = [{"id": name, "object": "model", "status": "succeeded"} for name in sorted(FAMILIES)]
        return self._with_headers(received, json_response({"object": "list", "data": models}))

    def _filtered(self, received: Received, behaviour: b.Refuse) -> web.Response:
        results: dict[str, object] = {
            name: {
                "filtered": name in behaviour.categories,
                "severity": "high" if name in behaviour.categories else "safe",
            }
            for name in _FILTERS
        }
        results["jailbreak"] = {"detected": False, "filtered": False}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_results": results, "revised_prompt": ""}
        message = "Your request was rejected as a result of our safety system. Your prompt may contain text that is not allowed."
        code = behaviour.form or "contentFilter"
        return self._error(received, 400, message, "invalid_request_error", code=code, extra={"inner_error": inner})

    def _with_headers(self, received: Received, response: web.Response) -> web.Response:
        response.headers.update({"apim-request-id": received.id, "x-ms-region": "Sweden Central"})
        return response


def _build(options: argparse.Namespace) -> Emulator:
    return AzureEmulator(**process.common(options))


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.azure", description="Azure OpenAI, emulated"), _build)


if __name__ == "__main__":
    main()
