"""Callers' pictures as adapters get them, from memory, with a store that can fail."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.domain.images import Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.imaging.sniff import sniff
from gateway.upstreams.base import UpstreamFailure

CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Given:
    """A picture of a caller."""

    data: bytes
    content_type: str = "image/png"
    pixels: Pixels = field(default_factory=lambda: Pixels(64, 48))
    url: str | None = None
    """Its link, where the gateway is public."""
    chunk_bytes: int = CHUNK_BYTES
    fails_at: int | None = None
    """The store fails when so many bytes were read."""
    size: int | None = None
    """What is announced, where it is not the truth."""
    reads: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.data) if self.size is None else self.size

    async def chunks(self) -> AsyncIterator[bytes]:
        self.reads += 1
        for at in range(0, len(self.data), self.chunk_bytes):
            if self.fails_at is not None and at >= self.fails_at:
                raise UpstreamFailure(Fault.LOCAL, Billed.NO, "the store is away")
            yield self.data[at : at + self.chunk_bytes]

    def link(self) -> str | None:
        return self.url


def given(data: bytes, url: str | None = None) -> Given:
    """A real picture, by what its header says."""
    seen = sniff(data)
    return Given(data, seen.content_type, Pixels(seen.width, seen.height), url)
