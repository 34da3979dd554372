"""Partial pictures on their way from an upstream to the one caller who streams.

At most one is kept: a newer one takes the place of one that its caller was too slow for. It fails never; after the end of the task it is empty.
"""

import asyncio

from gateway.domain.ids import AttemptId
from gateway.domain.images import ImageRequest, PartialImage
from gateway.upstreams.base import OnPartial


class Partials:
    """One streamed task's."""

    def __init__(self) -> None:
        self._latest: PartialImage | None = None
        self._news = asyncio.Event()
        self._ended = False
        self.shown: set[AttemptId] = set()
        """Attempts of which the caller may have seen one: no other offer goes on with its picture."""

    def of(self, attempt_id: AttemptId) -> OnPartial:
        """Takes those of one attempt."""

        def put(partial: PartialImage) -> None:
            self.shown.add(attempt_id)
            self.put(partial)

        return put

    def put(self, partial: PartialImage) -> None:
        if not self._ended:
            self._latest = partial
            self._news.set()

    def end(self, _: object = None) -> None:
        """The task's end follows; what nobody took until now nobody needs."""
        self._latest, self._ended = None, True
        self._news.set()

    async def next(self) -> PartialImage | None:
        """The newest one, as soon as there is one; None at the task's end. May be cancelled without loss."""
        await self._news.wait()
        latest, self._latest = self._latest, None
        if not self._ended:
            self._news.clear()
        return latest


def hearer(partials: Partials | None, attempt_id: AttemptId, request: ImageRequest) -> OnPartial | None:
    """Who hears of an attempt's partial pictures; None where nobody streams, or the upstream is not asked for any."""
    return partials.of(attempt_id) if partials is not None and request.partial_images else None


def shown(partials: Partials | None, attempt_id: AttemptId) -> bool:
    """Whether the caller may have seen a partial picture of this attempt."""
    return partials is not None and attempt_id in partials.shown
