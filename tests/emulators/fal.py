"""fal.ai's queue: submit, ask the status, fetch the result, cancel; billed when a request is done.

Owns the routes and the shape of answers and errors; what is accepted and what it costs is in `fal_rules`. The links of a request are absolute and
drop the part of the path behind owner and application, as the vendor's do. The queue takes any body; what is wrong with it is said by the result.
A refusal is a result of 422 with its reason under `detail` (usual), in a `bare_list`, as a `text`, or, billed, a black picture
(`has_nsfw_concepts`). A request cancelled in time ends as 499, unbilled (assumed for one that was being worked on). Places with a script: `create`
(also decides the fate of the request), `poll` (the status), `result`, `cancel`, `download`.

`python -m tests.emulators.fal` runs it as a process of its own.
"""

import argparse
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Unpack
from urllib.parse import urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import wait_headers
from tests.emulators.fal_rules import ENDPOINTS, ERROR_TYPES, check
from tests.emulators.inputs import Unusable, take_urls
from tests.emulators.jobs import Invalid, Job
from tests.emulators.records import Received
from tests.emulators.tasks import Task, TaskEmulator

_NO_JOB = Job(model="", prompt="", n=0, size=(0, 0), usd_per_image=Decimal(0))
_TYPES = {"missing": "missing", "type": "type_error", "high": "less_than_equal", "low": "greater_than_equal"}


