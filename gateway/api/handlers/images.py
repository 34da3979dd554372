"""`/v1/images/…`: one call, two contracts; generations, edits and variations differ in how they are read, and in nothing else."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from gateway.api.answers import json_answer, send_parts
from gateway.api.cache_control import cache_wish
from gateway.api.call import Call, Read, read_call, read_edit, read_generation, read_variation
from gateway.api.contract import Choice, choose
from gateway.api.errors import error_of_task
from gateway.api.handlers.image_stream import stream_images
from gateway.api.idempotency import REPLAYED, as_refused_before, note_refusal, noting_refusal
from gateway.api.keep_alive import kept_alive
from gateway.api.pictures import BodyPictures
from gateway.api.ports import RunningTask, TaskView
from gateway.api.rate_headers import note_rate, take_rate
from gateway.api.rendering import created_headers, image_answer, task_answer, task_created, task_headers
from gateway.api.state import CONTRACT, ERROR_HEADERS, LOG, PIPELINE, PRINCIPAL, SETTINGS
from gateway.domain import money
from gateway.domain.catalog import Model
from gateway.domain.errors import GatewayError, LeftRunning
from gateway.domain.images import Contract, ResponseFormat
from gateway.domain.repeats import Repeat
from gateway.domain.tasks import Billed, TaskState
from gateway.telemetry.traces import span

_PERHAPS_BILLED = (Billed.YES, Billed.UNKNOWN)


async def generations(request: web.Request) -> web.StreamResponse:
    """From a prompt, or from pictures behind links. The answer is OpenAI's or a task, by the rules of `contract.choose`."""
    return await _make(request, read_generation)


async def edits(request: web.Request) -> web.StreamResponse:
    """From pictures that come with the call, as a form or as JSON."""
    return await _make(request, read_edit)


async def variations(request: web.Request) -> web.StreamResponse:
    """OpenAI retired them with dall-e-2; where no offer makes them, admission says so."""
    return await _make(request, read_variation)


async def _make(request: web.Request, read: Read) -> web.StreamResponse:
    fields = request[LOG]
    async with BodyPictures(request) as pictures:
        call = await _read(request, pictures, read)
        generation = call.generation
        model = request.app[PIPELINE].find_model(call.draft.model)
        choice = choose(request.headers, generation.hints, key=request[PRINCIPAL].response, model=_response(model))
        request[CONTRACT] = choice.contract
        fields["model"] = model.name if model else None
        fields["contract"] = choice.contract.value
        fields["n"] = call.draft.n
        if generation.images:
            fields["references"] = len(generation.images)
        if call.repeat is None:
            repeat, running = None, await _accepted(request, pictures, call, choice)
        else:
            repeat = call.repeat = as_refused_before(request, call.repeat)
            running = await _accepted_once(request, pictures, call, choice)
    dropped, wish, streams = generation.dropped, generation.response_format, generation.hints.stream
    del call, generation  # thousands of calls may wait below: they should not keep their prompts twice
    fields["task_id"] = running.task_id
    if running.replayed:
        fields["replayed"] = True
    else:
        _note_skipped(request, running)

    if streams:
        headers = {**task_headers(running.view, dropped), **_replayed(running)}
        return await stream_images(request, running, headers, lambda view: _note(request, view))
    view = await _wait(request, running, choice, dropped)
    if view is None or not view.task.state.is_final:
        return await _as_task(request, running, choice, dropped)
    _note(request, view)
    return await _as_image(request, running, view, wish, choice, dropped, repeat)


async def _accepted_once(request: web.Request, pictures: BodyPictures, call: Call, choice: Choice) -> RunningTask:
    """The task that answers a call made before, else a new one."""
    running = await _repeated(request, call.repeat, choice)
    if running is not None:
        return running
    with noting_refusal(request, call.repeat):
        return await _accepted(request, pictures, call, choice)


async def _accepted(request: web.Request, pictures: BodyPictures, call: Call, choice: Choice) -> RunningTask:
    """A new task, or that of an equal call which was accepted at the same time."""
    principal, pipeline = request[PRINCIPAL], request.app[PIPELINE]
    with span("admission"):
        await take_rate(request)
        draft = call.draft
        if call.generation.images:
            draft = await pictures.resolved(call.generation, draft)
        admitted = await pipeline.admit(principal, draft)
    wish = cache_wish(request)
    running = await pipeline.accept(principal, admitted, choice.contract, call.most, call.repeat, wish)
    if not running.replayed and not running.served:
        pictures.keep()
    return running


