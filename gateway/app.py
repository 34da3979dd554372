"""The composition root: builds every object in order from Config, starts them, and stops them in the opposite order.

The only file that knows all packages. How it fails: StartFailed with one sentence for the operator; nothing is left running.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from gateway import __version__, app_metrics, app_upstreams, secret_files
from gateway.administration.administration import Administration
from gateway.administration.audit_log import AuditLog
from gateway.administration.budget_watch import BudgetWatch
from gateway.administration.operator import Operator
from gateway.administration.refused_budgets import RefusedBudgets
from gateway.administration.usage import Usage
from gateway.alerts.deliverer import Deliverer, Receiver
from gateway.api.body_budget import BodyBudget
from gateway.api.connections import BoundedSite, connections_max, raise_open_files_limit
from gateway.api.control import make_control_app
from gateway.api.server import (
    assert_compiled_parser,
    make_app,
    make_metrics_app,
    make_runner,
)
from gateway.api.state import ApiSettings
from gateway.app_admission import admission
from gateway.app_background import background
from gateway.app_callbacks import callback_deliverer
from gateway.app_console import console_of
from gateway.app_keys import declare_again, keep_used, keep_used_often, reload_keys
from gateway.app_office import (
    FirstSecrets,
    Office,
    StartFailed,
    declare,
    first_secrets,
    open_office,
)
from gateway.app_pictures import Pictures, open_pictures, presigned_links
from gateway.app_quote import QuoteCommands
from gateway.app_reload import Current, Reloader, Reread
from gateway.app_retention import sweeper
from gateway.app_sharing import sharing_of
from gateway.app_shutdown import drain
from gateway.app_state import KeyNews, open_shared
from gateway.app_telemetry import log_to, open_lines, open_traces
from gateway.blobs.links import LinkKey, LinkSigner
from gateway.blobs.store import BlobStoreUnavailable
from gateway.callbacks.deliverer import Deliverer as CallbackDeliverer
from gateway.config import Config, load
from gateway.db.url import Dialect
from gateway.domain.clock import Clock, SystemClock
from gateway.domain.ids import new_owner_id
from gateway.egress.caller_urls import CallerUrls
from gateway.limits.outage import Outage
from gateway.pipeline import crash_points
from gateway.pipeline.accept import Acceptance
from gateway.pipeline.callers import Callers
from gateway.pipeline.cancelling import Cancelling
from gateway.pipeline.housekeeping import Housekeeping
from gateway.pipeline.limiting import Limiting
from gateway.pipeline.offering import Terms
from gateway.pipeline.pipeline import Pipeline
from gateway.pipeline.recovery import Recovery
from gateway.pipeline.results import Results
from gateway.pipeline.runner import Runner
from gateway.pipeline.tools import Tools
from gateway.retention.sweeper import Sweeper
from gateway.routing.health import Circuits
from gateway.telemetry.logs import CanonicalLog, LineWriter
from gateway.telemetry.loop_lag import watch_loop_lag
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces
from gateway.upstreams.base import Adapter
from gateway.upstreams.registry import build as build_adapter
from gateway.upstreams.wire import Resources

log = logging.getLogger(__name__)

UPSTREAM_THREADS = 2
"""For parsing large answers and drawing: what runs beside the event loop, on the smallest machine two cores."""
BACKLOG = 1024
GC_THRESHOLD = 5_000
"""Objects made and not freed before the youngest are looked through; 700, as Python has it, are a few calls. With `freeze` 7 % of a call."""
M_ARENA_MAX = -8  # malloc.h
ARENAS_MAX = 2
"""Sixteen answers of 2 MB at once: 270 MB at the highest instead of 350, as fast; with one arena per core times eight, as glibc has it."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves."""

    config: Config
    first: FirstSecrets
    recovered: int
    port: int


