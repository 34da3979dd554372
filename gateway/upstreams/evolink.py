"""EvoLink's task API: submit, store the task id, poll, hand out links.

Submits carry the attempt's id as Idempotency-Key, so a lost one may be sent again by the pipeline: the upstream answers with the first
call's task. Polls cost nothing and are repeated until the deadline. Once a task id is known, giving up means NO_ANSWER and UNKNOWN: the task
goes on without us. Callers' pictures are given as links to this gateway, the same whenever the attempt is sent, or, where it has none, uploaded
to EvoLink's file service first. Poll addresses are built from `base_url`, never taken from an answer.

Options: `poll_interval` (seconds, `3s`, `500ms`; default 3 s), `credits_per_usd` (default 72, for answers that name credits only) and `mask`
(`transparent`, the default, or `white`: which part of a mask is made anew; its pages say both) and `files_url` (its file service; default: that of
EvoLink itself, and for another `base_url` that address).
"""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from gateway.domain.catalog import Capabilities, MaskPolarity, Offer, Recovery
from gateway.domain.images import ImageRequest, Operation
from gateway.domain.sizes import listed
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Lenient, decode_object
from gateway.upstreams.base import (
    Adapter,
    Generated,
    LinkedImage,
    OnSubmitted,
    UpstreamCall,
    UpstreamFailure,
    UpstreamSettings,
)
from gateway.upstreams.bodies import json_body
from gateway.upstreams.evolink_files import USUAL_URL, EvoLinkFiles
from gateway.upstreams.options import decimal_option, seconds_option
from gateway.upstreams.params import extra_params, fixed_params, optional_params
from gateway.upstreams.polling import Polling, is_askable
from gateway.upstreams.wire import Resources, Send, Wire

SIZES = listed("1:1", "2:3", "3:2", "1024x1024", "1024x1536", "1536x1024")
USUAL_BASE_URL = "https://api.evolink.ai"
SUBMIT_TIMEOUT_S = 120.0
POLL_TIMEOUT_S = 15.0
"""Both as EvoLink's own client has them."""
RATE_LIMIT_S = 60.0
"""EvoLink's documentation: wait about a minute after 429."""

TASK_ROWS: tuple[faults.Row, ...] = (
    # `error.code` of a failed task. The reservation is given back, so none of them costs anything.
    faults.Row(Fault.REFUSED, words="content_policy_violation"),
    faults.Row(
        Fault.BAD_REQUEST,
        words="invalid_parameters|image_processing_error|image_dimension_mismatch|resource_not_found",
    ),
    faults.Row(Fault.NO_IMAGE, words="generation_failed_no_content"),
    faults.Row(Fault.OVERLOADED, words="resource_exhausted|service_unavailable|model_unavailable"),
    faults.Row(Fault.RATE_LIMITED, words="quota_exceeded|rate_limited"),
    faults.Row(Fault.FAILED, words="service_error|generation_timeout|upstream_error|unknown_error|request_cancelled"),
)
_STATUSES = {
    "completed": "completed", "success": "completed", "succeeded": "completed",
    "failed": "failed", "error": "failed", "cancelled": "failed", "canceled": "failed",
}  # fmt: skip

Money = Annotated[Decimal, Field(ge=0, le=10_000, allow_inf_nan=False)]


class Cost(BaseModel):
    usd: Lenient[Money] = None


class TaskUsage(BaseModel):
    credits_used: Lenient[Money] = None
    cost: Lenient[Cost] = None


class ResultItem(BaseModel):
    image_url: Lenient[str] = None


class TaskBody(BaseModel):
    """The task envelope, as far as it matters here."""

    id: Lenient[str] = None
    status: Lenient[str] = None
    results: Lenient[list[str]] = None
    result_data: Lenient[list[ResultItem]] = None
    usage: Lenient[TaskUsage] = None
    error: Lenient[dict[str, Any] | str] = None

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self.results or (item.image_url for item in self.result_data or () if item.image_url))


def _decode_task(body: bytes | bytearray) -> TaskBody:
    return TaskBody.model_validate(decode_object(body))


