"""The form of a pack: the blobs of several deliveries in one file, so that one fsync makes all of them durable. Pure.

A line with the length of the index, the index (JSON: name -> place and length), the bytes. A pack is written once and never changed. It stands under
one name a delivery, until one of them is taken out of it (pack_folder.py).
Fails with OSError (EIO) where a file has another form.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from io import BufferedReader

import orjson

_MAGIC = b"image-gateway pack 1 "
_HEAD_BYTES = len(_MAGIC) + 9

Place = tuple[int, int]
"""Where a blob begins in its file, and how long it is."""


def packed(blobs: Sequence[tuple[str, bytes]]) -> bytes:
    """The whole file, for blobs by their full names."""
    places: dict[str, Place] = {}
    end = 0
    for name, data in blobs:
        places[name] = (end, len(data))
        end += len(data)
    index = orjson.dumps(places)
    return b"".join((_MAGIC, b"%08d\n" % len(index), index, *(data for _, data in blobs)))


def places_in(file: BufferedReader) -> Mapping[str, Place]:
    """All blobs of an open pack, by name."""
    head = file.read(_HEAD_BYTES)
    if not head.startswith(_MAGIC) or not head[len(_MAGIC) : -1].isdigit():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    length = int(head[len(_MAGIC) : -1])
    try:
        index = orjson.loads(file.read(length))
    except orjson.JSONDecodeError as exc:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from exc
    return {name: (_HEAD_BYTES + length + start, size) for name, (start, size) in index.items()}
