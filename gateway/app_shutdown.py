"""How a gateway ends: in the order that loses no call, no picture and no connection."""

import asyncio
import contextlib
import logging

from aiohttp import web

from gateway.api.server import announce_close, finish, stop_listening
from gateway.config import ServerConfig
from gateway.pipeline.accept import Acceptance
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.recovery import HAND_BACK_S_MAX, Recovery
from gateway.pipeline.runner import Runner

log = logging.getLogger(__name__)

LAST_REQUESTS_S = 0.25
"""Between closing the listening socket and closing idle connections: a connection made at the last moment still brings its request."""
HURRY_S = 5.0
"""What a second signal leaves of the drain: enough for the end of a task to be stored, short enough for whoever is pressing Ctrl-C."""
LEAVE_S = 0.25
"""How often is looked for tasks that may be left by now."""
LAST_ANSWERS_S = 2.0
"""For telling callers that the time is up."""


async def drain(
    pipeline: Pipeline,
    acceptance: Acceptance,
    runner: Runner,
    recovery: Recovery,
    http: web.AppRunner,
    server: ServerConfig,
    hurry: asyncio.Event,
) -> None:
    """Out of the traffic, then no more calls, then the end of what is running; the rest is for the next process.

    Takes at most `accept_after_term` and `drain` and a few seconds; once `hurry` is set HURRY_S and a few seconds.
    """
    loop = asyncio.get_running_loop()
    pipeline.drain()
    announce_close(http)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(server.accept_after_term_s):
            await hurry.wait()
    await stop_listening(http)
    if server.accept_after_term_s:
        await asyncio.sleep(LAST_REQUESTS_S)
    acceptance.closed = runner.closing = True
    until_s = loop.time() + server.drain_s
    ended = asyncio.Event()
    leaving = asyncio.create_task(_leave(runner, recovery, ended))
    finishing, hurried = asyncio.create_task(_finish(runner, http)), asyncio.create_task(hurry.wait())
    await asyncio.wait({finishing, hurried}, timeout=until_s - loop.time(), return_when=asyncio.FIRST_COMPLETED)
    if hurry.is_set() and not finishing.done():
        log.warning("a second signal: what does not end soon is left for the next process")
        await asyncio.wait({finishing}, timeout=max(0.0, min(HURRY_S, until_s - loop.time())))
    interrupted = await runner.drain(0.0)
    await asyncio.wait({finishing}, timeout=LAST_ANSWERS_S)
    ended.set()
    await asyncio.wait({leaving}, timeout=HAND_BACK_S_MAX)
    jobs = finishing, hurried, leaving
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    await recovery.hand_back()
    if interrupted:
        log.warning("tasks are left for the next process", extra={"tasks": interrupted})


async def _leave(runner: Runner, recovery: Recovery, ended: asyncio.Event) -> None:
    """Hand over what other processes can do as well, and what they can from some later moment on: once a job's id is in the books."""
    while not ended.is_set():
        left = await runner.leave()
        if left:
            await recovery.hand_back(left)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await ended.wait()


async def _finish(runner: Runner, http: web.AppRunner) -> None:
    """Until every caller has an answer and every task has ended. Callers first: a call that is being accepted now still finds the runner open."""
    await finish(http)
    while runner.working:  # noqa: ASYNC110 - nothing tells that the last of several tasks has ended
        await asyncio.sleep(0.02)
