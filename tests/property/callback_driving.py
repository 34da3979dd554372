"""One run of the callbacks' state machine that is drawn from a number."""

from random import Random

from tests.property.callback_machine import CLAIM_MS, CallbackMachine
from tests.property.task_machine import OWNERS

PARTS = 3


def drive_callbacks(machine: CallbackMachine, random: Random) -> None:
    """Deliverers at work, and between that what they see seldom: tasks that are erased or handed back, and an operator's wishes."""
    machine.limit(org=random.choice([None, 12, 40]), key=random.choice([None, 10]))
    for _ in range(PARTS):
        machine.busy_deliverers(seed=random.getrandbits(32), length=random.randint(40, 120))
        machine.every_end_is_told_once()
        for _ in range(4):
            machine.look(later_ms=random.choice([0, 1, 1_000, CLAIM_MS]), size=random.choice([1, 3, 100]))
            machine.erase(index=random.randint(0, 60), whose="", again=False)
            machine.every_end_is_told_once()
            machine.note(index=random.randint(0, 30), how=random.choice(["answered", "failed", "gone"]))
            machine.send_again(index=random.randint(0, 30))
            machine.hand_back(owner=random.choice(OWNERS), indexes=[random.randint(0, 60)])
            machine.every_end_is_told_once()
        machine.the_database_says_what_the_model_says()
