"""Upstreams that fall ill in turns: a seeded random sequence of spells, each one emulator misbehaving in one way for a while.

At most SICK_MAX are ill at a time, and one falls ill only while more than RESTED_MIN others have been well for so long that their circuits must
have closed again: REST_S, or REST_OF_DOUBT_S after silence, which opens them for longer. So some able upstream with a closed circuit is up at
every moment.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.emulators import behaviours as b
from tests.emulators.base import Emulator

SICK_MAX, RESTED_MIN = 2, 2
DOUBTFUL_SHARE = 0.3
SPELL_S = (0.3, 1.5)
REST_S = 8.0
REST_OF_DOUBT_S = 33.0
PAUSE_S = 0.2

REFUSED = "refused connections"
UNBILLED: Mapping[str, b.Behaviour] = {
    "500": b.Error(),
    "overloaded": b.Overloaded(),
    "rate limit": b.RateLimit(retry_after="1"),
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
class Weather:
    """Run it beside the calls; it ends when cancelled, with every upstream well again."""

    emulators: Mapping[str, Emulator]
    """Cheapest first: the cheaper one is, the more calls meet its illness, so the more often it falls ill."""
    chance: random.Random
    well_at_s: dict[str, float] = field(default_factory=dict)
    """From when on an upstream may fall ill again."""
    sick: set[str] = field(default_factory=set)
    spells: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By upstream and kind."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(PAUSE_S)
                name = self._next()
                if name is not None:
                    kind = self._kind(self.emulators[name])
                    self.sick.add(name)
                    self.spells[name, kind] += 1
                    group.create_task(self._spell(name, kind))

    def _next(self) -> str | None:
        """One of those that are well for long; None while too many are not."""
        now_s = asyncio.get_running_loop().time()
        rested = [name for name in self.emulators if name not in self.sick and self.well_at_s.get(name, 0.0) <= now_s]
        if len(self.sick) >= SICK_MAX or len(rested) <= RESTED_MIN:
            return None
        return self.chance.choices(rested, [2.0**-at for at in range(len(rested))])[0]

    def _kind(self, emulator: Emulator) -> str:
        kinds = list(DOUBTFUL) if self.chance.random() < DOUBTFUL_SHARE else [REFUSED, REFUSED, *UNBILLED]
        able = [kind for kind in kinds if kind == REFUSED or not isinstance(_BEHAVIOURS[kind], emulator.unsupported)]
        return self.chance.choice(able)

    async def _spell(self, name: str, kind: str) -> None:
        emulator, seconds = self.emulators[name], self.chance.uniform(*SPELL_S)
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
            rest_s = REST_OF_DOUBT_S if kind in DOUBTFUL else REST_S
            self.well_at_s[name] = asyncio.get_running_loop().time() + rest_s
            self.sick.discard(name)
