"""One run of the cache's state machine that is drawn from a number."""

from random import Random

from tests.property.ledger_world import KEYS
from tests.property.sharing_machine import SharingMachine
from tests.property.task_driving import drive_tasks
from tests.property.task_machine import LIVING_MS, OWNERS, SIZES


def drive_sharing(machine: SharingMachine, random: Random) -> None:
    """Calls of the cache alone, under budgets that are soon used; every fourth run with all the rest between them."""
    if random.random() < 0.25:
        drive_tasks(machine, random)
        return
    machine.limit(org=random.choice([None, 12, 12, 40]), key=random.choice([None, 10]))
    for _ in range(4):
        sizes, attempts = random.choice(SIZES), random.choice([0, 0, 1, 2])
        machine.accept(
            key=random.choice(KEYS), sizes=sizes, attempts=attempts, owner=random.choice(OWNERS), lease_ms=LIVING_MS, cancelled=False
        )  # fmt: skip
    for _ in range(3):
        if machine.order:
            machine.share(seed=random.getrandbits(32), length=random.randint(40, 120))
        machine.the_database_says_what_the_model_says()
