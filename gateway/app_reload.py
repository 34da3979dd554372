"""A changed config while the gateway runs: read again at SIGHUP or when its files change, refused whole or taken up whole.

`Current` is the one object that everybody asks what the config says now. Taken up are accounts, keys, the admin token, catalogue, prices and
whatever else is in TAKEN_UP; the rest waits for a restart, which one warning says by the names of the settings, never by their values.

How it fails: a config with problems is logged, each problem, and the running one stays; so it does where the database does not answer, and then
it is tried again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import fields, replace
from pathlib import Path

from gateway.config import Config, ConfigError
from gateway.db.connection import StatementFailed
from gateway.domain.errors import GatewayError
from gateway.upstreams.base import UpstreamSettings

log = logging.getLogger(__name__)

POLL_S = 2.0
"""Between two looks at the files. A change is read when a second look finds it unchanged: an editor may be in the middle of it."""
PROBLEMS_LOGGED_MAX = 100

TAKEN_UP = frozenset({
    "accounts", "admin_token", "catalog", "markup", "credits_per_usd", "deadline_s", "upstream_budgets", "limits_on_store_failure", "alerts",
    "cache",
})  # fmt: skip
"""Fields of a config that a reload replaces; of the cache all but its bounds, which are taken at the start."""
TOLD = frozenset({"path", "catalog_path", "upstreams_off", "findings", "price_origins", "notes", "crash_at"})
"""Fields that nobody works by while the gateway runs."""
RESTART = {
    "server": "server",
    "metrics": "metrics",
    "secret_key": "secret_key",
    "database": "database",
    "state": "state",
    "blobs": "blobs",
    "bucket": "blobs",
    "blob_links": "blob_links",
    "lease_s": "lease",
    "egress": "egress",
    "retention": "retention",
    "quota": "files",
    "decoder": "images",
    "tracing": "tracing",
    "log": "log",
    "usage_callers": "usage.callers",
    "console": "console",
}
"""Fields that a restart alone replaces, with the names of their settings; upstreams besides, one by one."""
_UPSTREAM_SETTINGS = {"timeout_s": "timeout", "connect_timeout_s": "connect_timeout"}

Reread = Callable[[Collection[str]], Config]
"""Reads the config anew, as it is served by these upstreams alone. Raises ConfigError. Called in a thread."""
Signature = tuple[tuple[int, int] | None, ...]


class Current:
    """The config that a gateway runs by. Ask each time: a reload puts another one here."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.is_latest = True
        """False: the config that was read last could not be taken up."""


class KnownModels(Collection[str]):
    """The names of the models that are served now, aliases included."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def __contains__(self, name: object) -> bool:
        catalog = self._current.config.catalog
        return name in catalog.models or name in catalog.aliases

    def __iter__(self) -> Iterator[str]:
        catalog = self._current.config.catalog
        return iter({*catalog.models, *catalog.aliases})

    def __len__(self) -> int:
        return len(set(self))


class Reloader:
    """Watches the files of one gateway's config. `declare` makes the database agree with a config."""

    def __init__(
        self,
        current: Current,
        reread: Reread,
        declare: Callable[[Config], Awaitable[None]],
        asked: asyncio.Event,
        *,
        started: Config | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """`asked`: set by SIGHUP. `started`: the config as it was read, where what serves has a port in it that the system chose."""
        self._current = current
        self._reread = reread
        self._declare = declare
        self._asked = asked
        self._started = started or current.config
        self._poll_s = poll_s
        self._read = self._changed = _signature(_files(current.config))

    async def run(self) -> None:
        """Look, wait, look again; until cancelled."""
        unfinished = False
        while True:
            is_asked = await self._is_asked_within(self._poll_s)
            seen = await asyncio.to_thread(_signature, _files(self._current.config))
            is_whole, self._changed = seen == self._changed, seen
            if is_asked or unfinished or (seen != self._read and is_whole):
                self._read = seen
                unfinished = not await self._reload_safely()

    async def reload(self) -> bool:
        """Read the config and take it up. False: it should be tried again, since the database did not answer."""
        self._current.is_latest = False
        try:
            fresh = await asyncio.to_thread(self._reread, [upstream.name for upstream in self._started.upstreams])
        except ConfigError as exc:
            for problem in exc.errors[:PROBLEMS_LOGGED_MAX]:
                log.error("the config has a problem", extra={"problem": str(problem)})
            log.error(
                "the config was refused whole: the one that was read before stays", extra={"problems": len(exc.errors)}
            )
            return True
        before = self._current.config
        taken = replace(
            before,
            catalog_path=fresh.catalog_path,
            **{name: getattr(fresh, name) for name in TAKEN_UP},
        )
        try:
            await self._declare(taken)
        except (GatewayError, StatementFailed, ValueError) as exc:
            log.error("the config could not be taken up: the one before stays", exc_info=exc)
            return not isinstance(exc, GatewayError)  # a secret that another key has will not go away by itself
        self._current.config, self._current.is_latest = taken, True
        changed = sorted(name for name in TAKEN_UP if getattr(before, name) != getattr(taken, name))
        log.info("the config was read again", extra={"changed": ", ".join(changed) or "nothing"})
        waiting = [*waiting_settings(self._started, fresh)]
        if waiting:
            log.warning("some changed settings wait for a restart", extra={"settings": ", ".join(waiting)})
        return True

    async def _reload_safely(self) -> bool:
        """A fault of ours in reading one config must not make the gateway deaf to the next one."""
        try:
            return await self.reload()
        except Exception:
            log.exception("the config could not be taken up: the one before stays")
            return True

    async def _is_asked_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True


def waiting_settings(started: Config, fresh: Config) -> Iterator[str]:
    """The settings that differ and need a restart, by the names of the config file."""
    for name, setting in RESTART.items():
        if getattr(started, name) != getattr(fresh, name):
            yield setting
    running = {upstream.name: upstream for upstream in started.upstreams}
    for upstream in fresh.upstreams:
        before = running.get(upstream.name)
        if before is None:
            yield f"upstreams.{upstream.name}"
        elif before != upstream:
            yield from _differing(before, upstream)


def _differing(before: UpstreamSettings, after: UpstreamSettings) -> Iterator[str]:
    for field in fields(UpstreamSettings):
        if field.name == "options":
            names = sorted(
                name
                for name in {*before.options, *after.options}
                if before.options.get(name) != after.options.get(name)
            )
        else:
            same = getattr(before, field.name) == getattr(after, field.name)
            names = [] if same else [_UPSTREAM_SETTINGS.get(field.name, field.name)]
        for name in names:
            yield f"upstreams.{after.name}.{name}"


def _files(config: Config) -> tuple[Path, ...]:
    return (config.catalog_path,) if config.path is None else (config.path, config.catalog_path)


def _signature(files: tuple[Path, ...]) -> Signature:
    """Of each file when it was written and its size; None where it is not to be had."""
    found: list[tuple[int, int] | None] = []
    for path in files:
        try:
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
