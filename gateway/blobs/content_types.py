"""The type that a stored object is labelled with, by its first bytes: a browser that is sent to the bucket itself shows a picture by its label. Pure.

Only what the gateway serves as pictures; everything else has the type that browsers save and never run.
"""

OTHER = "application/octet-stream"
HEAD_BYTES = 12
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def content_type_of(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), OTHER)
