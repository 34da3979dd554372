"""One run of the tasks' state machine that is drawn from a number."""

from random import Random

from tests.property.ledger_world import KEYS
from tests.property.task_commands import ENDS
from tests.property.task_machine import ATTEMPTED, LIVING_MS, OWNERS, REPEATS, SIZES, WHOSE, WORK, TaskMachine

PARTS = 4
"""So often in a run the database is compared as a whole."""


def drive_tasks(machine: TaskMachine, random: Random) -> None:
    """Every rule of the machine, most of them by `busy`."""
    machine.limit(org=random.choice([None, 12, 40]), key=random.choice([None, 10]))
    for _ in range(4):
        sizes, attempts = random.choice(SIZES), random.choice([0, 0, 1, 2])
        machine.accept(
            key=random.choice(KEYS), sizes=sizes, attempts=attempts, owner=random.choice(OWNERS), lease_ms=LIVING_MS,
            cancelled=random.random() < 0.2,
        )  # fmt: skip
    for _ in range(PARTS):
        if machine.order:
            machine.busy(seed=random.getrandbits(32), length=random.randint(20, 80))
            _drive_rare(machine, random)
        machine.nothing_is_known(work=random.choice(["start", "complete", "cancel", "erase"]))
        machine.the_database_says_what_the_model_says()


def _drive_rare(machine: TaskMachine, random: Random) -> None:
    """What `busy` does seldom or never."""
    machine.cancel(index=random.randint(0, 60), whose="", again=False, quiet=False)
    for work in ("start", *ATTEMPTED):  # an index that three divides is of a task that is to be cancelled
        step = 3 * random.randint(0, 20), work, random.choice(ENDS), random.choice([0, 1, 12]), random.choice(WHOSE), ""
        machine.work(steps=[step])
    for work in WORK:
        whose, charge = random.choice(["old ", "future "]), random.choice([0, 1, 12])
        machine.work(steps=[(random.randint(0, 60), work, random.choice(ENDS), charge, whose, "")])
    for whose in ("", "office ", "foreign "):
        machine.erase(index=random.randint(0, 60), whose=whose, again=random.random() < 0.5)
    for how in REPEATS:
        machine.repeat(index=random.randint(0, 60), how=how, twice=random.random() < 0.4)
    for _ in range(4):
        work, how, charge = random.choice(WORK), random.choice(ENDS), random.choice([0, 1, 12])
        index, first = random.randint(0, 60), random.random() < 0.5
        machine.work_and_cancel_at_once(index=index, work=work, how=how, charge=charge, cancel_first=first)
        index = random.randint(0, 60)
        machine.work_and_erase_at_once(index=index, work=work, how=how, charge=charge, erase_first=first)
        machine.hand_back(owner=random.choice(OWNERS), indexes=[random.randint(0, 60)])