@dataclass(frozen=True, slots=True)
class House:
    """Everything that works on calls, built from one config and not yet serving."""

    pipeline: Pipeline
    acceptance: Acceptance
    runner: Runner
    recovery: Recovery
    cancelling: Cancelling
    housekeeping: Housekeeping
    metrics: Metrics
    watch: BudgetWatch
    deliverer: Deliverer
    callbacks: CallbackDeliverer
    sweeper: Sweeper
    pictures: Pictures
    bodies: BodyBudget
    key_news: KeyNews
    traces: Traces | None
    """None: off."""

    def jobs(self) -> tuple[Coroutine[object, object, None], ...]:
        """What runs beside the calls, until the gateway stops."""
        return (
            self.recovery.run(),
            self.cancelling.run(),
            self.housekeeping.run(),
            self.watch.run(),
            self.deliverer.run(),
            self.callbacks.run(),
            self.pipeline.waits.run(),
            self.sweeper.run(),
        )


@asynccontextmanager
async def running(
    config: Config,
    clock: Clock | None = None,
    lines: LineWriter | None = None,
    hurry: asyncio.Event | None = None,
    reread: Reread | None = None,
    asked: asyncio.Event | None = None,
) -> AsyncIterator[Gateway]:
    """A whole gateway, serving until the block ends; then it drains, faster once `hurry` is set. Raises StartFailed.

    The config is read again, by `reread`, when its files change or `asked` is set.
    """
    assert_compiled_parser()
    clock = clock or SystemClock()
    lines = lines or open_lines(config.log)
    log_to(lines, config.log)
    crash_points.arm(config.crash_at)
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(
            open_office(config, clock, migrating=config.database.dialect is Dialect.SQLITE)
        )
        await declare(config, office)
        made = await first_secrets(config, office)
        stack.push_async_callback(keep_used, office)
        port, listening = _listen(config.server.host, config.server.port)
        stack.callback(listening.close)
        started, config = config, config.listening_on(config.server.host, port)
        office.current.config = config
        house = await stack.enter_async_context(_built(config, office, clock))
        recovered = await _take_up(office, house)
        reloader = Reloader(
            office.current,
            reread or (lambda names: load(started.path, running=names)),
            lambda taken: declare_again(taken, office),
            asked or asyncio.Event(),
            started=started,
        )
        await stack.enter_async_context(
            background(
                *house.jobs(),
                office.erasing.run(),
                watch_loop_lag(house.metrics.loop_lag),
                reloader.run(),
                reload_keys(office, house.key_news) if config.database.dialect is Dialect.POSTGRESQL else None,
                keep_used_often(office),
            )
        )
        http = make_runner(
            _application(config, office, house, CanonicalLog(lines, clock, config.log.level)),
            drain_s=config.server.drain_s,
        )
        await http.setup()
        most = connections_max(sum(upstream.concurrency for upstream in config.upstreams))
        await BoundedSite(http, listening, backlog=BACKLOG, connections_max=most).start()
        stack.push_async_callback(
            drain,
            house.pipeline,
            house.acceptance,
            house.runner,
            house.recovery,
            http,
            config.server,
            hurry or asyncio.Event(),
        )
        await stack.enter_async_context(_control(config, office.operator))
        await stack.enter_async_context(_metrics_port(config, house.metrics))
        yield Gateway(config, made, recovered, port)


