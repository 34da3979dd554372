"""EvoLink's task API: submit with an Idempotency-Key, poll, fetch the results; billed when a task completes.

Owns the routes, the tasks and the shape of answers and errors; what is accepted and what it costs is in
`evolink_rules`. A task advances with the clock alone (`work_s` after its creation it is done), so it completes and is
billed although nobody polls. Places with a script: `create` (also decides the fate of the task), `poll`, `download`,
`credits`. A refusal of the content is a failed task, as at the vendor. Callbacks are accepted and never sent.
Tasks live in memory: a state file keeps bills and requests over a restart, not tasks.

`python -m tests.emulators.evolink` runs it as a process of its own.
"""

import argparse
import math
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Unpack
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.evolink_rules import (
    BATCH_MAX,
    CREDITS_RESERVED_PER_IMAGE,
    ERRORS,
    RESULT_LIFE_S,
    Invalid,
    Job,
    check,
    check_key,
)
from tests.emulators.inputs import Polarity, Unusable, read_form, take_urls
from tests.emulators.pictures import spoiled
from tests.emulators.records import Bill, Received

_ALPHABET = string.ascii_lowercase + string.digits
_CNY_PER_USD = Decimal(7)  # any rate; the vendor shows the amount in both currencies
_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large_error",
    429: "rate_limit_error",
    502: "upstream_error",
    503: "service_unavailable_error",
}


@dataclass(slots=True, kw_only=True)
class _Task:
    """One accepted call; `failure` and `stalled` are its fate, decided when it is created."""

    id: str
    request_id: str
    key: str
    body: Mapping[str, object]
    job: Job
    created_s: float
    images: int
    what: str | None = None
    failure: tuple[str, str] | None = None
    stalled: bool = False
    bills: bool = True
    settled: bool = False


