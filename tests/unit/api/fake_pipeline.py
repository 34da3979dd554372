"""A pipeline in memory, with the shapes of the real one: tests say what each call finds, and read back what was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gateway.api.ports import Cards
from gateway.domain.accounts import Principal, RateState
from gateway.domain.catalog import Model, SizeRule
from gateway.domain.considered import Considered, Skip
from gateway.domain.errors import GatewayError, InvalidKey, MissingKey, ModelNotFound, TaskNotFound
from gateway.domain.ids import AccountId, AttemptId, KeyId, TaskId
from gateway.domain.images import Contract, ImageRequest, ImageResult, OutputFormat, PartialImage, Quality, Usage
from gateway.domain.repeats import Repeat
from gateway.domain.sharing import NO_WISH, CacheWish
from gateway.domain.tasks import Attempt, AttemptState, Task, TaskError, TaskErrorCode, TaskState
from gateway.pipeline.admission import Admitted, RequestDraft
from gateway.pipeline.quoting import Quote
from gateway.telemetry.logs import LogValue

TASK_ID = TaskId("task-unified-1757165031-uyujaw3d")
KEY = "igw_aKeyThatWorks"
PRINCIPAL = Principal(KeyId("key_1"), "ci", (AccountId("key:acme//ci"), AccountId("org:acme")), "acme", None)
CONSIDERED = (
    Considered("dear/gpt-image-2#2", 40_000, 52_710, Skip.CIRCUIT_OPEN),
    Considered("evolink/gpt-4o-image", 20_800, 20_800),
    Considered("small/tiny", skipped=Skip.NOT_ABLE, said="does not make 1024x1024"),
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
LINK = "http://127.0.0.1:8080/v1/results/dG9rZW4/att_1-0.png"


def model(name: str, response: Contract) -> Model:
    return Model(name, response, 2000, SizeRule(("auto", "1024x1024")), (1, 2, 4), ())


@dataclass
class View:
    task: Task
    attempts: tuple[Attempt, ...] = ()
    links: tuple[str, ...] = ()
    estimated_time_s: int = 45
    can_cancel: bool = True
    progress: int = 0
    dropped: tuple[str, ...] = ()
    upstream: str | None = None
    remaining_microcredits: int | None = None
    credits_per_usd: Decimal = Decimal(72)
    considered: tuple[Considered, ...] = ()
    last_resorts: frozenset[str] = frozenset()
    age_s: int = 0


def pending_task(contract: Contract = Contract.TASK) -> Task:
    return Task(
        id=TASK_ID, account=PRINCIPAL.account, path=PRINCIPAL.path, state=TaskState.PENDING, contract=contract, model="gpt-4o-image",
        n=1, user_group="default", created_at_ms=1_757_165_031_400, deadline_at_ms=1_757_165_271_400, reserved_microcredits=2_500_000,
        prompt="a red fox", request_json="{}", plan_json="{}", owner="run_1", epoch=1,
    )  # fmt: skip


def attempt(**changes: object) -> Attempt:
    made = Attempt(AttemptId("att_1"), TASK_ID, None, "evolink/gpt-4o-image", "evolink", 1, AttemptState.SUCCEEDED, 20_800, 1_757_165_031_410,
                   ended_at_ms=1_757_165_033_410, cost_microusd=20_800, images=1)  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name real fields


def completed_view(count: int = 1, *, usage: bool = True) -> View:
    results = tuple(
        ImageResult(f"att_1/{index}", "image/png", "png", len(PNG), 1024, 1024, "0" * 64) for index in range(count)
    )
    task = replace(
        pending_task(), state=TaskState.COMPLETED, finished_at_ms=1_757_165_033_500, used_microcredits=1_500_000, used_microusd=20_833, n=count,
        results=results, results_expire_at_ms=1_757_251_433_500, usage=Usage(9, 0, 1056) if usage else None,
    )  # fmt: skip
    return View(
        task,
        (attempt(),),
        (LINK,) * count,
        can_cancel=False,
        progress=100,
        upstream="evolink",
        remaining_microcredits=98_500_000,
    )


def failed_view(code: TaskErrorCode) -> View:
    error = TaskError(code, f"It ended with {code}.")
    state = TaskState.CANCELLED if code is TaskErrorCode.REQUEST_CANCELLED else TaskState.FAILED
    return View(replace(pending_task(), state=state, error=error, finished_at_ms=1_757_165_033_500), can_cancel=False)


@dataclass
class Running:
    view: View
    final: View
    hangs: bool = False
    base64: tuple[bytes, ...] = ()
    request: ImageRequest = field(default_factory=lambda: ImageRequest("gpt-image-2", "a red fox", 1))
    replayed: bool = False
    served: bool = False
    gate: asyncio.Event | None = None
    error: GatewayError | None = None
    partials: list[PartialImage] = field(default_factory=list)

    @property
    def task_id(self) -> str:
        return self.view.task.id

    @property
    def considered(self) -> Sequence[Considered]:
        return self.final.considered

    async def next_partial(self) -> PartialImage | None:
        if self.partials:
            return self.partials.pop(0)
        if self.hangs:
            self.hangs = False
            await asyncio.Event().wait()
        return None

    async def wait(self) -> View:
        if self.hangs:
            await asyncio.Event().wait()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.final

    async def pictures(self) -> Sequence[bytes]:
        return self.base64


@dataclass
class Page:
    total: int
    tasks: tuple[View, ...]


@dataclass
class Balance:
    key_remaining_microcredits: int | None = 98_500_000
    key_used_microcredits: int = 1_500_000
    account_remaining_microcredits: int | None = None
    account_used_microcredits: int = 3_000_000


@dataclass
class File:
    content: bytes = PNG
    content_type: str = "image/png"
    breaks: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        middle = start + length // 2
        yield self.content[start:middle]
        if self.breaks:
            raise OSError("the disk is gone")
        yield self.content[middle : start + length]


@dataclass
class FakePipeline:
    """`error` is raised by whatever is called first; the rest is what the calls find."""

    final: View = field(default_factory=completed_view)
    pictures: tuple[bytes, ...] = (b"aGVsbG8=",)
    error: BaseException | None = None
    hangs: bool = False
    gate: asyncio.Event | None = None
    """Tasks end when it is set."""
    wait_error: GatewayError | None = None
    """What a wait for a task ends with."""
    file: File | None = field(default_factory=File)
    reasons: tuple[str, ...] = ()
    asked: list[object] = field(default_factory=list)
    quality: Quality = Quality.AUTO
    rate_state: RateState | None = None
    rate_error: GatewayError | None = None
    rates_taken: int = 0
    max_microcredits: int | None = None
    repeat: Repeat | None = None
    """Of the last call."""
    wish: CacheWish = NO_WISH
    found: View | None = None
    """What answers repeats."""
    partials: tuple[PartialImage, ...] = ()

    def __post_init__(self) -> None:
        known = (
            model("gpt-4o-image", Contract.TASK),
            model("gpt-image-2", Contract.IMAGE),
            model("vendor/flux", Contract.IMAGE),
        )
        self.known = {each.name: each for each in known}

    async def take_rate(self, principal: Principal) -> RateState | None:
        self.rates_taken += 1
        if self.rate_error is not None:
            raise self.rate_error
        return self.rate_state

    async def rate(self, principal: Principal) -> RateState | None:
        return self.rate_state

    async def admit(self, principal: Principal, draft: RequestDraft) -> Admitted:
        self._ask(draft)
        found = self.model(principal, draft.model)
        output_format = OutputFormat(draft.output_format) if draft.output_format else None
        request = ImageRequest(
            found.name,
            draft.prompt,
            draft.n,
            quality=Quality(draft.quality or "auto"),
            output_format=output_format,
            partial_images=draft.partial_images,
            operation=draft.operation,
            images=draft.images,
            mask=draft.mask,
        )
        return Admitted(request, found)

    async def repeated(self, principal: Principal, repeat: Repeat, contract: Contract) -> Running | None:
        self.repeat = repeat
        return None if self.found is None else Running(self.found, self.found, self.hangs, self.pictures, replayed=True)

    async def accept(
        self,
        principal: Principal,
        admitted: Admitted,
        contract: Contract,
        max_microcredits: int | None = None,
        repeat: Repeat | None = None,
        wish: CacheWish = NO_WISH,
    ) -> Running:
        self._ask(contract)
        self.wish = wish
        self.repeat = repeat
        self.max_microcredits = max_microcredits
        view = View(replace(pending_task(contract), model=admitted.model.name, n=admitted.request.n))
        return Running(
            view,
            self.final,
            self.hangs,
            self.pictures,
            admitted.request,
            gate=self.gate,
            error=self.wait_error,
            partials=list(self.partials),
        )

    async def quote(self, principal: Principal, admitted: Admitted, max_microcredits: int | None = None) -> Quote:
        self._ask("quote")
        return Quote(admitted, (), None, None, None, None)

    async def task(self, principal: Principal, task_id: str) -> View:
        self._ask(task_id)
        if task_id != TASK_ID:
            raise TaskNotFound("There is no such task.")
        return self.final

    async def task_at_end(self, principal: Principal, task_id: str, wait_s: int, has_gone: Callable[[], bool]) -> View:
        if wait_s:
            self.asked.append(wait_s)
        return await self.task(principal, task_id)

    async def tasks(
        self, principal: Principal, *, state: TaskState | None, model: str | None, page: int, page_size: int
    ) -> Page:
        self._ask((state, model, page, page_size))
        return Page(1, (self.final,))

    async def tasks_by_id(self, principal: Principal, ids: Sequence[str]) -> Sequence[View]:
        self._ask(tuple(ids))
        return [self.final for task_id in ids if task_id == TASK_ID]

    async def cancel(self, principal: Principal, task_id: str) -> View:
        self._ask(task_id)
        return self.final

    async def erase(self, principal: Principal, task_id: str) -> View:
        self._ask(task_id)
        return self.final

    def models(self, principal: Principal) -> Sequence[Model]:
        return tuple(self.known.values())

    def model(self, principal: Principal, name: str) -> Model:
        if name not in self.known:
            raise ModelNotFound(f"There is no model {name}.", param="model")
        return self.known[name]

    @property
    def cards(self) -> Cards:
        raise NotImplementedError

    def find_model(self, name: str) -> Model | None:
        return self.known.get(name)

    async def credits(self, principal: Principal) -> Balance:
        self._ask("credits")
        return Balance()

    async def result(self, token: str, file: str) -> File | None:
        self._ask((token, file))
        return self.file

    async def ready(self) -> Sequence[str]:
        return self.reasons

    def _ask(self, what: object) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append(what)


@dataclass
class FakeAuthenticator:
    principal: Principal = PRINCIPAL
    error: GatewayError | None = None

    def authenticate(self, authorization: str | None, api_key: str | None = None) -> Principal:
        if self.error is not None:
            raise self.error
        secret = (authorization or "").removeprefix("Bearer ") or api_key
        if not secret:
            raise MissingKey("Send Authorization: Bearer with a key of this gateway.")
        if secret != KEY:
            raise InvalidKey("This key is not known.")
        return self.principal


@dataclass
class Lines:
    """The canonical log, kept."""

    lines: list[dict[str, LogValue]] = field(default_factory=list)

    def __call__(self, fields: Mapping[str, LogValue]) -> None:
        self.lines.append(dict(fields))

    @property
    def last(self) -> dict[str, LogValue]:
        return self.lines[-1]
