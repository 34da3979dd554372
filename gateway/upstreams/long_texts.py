"""Takes the texts of large pictures out of an answer before it is parsed.

A parser holds the interpreter for as long as it goes over them, 12 ms for a picture of 6 MB, and the event loop stands still meanwhile although the
parser runs in a thread. To find where such a text ends and to copy it takes a sixth of that. Pure. It does not fail: what it is not sure of stays
where it is, for the parser to judge.
"""

import re
import secrets
from typing import Final

TEXT_BYTES_MIN: Final = 64 * 1024
"""Shorter ones are parsed in no time."""
PLACES_MAX: Final = 64
"""Where a text is looked for in one answer; ten pictures are the most that anybody makes at once."""
_KEY: Final = b'"b64_json"'
_BEFORE_TEXT = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*"')
_BACKSLASH = ord("\\")


def taken_apart(body: bytes | bytearray) -> tuple[bytes | bytearray, dict[str, bytes]]:
    """The body with a name that nobody can guess in place of every long `b64_json`, and those texts by their names."""
    texts: dict[str, bytes] = {}
    rest: list[bytes] = []
    kept, nonce = 0, ""
    with memoryview(body) as view:
        for begin, end in _long_texts(body):
            nonce = nonce or secrets.token_hex(16)
            name = f"{nonce}-{len(texts)}"
            texts[name] = bytes(view[begin:end])
            rest += [bytes(view[kept:begin]), name.encode()]
            kept = end
        if not texts:
            return body, texts
        rest.append(bytes(view[kept:]))
    return b"".join(rest), texts


def _long_texts(body: bytes | bytearray) -> list[tuple[int, int]]:
    """Where they begin and end."""
    found, at = list[tuple[int, int]](), 0
    for _ in range(PLACES_MAX if len(body) >= TEXT_BYTES_MIN else 0):
        key = body.find(_KEY, at)
        if key < 0:
            break
        at = key + len(_KEY)
        before = _BEFORE_TEXT.match(body, at)
        if before is None or (key and body[key - 1] == _BACKSLASH):  # a value, or within a text
            continue
        begin = before.end()
        end = body.find(b'"', begin)
        if end < 0:
            break
        at = end
        is_plain = body.find(b"\\", begin, end) < 0 and not body.startswith(b"data:", begin)
        if end - begin >= TEXT_BYTES_MIN and is_plain:
            found.append((begin, end))
    return found
