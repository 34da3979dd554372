"""Bugs planted in upstreams' own budgets and in the end of doubts, one at a time: the state machine must catch every one, or it proves nothing."""

# mypy: disable-error-code="no-untyped-def"
# A planted bug has the signature of what it replaces; spelling it out again would hide the bug.

from dataclasses import replace

import pytest

from gateway.domain.money import NOTHING, Amount
from gateway.ledger import decide
from gateway.ledger.model import Entry, EntryKind, Resolved
from gateway.pipeline import apply as batch
from gateway.pipeline import batch as loading
from gateway.pipeline.commands import Accept, Finish, SendRefused
from tests.proofs import Proof
from tests.property.driving import seek
from tests.property.ledger_driving import drive_ledger
from tests.property.ledger_machine import LedgerMachine
from tests.property.ledger_world import UPSTREAM, Ledger
from tests.property.machines import Plants, cases, caught, show_mutants
from tests.property.test_ledger_machine import machine_on

_PLANTS = Plants()
PLANTS, IN_THE_STORE = _PLANTS.all, _PLANTS.in_the_store
plant, plant_in_the_store = _PLANTS.add, _PLANTS.add_in_the_store


@plant
def own_budget_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Everything goes out."""
    patch.setattr(decide, "send_refusal", lambda books, sends: None)


@plant
def own_budget_counts_bills_alone(patch: pytest.MonkeyPatch) -> None:
    """What is in flight and in doubt is forgotten: sends at once overspend it."""
    genuine = decide.send_refusal

    def send_refusal(books, sends):
        balance = decide._balance(books, UPSTREAM)
        before, moved, balance.pending, books.moved = balance.pending, books.moved, NOTHING, {}
        rows = {key: row.pending for key, row in books.balances.items() if key.account == UPSTREAM}
        for key in rows:
            books.balances[key].pending = NOTHING
        verdict = genuine(books, sends)
        for key, pending in rows.items():
            books.balances[key].pending = pending
        balance.pending, books.moved = before, moved
        return verdict

    patch.setattr(decide, "send_refusal", send_refusal)


@plant
def own_budget_ignores_doubts(patch: pytest.MonkeyPatch) -> None:
    """What may have been billed is taken for free room."""
    genuine_end, genuine_resolve, genuine = batch._end, batch._resolve, decide.send_refusal
    doubts = {"microusd": 0}
    begin = LedgerMachine.__init__

    def init(self):
        doubts["microusd"] = 0
        begin(self)

    def end(work, attempts):
        known = {a.id for attempts_of in work.attempts.values() for a in attempts_of.values() if not a.state.is_open}
        fresh = [a for a in attempts if a.state.value == "unknown" and a.id not in known]
        doubts["microusd"] += sum(attempt.presumed_cost_microusd for attempt in fresh)
        genuine_end(work, attempts)

    def resolve(work, command):
        outcome = genuine_resolve(work, command)
        if isinstance(outcome, Resolved):
            doubts["microusd"] -= work.doubts[command.attempt_id].presumed_cost_microusd
        return outcome

    def send_refusal(books, sends):
        given = list(sends)
        refusal = genuine(books, given)
        if refusal is None or refusal.needed <= refusal.left + doubts["microusd"]:
            return None
        return refusal

    patch.setattr(LedgerMachine, "__init__", init)
    patch.setattr(batch, "_end", end)
    patch.setattr(batch, "_resolve", resolve)
    patch.setattr(decide, "send_refusal", send_refusal)


@plant
def own_budget_of_another_day(patch: pytest.MonkeyPatch) -> None:
    """The windows of the day before are asked: after midnight the old day refuses, and before it nobody does."""
    genuine = decide.send_refusal
    patch.setattr(
        decide,
        "send_refusal",
        lambda books, sends: genuine(books, [(upstream, cost, at_ms - 86_400_000) for upstream, cost, at_ms in sends]),
    )


@plant
def last_micro_dollar_is_refused(patch: pytest.MonkeyPatch) -> None:
    """A send that takes all that is left does not fit."""
    genuine = decide.send_refusal
    patch.setattr(
        decide,
        "send_refusal",
        lambda books, sends: genuine(books, [(upstream, cost + 1, at_ms) for upstream, cost, at_ms in sends]),
    )


@plant
def every_part_finds_the_same_room(patch: pytest.MonkeyPatch) -> None:
    """Attempts that go out together are asked for one by one."""
    genuine = decide.send_refusal

    def send_refusal(books, sends):
        return next(filter(None, (genuine(books, [each]) for each in sends)), None)

    patch.setattr(decide, "send_refusal", send_refusal)


@plant
def refused_and_sent_all_the_same(patch: pytest.MonkeyPatch) -> None:
    """The answer says no, and the attempt is written."""
    genuine = batch._closed

    def closed(work, attempts):
        refusal = genuine(work, attempts)
        if refusal is not None:
            batch._start(work, attempts)
        return refusal

    patch.setattr(batch, "_closed", closed)


@plant
def refused_send_loses_the_end_before_it(patch: pytest.MonkeyPatch) -> None:
    """What ended in the same commit is forgotten."""
    genuine = batch._record

    def record(work, command):
        if batch._lost(work, command.task_id, command.epoch) is None:
            refusal = batch._closed(work, command.started)
            if refusal is not None:
                return SendRefused(refusal)
        return genuine(work, command)

    patch.setattr(batch, "_record", record)


@plant
def bill_in_the_windows_of_its_coming(patch: pytest.MonkeyPatch) -> None:
    """A late bill counts a day later than its send."""
    genuine = decide.pay
    patch.setattr(
        decide,
        "pay",
        lambda books, upstream, task, attempt, presumed, cost, sent_at_ms, *rest: genuine(
            books, upstream, task, attempt, presumed, cost, sent_at_ms + 86_400_000, *rest
        ),
    )


@plant_in_the_store
def windows_of_sends_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    """Every send finds the day unused."""

    def moments(commands):
        return {
            command.task.created_at_ms if isinstance(command, Accept) else command.accepted_at_ms
            for command in commands
            if isinstance(command, Accept | Finish)
        }

    patch.setattr(loading, "moments_ms", moments)


@plant
def doubt_is_resolved_twice(patch: pytest.MonkeyPatch) -> None:
    """The attempt is not marked, so a repeat books it again."""
    genuine = batch._resolve

    def resolve(work, command):
        outcome = genuine(work, command)
        if isinstance(outcome, Resolved):
            work.ended.pop()
        return outcome

    patch.setattr(batch, "_resolve", resolve)


@plant
def paid_doubt_is_nobodys_loss(patch: pytest.MonkeyPatch) -> None:
    """Paid at the upstream, and booked nowhere on our side."""
    genuine = batch._resolve

    def resolve(work, command):
        lose, decide.lose = decide.lose, lambda *given: None
        try:
            return genuine(work, command)
        finally:
            decide.lose = lose

    patch.setattr(batch, "_resolve", resolve)


@plant
def unpaid_doubt_stays_pending(patch: pytest.MonkeyPatch) -> None:
    """The attempt is marked, and its presumed cost never given back."""
    genuine = batch._resolve

    def resolve(work, command):
        pay, decide.pay = decide.pay, lambda *given: None
        try:
            return genuine(work, command)
        finally:
            decide.pay = pay

    patch.setattr(batch, "_resolve", lambda work, command: (genuine if command.paid else resolve)(work, command))


@plant
def bill_of_a_doubt_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """The presumed cost is booked whatever the operator says."""
    genuine = batch._resolve
    patch.setattr(batch, "_resolve", lambda work, command: genuine(work, replace(command, cost_microusd=None)))


@plant
def what_is_in_flight_is_resolved(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the outcome is open: an attempt that is out is booked as known."""
    genuine = batch._resolve

    def resolve(work, command):
        attempt = work.doubts[command.attempt_id]
        if attempt.state.is_open:
            work.doubts[attempt.id] = replace(attempt, state=type(attempt.state).UNKNOWN, ended_at_ms=1)
        return genuine(work, command)

    patch.setattr(batch, "_resolve", resolve)


