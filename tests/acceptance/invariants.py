"""What must hold after everything: every task final, no hold left, the ledger clean, and the same numbers whoever tells them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.acceptance.gateway_process import GatewayProcess, until
from tests.acceptance.settings import ACCOUNT, PATH
from tests.emulators.process import EmulatorProcess

FINAL = frozenset({"completed", "failed", "cancelled"})
TASKS_LOOKED_AT = 50
"""At once: as many as one question may name."""
HALF_A_MICRO = Decimal("0.0000005")
OPENAI_PRICE = Decimal("0.005905")
"""Of one low 1024x1024 picture of gpt-image-2 for such a prompt: 196 output tokens at 30 and 5 text tokens at 5 USD a million."""


def is_final(task: dict[str, Any]) -> bool:
    return task["status"] in FINAL


def all_final(gateway: GatewayProcess, timeout_s: float) -> list[dict[str, Any]]:
    """All tasks, once none is unfinished any more."""

    def look() -> bool:
        if left and not all(map(is_final, gateway.tasks_by_id(left[:TASKS_LOOKED_AT]))):
            return False  # without looking at all of them
        left[:] = [task["id"] for task in gateway.tasks() if not is_final(task)]
        return not left

    left: list[str] = []
    until(look, timeout_s, "tasks are stuck", pause_s=0.3)
    return gateway.tasks()


def stored_deliveries(gateway: GatewayProcess) -> list[Path]:
    """What was stored whole: a directory with its manifest, or a name of a pack, which never leads to less."""
    images = gateway.folder / "var/images"
    return [*images.glob("*/manifest"), *images.glob(".packs/*")]


@dataclass(frozen=True, slots=True)
class Books:
    """What the operator's commands say."""

    accounts: dict[str, dict[str, Any]]
    in_doubt: Sequence[dict[str, Any]]

    def used_usd(self, account: str) -> Decimal:
        return Decimal(self.accounts[account]["used_usd"])

    def held_usd(self, account: str) -> Decimal:
        return Decimal(self.accounts[account]["held_usd"])

    def in_doubt_usd(self, upstream: str) -> Decimal:
        """The presumed cost of what nobody knows at one upstream."""
        found = [row for row in self.in_doubt if row["offer"].startswith(upstream + "/")]
        return sum((Decimal(row["presumed_usd"]) for row in found), Decimal(0))


def assert_settled(gateway: GatewayProcess, *, completed: int | None = None) -> Books:
    """All of it, with the gateway running; says what the books contain."""
    tasks = gateway.tasks()
    assert [task for task in tasks if not is_final(task)] == []
    if completed is not None:
        assert sum(task["status"] == "completed" for task in tasks) == completed
    audit = gateway.ask("ledger audit")
    assert not audit["failed"], audit
    assert " 0 pending holds" in audit["message"]
    accounts = {row["account"]: row for row in gateway.ask("accounts list")["rows"]}
    books = Books(accounts, gateway.ask("in-doubt list")["rows"])
    # The caller: no hold, and charged for what was delivered.
    for account in PATH:
        row = accounts[account]
        assert (row["held_credits"], row["held_usd"]) == ("0", "0"), row
        assert row["images"] == sum(task["result_count"] for task in tasks), row
        assert row["used_credits"] == accounts[ACCOUNT]["used_credits"]
    credits = [Decimal(str(task["credits_used"])) for task in tasks]
    assert Decimal(accounts[ACCOUNT]["used_credits"]) == sum(credits)
    assert not [task for task in tasks if task["status"] != "completed" and task["credits_used"]]
    # The upstreams: what is still open there is what is in doubt, nothing else.
    for account in accounts:
        kind, _, name = account.partition(":")
        if kind == "upstream":
            assert books.held_usd(account) == books.in_doubt_usd(name), account
    return books


def assert_bills(books: Books, emulator: EmulatorProcess, upstream: str, *, attempts: int) -> None:
    """No picture was paid twice, and what the vendor bills is what the ledger has as paid and in doubt, within half a micro-dollar an attempt."""
    bills = emulator.bills
    assert len({bill.prompt for bill in bills}) == len(bills), "a prompt was paid twice"
    known = books.used_usd(f"upstream:{upstream}") + books.in_doubt_usd(upstream)
    assert abs(emulator.billed_usd - known) <= HALF_A_MICRO * attempts, (emulator.billed_usd, known)


def assert_openai_agrees(books: Books, openai: EmulatorProcess, attempts: Sequence[dict[str, object]]) -> None:
    """Bills = paid + in doubt, where a doubt whose request never left the dying process is the only one without a bill."""
    bills = openai.bills
    assert len({bill.prompt for bill in bills}) == len(bills), "a prompt was paid twice"
    assert {bill.usd for bill in bills} == {OPENAI_PRICE}
    statuses = Counter(attempt["status"] for attempt in attempts)
    assert set(statuses) == {"succeeded", "unknown"}, statuses
    assert statuses["unknown"] == len(books.in_doubt)
    received = [request for request in openai.requests if request.at == "create" and request.json is not None]
    never_left = len(attempts) - len(received)
    assert 0 <= never_left <= statuses["unknown"]
    assert len(bills) == len(received)
    known = books.used_usd("upstream:openai") + books.in_doubt_usd("openai")
    assert abs(openai.billed_usd + never_left * OPENAI_PRICE - known) <= HALF_A_MICRO * len(attempts)
