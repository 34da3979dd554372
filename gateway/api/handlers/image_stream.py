"""A streamed image answer: partial pictures while they come, the finished ones after the money is settled, heartbeats between.

A client that leaves ends the stream and not the task: its picture is paid for, and can be had by its task's id.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from gateway.api.errors import error_of_task
from gateway.api.event_stream import EventStream
from gateway.api.ports import RunningTask, TaskView
from gateway.api.state import LOG
from gateway.domain.errors import GatewayError
from gateway.domain.images import PartialImage
from gateway.domain.tasks import TaskState

HEARTBEAT_S: Final = 10.0
"""Proxies cut silent connections after 60 s, some after 30."""


async def stream_images(
    request: web.Request, running: RunningTask, headers: Mapping[str, str], note: Callable[[TaskView], None]
) -> web.StreamResponse:
    """Sends the whole stream. `note` hears how the task ended."""
    stream = EventStream(request, running.view.task, running.request)
    await stream.open(headers)
    try:
        while (news := await _news(running)) is not None:
            if isinstance(news, TimeoutError):
                await stream.heartbeat()
            else:
                await stream.partial(news)
        view = await running.wait()
        note(view)
        if view.task.state is not TaskState.COMPLETED:
            raise error_of_task(view.task)
        await stream.completed(view.task, view.dropped, await running.pictures())
    except GatewayError as exc:
        _note_error(request, exc)
        await stream.error(exc)
    await stream.close()
    return stream.response


async def _news(running: RunningTask) -> PartialImage | TimeoutError | None:
    """A partial picture, or that none came within HEARTBEAT_S; None at the task's end."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return await running.next_partial()
    except TimeoutError as exc:
        return exc


def _note_error(request: web.Request, error: GatewayError) -> None:
    """The status of this answer was sent long ago: only the log can say how it went."""
    request[LOG].update(error=error.code, error_param=error.param, error_log=error.log)
