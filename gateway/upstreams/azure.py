"""Azure OpenAI: OpenAI's Images API at a resource of one's own, under a deployment's path or on the v1 surface.

The offer's `model` is the deployment's name, which says nothing of the model behind it: every deployment counts as a GPT image model, the only kind
that Azure still has; its sizes are known where the name is the model's. Fails as `openai` does. On a deployment's path `model` is left out of the
body: gpt-image-2 answers 400 to it.

Options: `surface` (`deployments` or `v1`; none: by the base URL), `api_version` (of deployments' paths) and `params`.
"""

import re
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, urlencode

from gateway.domain.catalog import Offer
from gateway.domain.images import ImageRequest
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.openai import OpenAIAdapter
from gateway.upstreams.openai_profiles import GPT_IMAGE, GPT_IMAGE_MODELS, Profile
from gateway.upstreams.wire import Resources

API_VERSION = "2025-04-01-preview"
"""The first one whose deployments serve GPT image models; newer ones go by the v1 surface."""
_V1 = "/openai/v1"
_TAIL = re.compile(r"/openai(?:/v1|/deployments(?:/.*)?)?$")
"""What may follow the resource's address where operators paste one of those that Azure's pages show."""
_PROFILE = Profile(key_header="api-key", key_prefix="", models=GPT_IMAGE_MODELS, traits=GPT_IMAGE)


class AzureAdapter(OpenAIAdapter):
    kind: ClassVar[str] = "azure"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        given = settings.base_url.rstrip("/")
        resource = _TAIL.sub("", given)
        surface = settings.options.get("surface", "v1" if given.endswith(_V1) else "deployments")
        self._is_v1 = surface == "v1"
        self._query = urlencode({"api-version": settings.options.get("api_version", API_VERSION)})
        settings = replace(settings, base_url=resource + _V1 if self._is_v1 else resource)
        super().__init__(settings, resources, _PROFILE)

    def _address(self, path: str, upstream_model: str) -> str:
        if self._is_v1:
            return path
        return f"/openai/deployments/{quote(upstream_model, safe='')}{path}?{self._query}"

    def _check_path(self, path: str) -> str:
        return path if self._is_v1 else f"/openai{path}?{self._query}"

    def _body(self, request: ImageRequest, offer: Offer) -> dict[str, object]:
        body = super()._body(request, offer)
        if not self._is_v1:
            del body["model"]
        return body
