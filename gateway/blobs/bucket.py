"""Blobs as objects of a bucket at S3, Google or Azure, or whatever speaks S3, through obstore: under `prefix/<blob's name>`, one object a blob.

An object appears whole or not at all, and is durable when the service has answered: that is its promise. Several blobs of a delivery go at once, the
last one alone after them. What is large goes in parts, few of them in memory; where that fails, or is cancelled, the parts are aborted. Nothing here
blocks the event loop: obstore works in threads of its own, and what it is handed is not copied.

Fails with BlobStoreUnavailable, within the time of `Patience`, retries included; BlobStoreRefused where trying again is of no use. A call that
was given up may still take effect: whoever gets an error of `put` knows nothing of the name. What a crash leaves besides objects (parts of an
upload, a probe) has no name here: the bucket's own lifecycle rules remove it. Any number of processes may share a bucket.
"""

import asyncio
import contextlib
import io
import logging
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError

from gateway.blobs.bucket_faults import is_absent, is_past_the_end, told
from gateway.blobs.bucket_url import BucketPlace
from gateway.blobs.clouds import ObjectStore, Patience, open_store
from gateway.blobs.content_types import HEAD_BYTES, content_type_of
from gateway.blobs.feed import Feed, FeedClosed, FeedFailed
from gateway.blobs.store import (
    CHUNK_BYTES,
    BlobNameInvalid,
    BlobStoreRefused,
    BlobStoreUnavailable,
    BlobTooLarge,
    check_name,
)

if TYPE_CHECKING:
    from obstore import GetResult

log = logging.getLogger(__name__)

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024
"""Of a picture on its way to a caller: eight calls for 8 MB, one MB in memory a caller."""
PART_BYTES = 8 * 1024 * 1024
"""Up to here an object is written by one call; S3 wants parts of 5 MiB and more, and takes 10,000 of them."""
PARTS_AT_ONCE = 2
CALLS_MAX = 64
"""At once; more wait, and fail when they have waited for too long."""
WORK_AT_ONCE = 8
"""Calls of one delivery, and of one deletion."""
DELETE_MAX = 1_000
"""S3's bulk deletion takes no more names; where there is none obstore deletes ten at once."""
MIB = 1024 * 1024
_PROBES = ".probe"  # no blob's name begins with a dot
_BROKEN = (BaseError, OSError, TimeoutError)