@asynccontextmanager
async def _built(config: Config, office: Office, clock: Clock) -> AsyncIterator[House]:
    """Adapters, stores and the pipeline over them; closed at the end. Raises StartFailed."""
    async with AsyncExitStack() as stack:
        metrics, circuits, owner = Metrics(), Circuits(clock), new_owner_id()
        traces = await stack.enter_async_context(open_traces(config, owner, clock))
        threads = ThreadPoolExecutor(UPSTREAM_THREADS, thread_name_prefix="upstream")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        resources = Resources(clock, threads, egress=config.egress)
        adapters = _adapters(config, resources)
        stack.push_async_callback(_close_all, adapters)
        try:
            blobs = await office.blobs()
        except BlobStoreUnavailable as exc:
            raise StartFailed(f"pictures cannot be stored: {exc}") from exc
        signer = _signer(config, office)
        pictures = await stack.enter_async_context(open_pictures(config, office.database, blobs, signer, clock))
        state, limits, key_news = await stack.enter_async_context(open_shared(config, owner, clock, metrics))
        office.keys.tell = office.tokens.tell = key_news.tell
        office.upstreams.live = lambda: app_upstreams.live(config, circuits, limits.slots)
        refusals = RefusedBudgets()
        tools = Tools(
            office.database, adapters, limits.slots, circuits, Results(blobs, clock, pictures.decoder), metrics, clock,
            app_metrics.counted(refusals.note, metrics), pictures.inputs,
        )  # fmt: skip
        runner = Runner(tools, sharing_of(office, state, metrics, clock), results_ms=config.retention.results_s * 1000)
        app_metrics.measure(office, blobs, runner, limits.slots, adapters, metrics)
        lease_ms = round(config.lease_s * 1000)
        current = office.current
        outage = Outage(clock, lambda: current.config.limits_on_store_failure, metrics.limiter_failed)
        limiting = Limiting(limits.rates, limits.tasks, outage, metrics, limits.meanwhile)
        acceptance = _acceptance(office, tools, runner, limiting, owner, lease_ms)
        caller_urls = CallerUrls(config.egress)
        stack.push_async_callback(caller_urls.close)
        rate = lambda: current.config.credits_per_usd  # noqa: E731 - as the other settings that may change
        cancelling = Cancelling(tools, runner, owner=owner, credits_per_usd=rate)
        pipeline = Pipeline(
            admission=admission(current, adapters, caller_urls),
            acceptance=acceptance,
            runner=runner,
            cancelling=cancelling,
            erasing=office.erasing,
            database=office.database,
            blobs=blobs,
            signer=signer,
            presigned=presigned_links(config, blobs, signer, clock),
            metrics=metrics,
            clock=clock,
            catalog=lambda: current.config.catalog,
            credits_per_usd=rate,
        )
        bodies = BodyBudget(turns=resources.turns)
        housekeeping = app_metrics.housekeeping(
            office, metrics, circuits, clock, lambda: resources.budget.used_bytes + bodies.used_bytes
        )
        recovery = Recovery(office.database, runner, limiting, clock, owner=owner, lease_ms=lease_ms, traces=traces)
        watch, deliverer = _alerting(office, metrics, refusals, clock)
        callbacks = callback_deliverer(
            office.database, pipeline, office.callback_secrets, current, metrics, clock, traces
        )
        sweeping = sweeper(office, config.retention, metrics, clock, owner, pictures.expired)
        yield House(
            pipeline, acceptance, runner, recovery, cancelling, housekeeping, metrics, watch, deliverer, callbacks, sweeping, pictures, bodies,
            key_news, traces,
        )  # fmt: skip


def _acceptance(
    office: Office, tools: Tools, runner: Runner, limiting: Limiting, owner: str, lease_ms: int
) -> Acceptance:
    current = office.current
    callers_key = secret_files.derive(office.secret_key, "image-gateway callers v1")
    callers = Callers(callers_key, tools.clock) if current.config.usage_callers else None
    terms = lambda: _terms(current, lease_ms)  # noqa: E731 - of each call's moment
    return Acceptance(tools, runner, limiting, runner.sharing, terms=terms, owner=owner, callers=callers)


def _signer(config: Config, office: Office) -> LinkSigner:
    """Of links to pictures: to results for callers, to callers' own for upstreams."""
    key = LinkKey("1", secret_files.derive(office.secret_key, "image-gateway links v1"))
    return LinkSigner([key], config.server.public_url)


def _alerting(
    office: Office, metrics: Metrics, refusals: RefusedBudgets, clock: Clock
) -> tuple[BudgetWatch, Deliverer]:
    """Who looks at budgets, and who tells, where the config says whom at that moment."""
    current = office.current

    def thresholds() -> tuple[int, ...]:
        return current.config.alerts.thresholds if current.config.alerts else ()

    def receiver() -> Receiver | None:
        alerts = current.config.alerts
        return Receiver(alerts.url, alerts.secret) if alerts else None

    watch = BudgetWatch(
        office.database, metrics, clock, refusals, thresholds=thresholds, deadline_s=lambda: current.config.deadline_s
    )
    return watch, Deliverer(office.database, receiver, current.config.egress, metrics, clock)


async def _take_up(office: Office, house: House) -> int:
    """What was left from before, tasks and erasures; says how many tasks. From here on quotes by command know this gateway's circuits."""
    office.operator.add(
        QuoteCommands(office.database, office.current, house.pipeline.admit, house.pipeline.quote).commands
    )
    await office.erasing.finish_left()
    return await house.recovery.start()


