"""Opens the store of pictures when somebody first needs it: most commands of an operator never do, and a broken disk must not stop them."""

import asyncio
from pathlib import Path

from gateway.blobs.local import LocalBlobStore


class BlobsOnDemand:
    """One store, opened once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opening = asyncio.Lock()
        self._store: LocalBlobStore | None = None

    async def __call__(self) -> LocalBlobStore:
        """Raises BlobStoreUnavailable; the next one tries again."""
        async with self._opening:
            if self._store is None:
                self._store = await LocalBlobStore.open(self._root)
            return self._store

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
