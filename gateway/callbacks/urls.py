"""Whether a caller's callback URL may be accepted: absolute, https, and nowhere that is internal. Sends nothing.

How it fails: InvalidCallbackUrl with one constant text, whatever the reason is: answers must not tell what a network looks like inside. The reason is
in the error's log text.
"""

import asyncio

from aiohttp.abc import AbstractResolver

from gateway.domain.errors import InvalidCallbackUrl
from gateway.egress.errors import EgressRefused
from gateway.egress.guard import EgressPolicy, Guard, check_url
from gateway.egress.lookups import OwnThreadsResolver

LOOKUPS_MAX = 16
"""At once, each for three seconds at most."""
TEXT = (
    "callback_url: must be an absolute https URL of at most 2048 characters whose host is public, without user name or password. "
    "Leave it out and poll GET /v1/tasks/{id} where there is none."
)


class CallbackUrls:
    """Checks by the policy for callers' URLs. `resolver` is for tests."""

    def __init__(self, policy: EgressPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._guard = Guard(policy, resolver or OwnThreadsResolver(LOOKUPS_MAX))
        self._places = asyncio.Semaphore(LOOKUPS_MAX)

    async def check(self, url: str) -> None:
        """Its text, and every address that its name has now. At every try they are looked at again. Raises InvalidCallbackUrl."""
        try:
            checked = check_url(url, self._policy)
            async with self._places:
                await self._guard.resolve(checked.host, checked.port)
        except EgressRefused as exc:
            raise _invalid(exc.reason) from exc
        except (OSError, TimeoutError) as exc:  # the name is not known, or one of its addresses is internal
            raise _invalid(getattr(exc, "reason", None) or type(exc).__name__) from exc

    async def close(self) -> None:
        await self._guard.close()


def _invalid(reason: str) -> InvalidCallbackUrl:
    return InvalidCallbackUrl(TEXT, param="callback_url", log=reason)
