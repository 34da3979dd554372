"""`gateway tasks …`."""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.administration.reports import ROWS_MAX, Arguments, Command, Report, Row, read_whole
from gateway.administration.tasks import TaskDossier, TaskFilter, Tasks
from gateway.domain import money
from gateway.domain.considered import Considered
from gateway.domain.errors import AdministrationError
from gateway.domain.money import Amount
from gateway.domain.tasks import Task, TaskState

LIMIT = 50


class TaskCommands:
    """Texts in, rows out."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.commands: Mapping[str, Command] = {
            "tasks list": self._list,
            "tasks show": self._show,
            "tasks erase": self._erase,
        }

    async def _list(self, arguments: Arguments) -> Report:
        try:
            size = read_whole(arguments, "limit", ROWS_MAX) or LIMIT
            named = arguments.get("state")
            state = TaskState(named) if named else None
        except ValueError as exc:
            raise AdministrationError(f"{exc}; states are {', '.join(TaskState)}") from exc
        wanted = TaskFilter(
            arguments.get("org"), arguments.get("team"), arguments.get("key"), state, arguments.get("model")
        )
        page = await self._tasks.page(wanted, before=arguments.get("before"), size=size)
        older = f"There may be older ones: --before {page.next_before}" if page.next_before else ""
        return Report(tuple(_row(task) for task in page.tasks), older)

    async def _show(self, arguments: Arguments) -> Report:
        dossier = await self._tasks.show(arguments.get("id") or "")
        lines = [*_facts(dossier.task), *_plan(dossier), *_attempts(dossier), *_books(dossier)]
        if dossier.callback is not None:
            lines.append((f"callback {dossier.callback.id}", f"{dossier.callback.state}: {dossier.callback.answer}"))
        if arguments.get("prompt"):
            kept = dossier.task.prompt
            lines.append(("prompt", kept if kept is not None else "(not kept)"))
        return Report(tuple({"what": what, "is": value} for what, value in lines))

    async def _erase(self, arguments: Arguments) -> Report:
        task = await self._tasks.erase(arguments.get("id") or "")
        return Report(message=f"{task.id} is erased: prompt and pictures are deleted, what it cost stays.")


def _row(task: Task) -> Row:
    return {
        "id": task.id,
        "account": task.account,
        "model": task.model,
        "n": task.n,
        "state": task.state.value,
        "at": _time(task.created_at_ms),
        "credits": money.format_micro(task.used_microcredits),
        "error": task.error.code.value if task.error else None,
        "erased": "yes" if task.erased_at_ms is not None else "no",
    }


def _facts(task: Task) -> list[tuple[str, str | int | None]]:
    return [
        ("id", task.id),
        ("account", task.account),
        ("model", task.model),
        ("n", task.n),
        ("contract", task.contract.value),
        ("state", task.state.value),
        ("accepted", _time(task.created_at_ms)),
        ("ended", _time(task.finished_at_ms)),
        ("erased", _time(task.erased_at_ms)),
        ("pictures", task.result_count),
        ("reserved", f"{money.format_micro(task.reserved_microcredits)} credits"),
        ("charged", f"{money.format_micro(task.used_microcredits)} credits, {money.format_micro(task.used_microusd)} USD"),
        ("error", f"{task.error.code}: {task.error.message}" if task.error else None),
    ]  # fmt: skip


def _plan(dossier: TaskDossier) -> list[tuple[str, str | int | None]]:
    plan = dossier.plan
    if plan is None:
        return [("plan", "(written by another version)")]
    charge = (
        f"actual cost x {plan.markup}"
        if plan.charge_microcredits is None
        else f"{money.format_micro(plan.charge_microcredits)} credits a picture"
    )
    return [
        ("charge", charge),
        *((f"offer {number}", f"{offer.id}: {offer.price}") for number, offer in enumerate(plan.offers, 1)),
        *((f"routing {number}", _considered(item)) for number, item in enumerate(plan.considered, 1)),
    ]


def _considered(item: Considered) -> str:
    """`openai/gpt-image-2: 0.04 to 0.05 USD, skipped: circuit_open (it is failing …)`."""
    price = "no price"
    if item.expected_microusd is not None and item.most_microusd is not None:
        price = f"{money.format_micro(item.expected_microusd)} to {money.format_micro(item.most_microusd)} USD"
    skipped = "" if item.skipped is None else f", skipped: {item.skipped} ({item.why})"
    return f"{item.offer}: {price}{skipped}"


def _attempts(dossier: TaskDossier) -> list[tuple[str, str | int | None]]:
    lines: list[tuple[str, str | int | None]] = []
    for attempt in dossier.attempts:
        took = "" if attempt.ended_at_ms is None else f", {attempt.ended_at_ms - attempt.sent_at_ms} ms"
        fault = "" if attempt.fault is None else f", {attempt.fault.value}, billed {attempt.billed or 'no'}"
        said = f": {attempt.message}" if attempt.message else ""
        cost = money.format_micro(attempt.cost_microusd)
        text = f"{attempt.offer_id} {attempt.state.value}, {attempt.images} of {attempt.n} pictures, {cost} USD{fault}{took}{said}"
        lines.append((attempt.id, text))
    return lines


def _books(dossier: TaskDossier) -> list[tuple[str, str | int | None]]:
    hold = dossier.history.hold
    lines: list[tuple[str, str | int | None]] = []
    if hold is not None:
        lines.append(("hold", f"{hold.state.value}: held {_amount(hold.amount)}; settled {_amount(hold.settled)}"))
    for entry in dossier.history.entries:
        text = f"{entry.kind}: posted {_amount(entry.posted)}; pending {_amount(entry.pending)}"
        lines.append((f"entry {entry.id} {entry.account}", text))
    if not dossier.history.whole:
        lines.append(("entries", "(more were not looked for)"))
    return lines


def _amount(amount: Amount) -> str:
    credits, usd = money.format_micro(amount.microcredits), money.format_micro(amount.microusd)
    return f"{credits} credits, {usd} USD, {amount.images} pictures"


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