class EvolinkEmulator(Emulator):
    """The vendor."""

    points = ("create", "poll", "download", "credits", "upload")
    mask_polarity: Polarity = "alpha"
    """Its pages say both."""

    def __init__(
        self, *, work_s: float = 0.05, credits: Decimal = Decimal(1_000_000), **options: Unpack[Options]
    ) -> None:
        self.work_s = work_s
        self._credits = credits
        self._tasks: dict[str, _Task] = {}
        self._open: dict[str, _Task] = {}
        self._by_key: dict[str, _Task] = {}
        self.uploads: dict[str, bytes] = {}
        """By name, what its file service keeps."""
        self._credits_used = Decimal(0)
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """The documented routes; there is no cancel."""
        return [
            web.post("/v1/images/generations", self._create),
            web.get("/v1/tasks", self._list),
            web.post("/v1/tasks/batch", self._batch),
            web.get("/v1/tasks/{id}", self._poll),
            web.get("/v1/credits", self._get_credits),
            web.get("/files/{task}/{name}", self._download),
            web.post("/api/v1/files/upload/stream", self._upload),
            web.get("/uploads/{name}", self._show_upload),
        ]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {code, message, type, request_id}}`."""
        kind = _TYPES.get(status, "internal_error" if status >= 500 else "invalid_request_error")
        error = {"code": code, "message": message, "type": kind, "request_id": received.id}
        return json_response({"error": error}, status, {"x-request-id": received.id})

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """An empty account is a 402; a refusal is left to the task."""
        match behaviour:
            case b.RateLimit():
                response = self.envelope(received, 429, "rate_limit_exceeded", "Too many requests.")
                if behaviour.retry_after is not None:
                    response.headers["Retry-After"] = behaviour.retry_after
                if behaviour.retry_after_ms is not None:
                    response.headers["retry-after-ms"] = str(behaviour.retry_after_ms)
                return response
            case b.Overloaded():
                return self.envelope(received, 503, "no_available_channel", "No available channel for this model.")
            case b.OutOfMoney():
                code = behaviour.code or "insufficient_user_quota"
                return self.envelope(received, ERRORS.get(code, 402), code, "Insufficient credits, please top up.")
            case _:
                return None

    def settle(self) -> None:
        """Bill every task that is done by now."""
        for task in list(self._open.values()):
            status, _ = self._progress(task)
            if status not in ("completed", "failed"):
                continue
            task.settled = True
            del self._open[task.id]
            if task.bills:
                self._charge(task)

    def forget(self) -> None:
        """Every task and key."""
        self._tasks.clear()
        self._open.clear()
        self._by_key.clear()
        self.uploads.clear()
        self._credits_used = Decimal(0)

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._submit)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show_list)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "poll", self._show_batch)

    async def _get_credits(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "credits", self._show_credits)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "download", self._send_file)

    # --- its file service, which has another address at the vendor

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "upload", self._keep)

    async def _show_upload(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.uploads[request.match_info["name"]])

    def _keep(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        form = read_form(received)
        files = form.files.get("file", []) if form is not None else []
        if len(files) != 1:
            return self.envelope(received, 400, "invalid_request_error", "file is required.")
        name = f"{secrets.token_hex(8)}.png"
        self.uploads[name] = files[0]
        data = {"file_name": name, "file_size": len(files[0]), "file_url": f"{self.origin}/uploads/{name}"}
        return json_response({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})

    # --- submitting

    def _submit(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        body = received.json
        if body is None:
            return self.envelope(received, 400, "invalid_request_error", "The body is not a JSON object.")
        key = received.headers.get("idempotency-key")
        try:
            check_key(key)
            job = check(body)
        except Invalid as exc:
            return self.envelope(received, exc.status, exc.code, exc.message)
        known = self._by_key.get(key) if key is not None else None
        if known is not None:
            return self._replay(received, known, body)
        self.settle()
        reserved = sum((CREDITS_RESERVED_PER_IMAGE * task.job.n for task in self._open.values()), Decimal(0))
        if self._credits - self._credits_used - reserved < CREDITS_RESERVED_PER_IMAGE * job.n:
            return self.envelope(received, 402, "insufficient_user_quota", "Insufficient credits, please top up.")
        task = self._accept(received, job, body, behaviour)
        problem = self._look(received, body)
        if problem is not None:
            task.failure, task.bills = problem, False
        if key is not None:
            self._by_key[key] = task
        return json_response(self._envelope_of(task, fresh=True), headers={"x-request-id": received.id})

    def links_in(self, received: Received) -> list[str]:
        """All that the body names."""
        body = received.json or {}
        urls, mask = body.get("image_urls"), body.get("mask_url")
        return [*(map(str, urls) if isinstance(urls, list) else ()), *([str(mask)] if mask else ())]

    def _look(self, received: Received, body: Mapping[str, object]) -> tuple[str, str] | None:
        """The error of a task whose pictures are no good."""
        links = self.links_in(received)
        images, mask = (links[:-1], links[-1]) if "mask_url" in body else (links, None)
        try:
            take_urls(received, images, mask, self.mask_polarity)
        except Unusable as exc:
            return "image_dimension_mismatch" if exc.mask else "image_processing_error", exc.message
        return None

    def _replay(self, received: Received, task: _Task, body: Mapping[str, object]) -> web.Response:
        if task.body != body:
            message = "This Idempotency-Key was used with another body."
            return self.envelope(received, ERRORS["idempotency_conflict"], "idempotency_conflict", message)
        headers = {"x-request-id": received.id, "idempotency-replayed": "true"}
        return json_response(self._envelope_of(task), headers=headers)

    def _accept(self, received: Received, job: Job, body: Mapping[str, object], behaviour: b.Behaviour) -> _Task:
        created_s = self.now()
        suffix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        task = _Task(
            id=f"task-unified-{int(created_s)}-{suffix}",
            request_id=received.id,
            key=received.bearer,
            body=body,
            job=job,
            created_s=created_s,
            images=job.n,
        )
        match behaviour:
            case b.Fewer():
                task.images = min(job.n, behaviour.images)
            case b.WrongImage():
                task.what = behaviour.what
            case b.StallTask():
                task.stalled = True
            case b.FailTask():
                task.failure = (behaviour.code, behaviour.message or f"The task failed: {behaviour.code}.")
                task.bills = behaviour.bills
            case b.Refuse():
                message = f"Content policy violation: {', '.join(behaviour.categories)}."
                task.failure = ("content_policy_violation", message)
                task.bills = behaviour.bills
        self._tasks[task.id] = self._open[task.id] = task
        return task

    # --- the life of a task

    def _progress(self, task: _Task) -> tuple[str, int]:
        """Status and percentage now."""
        age_s = self.now() - task.created_s
        if age_s >= self.work_s and not task.stalled:
            return ("failed", 0) if task.failure else ("completed", 100)
        return "processing", min(99, int(100 * age_s / self.work_s)) if self.work_s else 0

    def _charge(self, task: _Task) -> None:
        self._credits_used += task.images * task.job.credits_per_image
        usd = task.images * task.job.usd_per_image
        self.bill(
            Bill(
                request_id=task.request_id,
                model=task.job.model,
                images=task.images,
                usd=usd,
                prompt=task.job.prompt,
                task_id=task.id,
            )
        )

    def _envelope_of(self, task: _Task, *, fresh: bool = False) -> dict[str, object]:
        """The task as the wire shows it; the answer to its creation always says `pending`."""
        self.settle()
        status, progress = ("pending", 0) if fresh else self._progress(task)
        open_ = status in ("pending", "processing")
        usage: dict[str, object] = {
            "billing_rule": "per_call",
            "credits_reserved": float(CREDITS_RESERVED_PER_IMAGE * task.job.n),
            "user_group": "default",
        }
        envelope: dict[str, object] = {
            "created": int(task.created_s),
            "id": task.id,
            "model": task.job.model,
            "object": "image.generation.task",
            "progress": progress,
            "status": status,
            "task_info": {"can_cancel": open_, "estimated_time": max(1, math.ceil(self.work_s))},
            "type": "image",
            "usage": usage,
        }
        if not open_:
            usage |= self._usage_of(task)
        if status == "completed":
            envelope["results"] = self._links(task)
        if status == "failed" and task.failure is not None:
            code, message = task.failure
            envelope["error"] = {"code": code, "message": message, "type": "task_error"}
        return envelope

    def _usage_of(self, task: _Task) -> dict[str, object]:
        images = task.images if task.bills else 0
        credits, usd = images * task.job.credits_per_image, images * task.job.usd_per_image
        cost = {"credits": float(credits), "usd": float(usd), "cny": float(usd * _CNY_PER_USD)}
        return {"credits_used": float(credits), "cost": cost}

    def _links(self, task: _Task) -> list[str]:
        return [f"{self.origin}/files/{task.id}/{index}.png" for index in range(task.images)]

    # --- asking

    def _show(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        task = self._own(received, received.path.rpartition("/")[2])
        if task is None:
            return self.envelope(received, 404, "task_not_found", "Task not found.")
        return json_response(self._envelope_of(task), headers={"x-request-id": received.id})

    def _show_batch(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        ids = (received.json or {}).get("task_ids")
        if not isinstance(ids, list) or len(ids) > BATCH_MAX:
            message = f"task_ids must be a list of at most {BATCH_MAX}."
            return self.envelope(received, 400, "invalid_request_error", message)
        tasks = [task for one in ids if (task := self._own(received, str(one))) is not None]
        return json_response({"code": 200, "data": [self._envelope_of(task) for task in tasks]})

    def _show_list(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(received.path).query).items()}
        own = [self._row(task) for task in reversed(self._tasks.values()) if task.key == received.bearer]
        rows = [
            row for row in own if all(row[name] == asked[name] for name in ("status", "type", "model") if name in asked)
        ]
        page, page_size = int(asked.get("page", "1")), int(asked.get("page_size", "20"))
        shown: Sequence[object] = rows[(page - 1) * page_size : page * page_size]
        answer = {"object": "list", "total": len(rows), "page": page, "page_size": page_size, "data": shown}
        return json_response(answer)

    def _row(self, task: _Task) -> dict[str, object]:
        status, progress = self._progress(task)
        done = status in ("completed", "failed")
        return {
            "id": task.id,
            "model": task.job.model,
            "type": "image",
            "status": status,
            "progress": progress,
            "created_at": int(task.created_s),
            "has_results": status == "completed",
            "result_count": task.images if status == "completed" else 0,
            "has_error": status == "failed",
            "credits_used": self._usage_of(task)["credits_used"] if done else 0,
            "duration": self.work_s if done else 0,
        }

    def _show_credits(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        self.settle()
        account = {"remaining_credits": float(self._credits - self._credits_used)}
        account["used_credits"] = float(self._credits_used)
        data = {"user": account, "token": account | {"unlimited_credits": False}}
        return json_response({"success": True, "message": "", "data": data})

    def _send_file(self, received: Received, _behaviour: b.Behaviour) -> web.Response:
        task_id, _, name = received.path.removeprefix("/files/").partition("/")
        task = self._tasks.get(task_id)
        index = name.removesuffix(".png")
        known = task is not None and index.isdecimal() and int(index) < task.images
        if task is None or not known or self._progress(task)[0] != "completed":
            return web.Response(body=b"not found", status=404, content_type="text/plain")
        if self.now() - task.created_s - self.work_s > RESULT_LIFE_S:
            return web.Response(body=b"expired", status=403, content_type="text/plain")
        content = spoiled(task.what, task.job.size, "png", f"{task.id}/{index}", padding_bytes=self.picture_bytes)
        return web.Response(body=content, content_type="image/png")

    # --- who asks

    def _own(self, received: Received, task_id: str) -> _Task | None:
        task = self._tasks.get(task_id)
        return task if task is not None and task.key == received.bearer else None

    def _denied(self, received: Received) -> web.Response | None:
        if received.bearer == self.api_key:
            return None
        return self.envelope(received, 401, "invalid_api_key", "Invalid API key.")


def _build(options: argparse.Namespace) -> Emulator:
    state_file: Path | None = options.state_file
    return EvolinkEmulator(
        work_s=options.work,
        credits=Decimal(options.credits),
        api_key=options.api_key,
        state_file=state_file,
        picture_bytes=options.picture_bytes,
    )


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(prog="tests.emulators.evolink", description="EvoLink's task API, emulated")
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a task is done")
    parser.add_argument("--credits", default="1000000", help="the account's balance")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
