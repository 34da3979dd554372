"""The ledger's state machine with what happens at upstreams: budgets of their own, several attempts at once, and doubts that are resolved."""

from dataclasses import replace
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import rule

from gateway.domain.ids import AccountId
from gateway.domain.tasks import Attempt, AttemptState
from gateway.ledger.model import NotInDoubt, Resolve, Resolved
from gateway.pipeline.commands import Accepted, RecordAttempts, Recorded, SendRefused
from tests.property.ledger_machine import HOW, OWN_BUDGETS, LedgerMachine
from tests.property.ledger_model import Limit
from tests.property.ledger_nouns import ModelTask, told
from tests.property.ledger_world import KEYS, OURS, UPSTREAM

FOUND = {"paid": None, "paid less": 800, "paid more": 5_000, "unpaid": None}
"""What an operator finds out, and the bill in microusd where it is known."""

ROOM_FOR_ONE = 1_500
"""Microusd: an attempt needs a little more than a thousand."""


class UpstreamMachine(LedgerMachine):
    """More rules; the model decides what each must answer."""

    @rule(seed=st.integers(0, 2**32), length=st.integers(10, 30))
    def at_upstreams(self, seed: int, length: int) -> None:
        """Many steps, drawn from one seed: cheap to draw, so that every pair is seen often."""
        random = Random(seed)
        if random.random() < 0.4:
            self.change_own_budget(random.choice(OWN_BUDGETS))
        for _ in range(length):
            self._step(random)

    def _step(self, random: Random) -> None:
        index, dice, how = random.randrange(50), random.random(), random.choice(HOW)
        out = [entry for entry in self.tasks if entry.open and not entry.finished]
        if dice < 0.2 or not self.tasks:
            self.accept(key=random.choice(KEYS), sizes=(1,), sent=True, at_once=1, apart_ms=0)
        elif dice < 0.3:
            self.accept_in_parts(random.choice(KEYS), random.randint(2, 4))
        elif dice < 0.4:
            self.send_to_the_last(index, random.randint(0, 1))
        elif dice < 0.5 and out:
            self.fail_over(out[index % len(out)], how, random.randint(1, 2))
        elif dice < 0.6 and out:
            self.end_attempt(index=index, how=random.choice(("unknown", how)), repeats=1)
        elif dice < 0.75:
            doubtful = [entry for entry in self.tasks if entry.doubts and not entry.open and not entry.finished]
            index = self._index_of(random.choice(doubtful)) if doubtful else index
            self.cancel(index=index, foreign=False, knowing=True)
        elif dice < 0.85 and out:
            index, completed = self._index_of(random.choice(out)), random.random() < 0.5
            self.finish(index=index, completed=completed, charge=1, how="unknown", stale=0, knowing=True)
        else:
            self.resolve(index, random.choice(("unpaid", *FOUND)), random.randint(1, 2))

    def _index_of(self, wanted: ModelTask) -> int:
        """With which `_pick` finds a task."""
        states = sorted({entry.state for entry in self.tasks})
        alike = [entry.task.id for entry in self.tasks if entry.state == wanted.state]
        return states.index(wanted.state) + len(states) * alike.index(wanted.task.id)

    def change_own_budget(self, own: tuple[Limit, ...]) -> None:
        """Raised, lowered below what is used, or taken away: nothing that is out changes. Nobody can move an upstream to another time zone."""
        self._set_terms(UPSTREAM, own, self.model.terms[UPSTREAM].zone, False)

    def accept_in_parts(self, key: AccountId, parts: int) -> None:
        """All attempts of a call go out at once or none, also where one of them alone would fit."""
        left, unfinished = self._left(), [entry for entry in self.tasks if not entry.finished]
        if left > 3 * ROOM_FOR_ONE and parts > 2 and unfinished:
            self._record(
                unfinished[0],
                None,
                replace(self._attempt(unfinished[0].task.id), presumed_cost_microusd=left - ROOM_FOR_ONE),
            )
        command = self._new(key, (1,), False)
        command = replace(command, attempts=tuple(self._attempt(command.task.id) for _ in range(parts)))
        outcome = self._one(command)
        self._check_accept(command, outcome)
        if isinstance(outcome, Accepted):
            self._visit("parts", "wait" if outcome.closed else "sent")

    def _left(self) -> int:
        """0 where nothing bounds the upstream."""
        return min((value for _, _, value in self.model.left(UPSTREAM, self.now_ms)), default=0)

    def send_to_the_last(self, index: int, above: int) -> None:
        """Exactly what is left of the tightest budget goes out, and one micro-dollar more does not."""
        left, unfinished = self._left(), [entry for entry in self.tasks if not entry.finished]
        if left and unfinished:
            entry = unfinished[index % len(unfinished)]
            attempt = replace(self._attempt(entry.task.id), presumed_cost_microusd=left + above)
            self._record(entry, None, attempt)
            self._visit("last micro-dollar", "refused" if above else "sent")

    def fail_over(self, entry: ModelTask, how: str, repeats: int) -> None:
        """One attempt ends and the next begins, in one commit: what the first gives back is there for the second, and its end is written anyway."""
        before, _ = next(iter(entry.open.values()))
        self._record(entry, self._ending(before, how), self._attempt(entry.task.id), how, repeats)

    def _record(
        self, entry: ModelTask, ended: Attempt | None, started: Attempt, how: str = "", repeats: int = 1
    ) -> None:
        command = RecordAttempts(entry.task.id, entry.epoch, ended=(ended,) if ended else (), started=(started,))
        if ended is not None:
            self._book_end(entry, ended, how)
        closed = self._no_room((started,))
        for number in range(repeats):
            outcome = self._one(replace(command, repeated=number > 0))
            assert isinstance(outcome, SendRefused if closed else Recorded), outcome
            assert not isinstance(outcome, SendRefused) or told(outcome.refusal) == closed
        if ended is not None:
            self._visit("fail over", "refused" if closed else "sent")
        if not closed:
            entry.state = "processing"
            self._sent(entry, started)

    def resolve(self, index: int, found: str, repeats: int) -> None:
        """A doubt ends, once, whatever became of its task; what is in flight or known is no doubt."""
        entries = [entry for entry in self.tasks if entry.doubts]
        if not entries or index == 0:
            self._resolve_what_is_out(index)
            return
        states = sorted({entry.state for entry in entries})
        entries = [entry for entry in entries if entry.state == states[index % len(states)]]
        entry = entries[index // len(states) % len(entries)]
        attempt, windows = entry.doubts.pop(next(iter(entry.doubts)))
        presumed, paid = attempt.presumed_cost_microusd, found != "unpaid"
        cost = (FOUND[found] or presumed) if paid else 0
        command = Resolve(attempt.id, UPSTREAM, paid, FOUND[found], "a test")
        assert self._one(command) == Resolved(cost)
        for _ in range(repeats - 1):
            assert self._one(replace(command, paid=not paid)) == NotInDoubt(AttemptState.FAILED, cost)
            self._visit("doubt", "resolved again")
        self.model.book(UPSTREAM, windows, (0, cost, 0), (0, -presumed, 0))
        self.model.book(OURS, {}, (0, cost, 0))
        self._visit(entry.state, "resolve paid" if paid else "resolve unpaid")
        self._ended_later("doubt", UPSTREAM, windows)

    def _resolve_what_is_out(self, index: int) -> None:
        entries = [entry for entry in self.tasks if entry.open]
        if not entries:
            return
        attempt, _ = next(iter(entries[index % len(entries)].open.values()))
        assert self._one(Resolve(attempt.id, UPSTREAM, paid=True)) == NotInDoubt(AttemptState.SENDING)
        self._visit("in flight", "resolve")
