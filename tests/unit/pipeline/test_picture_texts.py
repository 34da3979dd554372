"""Pictures as text for answers: the same text whole and in pieces, and nothing half."""

import base64
import random
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobStore
from gateway.domain.errors import StorageUnavailable
from gateway.domain.images import ImageResult
from gateway.pipeline.picture_texts import WHOLE_BYTES_MAX, StoredText, stored_text

LARGE = random.Random(1).randbytes(WHOLE_BYTES_MAX + 1_000_001)


def result(name: str, size_bytes: int) -> ImageResult:
    return ImageResult(name, "image/png", "png", size_bytes, 1, 1, "")


async def test_large_ones_are_read_in_pieces(tmp_path: Path) -> None:
    """It says its length, and its pieces add up to it."""
    store = await LocalBlobStore.open(tmp_path)
    await store.put_all("att_1", [("1", LARGE)])
    large = await stored_text(store, result("att_1/1", len(LARGE)))
    pieces = [piece async for piece in large.pieces()]
    assert len(pieces) > 5
    assert b"".join(pieces) == base64.b64encode(LARGE)
    assert len(large) == sum(map(len, pieces))
    await store.close()


async def test_what_is_not_there_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    """Also where fewer bytes are there than were stored; and in the middle, rather than half a picture."""
    store = await LocalBlobStore.open(tmp_path)
    await store.put_all("att_1", [("1", LARGE)])
    for name, size in (("att_2/0", 5), ("att_2/1", len(LARGE)), ("att_1/1", len(LARGE) + 1)):
        with pytest.raises(StorageUnavailable):
            await stored_text(store, result(name, size))
    with pytest.raises(StorageUnavailable):
        assert [piece async for piece in StoredText(store, "att_1/1", len(LARGE) + 1).pieces()] == []
    await store.close()
