"""What the gateway says of itself, put together as the config says it: its lines, and its traces."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway import __version__
from gateway.config import Config
from gateway.config_tracing import LogConfig, LogFormat
from gateway.domain.clock import Clock
from gateway.telemetry.logs import LineWriter, configure
from gateway.telemetry.terminal import Terminal
from gateway.telemetry.traces import Traces


def open_lines(config: LogConfig) -> LineWriter:
    """To standard error: for people where it is a terminal, or the config says so."""
    is_terminal = sys.stderr.isatty()
    if config.format is LogFormat.JSON or (config.format is LogFormat.AUTO and not is_terminal):
        return LineWriter(sys.stderr.buffer)
    return LineWriter(sys.stderr.buffer, shown=Terminal(colours=is_terminal and config.colours))


def log_to(lines: LineWriter, config: LogConfig) -> None:
    """From now on everything that is logged goes there."""
    configure(lines, logging.getLevelNamesMapping()[config.level.upper()])
    logging.getLogger("alembic").setLevel(logging.WARNING)


@asynccontextmanager
async def open_traces(config: Config, instance: str, clock: Clock) -> AsyncIterator[Traces | None]:
    """None where tracing is off: then nothing of OpenTelemetry is imported. What is left is sent at the end."""
    if config.tracing is None:
        yield None
        return
    from gateway.telemetry.otlp import Collector, OtlpTraces

    told = config.tracing
    collector = Collector(told.endpoint, told.headers, told.ca_file, told.sample, told.follow, told.service)
    traces = OtlpTraces(collector, version=__version__, instance=instance, clock=clock)
    try:
        yield traces
    finally:
        await traces.close()
