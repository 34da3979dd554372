"""Sends what is due in the outbox, each message by itself, and writes down how each try went.

At least once: a process that dies between a send and its note leaves the callback to be sent again by whoever looks after its lease, under the same
id and with the same body. One slow receiver delays no other: so many are on their way to a host, and its rest is not even claimed. How it fails: a
database that does not answer is asked again at the next look; a try that cannot be noted counts as never made.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from gateway.callbacks import store
from gateway.callbacks.circuits import EndpointCircuits
from gateway.callbacks.lanes import Lanes
from gateway.callbacks.schedule import GONE, next_step
from gateway.db.connection import Connection, StatementFailed
from gateway.db.writer import Database, Transact
from gateway.domain.callbacks import Callback, CallbackState, CallbackTry
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.ids import AccountId, TaskId
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Kind, Traces, below, outgoing, span
from gateway.webhooks.sending import Reply, Sender
from gateway.webhooks.signing import signed_headers

log = logging.getLogger(__name__)

LOOK_S = 0.5
PAGE = 200
"""Due callbacks that are looked at in one look."""
LEASE_MS = 30_000
"""Longer than a try and its note take. What a dead process had claimed is sent by the next one after that time."""
LAST_S = 2.0
"""What is on its way when the process ends may take so long; the rest another process sends again after its lease."""
FIGURES_LOOKS = 10
SWEEP_LOOKS = 120
"""Every minute."""
SWEEP_SIZE = 500

Render = Callable[[Sequence[TaskId]], Awaitable[Mapping[TaskId, str]]]
"""Ended tasks as JSON, as their query answers it; those that are gone are absent."""
Secrets = Callable[[Collection[AccountId]], Awaitable[Mapping[AccountId, Sequence[bytes]]]]
"""What signs the messages of each key now: one secret, or two during a rotation."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Deliveries hang below the calls that wished them."""

    traces: Traces
    parents: Callable[[Sequence[TaskId]], Awaitable[Mapping[TaskId, str | None]]]
    """The span under which each task was accepted."""


class Moment(StrEnum):
    """The moments between durable steps, for tests that kill the process there."""

    DUE = "callback-due"
    """Found, not claimed."""
    CLAIMED = "callback-claimed"
    SENT = "callback-sent"
    """The receiver has answered, and nobody knows."""
    NOTED = "callback-noted"


