"""The one path of a call, as the edge uses it: admit, accept, wait; and what callers ask about their tasks.

Every method raises classes of domain/errors.py and nothing else on purpose. A database or a blob store that does not answer is StorageUnavailable.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from gateway.blobs.links import LinkSigner
from gateway.blobs.presigned import PresignedLinks
from gateway.blobs.store import BlobStore, BlobStoreUnavailable
from gateway.db.connection import Connection
from gateway.db.writer import Database
from gateway.domain.accounts import Principal, RateState
from gateway.domain.catalog import Catalog, Model
from gateway.domain.clock import Clock
from gateway.domain.considered import Considered
from gateway.domain.errors import (
    InvalidTaskId,
    LeftRunning,
    StorageUnavailable,
    TaskNotFound,
    Unavailable,
)
from gateway.domain.ids import TaskId, is_task_id
from gateway.domain.images import Contract, ImageRequest, PartialImage
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import NO_WISH, CacheResult, CacheWish
from gateway.domain.tasks import Attempt, Task, TaskState
from gateway.ledger import decide
from gateway.ledger import store as ledger_store
from gateway.ledger.model import BalanceKey
from gateway.pipeline.accept import Acceptance
from gateway.pipeline.admission import Admission, Admitted, RequestDraft
from gateway.pipeline.cancelling import Cancelling
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.crash_points import CrashPoint, reached
from gateway.pipeline.frozen import read_plan, read_request
from gateway.pipeline.idempotency import AcceptedBefore
from gateway.pipeline.model_cards import ModelCards
from gateway.pipeline.picture_texts import WHOLE_BYTES_MAX, PictureText, stored_text
from gateway.pipeline.quoting import Quote, Quoting
from gateway.pipeline.repeating import Repeated
from gateway.pipeline.result_files import CONTENT_TYPES, ResultFile, no_blobs
from gateway.pipeline.results import SILENT, base64_text
from gateway.pipeline.runner import Runner
from gateway.pipeline.shared_reads import SharedReads
from gateway.pipeline.task_rows import Rows, with_attempts
from gateway.pipeline.views import Credits, TaskPage, TaskView, expiries_of, view_of
from gateway.pipeline.waits import HasGone
from gateway.pipeline.work import Ending, Work
from gateway.tasks import store as task_store
from gateway.tasks.erasing import Erase, Erasing
from gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

ELSEWHERE_POLL_S = 2.0
"""How often a caller's task that another process took over is looked at by itself, beside the one look at all of them."""
LOOK_S_MAX = 5.0
"""A loaded disk takes a probe in this time, a hanging one never."""
READY_KEPT_S = 1.0
"""A look writes and reads a probe file and asks the database: not for every stranger anew."""
NO_BLOBS = "pictures cannot be stored"
SLOW_LOOKS = 2
"""So many looks in a row must have waited a second for the database in vain."""