def _terms(current: Current, lease_ms: int) -> Terms:
    """What the config says about the call that is accepted now."""
    return Terms(
        current.config.markup, current.config.credits_per_usd, current.config.deadline_s, lease_ms
    )  # fmt: skip


def _application(config: Config, office: Office, house: House, canonical: CanonicalLog) -> web.Application:
    """The HTTP edge over a house."""
    return make_app(
        pipeline=house.pipeline,
        uploads=house.pictures.uploads,
        bodies=house.bodies,
        authenticator=office.authenticator,
        metrics=house.metrics,
        canonical=canonical,
        traces=house.traces,
        admin_tokens=office.admin_tokens,
        administration=Administration(
            office.accounts,
            office.keys,
            office.tokens,
            AuditLog(office.database),
            office.alerts,
            Usage(office.database),
            office.tasks,
            office.in_doubt,
            office.upstreams,
            office.holds,
            office.overviews,
            office.callbacks,
            office.callback_secrets,
        ),
        console=console_of(config, office),
        settings=ApiSettings(
            default_model=lambda: office.current.config.catalog.default_model,
            credits_per_usd=lambda: office.current.config.credits_per_usd,
            version=__version__,
            metrics_public=config.metrics.public,
            public_url=config.server.public_url,
            keep_alive_s=config.server.keep_alive_s,
        ),
    )


async def serve(config: Config, announce: Callable[[Gateway], None], reread: Reread | None = None) -> None:
    """Serve until SIGTERM or SIGINT; the second one shortens the drain. SIGHUP reads the config again. Raises StartFailed."""
    raise_open_files_limit()
    stopping, hurry, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        (hurry if stopping.is_set() else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    _limit_arenas()
    async with running(config, hurry=hurry, reread=reread, asked=asked) as gateway:
        # What exists now stays: without this, a full collection walks all modules again and again, and stops the loop for as long.
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        announce(gateway)
        log.info("serving", extra={"version": __version__, "port": gateway.port, "recovered": gateway.recovered})
        await stopping.wait()
        log.info("shutting down: readiness is off, running tasks go on")


def _limit_arenas() -> None:
    """Before the threads begin: glibc gives each thread memory of its own otherwise, and what a picture left in one is of no use to the others."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such knob, and no such arenas
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS_MAX)


def _adapters(config: Config, resources: Resources) -> dict[str, Adapter]:
    try:
        return {settings.name: build_adapter(settings, resources) for settings in config.upstreams}
    except ValueError as exc:
        raise StartFailed(str(exc)) from exc


async def _close_all(adapters: dict[str, Adapter]) -> None:
    for adapter in adapters.values():
        await adapter.close()


def _listen(host: str, port: int) -> tuple[int, socket.socket]:
    """A listening socket. Port 0 takes a free one. Raises StartFailed."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise StartFailed(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another with --host or --port"
        ) from exc
    listening.setblocking(False)
    return listening.getsockname()[1], listening


@asynccontextmanager
async def _control(config: Config, operator: Operator) -> AsyncIterator[None]:
    """The commands' socket of an embedded gateway."""
    path = config.database.control_socket
    if path is None:
        yield
        return
    runner = web.AppRunner(make_control_app(operator), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, _private_socket(path)).start()
    except OSError as exc:
        log.warning("commands cannot reach this gateway while it runs", extra={"socket": str(path)}, exc_info=exc)
    try:
        yield
    finally:
        await runner.cleanup()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _private_socket(path: Path) -> socket.socket:
    """Bound at a path, for this user alone. No umask: that is the whole process's, and other threads make directories meanwhile."""
    path.unlink(missing_ok=True)  # of a process that was killed: the database's lock says that it is dead
    listening = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(OSError):  # where this is not known the chmod below does it, a moment later
            os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


@asynccontextmanager
async def _metrics_port(config: Config, metrics: Metrics) -> AsyncIterator[None]:
    """`/metrics` on a port of its own, where the config names one. Raises StartFailed."""
    if config.metrics.port is None:
        yield
        return
    _, listening = _listen(config.server.host, config.metrics.port)
    runner = web.AppRunner(make_metrics_app(metrics), access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    try:
        yield
    finally:
        await runner.cleanup()