class Deliverer:
    """Runs until cancelled. What is on its way then and is not answered soon is sent again after its lease."""

    def __init__(
        self,
        database: Database[Transact, object],
        sender: Sender,
        render: Render,
        secrets: Secrets,
        metrics: Metrics,
        clock: Clock,
        *,
        kept_ms: Callable[[], int],
        traced: Traced | None = None,
        reached: Callable[[Moment], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._sender = sender
        self._render = render
        self._secrets = secrets
        self._metrics = metrics
        self._clock = clock
        self._kept_ms = kept_ms
        self._traced = traced
        self._reached = reached
        self._lanes = Lanes()
        self._circuits = EndpointCircuits()
        self._more = False
        """There was more than one look shows: look again at once."""
        self._free = asyncio.Event()
        """Set when a message has come to its end: there is room for others."""

    async def run(self) -> None:
        """Send what is due as soon as there is room, look again half a second later."""
        try:
            async with asyncio.TaskGroup() as group:
                sending: set[asyncio.Task[None]] = set()
                try:
                    await self._send_on(group, sending)
                finally:
                    if sending:
                        await asyncio.wait(sending, timeout=LAST_S)
        finally:
            await self._sender.close()

    async def _send_on(self, group: asyncio.TaskGroup, sending: "set[asyncio.Task[None]]") -> None:
        looks = 0
        while True:
            self._free.clear()
            claimed = await self._look(looks)
            for callback, secrets in claimed:
                task = group.create_task(self._deliver(callback, secrets))
                sending.add(task)
                task.add_done_callback(sending.discard)
            if not claimed and not self._more:
                looks += 1
                await self._wait()

    async def deliver_due(self) -> int:
        """One look and all that it found, to their ends; says how many were tried. Raises StorageUnavailable, Overloaded."""
        claimed = await self._claim()
        async with asyncio.TaskGroup() as group:
            for callback, secrets in claimed:
                group.create_task(self._deliver(callback, secrets))
        return len(claimed)

    async def sweep(self) -> int:
        """Delete what ended longer ago than tasks are kept; says how many. Raises StorageUnavailable."""
        before_ms, deleted = self._clock.now_ms() - self._kept_ms(), [0]

        async def write(connection: Connection, _: int) -> None:
            deleted[0] = await store.delete_ended(connection, before_ms=before_ms, size=SWEEP_SIZE)

        await self._database.write(Transact(write))
        return deleted[0]

    async def _look(self, looks: int) -> list[tuple[Callback, Sequence[bytes]]]:
        """What was claimed; nothing while the database does not answer."""
        try:
            if looks % FIGURES_LOOKS == 0:
                counts = await self._database.read(store.count_callbacks)
                self._metrics.callbacks_waiting(due=counts.due, dead=counts.dead)
            if looks % SWEEP_LOOKS == SWEEP_LOOKS - 1:
                await self.sweep()
            return await self._claim()
        except (GatewayError, StatementFailed) as exc:  # whatever it is, the next look may succeed
            log.warning("callbacks cannot be read or written now", exc_info=exc)
            return []

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._free.wait()
        except TimeoutError:
            pass

    async def _claim(self) -> list[tuple[Callback, Sequence[bytes]]]:
        """Of what is due, as much as there is room for, its bodies durable and its lanes taken."""
        now_ms, self._more = self._clock.now_ms(), False
        if self._lanes.free <= 0:
            return []
        look = partial(store.read_due, now_ms=now_ms, full=self._lanes.full(), size=PAGE)
        due = await self._database.read(look)
        if not due:
            return []
        self._reached(Moment.DUE)
        postponed: dict[int, list[str]] = {}
        chosen: list[Callback] = []
        for callback in due:
            if not self._lanes.take(callback.host):
                continue
            until_ms = self._circuits.postponed_until_ms(callback, now_ms)
            if until_ms is None:
                chosen.append(callback)
            else:
                self._lanes.release(callback.host)
                postponed.setdefault(until_ms, []).append(callback.id)
        claimed: list[Callback] = []
        try:
            bodies, secrets = await self._prepared(chosen)
            await self._write_claim(chosen, bodies, postponed, now_ms, claimed)
        finally:
            mine = {callback.id for callback in claimed}
            for callback in chosen:
                if callback.id not in mine:
                    self._lanes.release(callback.host)
        self._more = len(due) == PAGE
        for ids in postponed.values():
            self._metrics.callbacks_postponed(len(ids))
        if claimed:
            self._reached(Moment.CLAIMED)
        return [(callback, secrets.get(callback.account, ())) for callback in claimed]

    async def _prepared(
        self, chosen: Sequence[Callback]
    ) -> tuple[Mapping[TaskId, str], Mapping[AccountId, Sequence[bytes]]]:
        if not chosen:
            return {}, {}
        new = [callback.task for callback in chosen if callback.body is None]
        bodies = await self._render(new) if new else {}
        return bodies, await self._secrets({callback.account for callback in chosen})

    async def _write_claim(
        self,
        chosen: Sequence[Callback],
        bodies: Mapping[TaskId, str],
        postponed: Mapping[int, Sequence[str]],
        now_ms: int,
        claimed: list[Callback],
    ) -> None:
        """In one commit, before anything is sent. `claimed` is filled once it is known to be written."""
        found: list[Callback] = []

        async def write(connection: Connection, _: int) -> None:
            for until_ms, ids in postponed.items():
                await store.claim_callbacks(connection, ids, now_ms=now_ms, until_ms=until_ms)
            ids = [callback.id for callback in chosen]
            won = await store.claim_callbacks(connection, ids, now_ms=now_ms, until_ms=now_ms + LEASE_MS)
            new = [(bodies[c.task], c.id) for c in won if c.body is None and c.task in bodies]
            await store.keep_bodies(connection, new)
            found[:] = [replace(c, body=bodies.get(c.task)) if c.body is None else c for c in won]

        await self._database.write(Transact(write))
        claimed[:] = found

    async def _deliver(self, callback: Callback, secrets: Sequence[bytes]) -> None:
        """One try, from the claim to its note. Never raises: it is one of many in a group."""
        try:
            if self._traced is None:
                await self._try(callback, secrets)
            else:
                await self._try_traced(self._traced, callback, secrets)
        except (GatewayError, StatementFailed) as exc:
            log.warning(
                "a callback's try could not be noted: it is made again", extra={"callback": callback.id}, exc_info=exc
            )
        except Exception:  # a bug here must not keep the others from being delivered
            log.exception("a callback could not be delivered", extra={"callback": callback.id})
        finally:
            self._lanes.release(callback.host)
            self._free.set()

    async def _try_traced(self, traced: Traced, callback: Callback, secrets: Sequence[bytes]) -> None:
        parents = await traced.parents([callback.task])
        told = {"gateway.task.id": callback.task, "gateway.callback.id": callback.id, "server.address": callback.host}
        with below(traced.traces, parents.get(callback.task)), span("callback", told, Kind.CLIENT) as spanned:
            status = await self._try(callback, secrets)
            spanned.set({"http.request.method": "POST", "http.response.status_code": status})
            if status is None or status >= 400:
                spanned.fail("not_reached" if status is None else str(status))

    async def _try(self, callback: Callback, secrets: Sequence[bytes]) -> int | None:
        """The receiver's status, where it answered."""
        at_ms = self._clock.now_ms()
        if at_ms >= callback.next_at_ms:
            return None  # this process stood still for longer than its claim: whoever claims it next sends it
        if callback.body is None or not secrets:
            gone = "its task is gone" if callback.body is None else "its key is gone"
            await self._note(callback, CallbackTry(at_ms, None, 0, gone), CallbackState.DEAD, 0, gone)
            self._metrics.callback_ended("dead")
            return None
        body = callback.body.encode()
        signed = signed_headers(secrets, callback.id, at_ms // 1000, body)
        reply = await self._sender.post(callback.url, body, {**signed, **outgoing()})
        self._reached(Moment.SENT)
        now_ms, step = self._clock.now_ms(), next_step(callback.tries, reply)
        made = CallbackTry(at_ms, reply.status, reply.took_ms, reply.said if reply.status is not None else reply.text)
        noted = await self._note(callback, made, step.state, now_ms + step.pause_s * 1000, reply.text)
        self._reached(Moment.NOTED)
        if reply.accepted:
            self._circuits.succeeded(callback)
        elif reply.status != GONE:  # which speaks of one message alone
            self._circuits.failed(callback, now_ms)
        self._count(callback, reply, step.state, now_ms, noted=noted)
        return reply.status

    async def _note(
        self, callback: Callback, made: CallbackTry, state: CallbackState, next_at_ms: int, answer: str
    ) -> bool:
        noted = [False]

        async def write(connection: Connection, _: int) -> None:
            noted[0] = await store.note_try(connection, callback, made, state, next_at_ms=next_at_ms, answer=answer)

        await self._database.write(Transact(write))
        return noted[0]

    def _count(self, callback: Callback, reply: Reply, state: CallbackState, now_ms: int, *, noted: bool) -> None:
        self._metrics.callback_tried(f"{reply.status // 100}xx" if reply.status is not None else reply.text)
        if not noted:
            return  # somebody else's by now
        if state is CallbackState.SENT:
            self._metrics.callback_ended("sent", lag_s=max(0, now_ms - callback.created_at_ms) / 1000)
            return
        if state is CallbackState.DEAD:
            self._metrics.callback_ended("dead")
        facts = {
            "callback": callback.id, "task": callback.task, "host": callback.host, "answer": reply.log or reply.text,
            "tries": callback.tries + 1, "state": state.value,
        }  # fmt: skip
        log.warning("a callback was not delivered", extra=facts)