@dataclass(slots=True)
class RunningTask:
    """A task just accepted, or the one that answers a repeated call, for the caller who may wait for it."""

    pipeline: "Pipeline"
    work: Work
    dropped: tuple[str, ...]
    remaining_microcredits: int | None
    ending: Ending | None = None
    replayed: bool = False

    @property
    def task_id(self) -> TaskId:
        return self.work.task.id

    @property
    def served(self) -> bool:
        """It ended with its acceptance: its pictures were there, and the caller's own are not needed."""
        return self.work.task.cache is CacheResult.HIT

    @property
    def request(self) -> ImageRequest:
        """What the task makes."""
        return self.work.request

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every offer of the model in the order of the plan."""
        return self.work.plan.considered

    @property
    def view(self) -> TaskView:
        """As it was accepted, or found."""
        return self.pipeline.view(
            self.work.task,
            self.work.attempts,
            dropped=self.dropped,
            remaining_microcredits=self.remaining_microcredits,
            made_at_ms=self.work.made_at_ms,
        )

    async def next_partial(self) -> PartialImage | None:
        """The newest partial picture, as soon as there is one; None at the task's end. May be cancelled without harm. Raises LeftRunning."""
        if self.work.partials is not None:
            return await self.work.partials.next()
        await self.wait()
        return None

    async def wait(self) -> TaskView:
        """The task in its final state. May be cancelled without harm to the task. Raises LeftRunning where this process ends before."""
        self.ending = await self.work.end()
        reached(CrashPoint.BEFORE_ANSWER)
        if self.ending is None and self.pipeline.stopped:
            raise LeftRunning(
                "This gateway stops before the picture is there. The task goes on: do not send the call again, "
                f"but query GET /v1/tasks/{self.work.task.id}."
            )
        if self.ending is None:
            view = await self.pipeline.wait_elsewhere(self.work.task)
            self.ending = Ending(view.task, view.attempts, (), view.remaining_microcredits)
            return view
        await self.pipeline.prepare_links([self.ending.task])
        return self.pipeline.view(
            self.ending.task,
            self.ending.attempts,
            dropped=self.dropped,
            remaining_microcredits=self.ending.remaining_microcredits,
            made_at_ms=self.work.made_at_ms,
        )

    async def pictures(self) -> list[PictureText]:
        """Base64 text of every result, ready to stand between quotes; held only until it is asked for. Raises StorageUnavailable."""
        reached(CrashPoint.PICTURES_READ)
        ending, self.ending = self.ending, None
        if ending is None:
            return []
        if ending.pictures:
            return list(ending.pictures)
        return await self.pipeline.base64_results(ending.task)


