"""Task APIs by description: submit, store the task's id, poll, hand out links. What a vendor is like stands in its `TaskApi`, not here.

These vendors know no idempotency key: a submit whose answer was lost stays NO_ANSWER and UNKNOWN, and is never sent again. Once a task's id is
known it is stored before the first poll and can be asked for at any time (Recovery.ASYNC_JOB). Addresses are made from `base_url` and the
description, never taken from an answer; only results are fetched where links say, through egress.

Options: `poll_interval` (time between two polls; the first comes sooner or later in the description's proportion) and, for kind `task_api`,
`task_api`: the description as JSON.
"""

from dataclasses import replace
from typing import ClassVar

from pydantic import ValidationError

from gateway.domain.catalog import Capabilities, CostSource, Recovery
from gateway.domain.images import Operation
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    Stop,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.bodies import json_body
from gateway.upstreams.options import seconds_option
from gateway.upstreams.polling import Polling, is_askable
from gateway.upstreams.task_answers import (
    TaskAnswer,
    failed,
    read_check,
    read_http_error,
    read_poll,
    read_submit,
    unbilled,
)
from gateway.upstreams.task_body import picture_values, poll_path, submit_body, submit_path, task_path
from gateway.upstreams.task_description import TaskApi
from gateway.upstreams.wire import Reply, Resources, Send, Wire

SUBMIT_TIMEOUT_S = 120.0
POLL_TIMEOUT_S = 15.0
CANCEL_TIMEOUT_S = 10.0
RESUMED_AFTER_S_MAX = 1.0
"""Before the first poll of a task that an earlier process made: it may long be done."""


class TaskApiAdapter(Adapter):
    """A vendor described in the config; presets are subclasses that bring their description."""

    kind: ClassVar[str] = "task_api"
    preset: ClassVar[TaskApi | None] = None

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        self.api = api = self.preset or _described(settings)
        super().__init__(replace(settings, base_url=_without_version(settings.base_url, api)))
        auth = {api.auth.header: f"{api.auth.prefix}{settings.api_key}"} if settings.api_key else {}
        self._wire = Wire(self.settings, resources, {**api.headers, **auth})
        self._clock = resources.clock
        self._rows = api.rows()
        self._sizes = api.sizes.made() if api.sizes is not None else None
        interval_s = max(0.01, seconds_option(settings, "poll_interval", api.poll.interval))
        first_s = api.poll.first_after * interval_s / api.poll.interval
        self._polling = Polling(resources.clock, interval_s, first_s)
        self._resuming = Polling(resources.clock, interval_s, min(first_s, RESUMED_AFTER_S_MAX))
        edits = {Operation.EDIT} if api.references else set[Operation]()
        self._capabilities = Capabilities(
            operations=frozenset({Operation.GENERATE} | edits),
            n=tuple(sorted(set(api.n))),
            sizes=self._sizes,
            params=api.params,
            output_formats=frozenset(api.output_formats),
            qualities=None if api.qualities is None else frozenset(api.qualities),
            recovery=Recovery.ASYNC_JOB,
            can_cancel=api.cancel is not None,
            references_max=api.references,
            references_by_link=api.references_as == "links",
            mask=api.mask,
            links_live_s=api.links_live,
            cost=CostSource.ANSWER if api.answer.cost is not None else CostSource.CATALOG,
        )

    def capabilities(self, upstream_model: str) -> Capabilities:
        return self._capabilities

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        deadline_s = self._wire.deadline_s(call.deadline_s)
        task_id, answer, polling = call.upstream_ref, None, self._resuming
        if task_id is None:
            answer, polling = await self._submit(call, deadline_s), self._polling
            task_id = answer.task_id or ""
            if is_askable(task_id):
                await on_submitted(task_id)
        elif not is_askable(task_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored task id cannot be asked for")
        if answer is None or not answer.is_over:
            path = poll_path(self.api.poll, call.offer.upstream_model, task_id)
            answer = await polling.until(
                f"task {task_id}", lambda: self._poll(path, deadline_s), lambda found: found.is_over, deadline_s
            )
        return self._outcome(answer)

    async def cancel(self, call: UpstreamCall) -> Stop:
        """By the described path, whatever the task is doing; what its end cost is said by the task, as for every other end."""
        path, task_id = self.api.cancel, call.upstream_ref or ""
        if path is None:
            return await super().cancel(call)
        if not is_askable(task_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored task id cannot be asked for")
        send = Send(
            "POST",
            task_path(path, call.offer.upstream_model, task_id),
            deadline_s=self._within(call.deadline_s, CANCEL_TIMEOUT_S),
            failure=self._failure,
        )
        try:
            await self._wire.reply(send, lambda reply: read_check(self.api, self._rows, reply))
        except UpstreamFailure as exc:
            if exc.fault is not Fault.BAD_REQUEST:
                raise
            return Stop.TOO_LATE
        return Stop.ASKED

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        path = self.api.check
        if path is None:
            return await super().check(deadline_s)
        send = Send(
            "GET",
            path,
            deadline_s=self._within(deadline_s, POLL_TIMEOUT_S),
            failure=self._failure,
        )
        await self._wire.reply(send, lambda reply: read_check(self.api, self._rows, reply))
        return f"GET {path} answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()

    async def _submit(self, call: UpstreamCall, deadline_s: float) -> TaskAnswer:
        submit = self.api.submit
        pictures = picture_values(call.inputs, as_links=self.api.references_as == "links")
        send = Send(
            "POST",
            submit_path(submit, call.offer.upstream_model),
            deadline_s=self._within(deadline_s, SUBMIT_TIMEOUT_S),
            body=json_body(submit_body(submit, self._sizes, call.request, call.offer, pictures)),
            failure=self._failure,
        )
        return await self._wire.reply(send, lambda reply: read_submit(self.api, self._rows, reply))

    async def _poll(self, path: str, deadline_s: float) -> TaskAnswer:
        send = Send(
            "GET",
            path,
            deadline_s=self._within(deadline_s, POLL_TIMEOUT_S),
            failure=self._failure,
        )
        return await self._wire.reply(send, lambda reply: read_poll(self.api, self._rows, reply))

    def _failure(self, reply: Reply) -> UpstreamFailure:
        return faults.failure(read_http_error(self.api, reply.status, reply.body), reply.headers, self._rows)

    def _within(self, deadline_s: float, timeout_s: float) -> float:
        return min(deadline_s, self._clock.monotonic_s() + timeout_s)

    def _outcome(self, answer: TaskAnswer) -> Generated:
        if answer.state == "failed":
            raise failed(self.api, self._rows, answer)
        if answer.images:
            return Generated(answer.images, cost_usd=answer.cost_usd)
        billed, cost_usd = unbilled(self.api, answer), answer.cost_usd or None
        raise UpstreamFailure(Fault.NO_IMAGE, billed, "done, without results", cost_usd=cost_usd)


def _described(settings: UpstreamSettings) -> TaskApi:
    try:
        return TaskApi.model_validate_json(settings.options.get("task_api", "{}"))
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(("task_api", *map(str, error["loc"])))
        raise ValueError(f"upstreams.{settings.name}.{place}: {error['msg']}") from exc


def _without_version(base_url: str, api: TaskApi) -> str:
    """Operators paste the address with /v1 or /api; the paths here bring their own."""
    base_url = base_url.rstrip("/")
    first = "/" + api.submit.path.split("/")[1]
    return base_url.removesuffix(first) if api.poll.path.startswith(f"{first}/") else base_url