class EvoLinkAdapter(Adapter):
    kind: ClassVar[str] = "evolink"

    def __init__(self, settings: UpstreamSettings, resources: Resources) -> None:
        # Operators paste the address with OpenAI's /v1; the paths here bring their own.
        settings = replace(settings, base_url=settings.base_url.rstrip("/").removesuffix("/v1"))
        super().__init__(settings)
        self._wire = Wire(settings, resources, {"Authorization": f"Bearer {settings.api_key}"})
        self._clock = resources.clock
        interval_s = max(0.01, seconds_option(settings, "poll_interval", 3.0))
        self._polling = Polling(resources.clock, interval_s, first_s=interval_s / 3)
        self._credits_per_usd = decimal_option(settings, "credits_per_usd", "72")
        at_home = settings.base_url == USUAL_BASE_URL
        files_url = settings.options.get("files_url", USUAL_URL if at_home else settings.base_url)
        self._files = EvoLinkFiles(settings, resources, files_url)
        self._mask = MaskPolarity(settings.options.get("mask", MaskPolarity.TRANSPARENT))

    def capabilities(self, upstream_model: str) -> Capabilities:
        newer = upstream_model.startswith("gpt-image-")
        return Capabilities(
            operations=frozenset({Operation.GENERATE, Operation.EDIT}),
            n=tuple(range(1, 11)) if newer else (1, 2, 4),
            sizes=SIZES,
            params=frozenset({"quality"}) if newer else frozenset(),
            recovery=Recovery.IDEMPOTENCY_KEY,
            references_max=16 if newer else 5,
            mask=self._mask,
        )

    async def generate(self, call: UpstreamCall, on_submitted: OnSubmitted) -> Generated:
        deadline_s = self._wire.deadline_s(call.deadline_s)
        task_id, task = call.upstream_ref, None
        if task_id is None:
            task = await self._submit(call, deadline_s)
            task_id = task.id or ""
            await on_submitted(task_id)
        elif not is_askable(task_id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "the stored task id cannot be asked for")
        if task is None or not _is_done(task):
            task = await self._polling.until(
                f"task {task_id}", lambda: self._poll(task_id, deadline_s), _is_done, deadline_s
            )
        return self._outcome(task)

    async def fetch(self, image: LinkedImage, deadline_s: float) -> bytes:
        return await self._wire.fetch(image.url, deadline_s)

    async def check(self, deadline_s: float) -> str:
        deadline_s = min(deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S)
        await self._wire.call(Send("GET", "/v1/credits", deadline_s=deadline_s), decode_object)
        return "GET /v1/credits answered: the address is right, and the key is taken"

    async def close(self) -> None:
        await self._wire.close()
        await self._files.close()

    async def _given(self, call: UpstreamCall, deadline_s: float) -> dict[str, object]:
        """The pictures' fields of the body."""
        images, mask = call.inputs.images, call.inputs.mask
        given = [*images, *([mask] if mask is not None else ())]
        links = [link for picture in given if (link := picture.link()) is not None]
        urls = links if len(links) == len(given) else await self._files.urls(call.attempt_id, given, deadline_s)
        fields: dict[str, object] = {"image_urls": urls[: len(images)]} if images else {}
        return fields | ({"mask_url": urls[-1]} if mask is not None else {})

    async def _submit(self, call: UpstreamCall, deadline_s: float) -> TaskBody:
        given = await self._given(call, deadline_s)
        send = Send(
            "POST",
            "/v1/images/generations",
            deadline_s=min(deadline_s, self._clock.monotonic_s() + SUBMIT_TIMEOUT_S),
            # Sorted: the same attempt sends the same bytes again, or the key would not match its call.
            body=json_body(
                _body(call.request, call.offer, self.capabilities(call.offer.upstream_model), given),
                sort_keys=True,
            ),
            headers=(("Idempotency-Key", call.attempt_id),),
        )
        try:
            task = await self._wire.call(send, _decode_task)
        except UpstreamFailure as exc:
            if exc.fault is Fault.RATE_LIMITED and exc.retry_after_s is None:
                exc.retry_after_s = RATE_LIMIT_S
            raise
        if task.id is None and task.error:
            raise self._failed(task)
        if task.id is None or not is_askable(task.id):
            raise UpstreamFailure(Fault.NO_ANSWER, Billed.UNKNOWN, "accepted without a usable task id")
        return task

    async def _poll(self, task_id: str, deadline_s: float) -> TaskBody:
        deadline_s = min(deadline_s, self._clock.monotonic_s() + POLL_TIMEOUT_S)
        return await self._wire.call(Send("GET", f"/v1/tasks/{task_id}", deadline_s=deadline_s), _decode_task)

    def _outcome(self, task: TaskBody) -> Generated:
        cost_usd = self._cost_usd(task.usage)
        if _STATUSES[task.status or ""] == "completed":
            if task.urls:
                return Generated(tuple(LinkedImage(url) for url in task.urls), cost_usd=cost_usd)
            # Charged by the count really generated, so nothing; unless the task itself names a cost.
            billed = Billed.YES if cost_usd else Billed.NO
            raise UpstreamFailure(Fault.NO_IMAGE, billed, "completed without results", cost_usd=cost_usd or None)
        raise self._failed(task)

    def _failed(self, task: TaskBody) -> UpstreamFailure:
        error = faults.read_error_object(0, {"error": task.error or {"code": task.status}})
        fault, billed = faults.classify(error, TASK_ROWS)
        cost_usd = self._cost_usd(task.usage) or None
        if cost_usd is not None:
            billed = Billed.YES
        message = f"task {task.status}: {' '.join(error.words)}: {error.message}"
        return UpstreamFailure(fault, billed, message, cost_usd=cost_usd, param=error.param)

    def _cost_usd(self, usage: TaskUsage | None) -> Decimal | None:
        if usage is None:
            return None
        if usage.cost is not None and usage.cost.usd is not None:
            return usage.cost.usd
        return None if usage.credits_used is None else usage.credits_used / self._credits_per_usd


def _is_done(task: TaskBody) -> bool:
    return (task.status or "") in _STATUSES


def _body(
    request: ImageRequest, offer: Offer, capabilities: Capabilities, given: dict[str, object]
) -> dict[str, object]:
    body: dict[str, object] = {"model": offer.upstream_model, "prompt": request.prompt, "n": request.n}
    size = _size(request)
    if size is not None:
        body["size"] = size
    body.update(given)
    body.update(optional_params(request, capabilities.params))
    body.update(fixed_params(offer.params))
    body.update(extra_params(offer))
    return body


def _size(request: ImageRequest) -> str | None:
    """The caller's own text or its pixels, whichever EvoLink lists, else the ratio; None for auto."""
    if request.pixels is None:
        return None
    made = SIZES.fit(request.size, request.pixels)
    width, height = request.pixels.ratio
    return made.text if made is not None else f"{width}:{height}"