class FalEmulator(TaskEmulator):
    """The vendor."""

    points = ("create", "poll", "result", "cancel", "download")
    refusals = ("", "content_policy_violation", "bare_list", "text", "has_nsfw_concepts")

    def __init__(self, *, work_s: float = 0.05, **options: Unpack[Options]) -> None:
        self._invalid: dict[str, Invalid] = {}
        super().__init__(work_s=work_s, **options)

    def routes(self) -> list[web.RouteDef]:
        """Requests are known under owner and application only."""
        request = r"/{owner}/{app}/requests/{id}"
        return [
            self.download_route(),
            web.get(f"{request}/status", self._status),
            web.get(request, self._result),
            web.put(f"{request}/cancel", self._cancel),
            web.post("/{path:[^_].*}", self._create),
        ]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"detail", "error_type"}` of the platform, with the headers that tell whether to try again."""
        kind = "bad_request" if status < 500 else "internal_error"
        if code is not None and code in ERROR_TYPES:
            kind = code
        retryable = "true" if status in (429, 503, 504) else "false"
        headers = {"x-fal-request-id": received.id, "x-fal-error-type": kind, "x-fal-retryable": retryable}
        return json_response({"detail": message, "error_type": kind}, status, headers)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """What the platform says before it takes a request; refusals and failures are results."""
        match behaviour:
            case b.RateLimit():
                message = "You have reached your concurrent requests limit. Please try again later."
                response = self.envelope(received, 429, None, message)
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                message = "No runner could be scheduled in time."
                return self.envelope(received, 503, "runner_scheduling_failure", message)
            case b.OutOfMoney():
                message = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
                return json_response({"detail": message}, 403, {"x-fal-request-id": received.id})
            case _:
                return None

    def fails(self, task: Task) -> bool:
        """A black picture is a success to the wire."""
        return task.id in self._invalid or (super().fails(task) and not _is_black(task))

    def billed(self, task: Task) -> bool:
        """A black picture is paid for, an invalid body is not."""
        return task.id not in self._invalid and (_is_black(task) or super().billed(task))

    def forget(self) -> None:
        """Every request."""
        super().forget()
        self._invalid.clear()

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._submit)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show_status)

    async def _result(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "result", self._show_result)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "cancel", self._stop)

    # --- answers

    def _submit(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        path = urlsplit(received.path).path.strip("/")
        if path not in ENDPOINTS:
            return json_response({"detail": f"Application '{path}' not found"}, 404)
        if received.json is None:
            return self.envelope(received, 400, "bad_request", "The body is not a JSON object.")
        try:
            job, invalid = check(path, received.json), None
            urls, mask = job.options["pictures"], job.options["mask"]
            assert isinstance(urls, tuple)
            take_urls(received, urls, mask, "white")
        except Unusable as exc:
            job, invalid = _NO_JOB, Invalid("value", exc.message, "mask_url" if exc.mask else "image_urls")
        except Invalid as exc:
            job, invalid = _NO_JOB, exc
        task = self.accept(received, job, behaviour, lambda: str(uuid.uuid4()))
        if invalid is not None:
            self._invalid[task.id] = invalid
        return json_response({"status": "IN_QUEUE", "queue_position": 0, **self._urls(task)})

    def _show_status(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self._own(received)
        if isinstance(task, web.Response):
            return task
        self.settle()
        state, urls = self.state(task), self._urls(task)
        logs: list[object] | None = [] if "logs=1" in received.path or "logs=true" in received.path else None
        if state == "waiting":
            return json_response({"status": "IN_QUEUE", "queue_position": 0, **urls}, 202)
        if state == "working":
            return json_response({"status": "IN_PROGRESS", "logs": logs, **urls}, 202)
        answer: dict[str, object] = {"status": "COMPLETED", "logs": logs, "metrics": {"inference_time": self.work_s}}
        if state == "cancelled":
            answer |= {"error": "Request was cancelled", "error_type": "client_cancelled"}
        elif isinstance(task.behaviour, b.FailTask):
            answer |= {"error": "The request failed.", "error_type": _error_type(task.behaviour)}
        return json_response(answer | urls)

    def _show_result(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self._own(received)
        if isinstance(task, web.Response):
            return task
        self.settle()
        match self.state(task):
            case "waiting" | "working":
                return json_response({"detail": "Request is still in progress"}, 400)
            case "cancelled":
                cancelled = {"detail": "Request was cancelled", "error_type": "client_cancelled"}
                return json_response(cancelled, 499, {"x-fal-error-type": "client_cancelled"})
            case "failed":
                return self._failure(task)
        return self._output(task)

    def _output(self, task: Task) -> web.Response:
        job, black = task.job, _is_black(task)
        width, height = job.size
        links = self.links(task, black=black)
        if job.options["sync_mode"]:
            links = [
                f"data:image/{job.output_format};base64,{self.base64_of(job, f'{task.id}/{index}', task.behaviour)}"
                for index in range(task.images)
            ]
        images = [
            {"url": link, "width": width, "height": height, "content_type": f"image/{job.output_format}"}
            for link in links
        ]
        answer: dict[str, object] = {
            "images": images,
            "timings": {"inference": self.work_s},
            "seed": job.options["seed"],
            "has_nsfw_concepts": [black] * task.images,
            "prompt": job.prompt,
        }
        units = Decimal(str(job.options["units"])) * task.images
        headers = {"x-fal-request-id": task.id, "x-fal-billable-units": format(units.normalize(), "f")}
        return json_response(answer, headers=headers)

    def _failure(self, task: Task) -> web.Response:
        invalid, behaviour = self._invalid.get(task.id), task.behaviour
        if invalid is not None:
            kind = _TYPES.get(invalid.kind, "value_error")
            return self._model_error(task, 422, [_detail(invalid.param or "body", invalid.message, kind)])
        if isinstance(behaviour, b.FailTask):
            kind = _error_type(behaviour)
            return self.envelope(
                task.received, ERROR_TYPES[kind], kind, behaviour.message or f"The request failed: {kind}."
            )
        form = behaviour.form if isinstance(behaviour, b.Refuse) else ""
        message = "The content could not be processed because it contained material flagged by a content checker."
        if form == "text":
            return json_response({"detail": message}, 422, {"x-fal-request-id": task.id})
        return self._model_error(
            task, 422, [_detail("prompt", message, "content_policy_violation")], bare=form == "bare_list"
        )

    def _model_error(self, task: Task, status: int, details: Sequence[object], *, bare: bool = False) -> web.Response:
        headers = {"x-fal-request-id": task.id, "x-fal-retryable": "false"}
        return json_response(list(details) if bare else {"detail": list(details)}, status, headers)

    def _stop(self, received: Received, _: b.Behaviour) -> web.Response:
        task = self._own(received)
        if isinstance(task, web.Response):
            return json_response({"status": "NOT_FOUND"}, 404) if task.status == 404 else task
        self.settle()
        if not self.cancel(task):
            return json_response({"status": "ALREADY_COMPLETED"}, 400)
        return json_response({"status": "CANCELLATION_REQUESTED"}, 202)

    # --- who asks

    def _urls(self, task: Task) -> dict[str, object]:
        owner, app = urlsplit(task.received.path).path.strip("/").split("/")[:2]
        url = f"{self.origin}/{owner}/{app}/requests/{task.id}"
        return {
            "request_id": task.id,
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
        }

    def _own(self, received: Received) -> Task | web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        owner, app, _, task_id, *_ = urlsplit(received.path).path.strip("/").split("/")
        task = self.tasks.get(task_id)
        if task is None or not task.received.path.startswith(f"/{owner}/{app}"):
            return json_response({"detail": "Request not found"}, 404)
        return task

    def _denied(self, received: Received) -> web.Response | None:
        scheme, _, key = received.headers.get("authorization", "").partition(" ")
        if scheme == "Key" and key == self.api_key:
            return None
        return json_response({"detail": "Invalid authentication credentials: not authorized."}, 401)


def _is_black(task: Task) -> bool:
    return isinstance(task.behaviour, b.Refuse) and task.behaviour.form == "has_nsfw_concepts"


def _error_type(behaviour: b.FailTask) -> str:
    return behaviour.code if behaviour.code in ERROR_TYPES else "internal_error"


def _detail(param: str, message: str, kind: str) -> object:
    return {"loc": ["body", param], "msg": message, "type": kind, "url": f"https://docs.fal.ai/errors/#{kind}"}


def _build(options: argparse.Namespace) -> Emulator:
    return FalEmulator(work_s=options.work, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.fal", description="fal.ai's queue, emulated")
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a request is done")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
