"""The same index for all processes: an entry, a flight, and the keys that have part in it, by fingerprint, on the shared state.

What a process hears there it also remembers itself, and goes by that while the shared state is down: then each process makes for itself what none of
its calls was told of. That costs generations and nothing else.
"""

import random
from typing import Final

from gateway.cache.index import ACCOUNTS_MAX, CLAIM_MS, Claim, Entry, Flying, Found, MemoryIndex, Role
from gateway.domain.clock import Clock
from gateway.domain.ids import TaskId
from gateway.state.script import Script
from gateway.state.valkey import StateDown, Valkey

LOOK_S: Final = 0.02
"""About how often a claim that was not accepted yet is looked at, by each process."""
OTHERS_S: Final = 0.5
"""How long the others of a process wait for what the one hears."""

_CLAIM = Script("""
-- KEYS: entry `task made expires`, flight `accepted task`, keys with part in it. ARGV: task, key account, joins, joins its own, made since,
-- milliseconds until it must be accepted, most keys.
local entry = redis.call('GET', KEYS[1])
if entry and tonumber(string.match(entry, '^%S+ (%d+)')) >= tonumber(ARGV[5]) then return {'found', entry} end
local flight = redis.call('GET', KEYS[2])
if not flight then
  redis.call('SET', KEYS[2], '0 ' .. ARGV[1], 'PX', ARGV[6])
  redis.call('DEL', KEYS[3])
  redis.call('SADD', KEYS[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
  return {'leads', ''}
end
local own = redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 1
if ARGV[3] == '0' or (own and ARGV[4] == '0') or redis.call('SCARD', KEYS[3]) >= tonumber(ARGV[7]) then return {'alone', ''} end
if string.sub(flight, 1, 1) == '0' then return {'claimed', string.sub(flight, 3)} end
local left = redis.call('PTTL', KEYS[2])
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('PEXPIRE', KEYS[3], left)
return {'accepted', string.sub(flight, 3)}
""")
_ACCEPTED = Script("""
-- KEYS: flight, keys with part in it. ARGV: task, milliseconds that it may take.
if redis.call('GET', KEYS[1]) ~= '0 ' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '1 ' .. ARGV[1], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
""")
_ENDED = Script("""
-- KEYS: entry, flight, keys with part in it. ARGV: task, its entry or nothing where it has no pictures, milliseconds that they are shared.
local flight = redis.call('GET', KEYS[2])
if flight and string.sub(flight, 3) == ARGV[1] then redis.call('DEL', KEYS[2], KEYS[3]) end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
local entry = redis.call('GET', KEYS[1])
if entry and string.match(entry, '^(%S+)') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
""")


class SharedIndex:
    """A CacheIndex over all processes that share a state."""

    def __init__(self, state: Valkey, own: MemoryIndex, clock: Clock) -> None:
        self._state = state
        self._own = own
        self._clock = clock
        self._asking: set[str] = set()

    async def claim(self, key: str, claim: Claim) -> Found | Flying | Role:
        kept, flight, keys = _keys(key)
        args = (
            claim.task_id, claim.account, int(claim.joins), int(claim.joins_own), claim.made_since_ms, CLAIM_MS, ACCOUNTS_MAX,
        )  # fmt: skip
        try:
            answer = await self._state.run(_CLAIM, (kept, flight, keys), args)
        except StateDown:
            return await self._own.claim(key, claim)
        what, about = (part.decode() if isinstance(part, bytes) else "" for part in _pair(answer))
        match what:
            case "found":
                source, made_at, expires_at = about.split(" ")
                entry = Entry(TaskId(source), int(made_at), int(expires_at))
                await self._own.landed(key, entry, entry.expires_at_ms - self._clock.now_ms())
                return Found(entry)
            case "accepted" | "claimed":
                accepted = what == "accepted"
                self._own.learn(key, TaskId(about), claim.account if accepted else None, accepted=accepted)
                return Flying(TaskId(about), accepted)
            case "leads":
                self._own.learn(key, claim.task_id, claim.account, accepted=False)
                return Role.LEADS
            case _:
                return Role.ALONE

    async def accepted(self, key: str, task_id: TaskId, ttl_ms: int) -> None:
        await self._own.accepted(key, task_id, ttl_ms)
        _, flight, keys = _keys(key)
        await self._tell(_ACCEPTED, (flight, keys), (task_id, ttl_ms))

    async def landed(self, key: str, entry: Entry, ttl_ms: int) -> None:
        await self._own.landed(key, entry, ttl_ms)
        text = f"{entry.source} {entry.made_at_ms} {entry.expires_at_ms}"
        await self._tell(_ENDED, _keys(key), (entry.source, text, ttl_ms))

    async def dropped(self, key: str, task_id: TaskId) -> None:
        await self._own.dropped(key, task_id)
        await self._tell(_ENDED, _keys(key), (task_id, "", 0))

    async def changed(self, key: str, timeout_s: float) -> None:
        """A little while, or less where it is known here: whoever asks again finds out. Of those who wait for one key one asks soon, and what it
        hears wakes the others: a thousand that asked every 20 ms would be too much for any state."""
        if key in self._asking:
            await self._own.changed(key, min(timeout_s, OTHERS_S))
            return
        self._asking.add(key)
        try:
            look_s = LOOK_S * random.uniform(0.5, 1.5)
            await self._own.changed(key, min(timeout_s, look_s))
        finally:
            self._asking.discard(key)

    async def _tell(self, script: Script, keys: tuple[str, ...], args: tuple[str | int, ...]) -> None:
        try:
            await self._state.run(script, keys, args)
        except StateDown:
            return  # it runs out by itself


def _keys(key: str) -> tuple[str, str, str]:
    return f"cache:{{{key}}}", f"flight:{{{key}}}", f"fliers:{{{key}}}"


def _pair(answer: object) -> list[object]:
    return answer if isinstance(answer, list) and len(answer) == 2 else ["alone", ""]