class BucketBlobStore:
    """A BlobStore in a bucket. Make it with `await BucketBlobStore.open(place)`."""

    def __init__(self, place: BucketPlace, patience: Patience) -> None:
        self._place = place
        self._patience = patience
        self._store: ObjectStore = open_store(place, patience)
        self._calls = asyncio.Semaphore(CALLS_MAX)

    @classmethod
    async def open(cls, place: BucketPlace, patience: Patience | None = None) -> "BucketBlobStore":
        """Raises BlobStoreRefused. A bucket that only does not answer now may answer later: that is logged, and readiness tells it."""
        patience = patience or Patience()
        store = await asyncio.to_thread(cls, place, patience)  # reads the system's certificates
        try:
            async with asyncio.timeout(patience.open_s):
                await store.check()
        except BlobStoreRefused:
            raise
        except (BlobStoreUnavailable, TimeoutError) as exc:
            cause = str(exc) or str(told(place, exc))
            log.warning("the bucket of pictures does not work yet", extra={"cause": cause})
        return store

    @property
    def piece_bytes(self) -> int:
        return PIECE_BYTES

    async def put(self, name: str, data: bytes) -> None:
        check_name(name)
        if len(data) <= PART_BYTES:
            await self._put_whole(name, (data,))
            return
        await self._upload(name, (), _slices(data), _label((data,)), bytes_max=len(data))

    async def put_stream(self, name: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> int:
        check_name(name)
        first: list[bytes] = []
        length = 0
        pieces = aiter(chunks)
        async for piece in pieces:
            first.append(piece)
            length += len(piece)
            if length > bytes_max:
                raise BlobTooLarge(f"more than {bytes_max} bytes")
            if length > PART_BYTES:
                return await self._upload(name, first, pieces, _label(first), bytes_max=bytes_max)
        await self._to_its_end(self._put_whole(name, first))
        return length

    async def put_all(self, prefix: str, blobs: Sequence[tuple[str, bytes]]) -> None:
        named = [(check_name(f"{check_name(prefix)}/{name}"), data) for name, data in blobs]
        if named:
            await _each(self._put_one, named[:-1])
            await self.put(*named[-1])

    async def read(self, name: str) -> bytes | None:
        answer = await self._answer(name)
        if answer is None:
            return None
        # Piece by piece into one buffer, whose bytes are handed out as they are: there is one copy, and none that is long at once.
        whole = io.BytesIO()
        async for piece in answer:
            whole.write(piece)
        return whole.getvalue()

    async def read_range(self, name: str, start: int, length: int) -> bytes | None:
        if start < 0 or length < 0:
            raise ValueError("a range has no negative start or length")
        check_name(name)
        if not length:
            return None if await self.size(name) is None else b""
        try:
            return await self._call(lambda: self._range(name, start, length), size_bytes=length, absent=True)
        except FileNotFoundError:
            return None

    async def size(self, name: str) -> int | None:
        check_name(name)
        try:
            return (await self._call(lambda: obstore.head_async(self._store, name), absent=True))["size"]
        except FileNotFoundError:
            pass
        # That answer had no body. This one's tells whether it is the object that is missing, or the bucket.
        found = await self._got(name)
        return None if found is None else found.meta["size"]

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        # One answer for the whole walk: what is deleted or replaced meanwhile is still read to its end.
        answer = await self._answer(name)
        if answer is not None:
            async for piece in answer:
                view = memoryview(piece)
                for start in range(0, len(view), CHUNK_BYTES):
                    yield bytes(view[start : start + CHUNK_BYTES])

    async def delete(self, name: str) -> bool:
        """Two calls: S3 does not say whether there was one."""
        if await self.size(name) is None:
            return False
        await self._delete([name])
        return True

    async def delete_prefix(self, prefix: str) -> int:
        names = await self.list(check_name(prefix))
        await self._delete(names)
        return len(names)

    async def delete_all(self, prefixes: Sequence[str]) -> None:
        for prefix in prefixes:
            if "/" in check_name(prefix):
                raise BlobNameInvalid(f"not a whole delivery: {prefix!r}")
        names: list[str] = []

        async def find(prefix: str) -> None:
            names.extend(await self.list(prefix))

        await _each(find, prefixes)
        await self._delete(names)

    async def list(self, prefix: str = "") -> tuple[str, ...]:
        below = check_name(prefix) if prefix else None

        async def walk() -> list[str]:
            pages = obstore.list(self._store, below)
            return [str(meta["path"]) async for page in pages for meta in page]

        return tuple(sorted(name for name in await self._call(walk) if not name.startswith(".")))

    async def check(self) -> None:
        """Four calls: written, read, deleted, and then absent, which S3 does not tell to who may not list the bucket."""
        probe, word = f"{_PROBES}/{secrets.token_hex(8)}", secrets.token_bytes(16)
        await self._call(lambda: obstore.put_async(self._store, probe, word, use_multipart=False), waiting=False)
        try:
            found = await self._call(lambda: self._range(probe, 0, len(word)), waiting=False)
        finally:
            await self._call(lambda: obstore.delete_async(self._store, probe), waiting=False)
        if found != word:
            raise BlobStoreUnavailable(f"image store {self._place}: what was written is not what is read")
        try:
            await self._call(lambda: self._range(probe, 0, len(word)), waiting=False, absent=True)
        except FileNotFoundError:
            return
        raise BlobStoreUnavailable(f"image store {self._place}: what was deleted is still there; look at its rules")

    async def presigned(self, names: Sequence[str], seconds: int) -> Sequence[str]:
        """URLs at which anybody may GET the objects for so long. No call of the service, unless the machine's own credentials must be renewed."""
        paths, span = [check_name(name) for name in names], timedelta(seconds=seconds)
        return await self._call(lambda: obstore.sign_async(self._store, "GET", paths, span), waiting=False)

    async def close(self) -> None:
        """Nothing is held but idle connections, which end with this object."""

    async def _put_one(self, named: tuple[str, bytes]) -> None:
        await self.put(*named)

    async def _put_whole(self, name: str, pieces: Sequence[bytes]) -> None:
        data, kind = pieces[0] if len(pieces) == 1 else b"".join(pieces), _label(pieces)
        await self._call(
            lambda: obstore.put_async(self._store, name, data, attributes=kind, use_multipart=False),
            size_bytes=len(data),
        )

    async def _upload(
        self,
        name: str,
        first: Sequence[bytes],
        rest: AsyncIterator[bytes | memoryview],
        kind: dict[str, str],
        *,
        bytes_max: int,
    ) -> int:
        """In parts: what was read of a stream already, and the rest of it. Says how long it is."""
        feed, given = Feed(), 0
        storing = asyncio.ensure_future(self._stored_in_parts(name, feed, kind))
        storing.add_done_callback(lambda _: feed.close())
        try:
            for piece in first:
                given += len(piece)
                await feed.give(piece)
            async for more in rest:
                given += len(more)
                if given > bytes_max:
                    raise BlobTooLarge(f"more than {bytes_max} bytes")
                await feed.give(more)
            await feed.end()
            await self._settled(storing)
        except FeedClosed:
            pass
        except BaseException:
            feed.fail()
            await self._settled(storing)
            raise
        if storing.cancelled():
            raise told(self._place, TimeoutError())
        storing.result()
        return given

    async def _stored_in_parts(self, name: str, feed: Feed, kind: dict[str, str]) -> None:
        """Each call has its time-outs; the whole takes as long as the stream."""
        try:
            await obstore.put_async(
                self._store,
                name,
                feed,
                attributes=kind,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        except FeedFailed:
            pass  # who has failed it knows why
        except _BROKEN as exc:
            raise told(self._place, exc) from None

    async def _settled(self, storing: "asyncio.Future[None]") -> None:
        """Until the upload has ended, its abortion included; not for ever."""
        try:
            await asyncio.wait((storing,), timeout=self._time_s((PARTS_AT_ONCE + 1) * PART_BYTES))
        finally:
            storing.cancel()  # no effect where it has ended
        await asyncio.wait((storing,))

    async def _got(self, name: str) -> "GetResult | None":
        try:
            return await self._call(lambda: obstore.get_async(self._store, name), absent=True)
        except FileNotFoundError:
            return None

    async def _answer(self, name: str) -> AsyncIterator[bytes] | None:
        """The pieces of a blob, as they come."""
        result = await self._got(check_name(name))
        return None if result is None else self._pieces(result)

    async def _pieces(self, result: "GetResult") -> AsyncIterator[bytes]:
        stream = aiter(result.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            try:
                async with asyncio.timeout(self._patience.call_s):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except _BROKEN as exc:
                raise told(self._place, exc) from None
            yield piece

    async def _range(self, name: str, start: int, length: int) -> bytes:
        try:
            return bytes(await obstore.get_range_async(self._store, name, start=start, length=length))
        except BaseError as exc:
            if is_past_the_end(exc):
                return b""
            raise

    async def _delete(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), DELETE_MAX):
            batch = list(names[start : start + DELETE_MAX])
            try:
                await self._delete_batch(batch)
            except FileNotFoundError:  # of one that another process has deleted, where the service minds that
                await _each(self._delete_one, batch)

    async def _delete_batch(self, batch: Sequence[str]) -> None:
        await self._call(lambda: obstore.delete_async(self._store, batch), absent=True)

    async def _delete_one(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await self._delete_batch([name])

    async def _call(
        self, work: Callable[[], Awaitable[T]], *, size_bytes: int = 0, waiting: bool = True, absent: bool = False
    ) -> T:
        """One call, in its time, among no more than CALLS_MAX. `waiting`: for a place among them. `absent`: FileNotFoundError is an answer."""
        place = self._calls if waiting else contextlib.nullcontext()
        try:
            async with asyncio.timeout(self._time_s(size_bytes)), place:
                return await work()
        except _BROKEN as exc:
            if absent and is_absent(exc):
                raise
            raise told(self._place, exc) from None

    def _time_s(self, size_bytes: int) -> float:
        return self._patience.call_s + size_bytes / MIB

    async def _to_its_end(self, work: Coroutine[object, object, None]) -> None:
        """A cancellation waits until it is known what became of the work, which has its time."""
        running = asyncio.ensure_future(work)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait((running,))
            raise


async def _each(work: Callable[[T], Awaitable[None]], items: Sequence[T]) -> None:
    """For every item, a few at once; the first failure ends all."""
    left = iter(items)

    async def go_on() -> None:
        for item in left:
            await work(item)

    workers = [asyncio.ensure_future(go_on()) for _ in range(min(WORK_AT_ONCE, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _slices(data: bytes) -> AsyncIterator[memoryview]:
    """Of a large picture, for an upload in parts; not copied."""
    view = memoryview(data)
    for start in range(0, len(data), PART_BYTES):
        yield view[start : start + PART_BYTES]


def _label(pieces: Sequence[bytes]) -> dict[str, str]:
    """By the first bytes, in however many pieces they came."""
    return {"Content-Type": content_type_of(b"".join(piece[:HEAD_BYTES] for piece in pieces[:HEAD_BYTES]))}