@plant
def loss_is_charged_to_the_upstream_again(patch: pytest.MonkeyPatch) -> None:
    """The loss of a doubt stands twice: at the upstream as paid, and once more as pending."""
    genuine = batch._resolve

    def resolve(work, command):
        outcome = genuine(work, command)
        if isinstance(outcome, Resolved):
            attempt = work.doubts[command.attempt_id]
            entry = Entry(
                UPSTREAM, EntryKind.SEND, NOTHING, Amount(microusd=outcome.cost_microusd), work.now_ms,
                decide.windows_of(work.books, UPSTREAM, attempt.sent_at_ms),
            )  # fmt: skip
            decide._post(work.books, entry)
        return outcome

    patch.setattr(batch, "_resolve", resolve)


@pytest.mark.parametrize(("kind", "name"), cases(PLANTS, IN_THE_STORE))
@pytest.mark.timeout(300)
def test_every_planted_bug_is_caught(
    kind: str, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    """The machine fails with the bug in place."""
    ledger: Ledger = request.getfixturevalue(kind)
    PLANTS[name](monkeypatch)
    how = caught(lambda: seek(machine_on(ledger), drive_ledger, examples=300, steps=40))
    assert how is not None, "nobody noticed"
    show_mutants(proof, f"upstreams on {kind}", PLANTS, how, name)


def test_there_are_enough_of_them() -> None:
    """At least six, in the store too, and each says what it breaks."""
    assert len(PLANTS) >= 6
    assert IN_THE_STORE
    assert all(function.__doc__ for function in PLANTS.values())
