"""Replicate's predictions: create (with `Prefer: wait` or without), ask, cancel; billed when a prediction is done, or cancelled while it ran.

Owns the routes, the models with their inputs and prices, the shape of answers and errors. Fields that a model does not know are ignored, as by the
vendor. A refusal is a failed prediction whose text says so (forms `nsfw`, the usual one, and `E005`); a lack of capacity is a 503, or a failed
prediction (`E003`). Cancelled before it started a prediction is `aborted` and free, later `canceled` and charged in full (the amount is assumed).
With `early_answers` a waited-for answer has its output while the status still says `processing`, as the vendor's own SDK expects of it.
Places with a script: `create` (also decides the fate of the prediction), `poll`, `cancel`, `download`, `account`.

`python -m tests.emulators.replicate` runs it as a process of its own.
"""

import argparse
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Unpack
from urllib.parse import urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import Unusable, take_urls
from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job
from tests.emulators.pictures import decoded
from tests.emulators.records import Received
from tests.emulators.tasks import State, Task, TaskEmulator, random_text

_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_WAIT_S_MAX = 60
_TITLES = {401: "Unauthenticated", 402: "Insufficient credit", 404: "Not found", 422: "Input validation failed"}
_SPAN = re.compile(r"(\d+)([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_REFUSALS = {
    "": "NSFW content detected. Try running it again, or try a different prompt.",
    "nsfw": "NSFW content detected. Try running it again, or try a different prompt.",
    "E005": "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
}
_BUSY = "Service is currently unavailable due to high demand. Please try again later. (E003)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One official model, billed by picture."""

    usd: Decimal
    outputs_max: int = 4
    ratios: tuple[str, ...] = _RATIOS
    pictures: tuple[str, ...] = ()
    """The inputs that take a picture; each takes one."""
    masks: bool = False
    """Whether it has a `mask`, white where the picture is made anew."""
    keeps_size: bool = False
    """Whether the result has the size of the picture."""

    @property
    def lists(self) -> bool:
        """Whether its output is a list, rather than one link."""
        return self.outputs_max > 1


MODELS: Mapping[str, Model] = {
    "black-forest-labs/flux-schnell": Model(usd=Decimal("0.003")),
    "black-forest-labs/flux-dev": Model(usd=Decimal("0.025"), pictures=("image",), keeps_size=True),
    "black-forest-labs/flux-fill-pro": Model(
        usd=Decimal("0.05"), outputs_max=1, pictures=("image",), masks=True, keeps_size=True
    ),
    "black-forest-labs/flux-kontext-pro": Model(usd=Decimal("0.04"), outputs_max=1, pictures=("input_image",)),
    "black-forest-labs/flux-1.1-pro": Model(
        usd=Decimal("0.04"), outputs_max=1, ratios=(*_RATIOS, "custom"), pictures=("image_prompt",)
    ),
}


_UNREADABLE = Job(
    model="", prompt="", n=0, size=(0, 0), usd_per_image=Decimal(0), options={"input": {}}
)  # the fate of a prediction whose picture cannot be read


def check(model: str, values: Mapping[str, object]) -> Job:
    """The job of an input, or Invalid."""
    known, body = MODELS[model], Body(values)
    prompt = body.text("prompt")
    ratio = body.choice("aspect_ratio", known.ratios, "1:1")
    output_format = body.choice("output_format", ("webp", "jpg", "png"), "webp")
    body.integer("output_quality", 0, 100, 80)
    body.integer("seed", -(2**63), 2**63, 0)
    for name in known.pictures:
        body.pictures(name, 1)
    if ratio == "custom":
        size = tuple(body.integer(side, 256, 1440, 1024, multiple=32) for side in ("width", "height"))
        width, height = size[0], size[1]
    else:
        width, height = RATIO_SIZES[ratio]
    if known.lists and body.choice("megapixels", ("1", "0.25"), "1") == "0.25":
        width, height = width // 2, height // 2
    return Job(
        model=model,
        prompt=prompt,
        n=body.integer("num_outputs", 1, known.outputs_max, 1) if known.lists else 1,
        size=(width, height),
        usd_per_image=known.usd,
        output_format="jpeg" if output_format == "jpg" else output_format,
        options={"input": values},
    )


