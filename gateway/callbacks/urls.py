"""Whether a caller's callback URL may be accepted: absolute, https, and nowhere that is internal. Sends nothing.

How it fails: InvalidCallbackUrl with one constant text, whatever the reason is: answers must not tell what a network looks like inside. The reason is
in the error's log text. Overloaded where too many names are being looked up.
"""

from gateway.domain.errors import InvalidCallbackUrl, Overloaded
from gateway.egress.caller_urls import CallerUrls, TooManyLookups
from gateway.egress.errors import EgressRefused

TEXT = (
    "callback_url: must be an absolute https URL of at most 2048 characters whose host is public, without user name or password. "
    "Leave it out and poll GET /v1/tasks/{id} where there is none."
)


class CallbackUrls:
    """Asks the check of all callers' URLs, and says it in a callback's words."""

    def __init__(self, urls: CallerUrls) -> None:
        self._urls = urls

    async def check(self, url: str) -> None:
        """Its text, and every address that its name has now. At every try they are looked at again. Raises InvalidCallbackUrl, Overloaded."""
        try:
            await self._urls.check(url)
        except EgressRefused as exc:
            raise InvalidCallbackUrl(TEXT, param="callback_url", log=exc.reason) from exc
        except TooManyLookups as exc:
            raise Overloaded(
                "Too many callback URLs are being looked up. Try again shortly.", param="callback_url", retry_after_s=5
            ) from exc
