"""Places that all processes share: sorted sets in the shared state, scored by the end of a lease that this process renews for all its places at once.

A place is a name in one or more sets. It is taken by a script that counts first, or entered without asking; giving it back is queued and returns at
once, and goes along with whatever this process asks next. What a process that died held is free after LEASE_S. How it fails: `take` raises
LimitStoreDown, and a place that it may have got all the same is given back; everything else waits for the shared state's return, and then every place
that is held is entered anew.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from gateway.limits.outage import LimitStoreDown
from gateway.state.script import Script
from gateway.state.valkey import StateDown, Valkey

LEASE_S = 20.0
RENEW_S = 5.0
"""Three renewals may fail."""
CHANGED_MAX = 100
"""Places that one script gives back, and as many that it enters: it runs for a millisecond, and everybody else waits for it."""
GONE_MAX = 10_000
"""Places to be given back that are remembered while the shared state is down; of further ones the lease runs out."""
FREED = "places"
"""The channel on which a set is named that somebody waits for, when a place in it is given back."""

_CHANGE = Script(
    """
-- KEYS: the sets. ARGV: the lease in ms, the channel, how many changes, each as a set's number, a name, and 1 to enter or 0 to take out;
-- then how many sets are asked for a place (the first ones; 0: none), how many places, 1 where their loss is to be told or 0,
-- 1 to take them or 0 to look, the names of the places, and each set's limit (-1: none).
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ends, lease = string.format('%.0f', now + tonumber(ARGV[1])), string.format('%.0f', tonumber(ARGV[1]) + 1000)
for _, key in ipairs(KEYS) do redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now)) end
local at, touched = 4, {}
for _ = 1, tonumber(ARGV[3]) do
  local key, name = KEYS[tonumber(ARGV[at])], ARGV[at + 1]
  if ARGV[at + 2] == '1' then
    redis.call('ZADD', key, ends, name)
    touched[key] = true
  elseif redis.call('ZREM', key, name) == 1 and redis.call('DEL', key .. ':wanted') == 1 then
    redis.call('PUBLISH', ARGV[2], key)
  end
  at = at + 3
end
local sets, places, wanted, taking = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
local names = at + 3
local answer = {0, 0}
for i = 1, sets do
  local limit = tonumber(ARGV[names + places + i])
  local running = limit >= 0 and redis.call('ZCARD', KEYS[i]) or 0
  if limit >= 0 and running + places > limit then
    if wanted == '1' then redis.call('SET', KEYS[i] .. ':wanted', '1', 'PX', 2000) end
    answer = {i, running}
    break
  end
end
if answer[1] == 0 and taking == '1' then
  for i = 1, sets do
    for n = 1, places do redis.call('ZADD', KEYS[i], ends, ARGV[names + n]) end
    touched[KEYS[i]] = true
  end
end
for key in pairs(touched) do redis.call('PEXPIRE', key, lease) end
return answer
"""
)


@dataclass(frozen=True, slots=True)
class Place:
    """A name in sets that share a tag."""

    name: str
    tag: str
    sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The first set that has no room: its number, and how many places in it are taken."""

    index: int
    running: int


@dataclass(slots=True)
class _Group:
    """All places of one tag that this process knows."""

    held: dict[str, Place] = field(default_factory=dict)
    to_enter: dict[str, Place] = field(default_factory=dict)
    """Held, and the shared state was not told, or it is to be renewed."""
    gone: dict[str, Place] = field(default_factory=dict)
    """Given back, and the shared state was not told, or did not hear it."""
    asking: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.held or self.to_enter or self.gone or self.asking)


