"""Upstreams that fall ill in turns: a seeded random sequence of spells, each one emulator misbehaving in one way for a while.

Any may fall ill at any time, but for the last one that is well: so some upstream is up at every moment, nobody knows which, and its circuit may be
open since its last spell. What was ill when is written down.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.emulators import behaviours as b
from tests.emulators.base import Emulator

DOUBTFUL_SHARE = 0.3
SPELL_S = (1.0, 4.0)
PAUSE_S = 0.6
RETRY_AFTER_S = 1
READ_S = 0.5
"""An upstream that asked to be left alone for so long is not up before; its last such answer is read a moment after it was sent."""

REFUSED, LIMITED = "refused connections", "rate limit"
UNBILLED: Mapping[str, b.Behaviour] = {
    "500": b.Error(),
    "overloaded": b.Overloaded(),
    LIMITED: b.RateLimit(retry_after=str(RETRY_AFTER_S)),
    "400": b.Error(status=400, code="invalid_value", message="Invalid value: 'n'."),
    "failed task": b.FailTask(),
}
DOUBTFUL: Mapping[str, b.Behaviour] = {
    "hang": b.Hang(),
    "hang, billed": b.Hang(bills=True),
    "reset": b.Reset(),
    "reset, billed": b.Reset(bills=True),
    "502 page": b.HtmlError(),
    "502 page, billed": b.HtmlError(bills=True),
    "half an answer": b.Truncated(),
}
_BEHAVIOURS: Mapping[str, b.Behaviour] = {**UNBILLED, **DOUBTFUL}


@dataclass(slots=True)
class Spell:
    """Times are the loop's; `ended_s` None: it goes on."""

    begun_s: float
    ended_s: float | None = None


@dataclass(slots=True)
class Weather:
    """Run it beside the calls; it ends when cancelled, with every upstream well again."""

    emulators: Mapping[str, Emulator]
    """Cheapest first: the cheaper one is, the more calls meet its illness, so the more often it falls ill."""
    chance: random.Random
    sick: set[str] = field(default_factory=set)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Spells by upstream and kind."""
    spells: dict[str, list[Spell]] = field(default_factory=dict)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(PAUSE_S)
                name = self._next()
                if name is not None:
                    kind = self._kind(self.emulators[name])
                    self.sick.add(name)
                    self.kinds[name, kind] += 1
                    group.create_task(self._spell(name, kind))

    def was_up(self, begun_s: float, ended_s: float) -> list[str]:
        """The upstreams that were well all that time."""
        return [
            name
            for name in self.emulators
            if not any(
                spell.begun_s <= ended_s and (spell.ended_s is None or spell.ended_s >= begun_s)
                for spell in self.spells.get(name, [])
            )
        ]

    def _next(self) -> str | None:
        """One of those that are well, unless it is the only one."""
        well = [name for name in self.emulators if name not in self.sick]
        if len(well) <= 1:
            return None
        return self.chance.choices(well, [1.5**-at for at in range(len(well))])[0]

    def _kind(self, emulator: Emulator) -> str:
        kinds = list(DOUBTFUL) if self.chance.random() < DOUBTFUL_SHARE else [REFUSED, REFUSED, *UNBILLED]
        able = [kind for kind in kinds if kind == REFUSED or not isinstance(_BEHAVIOURS[kind], emulator.unsupported)]
        return self.chance.choice(able)

    async def _spell(self, name: str, kind: str) -> None:
        emulator, seconds, loop = self.emulators[name], self.chance.uniform(*SPELL_S), asyncio.get_running_loop()
        spell = Spell(loop.time())
        self.spells.setdefault(name, []).append(spell)
        try:
            if kind == REFUSED:
                await emulator.refuse_connections()
            else:
                emulator.always(_BEHAVIOURS[kind])
            await asyncio.sleep(seconds)
        finally:
            if kind == REFUSED:
                await emulator.accept_connections()
            else:
                emulator.always(b.Succeed())
                emulator.release()
        if kind == LIMITED:
            await asyncio.sleep(RETRY_AFTER_S + READ_S)
        spell.ended_s = loop.time()
        self.sick.discard(name)
