"""Opens the store of pictures when somebody first needs it: most commands of an operator never do, and a broken disk must not stop them."""

import asyncio
from pathlib import Path

from gateway.blobs.bucket_url import BucketPlace
from gateway.blobs.local import LocalBlobStore
from gateway.blobs.measured import MeasuredBlobStore
from gateway.blobs.store import BlobStore


class BlobsOnDemand:
    """One store, opened once: files below a folder, or a bucket."""

    def __init__(self, place: Path | BucketPlace) -> None:
        self._place = place
        self._opening = asyncio.Lock()
        self._store: MeasuredBlobStore | None = None

    async def __call__(self) -> MeasuredBlobStore:
        """Raises BlobStoreUnavailable; the next one tries again. A bucket that only does not answer now is opened all the same."""
        async with self._opening:
            if self._store is None:
                self._store = MeasuredBlobStore(await _opened(self._place))
            return self._store

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()


async def _opened(place: Path | BucketPlace) -> BlobStore:
    if isinstance(place, Path):
        return await LocalBlobStore.open(place)
    from gateway.blobs.bucket import BucketBlobStore  # a library of 20 MB, for those who have a bucket

    return await BucketBlobStore.open(place)
