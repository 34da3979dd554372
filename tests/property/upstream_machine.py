"""The ledger's state machine with what happens at upstreams: budgets of their own, several attempts at once, and doubts that are resolved."""

from dataclasses import replace
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.domain.ids import AccountId
from gateway.domain.tasks import Attempt, AttemptState
from gateway.ledger.model import NotInDoubt, Resolve, Resolved
from gateway.pipeline.commands import Accepted, RecordAttempts, Recorded, SendRefused
from tests.property.ledger_machine import OWN, LedgerMachine
from tests.property.ledger_model import Limit
from tests.property.ledger_nouns import ModelTask, told
from tests.property.ledger_world import KEYS, OURS, UPSTREAM

FOUND = {"paid": None, "paid less": 800, "paid more": 5_000, "unpaid": None}
"""What an operator finds out, and the bill in microusd where it is known."""


class UpstreamMachine(LedgerMachine):
    """More rules; the model decides what each must answer."""

    @rule(own=OWN)
    def change_own_budget(self, own: tuple[Limit, ...]) -> None:
        """Raised, lowered below what is used, or taken away: nothing that is out changes. Nobody can move an upstream to another time zone."""
        self._set_terms(UPSTREAM, own, self.model.terms[UPSTREAM].zone, False)

    @rule(key=st.sampled_from(KEYS), parts=st.integers(2, 4))
    def accept_in_parts(self, key: AccountId, parts: int) -> None:
        """All attempts of a call go out at once or none."""
        command = self._new(key, (1,), False)
        command = replace(command, attempts=tuple(self._attempt(command.task.id) for _ in range(parts)))
        outcome = self._one(command)
        self._check_accept(command, outcome)
        if isinstance(outcome, Accepted):
            self._visit("parts", "wait" if outcome.closed else "sent")

    @precondition(lambda self: any(not entry.finished for entry in self.tasks))
    @rule(index=st.integers(0, 50), above=st.integers(0, 1))
    def send_to_the_last(self, index: int, above: int) -> None:
        """Exactly what is left of the tightest budget goes out, and one micro-dollar more does not."""
        left = [value for _, _, value in self.model.left(UPSTREAM, self.now_ms)]
        if left and min(left) + above > 0:
            entry = self._unfinished(index)
            attempt = replace(self._attempt(entry.task.id), presumed_cost_microusd=min(left) + above)
            self._record(entry, None, attempt)
            self._visit("last micro-dollar", "refused" if above else "sent")

    @precondition(lambda self: any(entry.open and not entry.finished for entry in self.tasks))
    @rule(index=st.integers(0, 50), how=LedgerMachine.HOW, repeats=st.integers(1, 2))
    def fail_over(self, index: int, how: str, repeats: int) -> None:
        """One attempt ends and the next begins, in one commit: what the first gives back is there for the second, and its end is written anyway."""
        entries = [entry for entry in self.tasks if entry.open and not entry.finished]
        entry = entries[index % len(entries)]
        before, _ = next(iter(entry.open.values()))
        self._record(entry, self._ending(before, how), self._attempt(entry.task.id), how, repeats)

    def _unfinished(self, index: int) -> ModelTask:
        found = [entry for entry in self.tasks if not entry.finished]
        return found[index % len(found)]

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

    @precondition(lambda self: any(entry.doubts or entry.open for entry in self.tasks))
    @rule(index=st.integers(0, 50), found=st.sampled_from(sorted(FOUND)), repeats=st.integers(1, 2))
    def resolve(self, index: int, found: str, repeats: int) -> None:
        """A doubt ends, once, whatever became of its task; what is in flight or known is no doubt."""
        entries = [entry for entry in self.tasks if entry.doubts]
        if not entries:
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
        attempt, _ = next(iter(entries[index % len(entries)].open.values()))
        assert self._one(Resolve(attempt.id, UPSTREAM, paid=True)) == NotInDoubt(AttemptState.SENDING)
        self._visit("in flight", "resolve")

    def also(self, random: Random) -> None:
        """A doubt ends among many steps."""
        if any(entry.doubts for entry in self.tasks):
            self.resolve(index=random.randrange(50), found=random.choice(sorted(FOUND)), repeats=1)
