"""APIMart: a task API on OpenAI's path; submit, ask `/v1/tasks/{id}`, fetch the links; billed when a task completes, refunded when it fails.

One picture a call, by ratio or pixels and `resolution`. Its documentation shows two shapes of the answer to a submit and two of a link; the plain
ones are the usual, `other_shapes` gives the others. The bodies of its HTTP errors and the words of a refusal are assumed to be those of its kind
(new-api), as is that it ignores fields it does not know. Places with a script: `create` (also decides the fate of the task), `poll`, `download`.

`python -m tests.emulators.apimart` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack
from urllib.parse import urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import Unusable, take_urls
from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job, Size, parsed_size, read_object
from tests.emulators.records import Received
from tests.emulators.tasks import Task, TaskEmulator, random_text

MODELS: Mapping[str, Mapping[str, Decimal]] = {
    "gpt-image-2": {"1k": Decimal("0.006"), "2k": Decimal("0.012"), "4k": Decimal("0.018")},
    "flux-2-pro": {"1k": Decimal("0.024"), "2k": Decimal("0.048")},
    "flux-kontext-pro": {"1k": Decimal("0.032")},
}
"""USD per picture by resolution; the names of the FLUX models are assumed."""
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SCALE = {"1k": 1, "2k": 2, "4k": 4}
_STATES = {"waiting": "pending", "working": "processing", "done": "completed", "failed": "failed"}
_TYPES = {401: "authentication_error", 402: "payment_required", 404: "not_found_error", 429: "rate_limit_error"}
_CREDITS_PER_USD = 100  # any rate: the answer names both


class APIMartEmulator(TaskEmulator):
    """The vendor."""

    link_life_s = 24 * 3600.0

    def __init__(self, *, work_s: float = 0.05, other_shapes: bool = False, **options: Unpack[Options]) -> None:
        self._other_shapes = other_shapes
        super().__init__(work_s=work_s, **options)

    def routes(self) -> list[web.RouteDef]:
        """There is no cancel."""
        return [
            web.post("/v1/images/generations", self._create),
            web.get("/v1/tasks/{id}", self._poll),
            self.download_route(),
        ]

    def links_in(self, received: Received) -> list[str]:
        """`image_urls`, where they are no data URLs."""
        urls = (received.json or {}).get("image_urls")
        return [str(url) for url in urls if str(url).startswith("http")] if isinstance(urls, list) else []

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {code, message, type}}`, the code a number."""
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return json_response({"error": {"code": status, "message": message, "type": kind}}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """A refusal is left to the task."""
        match behaviour:
            case b.RateLimit():
                response = self.envelope(received, 429, None, "Too many requests, please try again later.")
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                return self.envelope(
                    received, 503, None, "No available channel for this model, please try again later."
                )
            case b.OutOfMoney():
                return self.envelope(received, 402, None, "Insufficient balance, please top up your account.")
            case _:
                return None

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._submit)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show)

    def _submit(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        if received.bearer != self.api_key:
            return self.envelope(received, 401, None, "Invalid token.")
        try:
            body = read_object(received.json)
            job = _job(body)
            take_urls(received, body.pictures("image_urls", 16))
        except Unusable as exc:
            return self.envelope(received, 400, None, exc.message)
        except Invalid as exc:
            return self.envelope(received, 404 if exc.kind == "model" else 400, None, exc.message)
        task = self.accept(received, job, behaviour, lambda: f"task_{random_text(26).upper()}")
        made: object = [{"status": "submitted", "task_id": task.id}]
        if self._other_shapes:
            made = {"status": "pending", "id": task.id}
        return json_response({"code": 200, "data": made})

    def _show(self, received: Received, _: b.Behaviour) -> web.Response:
        if received.bearer != self.api_key:
            return self.envelope(received, 401, None, "Invalid token.")
        task = self.tasks.get(urlsplit(received.path).path.rpartition("/")[2])
        if task is None:
            return self.envelope(received, 404, None, "Task not found.")
        return json_response({"code": 200, "data": self._task(task)})

    def _task(self, task: Task) -> dict[str, object]:
        self.settle()
        status = _STATES[self.state(task)]
        over = status in ("completed", "failed")
        data: dict[str, object] = {
            "id": task.id,
            "status": status,
            "progress": 100 if over else 50 if status == "processing" else 0,
            "created": int(task.created_s),
            "estimated_time": max(1, int(self.work_s)),
        }
        if over:
            usd = task.images * task.job.usd_per_image if self.billed(task) else Decimal(0)
            data |= {"completed": int(task.created_s + self.work_s), "actual_time": int(self.work_s)}
            data |= {"cost": float(usd), "credits_cost": float(usd * _CREDITS_PER_USD)}
        if status == "completed":
            expires_at = int(task.created_s + self.work_s + self.link_life_s)
            links = self.links(task)
            images = [{"url": link if self._other_shapes else [link], "expires_at": expires_at} for link in links]
            data["result"] = {"images": images}
        if status == "failed":
            data["error"] = _error(task.behaviour)
        return data


def _job(body: Body) -> Job:
    model = body.text("model")
    prices = MODELS.get(model)
    if prices is None:
        raise Invalid("model", f"The model {model} does not exist.", "model")
    if body.integer("n", 1, 10, 1) != 1:
        raise Invalid("value", "n must be 1 for this model.", "n")
    body.pictures("image_urls", 16)
    resolution = body.choice("resolution", prices, "1k")
    width, height = _size(body.text("size", "auto"))
    scale = _SCALE[resolution]
    return Job(
        model=model,
        prompt=body.text("prompt"),
        n=1,
        size=(width * scale, height * scale),
        usd_per_image=prices[resolution],
    )


def _size(text: str) -> Size:
    if text == "auto":
        return (1024, 1024)
    size = RATIO_SIZES[text] if text in _RATIOS else parsed_size(text)
    if size is None or not 64 <= min(size) <= max(size) <= 4096:
        raise Invalid("value", f"size {text} is not supported.", "size")
    return size


def _error(behaviour: b.Behaviour) -> object:
    if isinstance(behaviour, b.FailTask):
        return {"code": behaviour.code, "message": behaviour.message or "The task failed.", "type": "task_error"}
    message = "The content was rejected by the safety system (content policy violation)."
    return {"code": "content_policy_violation", "message": message, "type": "task_error"}


def _build(options: argparse.Namespace) -> Emulator:
    return APIMartEmulator(work_s=options.work, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.apimart", description="APIMart, emulated")
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a task is done")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