async def _repeated(request: web.Request, repeat: Repeat | None, choice: Choice) -> RunningTask | None:
    """The task of the same call before, which counts among repeats and not among calls: it must not be refused what the first one was granted."""
    if repeat is None:
        return None
    try:
        running = await request.app[PIPELINE].repeated(request[PRINCIPAL], repeat, choice.contract)
    except GatewayError:
        await note_rate(request)
        raise
    if running is not None:
        await note_rate(request)
    return running


async def _read(request: web.Request, pictures: BodyPictures, read: Read) -> Call:
    """What cannot be understood costs nothing of the rate."""
    try:
        return await read_call(request, pictures, read)
    except GatewayError:
        await note_rate(request)
        raise


async def _wait(
    request: web.Request, running: RunningTask, choice: Choice, dropped: tuple[str, ...]
) -> TaskView | None:
    """The finished task, or None where the caller gets a task to poll."""
    if choice.contract is Contract.TASK:
        return None
    every_s = request.app[SETTINGS].keep_alive_s
    if choice.wait_s is None and every_s is not None:
        headers = {**task_headers(running.view, dropped), **_replayed(running)}
        return await kept_alive(request, running.wait(), every_s, headers)
    if choice.wait_s is None:
        return await running.wait()
    try:
        async with asyncio.timeout(choice.wait_s):
            return await running.wait()
    except (TimeoutError, LeftRunning):  # who named a time knows what to do with a task
        return None


async def _as_task(
    request: web.Request, running: RunningTask, choice: Choice, dropped: tuple[str, ...]
) -> web.StreamResponse:
    view: TaskView = running.view
    if choice.wait_s:
        view = await request.app[PIPELINE].task(request[PRINCIPAL], view.task.id)
    headers = {**task_headers(view, dropped), **created_headers(view), **_applied(choice), **_replayed(running)}
    answer = task_answer(view) if view.task.state.is_final else task_created(view)
    return json_answer(answer, status=choice.task_status, headers=headers)


async def _as_image(
    request: web.Request,
    running: RunningTask,
    view: TaskView,
    wish: ResponseFormat | None,
    choice: Choice,
    dropped: tuple[str, ...],
    repeat: Repeat | None,
) -> web.StreamResponse:
    headers = task_headers(view, dropped)
    headers.update(_applied(choice))
    headers.update(_replayed(running))
    if view.task.state is not TaskState.COMPLETED:
        request[ERROR_HEADERS] = headers
        error = error_of_task(view.task)
        if repeat is not None and repeat.key:
            error.should_retry = False  # the same key is answered with the same failure
        elif not running.replayed and not any(attempt.billed in _PERHAPS_BILLED for attempt in view.attempts):
            note_refusal(request, repeat, error)
        raise error
    pictures = () if wish is ResponseFormat.URL else await running.pictures()
    return await send_parts(request, image_answer(view, running.request, wish, pictures), headers)


def _applied(choice: Choice) -> dict[str, str]:
    return {} if choice.preference_applied is None else {"Preference-Applied": choice.preference_applied}


def _replayed(running: RunningTask) -> Mapping[str, str]:
    return REPLAYED if running.replayed else {}


def _response(model: Model | None) -> Contract:
    """An unknown model is refused by admission; until then its caller is taken for one of OpenAI's contract."""
    return Contract.IMAGE if model is None else model.response


def _note_skipped(request: web.Request, running: RunningTask) -> None:
    """`dear/m over_budget, other/m not_able`; nothing where every offer was to be tried."""
    skipped = [f"{item.offer} {item.skipped}" for item in running.considered if item.skipped is not None]
    if skipped:
        request[LOG]["skipped"] = ", ".join(skipped)


def _note(request: web.Request, view: TaskView) -> None:
    task, fields = view.task, request[LOG]
    fields["upstream"] = view.upstream
    fields["cache"] = None if task.cache is None else task.cache.value
    fields["attempts"] = len(view.attempts)
    fields["outcome"] = task.state.value
    fields["credits"] = money.format_micro(task.used_microcredits)
    if not view.attempts:
        fields["cost_usd"] = "0"
        return
    fields["cost_usd"] = money.format_micro(sum(attempt.cost_microusd for attempt in view.attempts))
    failed = [f"{attempt.offer_id} {attempt.fault}" for attempt in view.attempts if attempt.fault is not None]
    if failed:
        fields["failed"] = ", ".join(failed)
    if at_last := view.last_resorts:
        fields["last_resort"] = ", ".join(a.offer_id for a in view.attempts if a.id in at_last)
