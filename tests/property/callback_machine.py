"""The state machine of tasks with callbacks: who is told, by whom, and how often, beside a model of the outbox in plain values.

It adds to task_machine.py what deliverers do: claim what is due, note how a try went, under their own claim or under one that ran out, and what an
operator does: send again. After every step each finished task with a callback has exactly one row, and it is the model's; no other task has one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from sqlalchemy import func, select

from gateway.callbacks import store
from gateway.db.connection import Connection
from gateway.db.schema import callback_attempts, callbacks
from gateway.db.statements import Statement
from gateway.db.writer import Transact
from gateway.domain.callbacks import Callback, CallbackState, CallbackTry
from gateway.domain.ids import AccountId, TaskId
from gateway.domain.repeats import Repeat
from gateway.pipeline.commands import Accept, Command, Recorded
from tests.property.ledger_world import KEYS
from tests.property.task_machine import LIVING_MS, OWNERS, SIZES, TaskMachine

URL = "https://receiver.example/hook"
CLAIM_MS = 30_000
TRIES_MAX = 4
START_MS = 2**45
"""Later than any clock, so that what is new is due."""
CALLBACK_VISITS: Counter[tuple[str, str]] = Counter()
TOLD = ("due", "claimed", "sent", "dead")
CALLBACK_PAIRS = {
    *((state, operation) for state in TOLD for operation in ("send again", "stale note")),
    *(("claimed", how) for how in ("answered", "failed", "given up")),
    *((state, "claim passes") for state in TOLD), ("due", "claim"), ("due", "claim ran out"),
}  # fmt: skip
_ROWS = Statement(
    select(
        callbacks.c.task_id, callbacks.c.id, callbacks.c.url, callbacks.c.body, callbacks.c.state, callbacks.c.tries,
        select(func.count()).select_from(callback_attempts).where(callback_attempts.c.callback_id == callbacks.c.id).scalar_subquery(),
    )
)  # fmt: skip
Seen = tuple[str, str | None, str, int, int]
"""Url, body, state, tries, and the tries that are written down."""


@dataclass
class Entry:
    """One task's end, as it must stand in the outbox. `until`: claimed, or left alone, until then."""

    url: str = URL
    body: str | None = None
    state: str = "due"
    tries: int = 0
    noted: int = 0
    until: int = 0
    claimed: bool = False

    def phase(self, now: int) -> str:
        return "claimed" if self.state == "due" and self.claimed and self.until > now else self.state

    @property
    def seen(self) -> Seen:
        return self.url, self.body, self.state, self.tries, self.noted


