"""What the cache is to a call: pictures that are there, an identical call in flight to wait for, or nothing; and what a finished call is to others.

Only looks and remembers: what is answered with whose pictures is decided under lock, by `Serve` and `Finish`. A call that may share nothing costs no
look. How it fails: as the database does, where pictures of references or the source's row must be read; the index never fails.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from cachetools import LRUCache

from gateway.cache.fingerprint import fingerprint
from gateway.cache.index import CacheIndex, Claim, Entry, Flying, Found, Role
from gateway.cache.pictures import PictureCache
from gateway.db.connection import Connection
from gateway.db.writer import Database
from gateway.domain.accounts import AccountKind, Principal, kind_and_name
from gateway.domain.catalog import Model
from gateway.domain.clock import Clock
from gateway.domain.ids import AccountId, FileId, TaskId
from gateway.domain.images import ImageInput, ImageRequest, InputSource
from gateway.domain.sharing import SHARED_MS_MIN, CacheResult, CacheScope, CacheWish, SingleFlight
from gateway.domain.tasks import AttemptState, Task, TaskState
from gateway.files import store as file_store
from gateway.pipeline.admission import Admitted
from gateway.pipeline.commands import Command, Finished, Outcome
from gateway.pipeline.shared_reads import SharedReads
from gateway.tasks import attempt_store
from gateway.tasks import store as task_store
from gateway.telemetry.metrics import Metrics

SOURCES_MAX = 10_000
"""Rows of tasks whose pictures were shared lately, some 1 KB each: a hit on one of these asks the database nothing before its own commit."""
CLAIMED_S_MAX = 10.0
"""How long a call waits to hear whether an identical one is accepted, before it pays for a picture of its own: a loaded machine takes seconds."""
ROUNDS_MAX = 500
"""Each one waits, or finds out that what it was pointed to is gone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the config says about the cache now."""

    enabled: bool = True
    ttl_s: float = 86_400.0
    scope: CacheScope = CacheScope.ORG
    charge: Decimal = Decimal(0)
    """The share of a price that shared pictures cost."""
    single_flight: SingleFlight = SingleFlight.OTHER_KEYS


@dataclass(frozen=True, slots=True)
class Source:
    """A finished task whose pictures may be shared, without its words, and what they had cost."""

    task: Task
    paid_microusd: int


@dataclass(slots=True)
class Flight:
    """A call that makes pictures which others may have. `leads`: others may wait for it as well."""

    sharing: "Sharing"
    key: str
    task_id: TaskId
    leads: bool

    async def accepted(self, ttl_ms: int) -> None:
        """It is in the books, and ends within that time."""
        if self.leads:
            await self.sharing.index.accepted(self.key, self.task_id, ttl_ms)

    async def landed(self, task: Task, paid_microusd: int, pictures: tuple[bytes, ...] = ()) -> None:
        """Its task has ended, one way or the other."""
        await self.sharing.landed(self, task, paid_microusd, pictures)

    async def dropped(self) -> None:
        """It makes no pictures."""
        if self.leads:
            await self.sharing.index.dropped(self.key, self.task_id)


@dataclass(frozen=True, slots=True)
class Begun:
    """What the cache is to a call. At most one of `hit` and `leader` is there; `key` is empty where it has none."""

    result: CacheResult
    key: str = ""
    hit: Source | None = None
    leader: TaskId | None = None
    flight: Flight | None = None

    async def dropped(self) -> None:
        """The call is not accepted."""
        if self.flight is not None:
            await self.flight.dropped()


BYPASS = Begun(CacheResult.BYPASS)


class Sharing:
    """One a process."""

    def __init__(
        self,
        index: CacheIndex,
        pictures: PictureCache,
        database: Database[Command, Outcome],
        metrics: Metrics,
        clock: Clock,
        *,
        secret: bytes,
        rules: Callable[[], Rules],
    ) -> None:
        self.index = index
        self.pictures = pictures
        self.rules = rules
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._secret = secret
        self._sources: LRUCache[TaskId, Source] = LRUCache(SOURCES_MAX)
        self._reads: SharedReads[Source | None] = SharedReads()
        self._offers: dict[int, tuple[Model, tuple[str, ...]]] = {}

    async def begin(self, principal: Principal, admitted: Admitted, wish: CacheWish, task_id: TaskId) -> Begun:
        """Before the call is accepted. Whatever flight it begins is `accepted` or `dropped` afterwards."""
        rules = self.rules()
        if not (rules.enabled and principal.cache and admitted.model.cache and (wish.looks or wish.keeps)):
            return BYPASS
        key = await self._key(principal, admitted, rules.scope)
        if key is None:
            return BYPASS
        if not wish.looks:
            return Begun(CacheResult.BYPASS, key, flight=Flight(self, key, task_id, leads=False))
        since_ms = 0 if wish.age_s_max is None else self._clock.now_ms() - wish.age_s_max * 1000
        joins = rules.single_flight is not SingleFlight.NEVER
        joins_own = rules.single_flight is SingleFlight.ALWAYS or wish.age_s_max is not None
        claim = Claim(task_id, principal.account, joins, joins_own, since_ms)
        begun = await self._claimed(key, claim)
        if begun.flight is not None and not wish.keeps:
            await begun.dropped()
            return replace(begun, flight=None)
        return begun

    async def again(self, key: str, task_id: TaskId, account: AccountId, gone: TaskId) -> Begun:
        """For a call that waited for `gone`, which has no pictures for it: whom it waits for now, or that it makes them."""
        await self.index.dropped(key, gone)
        return await self._claimed(key, Claim(task_id, account, joins=True, joins_own=True))

    async def source(self, task_id: TaskId) -> Source | None:
        """Where a task's pictures may be shared now."""
        kept = self._sources.get(task_id)
        known = kept is not None
        if kept is None:
            kept = await self._reads.ask(task_id, lambda: self._database.read(lambda c: _read_source(c, task_id)))
        if kept is None or not kept.task.has_results_at(self._clock.now_ms() + SHARED_MS_MIN):
            return None
        if not known:
            self._sources[task_id] = kept
        return kept

    def forget(self, task_id: TaskId) -> None:
        """Its pictures turned out to be gone."""
        self._sources.pop(task_id, None)

    async def landed(self, flight: Flight, task: Task, paid_microusd: int, pictures: tuple[bytes, ...]) -> None:
        """See `Flight.landed`. Only whole answers are kept: a call that got fewer pictures than it asked for is nobody's example."""
        expires_at_ms = min(
            (task.results_expire_at_ms or 0) - SHARED_MS_MIN,
            (task.finished_at_ms or 0) + round(self.rules().ttl_s * 1000),
        )
        ttl_ms = expires_at_ms - self._clock.now_ms()
        if task.state is not TaskState.COMPLETED or len(task.results) < task.n or ttl_ms <= 0:
            await flight.dropped()
            return
        self._sources[task.id] = Source(_wordless(task), paid_microusd)
        for result, text in zip(task.results, pictures, strict=False):
            if type(text) is bytes:  # not a view into a whole answer
                self.pictures.put(result.blob, text)
        await self.index.landed(flight.key, Entry(task.id, task.finished_at_ms or 0, expires_at_ms), ttl_ms)
        self._metrics.cache_holds(self.pictures.used_bytes)

    def saved(self, finished: Finished, source: Task, paid_microusd: int) -> None:
        """For the metrics: what the caller, and we, did not pay again."""
        task = finished.task
        spared = max(0, source.used_microcredits - task.used_microcredits)
        self._metrics.credits("saved", model=task.model, team=task.user_group, microcredits=spared)
        self._metrics.saved("cache", paid_microusd)

    def count(self, result: CacheResult) -> None:
        """A call that was accepted."""
        self._metrics.cache_asked(result.value)

    async def _claimed(self, key: str, claim: Claim) -> Begun:
        until_s = self._clock.monotonic_s() + CLAIMED_S_MAX
        for _ in range(ROUNDS_MAX):
            match await self.index.claim(key, claim):
                case Found(entry=entry):
                    source = await self.source(entry.source)
                    if source is not None:
                        return Begun(CacheResult.HIT, key, hit=source)
                    await self.index.dropped(key, entry.source)
                case Flying(task_id=leader, accepted=True):
                    return Begun(CacheResult.JOINED, key, leader=leader)
                case Flying():
                    left_s = until_s - self._clock.monotonic_s()
                    if left_s <= 0:
                        break
                    await self.index.changed(key, left_s)
                case Role.LEADS:
                    return Begun(CacheResult.MISS, key, flight=Flight(self, key, claim.task_id, leads=True))
                case Role.ALONE:
                    break
        return Begun(CacheResult.MISS, key, flight=Flight(self, key, claim.task_id, leads=False))

    async def _key(self, principal: Principal, admitted: Admitted, scope: CacheScope) -> str | None:
        """None: nobody can tell yet what the call's pictures are made from."""
        request, shared_by, noted = admitted.request, _scope(principal, scope), admitted.noted
        if noted.fingerprint is not None and noted.fingerprint[0] == shared_by:
            return noted.fingerprint[1]
        contents = await self._contents(principal, request)
        if contents is None:
            return None
        offers = self._offers_of(admitted.model)
        made = fingerprint(self._secret, shared_by, request, admitted.choice, offers, contents)
        noted.fingerprint = shared_by, made
        return made

    async def _contents(self, principal: Principal, request: ImageRequest) -> Mapping[ImageInput, str] | None:
        """What is behind a stranger's link is known when it is fetched, and may be another picture the next time."""
        given = [*request.images, *([] if request.mask is None else [request.mask])]
        if not given:
            return {}
        if any(image.source is not InputSource.FILE for image in given):
            return None
        ids = [FileId(image.value) for image in given]
        files = await self._database.read(lambda connection: file_store.read(connection, principal.account, ids))
        found = {image: files[FileId(image.value)].sha256 for image in given if FileId(image.value) in files}
        return found if len(found) == len(set(given)) else None

    def _offers_of(self, model: Model) -> tuple[str, ...]:
        """Told by the model's identity: a reload of the catalogue makes other ones."""
        kept = self._offers.get(id(model))
        if kept is None or kept[0] is not model:
            if len(self._offers) >= SOURCES_MAX:
                self._offers.clear()
            told = tuple(sorted(repr((offer.id, offer.params, offer.extra)) for offer in model.offers))
            kept = self._offers[id(model)] = model, told
        return kept[1]


def _scope(principal: Principal, scope: CacheScope) -> str:
    if scope is CacheScope.KEY:
        return principal.account
    if scope is CacheScope.TEAM:
        return next((one for one in principal.path if kind_and_name(one)[0] is AccountKind.TEAM), principal.path[-1])
    return principal.path[-1]


async def _read_source(connection: Connection, task_id: TaskId) -> Source | None:
    found = await task_store.read_tasks(connection, [task_id])
    if not found or found[0].state is not TaskState.COMPLETED:
        return None
    attempts = await attempt_store.read_attempts(connection, [task_id])
    paid = sum(attempt.cost_microusd for attempt in attempts if attempt.state is AttemptState.SUCCEEDED)
    return Source(_wordless(found[0]), paid)


def _wordless(task: Task) -> Task:
    """Thousands of them are kept, and need to know neither prompt nor plan."""
    return replace(task, prompt=None, request_json="", plan_json="", callback_url=None)