class ReplicateEmulator(TaskEmulator):
    """The vendor."""

    points = ("create", "poll", "cancel", "download", "account")
    refusals = tuple(_REFUSALS)
    overloads = ("", "E003")
    link_life_s = 3600.0

    def __init__(self, *, work_s: float = 0.05, early_answers: bool = False, **options: Unpack[Options]) -> None:
        self._early_answers = early_answers
        self._cancel_after_s: dict[str, float] = {}
        super().__init__(work_s=work_s, **options)

    def routes(self) -> list[web.RouteDef]:
        """Official models and `version`s; deployments do not exist here."""
        return [
            web.post("/v1/models/{owner}/{name}/predictions", self._create),
            web.post("/v1/predictions", self._create),
            web.get("/v1/predictions/{id}", self._poll),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
            web.get("/v1/account", self._account),
            self.download_route(),
            web.route("*", "/v1/{tail:.*}", self._unknown_url),
        ]

    def links_in(self, received: Received) -> list[str]:
        """Of all inputs."""
        found = (received.json or {}).get("input")
        values = found.values() if isinstance(found, dict) else ()
        return [value for value in values if isinstance(value, str) and re.match("https?://", value)]

    def prompt_of(self, received: Received) -> str:
        """Inside `input`."""
        found = (received.json or {}).get("input")
        return str(found.get("prompt", "")) if isinstance(found, dict) else ""

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """A problem document; codes are not part of it."""
        return _problem(status, message)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """What is said before a prediction is made."""
        match behaviour:
            case b.RateLimit():
                wait = behaviour.retry_in or "30"
                response = _problem(429, f"Request was throttled. Your rate limit resets in ~{wait}s.")
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded(form=""):
                return _problem(503, "Service unavailable, please try again.")
            case b.OutOfMoney():
                message = (
                    "You have insufficient credit to run this model. Go to "
                    "https://replicate.com/account/billing#billing to purchase credit."
                )
                return _problem(402, message)
            case _:
                return None

    def fails(self, task: Task) -> bool:
        """High demand is a failed prediction, too."""
        return super().fails(task) or isinstance(task.behaviour, b.Overloaded) or task.job is _UNREADABLE

    def state(self, task: Task) -> State:
        """With what `Cancel-After` asked for."""
        after_s, now_s = self._cancel_after_s.get(task.id), self.now()
        if after_s is not None and task.cancelled_s is None and now_s - task.created_s >= after_s:
            task.cancelled_s = task.created_s + after_s
            if super().state(task) == "cancelled" and self._was_running(task):
                self.charge(task.received, task.job, task.images, task_id=task.id)
        return super().state(task)

    def billed(self, task: Task) -> bool:
        """High demand costs nothing."""
        return super().billed(task) and not isinstance(task.behaviour, b.Overloaded) and task.job is not _UNREADABLE

    def forget(self) -> None:
        """Every prediction."""
        super().forget()
        self._cancel_after_s.clear()

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        made: list[tuple[Task, web.Response]] = []

        def answer(received: Received, behaviour: b.Behaviour) -> web.Response:
            found = self._submit(received, behaviour)
            if isinstance(found, web.Response):
                return found
            made.append((found, json_response(self._prediction(found), 201)))
            return made[-1][1]

        response = await self.serve(request, "create", answer)
        seconds = _wait_s(request.headers.get("prefer", ""))
        if not made or not seconds or response is not made[0][1] or made[0][0].received.behaviour == "malformed_json":
            return response
        return await self._waited(made[0][0], seconds)

    async def _waited(self, task: Task, seconds: float) -> web.Response:
        """The script decides before the wait: a prediction whose answer is to be lost has been lost by now."""
        until_s = min(self.now() + seconds, task.created_s + self.work_s)
        await self._pause(seconds if isinstance(task.behaviour, b.StallTask) else until_s - self.now())
        answer = self._prediction(task)
        over = self.state(task) in ("done", "failed", "cancelled")
        if not over:
            answer["status"] = "starting"  # whatever it is doing by now
        elif self._early_answers and answer["status"] == "succeeded":
            answer["status"] = "processing"
        task.received.status = 201 if over else 202
        return json_response(answer, task.received.status)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "cancel", self._stop)

    async def _account(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "account", self._show_account)

    async def _unknown_url(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", lambda *_: _problem(404, "The requested resource could not be found."))

    # --- answers

    def _submit(self, received: Received, behaviour: b.Behaviour) -> Task | web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        body = received.json or {}
        parts = urlsplit(received.path).path.split("/")
        model = "/".join(parts[3:5]) if parts[2] == "models" else str(body.get("version", "")).partition(":")[0]
        if model not in MODELS:
            if parts[2] == "models":
                return _problem(404, "The requested resource could not be found.")
            return _invalid("version", "Invalid version or not permitted")
        values = body.get("input")
        if not isinstance(values, dict):
            return _invalid("input", "input is required")
        try:
            job = check(model, values)
            inputs = Body(values)
            given = [url for name in MODELS[model].pictures for url in inputs.pictures(name, 1)]
            mask = next(iter(inputs.pictures("mask", 1)), None) if MODELS[model].masks else None
            take_urls(received, given, mask, "white")
            if received.images and MODELS[model].keeps_size:
                job = dataclasses.replace(job, size=decoded(received.images[0])[1])
            after_s = _cancel_after_s(received.headers.get("cancel-after"))
        except Unusable:
            job, after_s = _UNREADABLE, None
        except Invalid as exc:
            return _invalid(f"input.{exc.param}", exc.message)
        task = self.accept(received, job, behaviour, lambda: random_text(26))
        if after_s is not None:
            self._cancel_after_s[task.id] = after_s
        return task

    def _show(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self._own(received)
        return task if isinstance(task, web.Response) else json_response(self._prediction(task))

    def _stop(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self._own(received)
        if isinstance(task, web.Response):
            return task
        running = self.state(task) == "working"
        if self.cancel(task) and running:
            self.charge(task.received, task.job, task.images, task_id=task.id)
        return json_response(self._prediction(task))

    def _show_account(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        account = {"type": "organization", "username": "emulator", "name": "Emulator", "github_url": None}
        return denied or json_response(account)

    def _prediction(self, task: Task) -> dict[str, object]:
        self.settle()
        state = self.state(task)
        started = state in ("done", "failed", "working") or self._was_running(task)
        ends_s = task.cancelled_s or task.created_s + self.work_s
        over = state in ("done", "failed", "cancelled")
        url = f"{self.origin}/v1/predictions/{task.id}"
        prediction: dict[str, object] = {
            "id": task.id,
            "model": task.job.model,
            "version": "hidden",
            "input": task.job.options["input"],
            "output": None,
            "error": None,
            "logs": "",
            "status": self._status(task, state),
            "source": "api",
            "data_removed": False,
            "created_at": _time(task.created_s),
            "started_at": _time(task.created_s + self.work_s / 2) if started else None,
            "completed_at": _time(ends_s) if over else None,
            "urls": {
                "get": url,
                "cancel": f"{url}/cancel",
                "stream": f"{url}/stream",
                "web": f"{self.origin}/p/{task.id}",
            },
        }
        if over:
            prediction["metrics"] = {"predict_time": self.work_s / 2, "total_time": self.work_s}
        if state == "done":
            links: object = self.links(task)
            prediction["output"] = links if MODELS[task.job.model].lists else self.links(task)[0]
        if state == "failed":
            unreadable = task.job is _UNREADABLE
            prediction["error"] = "cannot identify image file" if unreadable else _error_text(task.behaviour)
        return prediction

    def _status(self, task: Task, state: str) -> str:
        if state == "cancelled":
            return "canceled" if self._was_running(task) else "aborted"
        return {"waiting": "starting", "working": "processing", "done": "succeeded"}.get(state, state)

    def _was_running(self, task: Task) -> bool:
        return task.cancelled_s is not None and task.cancelled_s - task.created_s >= self.work_s / 2

    # --- who asks

    def _own(self, received: Received) -> Task | web.Response:
        denied = self._denied(received)
        task = self.tasks.get(urlsplit(received.path).path.split("/")[3])
        return denied or task or _problem(404, "The requested resource could not be found.")

    def _denied(self, received: Received) -> web.Response | None:
        if received.bearer == self.api_key:
            return None
        return _problem(401, "You did not pass a valid authentication token")


def _error_text(behaviour: b.Behaviour) -> str:
    match behaviour:
        case b.Refuse(form=form):
            return _REFUSALS[form]
        case b.FailTask(code=code, message=message):
            return message or f"Prediction interrupted; please retry (code: {code})"
        case _:
            return _BUSY


def _problem(status: int, detail: str, **more: object) -> web.Response:
    problem = {"title": _TITLES.get(status), "detail": detail, "status": status, **more}
    response = json_response({name: value for name, value in problem.items() if value is not None}, status)
    response.content_type = "application/problem+json"
    return response


def _invalid(field: str, message: str) -> web.Response:
    fields = [{"type": "invalid", "field": field, "description": message}]
    return _problem(422, f"- {field}: {message}\n", invalid_fields=fields)


def _wait_s(prefer: str) -> int:
    """`wait` or `wait=1..60`; 0 where the caller does not wait."""
    name, _, seconds = prefer.partition("=")
    if name.strip() != "wait":
        return 0
    return min(_WAIT_S_MAX, max(1, int(seconds))) if seconds.isdecimal() else _WAIT_S_MAX


def _cancel_after_s(text: str | None) -> float | None:
    if text is None:
        return None
    match = _SPAN.fullmatch(text)
    if match is None or int(match[1]) * _SECONDS[match[2]] < 5:
        raise Invalid("value", "Cancel-After must be a duration of at least 5 seconds.", "cancel-after")
    return float(int(match[1]) * _SECONDS[match[2]])


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _build(options: argparse.Namespace) -> Emulator:
    return ReplicateEmulator(work_s=options.work, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.replicate", description="Replicate, emulated")
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a prediction is done")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
