"""Whether a caller's callback URL may be accepted: absolute, https, and nowhere that is internal. Sends nothing.

How it fails: InvalidCallbackUrl with one constant text, whatever the reason is: answers must not tell what a network looks like inside. The reason is
in the error's log text. Overloaded where too many names are being looked up.
"""

import asyncio

from aiohttp.abc import AbstractResolver

from gateway.domain.errors import InvalidCallbackUrl, Overloaded
from gateway.egress.errors import EgressRefused
from gateway.egress.guard import EgressPolicy, Guard, check_url
from gateway.egress.lookups import OwnThreadsResolver

LOOKUPS_MAX = 16
"""At once, each for three seconds at most."""
THREADS = 4 * LOOKUPS_MAX
"""A look-up that was given up keeps its thread until the system gives it up, too."""
PLACE_S_MAX = 3.0
"""A caller does not wait longer for others' look-ups."""
TEXT = (
    "callback_url: must be an absolute https URL of at most 2048 characters whose host is public, without user name or password. "
    "Leave it out and poll GET /v1/tasks/{id} where there is none."
)


class CallbackUrls:
    """Checks by the policy for callers' URLs. `resolver` is for tests."""

    def __init__(self, policy: EgressPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._guard = Guard(policy, resolver or OwnThreadsResolver(THREADS))
        self._places = asyncio.Semaphore(LOOKUPS_MAX)

    async def check(self, url: str) -> None:
        """Its text, and every address that its name has now. At every try they are looked at again. Raises InvalidCallbackUrl, Overloaded."""
        try:
            checked = check_url(url, self._policy)
        except EgressRefused as exc:
            raise _invalid(exc.reason) from exc
        await self._take_place()
        try:
            await self._guard.resolve(checked.host, checked.port)
        except (OSError, TimeoutError) as exc:  # the name is not known, or one of its addresses is internal
            raise _invalid(getattr(exc, "reason", None) or type(exc).__name__) from exc
        finally:
            self._places.release()

    async def close(self) -> None:
        await self._guard.close()

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(PLACE_S_MAX):
                await self._places.acquire()
        except TimeoutError as exc:
            raise Overloaded(
                "Too many callback URLs are being looked up. Try again shortly.", param="callback_url", retry_after_s=5
            ) from exc


def _invalid(reason: str) -> InvalidCallbackUrl:
    return InvalidCallbackUrl(TEXT, param="callback_url", log=reason)
