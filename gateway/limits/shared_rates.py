"""The same windows for all processes: one script over a sorted set of request times an account, on the shared state's own clock.

A process also remembers what it was granted itself, so that it goes on counting from there while the shared state is down.
How it fails: LimitStoreDown. A request whose answer did not come may have been counted.
"""

import contextlib
from collections.abc import Sequence
from itertools import count

from gateway.domain.accounts import RateState
from gateway.domain.ids import AccountId, org_of
from gateway.limits.outage import LimitStoreDown
from gateway.limits.rates import WINDOW_S, PathRates, RateLimiter, RateVerdict
from gateway.state.script import Script
from gateway.state.valkey import StateDown, Valkey

SERVER_TIME = "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]"
"""`now` in microseconds since 1970."""

_WINDOW = """
-- KEYS: an account each, nearest first. ARGV: the window in microseconds, 1 to count or 0 to look, the request's name, the accounts' limits.
local window, counting, request = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3]
local refused, longest = 0, 0
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - window))
  local over = redis.call('ZCARD', key) - tonumber(ARGV[3 + i])
  if over >= 0 then  -- after a lowered limit more than one has to grow old
    local wait = redis.call('ZRANGE', key, over, over, 'WITHSCORES')[2] + window - now
    if wait > longest then refused, longest = i, wait end
  end
end
local answer = {refused, longest}
for i, key in ipairs(KEYS) do
  if counting and refused == 0 then
    redis.call('ZADD', key, string.format('%.0f', now), request)
    redis.call('PEXPIRE', key, string.format('%.0f', window / 1000 + 1000))
  end
  local newest = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  answer[1 + 2 * i] = redis.call('ZCARD', key)
  answer[2 + 2 * i] = newest and newest + window - now or 0
end
return answer
"""
_US = 1_000_000


class SharedWindows:
    """A RateLimiter over all processes that share a state. `own` counts what this process was granted, and takes over where there is none."""

    def __init__(self, state: Valkey, owner: str, own: RateLimiter, *, time: str = SERVER_TIME) -> None:
        """`owner` names this process; `time` is Lua that sets `now`."""
        self._state = state
        self._owner = owner
        self._own = own
        self._numbers = count()
        self._script = Script(time + _WINDOW)

    async def take(self, limits: PathRates) -> RateVerdict:
        verdict = await self._ask(limits, counting=True)
        if verdict.wait_s is None:
            with contextlib.suppress(LimitStoreDown):  # that there is no room to remember it matters to nobody now
                await self._own.take(limits)
        return verdict

    async def look(self, limits: PathRates) -> RateVerdict:
        return await self._ask(limits, counting=False)

    async def _ask(self, limits: PathRates, *, counting: bool) -> RateVerdict:
        keys = [f"rate:{tag_of(account)}:{account}" for account, _ in limits]
        request = f"{self._owner}:{next(self._numbers)}"
        most = (limit for _, limit in limits)
        try:
            answer = await self._state.run(self._script, keys, [round(WINDOW_S * _US), int(counting), request, *most])
        except StateDown as exc:
            raise LimitStoreDown(str(exc)) from exc
        refused, longest_us, *figures = _integers(answer)
        states = [
            RateState(account, limit, max(0, limit - counted), reset_us / _US)
            for (account, limit), counted, reset_us in zip(limits, figures[::2], figures[1::2], strict=True)
        ]
        if refused:
            return RateVerdict(states[refused - 1], longest_us / _US)
        return RateVerdict(min(states, key=lambda state: state.remaining))


def tag_of(account: AccountId) -> str:
    """What keeps the keys of a path together where a server is in parts: its org. Of `repeats of key:…` the key's."""
    org = org_of(AccountId(account.rpartition(" of ")[2])) or account
    return "{" + org.replace("{", "(").replace("}", ")") + "}"


def _integers(answer: object) -> Sequence[int]:
    if not isinstance(answer, list) or not all(isinstance(item, int) for item in answer):
        raise LimitStoreDown(f"the shared state answered {answer!r}")
    return answer
