"""kie.ai: a task API whose HTTP status is 200 whatever happens; the body's `code` tells. Billed when a task succeeds.

Owns `createTask` and `recordInfo` of its jobs; the result of a task is a JSON text inside the JSON. With `http_statuses` the status repeats the code,
as some of its pages show. A refusal is a failed task with code 400 (assumed) and a text about policy; overloaded is 455 (maintenance, the usual
form), `500` or `505` (the model is disabled). More than `queries_per_s_max` questions a second about one task are refused, where that is set. Places
with a script: `create` (also decides the fate of the task), `poll`, `download`, `credits` (this route is from memory).

`python -m tests.emulators.kie` runs it as a process of its own.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack
from urllib.parse import parse_qs, urlsplit

import orjson
from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import wait_headers
from tests.emulators.inputs import Unusable, take_urls
from tests.emulators.jobs import RATIO_SIZES, Body, Invalid, Job, read_object
from tests.emulators.records import Received
from tests.emulators.tasks import Task, TaskEmulator, random_text

MODELS: Mapping[str, Mapping[str, Decimal]] = {
    "gpt-image-2": {"1K": Decimal("0.03"), "2K": Decimal("0.05"), "4K": Decimal("0.08")},
}
"""USD per picture by resolution."""
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SCALE = {"1K": 1, "2K": 2, "4K": 4}
_STATES = {"waiting": "waiting", "working": "generating", "done": "success", "failed": "fail"}
_KEPT_S = 14 * 24 * 3600.0
_OVERLOADS = {
    "": (455, "The service is currently under maintenance."),
    "455": (455, "The service is currently under maintenance."),
    "500": (500, "Server exception, please try again later or contact customer service."),
    "505": (505, "The feature is currently disabled."),
}


class KieEmulator(TaskEmulator):
    """The vendor."""

    points = ("create", "poll", "download", "credits")
    overloads = tuple(_OVERLOADS)
    link_life_s = _KEPT_S

    def __init__(
        self,
        *,
        work_s: float = 0.05,
        http_statuses: bool = False,
        queries_per_s_max: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._http_statuses = http_statuses
        self._queries_per_s_max = queries_per_s_max
        self._asked_s: dict[str, list[float]] = {}
        super().__init__(work_s=work_s, **options)

    def routes(self) -> list[web.RouteDef]:
        """There is no cancel."""
        return [
            web.post("/api/v1/jobs/createTask", self._create),
            web.get("/api/v1/jobs/recordInfo", self._poll),
            web.get("/api/v1/chat/credit", self._credits),
            self.download_route(),
        ]

    def links_in(self, received: Received) -> list[str]:
        """`input_urls`."""
        found = (received.json or {}).get("input")
        urls = found.get("input_urls") if isinstance(found, dict) else None
        return [str(url) for url in urls] if isinstance(urls, list) else []

    def prompt_of(self, received: Received) -> str:
        """Inside `input`."""
        found = (received.json or {}).get("input")
        return str(found.get("prompt", "")) if isinstance(found, dict) else ""

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"code", "msg", "data"}`; what the script calls a status is the code."""
        body = {"code": status, "msg": message, "data": None}
        return json_response(body, status if self._http_statuses else 200)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """A refusal is left to the task."""
        match behaviour:
            case b.RateLimit():
                response = self.envelope(
                    received, 429, None, "Your call frequency is too high. Please try again later."
                )
                response.headers.update(wait_headers(behaviour))
                return response
            case b.Overloaded():
                code, message = _OVERLOADS[behaviour.form]
                return self.envelope(received, code, None, message)
            case b.OutOfMoney():
                message = "Credits insufficient: your current balance isn't enough to run this request. Please top up."
                return self.envelope(received, 402, None, message)
            case _:
                return None

    def forget(self) -> None:
        """Every task."""
        super().forget()
        self._asked_s.clear()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._submit)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show)

    async def _credits(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "credits", self._show_credits)

    def _submit(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        try:
            body = read_object(received.json)
            job = _job(body)
            take_urls(received, self.links_in(received))
        except Unusable as exc:
            return self.envelope(received, 451, None, exc.message)
        except Invalid as exc:
            return self.envelope(received, 422, None, exc.message)
        task = self.accept(received, job, behaviour, lambda: random_text(32))
        return json_response({"code": 200, "msg": "success", "data": {"taskId": task.id}})

    def _show(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        task_id = parse_qs(urlsplit(received.path).query).get("taskId", [""])[0]
        task = self.tasks.get(task_id)
        if task is None or self.now() - task.created_s > _KEPT_S:
            return self.envelope(received, 404, None, "The task does not exist.")
        if self._too_often(task_id):
            return self.envelope(received, 429, None, "Your query frequency is too high.")
        return json_response({"code": 200, "msg": "success", "data": self._record(task)})

    def _show_credits(self, received: Received, _: b.Behaviour) -> web.Response:
        return self._denied(received) or json_response({"code": 200, "msg": "success", "data": 1000})

    def _record(self, task: Task) -> dict[str, object]:
        self.settle()
        state = _STATES[self.state(task)]
        record: dict[str, object] = {
            "taskId": task.id,
            "model": task.job.model,
            "state": state,
            "param": task.received.body.decode(),
            "resultJson": "",
            "failCode": None,
            "failMsg": None,
            "costTime": None,
            "completeTime": None,
            "createTime": int(task.created_s * 1000),
        }
        if state in ("success", "fail"):
            ended = {"costTime": int(self.work_s * 1000), "completeTime": int((task.created_s + self.work_s) * 1000)}
            record |= ended
        if state == "success":
            record["resultJson"] = orjson.dumps({"resultUrls": self.links(task)}).decode()
        if state == "fail":
            record["failCode"], record["failMsg"] = _failure(task.behaviour)
        return record

    def _too_often(self, task_id: str) -> bool:
        if self._queries_per_s_max is None:
            return False
        now_s = self.now()
        recent = [asked_s for asked_s in self._asked_s.get(task_id, ()) if now_s - asked_s < 1]
        self._asked_s[task_id] = [*recent, now_s]
        return len(recent) >= self._queries_per_s_max

    def _denied(self, received: Received) -> web.Response | None:
        if received.bearer == self.api_key:
            return None
        return self.envelope(received, 401, None, "You do not have access permissions")


def _job(body: Body) -> Job:
    body.only(("model", "callBackUrl", "input"))
    model = body.text("model")
    prices = MODELS.get(model)
    if prices is None:
        raise Invalid("model", "This model name is not supported.", "model")
    values = body.values.get("input")
    if not isinstance(values, dict):
        raise Invalid("missing", "input is required.", "input")
    inner = Body(values)
    resolution = inner.choice("resolution", prices, "1K")
    inner.choice("quality", ("low", "medium", "high"), "medium")
    if any(not url.startswith("http") for url in inner.pictures("input_urls", 16)):
        raise Invalid("value", "input_urls must be public URLs.", "input_urls")
    width, height = RATIO_SIZES[inner.choice("aspect_ratio", _RATIOS, "1:1")]
    scale = _SCALE[resolution]
    return Job(
        model=model,
        prompt=inner.text("prompt"),
        n=1,
        size=(width * scale, height * scale),
        usd_per_image=prices[resolution],
    )


def _failure(behaviour: b.Behaviour) -> tuple[str, str]:
    if isinstance(behaviour, b.FailTask):
        code = behaviour.code if behaviour.code.isdecimal() else "501"
        return code, behaviour.message or "Generation failed."
    return "400", "Your content was flagged as violating content policies."


def _build(options: argparse.Namespace) -> Emulator:
    return KieEmulator(work_s=options.work, **process.common(options))


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.kie", description="kie.ai, emulated")
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a task is done")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