class Leases:
    """The places of one process. `owner` names it."""

    def __init__(self, state: Valkey, owner: str) -> None:
        self._state = state
        self._owner = owner
        self._numbers = count()
        self._groups: dict[str, _Group] = {}
        self._due = asyncio.Event()
        state.on_return(self.renew)

    def __len__(self) -> int:
        """Places held."""
        return sum(len(group.held) for group in self._groups.values())

    async def take(
        self, tag: str, sets: Sequence[str], limits: Sequence[int | None], places: int = 1, *, tell: bool = False
    ) -> list[Place] | NoRoom:
        """So many places in all of these sets, or none. With `tell`, a refusing set is named on FREED when it has room. Raises LimitStoreDown."""
        taken = [self._named(tag, sets) for _ in range(places)]
        group = self._groups.setdefault(tag, _Group())
        try:
            refused = await self._ask(group, sets, limits, [place.name for place in taken], tell=tell)
        except BaseException:
            for place in taken:  # it may have them
                self._forget(place)
            raise
        if refused is not None:
            return refused
        group.held.update((place.name, place) for place in taken)
        return taken

    async def look(self, tag: str, sets: Sequence[str], limits: Sequence[int | None]) -> NoRoom | None:
        """Which set has no room for another place; takes none. Raises LimitStoreDown."""
        return await self._ask(self._groups.get(tag) or _Group(), sets, limits, ["?"], taking=False)

    def enter(self, tag: str, sets: Sequence[str]) -> Place:
        """A place without asking: it is there soon, or when the shared state is back."""
        place = self._named(tag, sets)
        group = self._groups.setdefault(tag, _Group())
        group.held[place.name] = group.to_enter[place.name] = place
        self._due.set()
        return place

    def give_back(self, place: Place) -> None:
        """Returns at once; later calls do nothing."""
        group = self._groups.get(place.tag)
        if group is not None and group.held.pop(place.name, None) is not None:
            group.to_enter.pop(place.name, None)
            self._forget(place)

    def renew(self) -> None:
        """Enter everything that is held anew, soon."""
        for group in self._groups.values():
            group.to_enter.update(group.held)
        self._due.set()

    async def run(self) -> None:
        """Tell the shared state what changed, and renew the leases, for ever."""
        loop = asyncio.get_running_loop()
        renew_s = loop.time() + RENEW_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(renew_s):
                    await self._due.wait()
            if loop.time() >= renew_s:
                self.renew()
                renew_s = loop.time() + RENEW_S
            self._due.clear()
            await self.flush()

    async def leave(self) -> None:
        """Give everything back, because this process ends: others need not wait for its leases."""
        for group in self._groups.values():
            for place in tuple(group.held.values()):
                self.give_back(place)
        await self.flush()

    async def flush(self) -> None:
        """Tell the shared state what changed, now. Where it is down, its return does it."""
        for tag, group in tuple(self._groups.items()):
            while group.to_enter or group.gone:
                try:
                    await self._ask(group, (), (), ())
                except LimitStoreDown:
                    return
            if group.is_empty:
                del self._groups[tag]

    async def _ask(
        self,
        group: _Group,
        sets: Sequence[str],
        limits: Sequence[int | None],
        names: Sequence[str],
        *,
        tell: bool = False,
        taking: bool = True,
    ) -> NoRoom | None:
        """What this process has to say of the group, then the question. Commands go out in the order of these calls."""
        numbers = {key: number for number, key in enumerate(sets, 1)}
        changes: list[str | int] = []
        out, entered = list(_some(group.gone)), list(_some(group.to_enter))
        for place, what in (*((place, 0) for place in out), *((place, 1) for place in entered)):
            for key in place.sets:
                changes += (numbers.setdefault(key, len(numbers) + 1), place.name, what)
        most = (-1 if limit is None else limit for limit in limits)
        channel = self._state.channel(FREED)
        args = (
            round(LEASE_S * 1000), channel, len(changes) // 3, *changes,
            len(sets), len(names), int(tell), int(taking), *names, *most,
        )  # fmt: skip
        for place in entered:
            del group.to_enter[place.name]
        for place in out:  # once is enough: whatever is asked from now on comes after it
            del group.gone[place.name]
        group.asking += 1
        try:
            answer = await self._state.run(_CHANGE, tuple(numbers), args)
        except BaseException as exc:
            group.to_enter.update((place.name, place) for place in entered if place.name in group.held)
            group.gone.update((place.name, place) for place in out)
            if isinstance(exc, StateDown):
                raise LimitStoreDown(str(exc)) from exc
            raise
        finally:
            group.asking -= 1
        match answer:
            case [int(index), int(running)]:
                return NoRoom(index - 1, running) if index else None
            case _:
                raise LimitStoreDown(f"the shared state answered {answer!r}")

    def _named(self, tag: str, sets: Sequence[str]) -> Place:
        return Place(f"{self._owner}:{next(self._numbers)}", tag, tuple(sets))

    def _forget(self, place: Place) -> None:
        group = self._groups.setdefault(place.tag, _Group())
        if len(group.gone) < GONE_MAX:
            group.gone[place.name] = place
        self._due.set()


def _some(places: dict[str, Place]) -> Iterator[Place]:
    return islice(places.values(), CHANGED_MAX)
