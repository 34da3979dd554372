"""The HTTP edge over a pipeline in memory, with aiohttp's own client in front."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from gateway.api.server import make_app
from gateway.api.state import ApiSettings
from gateway.domain.clock import SystemClock
from gateway.keys.admin_tokens import AdminTokens
from gateway.telemetry.metrics import Metrics
from tests.unit.api.fake_pipeline import KEY, FakeAuthenticator, FakePipeline, Lines
from tests.unit.api.fake_uploads import FakeUploads


@dataclass
class Edge:
    client: TestClient[web.Request, web.Application]
    pipeline: FakePipeline
    authenticator: FakeAuthenticator
    lines: Lines
    metrics: Metrics
    uploads: FakeUploads

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.client.get(path, headers={"Authorization": f"Bearer {KEY}", **headers})

    async def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> ClientResponse:
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **(headers or {})}
        return await self.client.post(path, data=io.BytesIO(orjson.dumps(body)), headers=sent)

    async def generate(self, headers: dict[str, str] | None = None, **body: object) -> ClientResponse:
        return await self.post("/v1/images/generations", {"prompt": "a red fox", **body}, headers)


MakeEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
def make_edge(aiohttp_client: AiohttpClient) -> MakeEdge:
    async def make(
        pipeline: FakePipeline | None = None, *, metrics_public: bool = False, keep_alive_s: float | None = None
    ) -> Edge:
        pipeline = pipeline or FakePipeline()
        authenticator, lines, metrics, uploads = FakeAuthenticator(), Lines(), Metrics(), FakeUploads()
        app = make_app(
            pipeline=pipeline,
            uploads=uploads,
            authenticator=authenticator,
            metrics=metrics,
            canonical=lines,
            admin_tokens=AdminTokens(b"pepper", SystemClock()),
            settings=ApiSettings(
                default_model=lambda: "gpt-image-2",
                version="1.2.3",
                metrics_public=metrics_public,
                keep_alive_s=keep_alive_s,
                public_url="http://127.0.0.1:8080",
            ),
        )
        return Edge(await aiohttp_client(app), pipeline, authenticator, lines, metrics, uploads)

    return make


@pytest.fixture
async def edge(make_edge: MakeEdge) -> Edge:
    return await make_edge()