class Pipeline:
    """What the edge is handed. Built once by the root."""

    def __init__(  # noqa: PLR0913 - by keyword, and called by the root alone
        self,
        *,
        admission: Admission,
        acceptance: Acceptance,
        runner: Runner,
        cancelling: Cancelling,
        erasing: Erasing,
        database: Database[Command, Outcome],
        blobs: BlobStore,
        signer: LinkSigner,
        presigned: PresignedLinks | None = None,
        metrics: Metrics,
        clock: Clock,
        catalog: Callable[[], Catalog],
        credits_per_usd: Callable[[], Decimal],
    ) -> None:
        self._admission = admission
        self._acceptance = acceptance
        self._runner = runner
        self._cancelling = cancelling
        self._erasing = erasing
        self._database = database
        self._blobs = blobs
        self._signer, self._presigned = signer, presigned
        self._metrics = metrics
        self._clock = clock
        self._catalog = catalog
        self._credits_per_usd = credits_per_usd
        self._quoting = Quoting(acceptance.offering, acceptance.terms, database, clock)
        self.cards = ModelCards(admission, acceptance.offering.capabilities)
        self._reads: SharedReads[Rows] = SharedReads()
        self._encoded: SharedReads[bytes] = SharedReads()
        self.waits = runner.waits
        self._looked_s: float | None = None
        self._slow_looks = 0
        self._troubles: list[str] = []

    @property
    def stopped(self) -> bool:
        """Nothing is worked on here any more."""
        return self._runner.stopped

    def drain(self) -> None:
        """From now on readiness fails, and no query waits for a task's end; what is running goes on."""
        self._acceptance.draining = True
        self.waits.end()

    async def take_rate(self, principal: Principal) -> RateState | None:
        """Count one call, whatever becomes of it; where no account of the path has a limit, None. Raises RateLimited, StorageUnavailable."""
        return await self._acceptance.limiting.take_rate(principal)

    async def rate(self, principal: Principal) -> RateState | None:
        """Where the path's tightest account stands; counts nothing."""
        return await self._acceptance.limiting.rate(principal)

    async def admit(self, principal: Principal, draft: RequestDraft) -> Admitted:
        """Check a call; nothing is held yet."""
        return await self._admission.admit(principal, draft)

    async def repeated(self, principal: Principal, repeat: Repeat, contract: Contract) -> RunningTask | None:
        """The task that answers a call made before; None: this call is to be accepted. Raises IdempotencyConflict, RateLimited."""
        found = await self._acceptance.idempotency.find(principal, repeat)
        return None if found is None else await self._again(principal, found, contract)

    async def accept(
        self,
        principal: Principal,
        admitted: Admitted,
        contract: Contract,
        max_microcredits: int | None = None,
        repeat: Repeat | None = None,
        wish: CacheWish = NO_WISH,
    ) -> RunningTask:
        """Hold, store and start a call. `max_microcredits`: the most that may be held for it; `repeat`: what it may be told by when it comes again.

        Raises MaxCreditsExceeded, TooManyTasks, InsufficientQuota, AllUpstreamsUnavailable, UnsupportedSize, StorageUnavailable, ShuttingDown,
        IdempotencyConflict.
        """
        reached(CrashPoint.ADMITTED)
        try:
            work, remaining, dropped = await self._acceptance.accept(
                principal, admitted, contract, max_microcredits, repeat, wish
            )
        except AcceptedBefore as exc:
            return await self._again(principal, exc.outcome, contract)
        reached(CrashPoint.ACCEPT_ANSWER)
        return RunningTask(self, work, dropped, remaining)

    async def _again(self, principal: Principal, found: Repeated, contract: Contract) -> RunningTask:
        """The task of the first call as it stands, and its end where this process or another one makes it. Raises IdempotencyConflict."""
        idempotency = self._acceptance.idempotency
        rows = await self._read_shared(found.task_id, principal)
        if not rows:
            raise idempotency.gone(found.task_id)
        [(task, attempts)] = rows
        pictures = contract is Contract.IMAGE
        if pictures and task.state is TaskState.COMPLETED and not task.has_results_at(self._clock.now_ms()):
            raise idempotency.gone(task.id)
        ended, making = self._runner.new_future(), self._runner.work_of(task.id)
        if task.state.is_final:
            ended.set_result(Ending(task, attempts, (), None))
        elif making is not None:
            ended = making.ended
            making.keep_pictures |= pictures  # somebody waits for them from now on
        else:
            ended.set_result(None)  # another process makes it, or will
        idempotency.count(found, joins=pictures and not task.state.is_final)
        plan, request = read_plan(task.plan_json), read_request(task.request_json, task.prompt)
        work = Work(task, plan, request, ended, self._clock.monotonic_s(), attempts)
        await self.prepare_links([task])
        return RunningTask(self, work, plan.dropped, None, replayed=True)

    async def quote(self, principal: Principal, admitted: Admitted, max_microcredits: int | None = None) -> Quote:
        """What a call would cost, hold and be answered now; nothing is stored, held or counted. Raises StorageUnavailable."""
        acceptance, limiting = self._acceptance, self._acceptance.limiting
        checks = (
            lambda: limiting.check_rate(principal),
            acceptance.check_ready,
            lambda: limiting.check_places(principal, usual_s=acceptance.usual_s(admitted.model)),
        )
        return await self._quoting.of(principal, admitted, max_microcredits, checks)

    async def task(self, principal: Principal, task_id: str) -> TaskView:
        """One of the key's own tasks. Raises InvalidTaskId, TaskNotFound."""
        if not is_task_id(task_id):
            raise InvalidTaskId(
                "A task id looks like task-unified-1757165031-uyujaw3d: send the id that the create call answered.",
                param="task_id",
            )
        found = await self._views(principal, [TaskId(task_id)])
        if not found:
            raise TaskNotFound("This key has no such task. Tasks are kept for a limited time.", param="task_id")
        return found[0]

    async def task_at_end(self, principal: Principal, task_id: str, wait_s: int, has_gone: HasGone) -> TaskView:
        """The same, when it has ended or the time is over, as it stands then. Raises also TooManyTasks, Overloaded."""
        view = await self.task(principal, task_id)
        if view.task.state.is_final or not wait_s:
            return view
        await self.waits.until_ended(view.task.id, principal.account, wait_s, has_gone)
        return view if has_gone() else await self.task(principal, task_id)

    async def tasks(
        self, principal: Principal, *, state: TaskState | None, model: str | None, page: int, page_size: int
    ) -> TaskPage:
        """A page of the key's own tasks, newest first."""
        total, tasks = await self._database.read(
            lambda connection: task_store.read_page(
                connection, principal.account, state=state or "", model=model or "", page=page, page_size=page_size
            )
        )
        return TaskPage(total, tuple(self.view(task, ()) for task in tasks))

    async def tasks_by_id(self, principal: Principal, ids: Sequence[str]) -> list[TaskView]:
        """The key's own tasks among these, in the order asked for; others are absent."""
        found = await self._views(principal, [TaskId(task_id) for task_id in dict.fromkeys(ids) if is_task_id(task_id)])
        by_id = {view.task.id: view for view in found}
        return [by_id[TaskId(task_id)] for task_id in dict.fromkeys(ids) if task_id in by_id]

    async def cancel(self, principal: Principal, task_id: str) -> TaskView:
        """Cancel what is not yet at an upstream, and have told to stop what is. Raises TaskNotCancellable, TaskNotFound, InvalidTaskId."""
        before = await self.task(principal, task_id)
        await self._cancelling.cancel(before.task)
        return await self.task(principal, task_id)

    async def erase(self, principal: Principal, task_id: str) -> TaskView:
        """Delete the prompt and the pictures of one of the key's own tasks. Raises Conflict while it is under way, TaskNotFound, InvalidTaskId."""
        before = await self.task(principal, task_id)
        await self._erasing.erase(Erase(before.task.id, principal.account))
        return await self.task(principal, task_id)

    def models(self, principal: Principal) -> list[Model]:
        """What this key may use; an alias comes as its model under the alias's name."""
        catalog = self._catalog()
        names = [*catalog.models, *catalog.aliases]
        found = [
            (name, catalog.find(name)) for name in names if principal.may_use(catalog.aliases.get(name, name), name)
        ]
        return [
            model if model.name == name else replace(model, name=name) for name, model in found if model is not None
        ]

    def model(self, principal: Principal, name: str) -> Model:
        """Raises ModelNotFound, ModelNotAllowed."""
        model = self._admission.model(principal, name)
        return model if model.name == name else replace(model, name=name)

    def find_model(self, name: str) -> Model | None:
        return self._catalog().find(name)

    async def credits(self, principal: Principal) -> Credits:
        """What this key and its account (team, or org where there is none) used and have left."""
        now_ms = self._clock.now_ms()
        books = await self._database.read(
            lambda connection: ledger_store.read_books(connection, principal.path, now_ms)
        )
        used = [books.balances[BalanceKey(account)].posted.microcredits for account in principal.path]
        return Credits(
            decide.remaining_microcredits(books, principal.path, self._credits_per_usd(), now_ms),
            used[0],
            decide.remaining_microcredits(books, principal.path[1:], self._credits_per_usd(), now_ms),
            used[1],
        )

    async def result(self, token: str, file: str) -> ResultFile | None:
        """The picture behind a signed link; None where the link is not valid, has expired, or its picture is gone."""
        target = self._signer.verify(token, file, self._clock.now_ms() // 1000)
        if target is None:
            return None
        try:
            size_bytes = await self._blobs.size(target.blob_name)
        except BlobStoreUnavailable as exc:
            raise no_blobs(exc) from exc
        content_type = CONTENT_TYPES.get(target.extension)
        if size_bytes is None or content_type is None:
            return None
        return ResultFile(content_type, size_bytes, self._blobs, target.blob_name)

    async def ready(self) -> list[str]:
        """Why this process should get no traffic; empty when it may. Whoever asks, the stores are looked at once in READY_KEPT_S."""
        now_s = self._clock.monotonic_s()
        if self._looked_s is None or now_s - self._looked_s >= READY_KEPT_S:
            self._looked_s = now_s
            self._troubles = await self._look()
        return ["shutting down", *self._troubles] if self._acceptance.draining else self._troubles

    async def _look(self) -> list[str]:
        reasons: list[str] = []
        try:
            async with asyncio.timeout(1.0):
                await self._database.read(_ping)
            self._slow_looks = 0
        except StorageUnavailable:
            reasons.append("the database does not answer")
        except TimeoutError:
            # Once it may be this machine that is slow, and while another process stops this one would be the last: no traffic for anybody.
            self._slow_looks += 1
            if self._slow_looks >= SLOW_LOOKS:
                reasons.append("the database does not answer")
        if self._database.failure() is not None:  # after the read, which may have seen it
            reasons.append("the database does not work")
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                await self._blobs.check()
        except (BlobStoreUnavailable, TimeoutError) as exc:
            reasons.append(NO_BLOBS)
            if NO_BLOBS not in self._troubles:  # the first look that finds it
                log.warning("not ready: pictures cannot be stored", extra={"cause": str(exc) or SILENT})
        return reasons

    async def prepare_links(self, tasks: Sequence[Task]) -> None:
        """Before views of tasks that have ended are rendered, for links that lead to a bucket."""
        if self._presigned is not None:
            await self._presigned.prepare(expiries_of(tasks))

    def view(
        self,
        task: Task,
        attempts: Sequence[Attempt],
        *,
        dropped: tuple[str, ...] = (),
        remaining_microcredits: int | None = None,
        made_at_ms: int | None = None,
    ) -> TaskView:
        return view_of(
            task,
            attempts,
            (self._presigned or self._signer).url,
            can_cancel=self._cancelling.can_cancel(task, attempts),
            estimated_time_s=self._runner.usual_s(task.model) or self._catalog().estimated_time_s(task.model),
            credits_per_usd=self._credits_per_usd(),
            dropped=dropped,
            remaining_microcredits=remaining_microcredits,
            age_s=self._age_s(made_at_ms or task.finished_at_ms),
        )

    def _age_s(self, made_at_ms: int | None) -> int:
        return 0 if made_at_ms is None else max(0, self._clock.now_ms() - made_at_ms) // 1000

    async def wait_elsewhere(self, task: Task) -> TaskView:
        """The end of a task that another process works on, or nobody: then until its deadline has passed."""
        until_s = self._clock.monotonic_s() + (task.deadline_at_ms - task.created_at_ms) / 1000
        while True:
            late = self._clock.monotonic_s() > until_s
            try:
                found = await self._read_shared(task.id, task)
            except Unavailable:  # a caller who was told so now would send, and pay for, the same again
                if late:
                    raise
                found = []
            if found and (found[0][0].state.is_final or late):
                await self.prepare_links([found[0][0]])
                return self.view(*found[0])
            if late:
                raise StorageUnavailable("The gateway lost its database while this call ran. Look for the task later.")
            await self.waits.ended(task.id, ELSEWHERE_POLL_S)

    async def _read_shared(self, task_id: TaskId, owner: Principal | Task) -> Rows:
        """The task with its attempts, none where it is not there. Raises StorageUnavailable."""
        return await self._reads.ask(
            task_id, lambda: self._database.read(lambda connection: with_attempts(connection, [task_id], owner))
        )

    async def base64_results(self, task: Task) -> list[PictureText]:
        """A task's pictures as base64 text, from the store where nobody asked for them lately. Raises StorageUnavailable."""
        kept = self._acceptance.sharing.pictures
        texts: list[PictureText] = []
        for result in task.results:
            if result.size_bytes > WHOLE_BYTES_MAX:
                texts.append(await stored_text(self._blobs, result))
                continue
            text = kept.get(result.blob)
            if text is None:
                text = await self._encoded.ask(result.blob, partial(self._encode, result.blob))
                kept.put(result.blob, text)
            texts.append(text)
        return texts

    async def _encode(self, blob: str) -> bytes:
        try:
            data = await self._blobs.read(blob)
        except BlobStoreUnavailable as exc:
            raise no_blobs(exc) from exc
        if data is None:
            raise StorageUnavailable("A stored picture is gone.", log=f"blob {blob} is missing")
        return await base64_text(data)

    async def _views(self, principal: Principal, ids: Sequence[TaskId]) -> list[TaskView]:
        if not ids:
            return []
        found = await self._database.read(lambda connection: with_attempts(connection, ids, principal))
        await self.prepare_links([task for task, _ in found])
        return [self.view(task, attempts) for task, attempts in found]


async def _ping(connection: Connection) -> None:
    await task_store.count_unfinished(connection)
