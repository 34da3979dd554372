"""One run of the ledger's state machine that is drawn from a number."""

from collections.abc import Callable
from random import Random

from tests.property.ledger_machine import HOW, LIMITS, OWN_BUDGETS, ZONES
from tests.property.ledger_model import Limit
from tests.property.ledger_world import KEYS, PAYERS
from tests.property.upstream_machine import FOUND, UpstreamMachine

PARTS = 4
"""After each, time passes, and terms change."""


def drive_ledger(machine: UpstreamMachine, random: Random) -> None:
    """Every rule of the machine. The books are compared after each, as hypothesis would."""
    machine.limit(
        limits=[_budgets(random) for _ in range(5)],
        zones=random.choices(ZONES, k=6),
        credits=random.choice([None, None, 10, 40]),
        own=random.choice(OWN_BUDGETS),
    )
    for _ in range(PARTS):
        for _ in range(2):
            _accept(machine, random)
        steps = [step for step, times in _STEPS for _ in range(times)]
        random.shuffle(steps)
        for step in steps:
            step(machine, random)
            machine.the_books_say_what_the_model_says()


def _budgets(random: Random) -> tuple[Limit, ...]:
    units = random.choices(("usd", "credits", "images"), weights=(3, 2, 2), k=random.choice([0, 1, 1, 2]))
    return tuple(random.choice([limit for limit in LIMITS if limit.unit == unit]) for unit in units)


def _accept(machine: UpstreamMachine, random: Random) -> None:
    sizes, apart_ms = random.choice([(1,), (3,), (9, 4, 2), (5, 1)]), random.choice([0, 0, 1, 20 * 3_600_000])
    machine.accept(
        key=random.choice(KEYS),
        sizes=sizes,
        sent=random.random() < 0.5,
        at_once=random.randint(1, 4),
        apart_ms=apart_ms,
    )


def _accept_to_the_last(machine: UpstreamMachine, random: Random) -> None:
    machine.accept_to_the_last(key=random.choice(KEYS), unit=random.choice((0, 0, 1, 2)), above=random.randint(0, 1))


def _change_terms(machine: UpstreamMachine, random: Random) -> None:
    zone = random.choice((None, None, *ZONES))
    machine.change_terms(
        account=random.choice(PAYERS), limits=_budgets(random), zone=zone, prepaid=random.random() < 0.5
    )


def _change_grant(machine: UpstreamMachine, random: Random) -> None:
    machine.change_grant(account=random.choice(PAYERS), credits=random.choice([5, 30, -3, -20]))


def _time_passes(machine: UpstreamMachine, random: Random) -> None:
    how = random.choice(("step", "end of day", "end of week", "end of month", "clocks"))
    step_ms = random.choice([-1, 0, 60_000, 7 * 3_600_000, 86_400_000])
    machine.time_passes(zone=random.choice(ZONES), how=how, step_ms=step_ms)


def _day_of_another_length(machine: UpstreamMachine, random: Random) -> None:
    key, zone = random.choice(KEYS), random.choice(ZONES[1:])
    machine.refused_on_a_day_of_another_length(key=key, zone=zone, hours=random.randint(-1, 20))


def _send(machine: UpstreamMachine, random: Random) -> None:
    if machine.tasks:
        machine.send(index=random.randint(0, 50), stale=random.random() < 0.5, repeats=random.randint(1, 2))


def _end_attempt(machine: UpstreamMachine, random: Random) -> None:
    if any(entry.open for entry in machine.tasks):
        machine.end_attempt(index=random.randint(0, 50), how=random.choice(HOW), repeats=random.randint(1, 2))


def _replaced_and_foreign(machine: UpstreamMachine, random: Random) -> None:
    """What nobody may do, in every state: cheap, as nothing is written."""
    for _ in range(3 if machine.tasks else 0):
        completed, charge, how = random.random() < 0.5, random.randint(0, 12), random.choice(HOW)
        index, knowing = random.randint(0, 50), random.random() < 0.5
        machine.finish(index=index, completed=completed, charge=charge, how=how, stale=1, knowing=knowing)
        machine.cancel(index=random.randint(0, 50), foreign=True, knowing=random.random() < 0.5)
        machine.send(index=random.randint(0, 50), stale=True, repeats=1)


def _doubt(machine: UpstreamMachine, random: Random) -> None:
    """One more, and one that ends."""
    if any(entry.open for entry in machine.tasks):
        machine.end_attempt(index=random.randint(0, 50), how="unknown", repeats=1)
    for _ in range(2):
        machine.resolve(random.randint(1, 50), random.choice(("unpaid", *FOUND)), random.randint(1, 2))


def _take_over(machine: UpstreamMachine, _: Random) -> None:
    machine.take_over()


def _busy(machine: UpstreamMachine, random: Random) -> None:
    if machine.tasks:
        machine.busy(seed=random.getrandbits(32), length=random.randint(5, 25))


def _at_upstreams(machine: UpstreamMachine, random: Random) -> None:
    machine.at_upstreams(seed=random.getrandbits(32), length=random.randint(10, 30))


_STEPS: tuple[tuple[Callable[[UpstreamMachine, Random], None], int], ...] = (
    (_accept, 1), (_accept_to_the_last, 1), (_change_terms, 1), (_change_grant, 3), (_time_passes, 1), (_day_of_another_length, 1), (_send, 1),
    (_end_attempt, 1), (_doubt, 1), (_replaced_and_foreign, 1), (_take_over, 1), (_busy, 1), (_at_upstreams, 1),
)  # fmt: skip
"""Each so often in a part, in any order."""