class CallbackMachine(TaskMachine):
    """Two of three tasks have a callback."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: set[TaskId] = set()
        self.outbox: dict[TaskId, Entry] = {}
        self.claims: list[Callback] = []
        """Of all deliverers, those that ran out included."""
        self.now = START_MS
        self.written = 0

    def busy(self) -> None:  # no rule here: it visits pairs of tasks, which task_machine.py counts
        raise AssertionError("not a rule")

    def _new(
        self,
        key: AccountId,
        sizes: Sequence[int],
        attempts: int,
        owner: str,
        lease_ms: int,
        repeat: Repeat | None = None,
    ) -> Accept:
        command = super()._new(key, sizes, attempts, owner, lease_ms, repeat)
        if self.number % 3 == 0:
            return command
        self.wanted.add(command.task.id)
        return replace(command, task=replace(command.task, callback_url=URL))

    def _do(self, *commands: Command) -> list[tuple[object, ...]]:
        answers = super()._do(*commands)
        for task in self.model.tasks.values():
            if task.is_final and task.id in self.wanted:
                entry = self.outbox.setdefault(task.id, Entry())
                if task.erased and entry.url:
                    entry.url, entry.body = "", None
                    entry.state = "dead" if entry.state == "due" else entry.state
        return answers

    def _write(self, write: Transact) -> None:
        assert self.ledger.run([write]) == [Recorded()]

    @rule(later_ms=st.sampled_from([0, 1, 1_000, CLAIM_MS]), size=st.sampled_from([1, 3, 100]))
    def look(self, later_ms: int, size: int) -> None:
        """A deliverer claims what is due, and nobody else's."""
        self.now += later_ms
        won: list[set[TaskId]] = []
        due = {task: entry for task, entry in self.outbox.items() if entry.state == "due" and entry.until <= self.now}
        self.written += 1
        body = f"body {self.written}"

        async def write(connection: Connection, _: int) -> None:
            found = await store.read_due(connection, now_ms=self.now, full=(), size=1000)
            assert {callback.task for callback in found} == set(due)
            chosen = sorted(callback.task for callback in found)[:size]
            ids = [callback.id for callback in found if callback.task in chosen]
            others = [str(row[1]) for row in await connection.fetch(_ROWS) if TaskId(str(row[0])) not in due]
            claimed = await store.claim_callbacks(
                connection, [*ids, *others], now_ms=self.now, until_ms=self.now + CLAIM_MS
            )
            await store.keep_bodies(connection, [(body, callback.id) for callback in claimed if callback.body is None])
            won.append({callback.task for callback in claimed})
            self.claims += claimed

        for task, entry in self.outbox.items():
            if task not in due:
                CALLBACK_VISITS[entry.phase(self.now), "claim passes"] += 1
        self._write(Transact(write))
        for taken in won:
            assert taken == set(sorted(due)[:size])
        for task in sorted(due)[:size]:
            entry = due[task]
            CALLBACK_VISITS["due", "claim ran out" if entry.claimed else "claim"] += 1
            entry.until, entry.claimed, entry.body = self.now + CLAIM_MS, True, entry.body or body

    @rule(index=st.integers(0, 30), how=st.sampled_from(["answered", "failed", "gone"]))
    def note(self, index: int, how: str) -> None:
        """A deliverer writes down how a try went: it counts under the claim that it was made under, and under no other."""
        if not self.claims:
            return
        claim = self.claims.pop(-1 - index % len(self.claims))
        entry = self.outbox[claim.task]
        counts = entry.state == "due" and (entry.until, entry.tries) == (claim.next_at_ms, claim.tries)
        gone = how == "gone" or (how == "failed" and claim.tries + 1 >= TRIES_MAX)
        state = CallbackState.SENT if how == "answered" else CallbackState.DEAD if gone else CallbackState.DUE
        visited = "given up" if state is CallbackState.DEAD else how
        phase = entry.phase(self.now) if not counts else "claimed"
        CALLBACK_VISITS[phase, visited if counts else "stale note"] += 1
        again, answers = self.now + 1_000, list[bool]()

        async def write(connection: Connection, _: int) -> None:
            made = CallbackTry(self.now, 204 if how == "answered" else 500, 7, None)
            answers.append(await store.note_try(connection, claim, made, state, next_at_ms=again, answer=how))

        self._write(Transact(write))
        assert set(answers) == {counts}
        if counts:
            entry.state, entry.tries, entry.noted = state.value, entry.tries + 1, entry.noted + 1
            entry.until, entry.claimed = again, False

    @rule(index=st.integers(0, 30))
    def send_again(self, index: int) -> None:
        """An operator's wish, for whatever has ended; not where it was erased."""
        if not self.outbox:
            return
        task = sorted(self.outbox)[index % len(self.outbox)]
        entry = self.outbox[task]
        CALLBACK_VISITS[entry.phase(self.now), "send again"] += 1

        async def write(connection: Connection, _: int) -> None:
            found = await store.read_callback_of(connection, task)
            assert found is not None
            await store.resend(connection, found.id, self.now)

        self._write(Transact(write))
        if entry.url:
            entry.state, entry.tries, entry.until, entry.claimed = "due", 0, self.now, False

    @rule(seed=st.integers(0, 2**32), length=st.integers(40, 120))
    def busy_deliverers(self, seed: int, length: int) -> None:
        """Tasks that end, and their ends that are told, drawn from one seed."""
        random = Random(seed)
        for _ in range(length):
            dice = random.random()
            if dice < 0.15:
                self._accept_once(random.choice(KEYS), random.choice(SIZES), 1, random.choice(OWNERS), LIVING_MS, False)
            elif dice < 0.35 and self.order:
                work, whose = random.choice(["complete", "fail"]), random.choice(["", "", "", "old "])
                self._work_once(random.randint(0, 60), work, "made", 1, whose, random.choice(["", "batch", "next"]))
            elif dice < 0.38 and self.order:
                self._cancel_once(random.randint(0, 60), "", False, True)
            elif dice < 0.39 and self.order:
                self._erase_once(random.randint(0, 60), "", False)
            elif dice < 0.6:
                CallbackMachine.look(self, random.choice([0, 1_000, CLAIM_MS, CLAIM_MS]), random.choice([1, 3, 100]))
            elif dice < 0.95:
                how = random.choice(["answered", "failed", "failed", "gone"])
                CallbackMachine.note(self, random.choice([0, 0, 2, 5, 9]), how)
            else:
                CallbackMachine.send_again(self, random.randint(0, 30))

    @invariant()
    def every_end_is_told_once(self) -> None:
        """One row for each finished task that wants to be told, due, sent or dead as the model says; and none besides."""
        found: list[dict[TaskId, Seen]] = []

        async def look(connection: Connection, _: int) -> None:
            rows = await connection.fetch(_ROWS)
            assert len({row[0] for row in rows}) == len(rows)
            found.append(
                {
                    TaskId(str(task)): (str(url), None if body is None else str(body), str(state), int(tries or 0), int(noted or 0))
                    for task, _, url, body, state, tries, noted in rows
                }
            )  # fmt: skip

        self._write(Transact(look))
        for rows in found:
            assert rows == {task: entry.seen for task, entry in self.outbox.items()}
        finished = {task.id for task in self.model.tasks.values() if task.is_final and task.id in self.wanted}
        assert finished == set(self.outbox)


__all__ = ["CALLBACK_PAIRS", "CALLBACK_VISITS", "CallbackMachine"]
