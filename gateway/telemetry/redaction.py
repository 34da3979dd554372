"""Takes secrets out of text that goes to a log. Pure. Fails on the safe side: what looks like a secret is removed even where it is none."""

import re
from re import Pattern

_GONE = b"[redacted]"
# Inside a JSON line, quotes of a quoted text come with backslashes before them.
_BETWEEN = rb"""[\\"'\s]*[:=][\\"'\s]*(?:(?:bearer|basic)\s+)?"""
_VALUE = rb"""[^\s"'\\,;&}<>]+"""

# Markers (lower case, looked for first because `in` is twenty times faster than a search) -> pattern and replacement.
_KEYS = tuple(word + between + b"key" for word in (b"api", b"secret") for between in (b"", b"-", b"_"))
_RULES: tuple[tuple[tuple[bytes, ...], Pattern[bytes], bytes], ...] = (
    ((b"igw_session",), re.compile(rb"(igw_session" + _BETWEEN + rb")" + _VALUE, re.I), b"session=" + _GONE),
    ((b"csrf",), re.compile(rb"(csrf(?:[-_]token)?" + _BETWEEN + rb")" + _VALUE, re.I), rb"\1" + _GONE),
    ((b"igw_",), re.compile(rb"igw_[A-Za-z0-9]{4,}", re.I), b"igw_" + _GONE),
    ((b"iga_",), re.compile(rb"iga_[A-Za-z0-9]{4,}", re.I), b"iga_" + _GONE),
    # "task-unified-…" must survive, hence the look-behind.
    ((b"sk-",), re.compile(rb"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{6,}", re.I), b"sk-" + _GONE),
    ((b"whsec_",), re.compile(rb"whsec_[A-Za-z0-9+/=_-]{4,}", re.I), b"whsec_" + _GONE),
    ((b"bearer",), re.compile(rb"\b(bearer\s+)" + _VALUE, re.I), rb"\1" + _GONE),
    ((b"authorization",), re.compile(rb"(authorization" + _BETWEEN + rb")" + _VALUE, re.I), rb"\1" + _GONE),
    (_KEYS, re.compile(rb"((?:api|secret)[-_]?key" + _BETWEEN + rb")" + _VALUE, re.I), rb"\1" + _GONE),
    # Whoever has a result link may read the picture; upstreams' signed links are the same kind of thing.
    ((b"/results/",), re.compile(rb"(/v1/results/)[A-Za-z0-9_.~%-]+", re.I), rb"\1" + _GONE),
    # A login in a URL: of a database, a proxy, whatever somebody configured.
    ((b"://",), re.compile(rb"(://)[^\s/@\"'\\]*:[^\s/@\"'\\]+@"), rb"\1" + _GONE + b"@"),
    ((b"sig",), re.compile(rb"([?&](?:x-(?:amz|goog)-)?sig(?:nature)?=)" + _VALUE, re.I), rb"\1" + _GONE),
    ((b"token=",), re.compile(rb"([?&](?:[a-z_-]*token)=)" + _VALUE, re.I), rb"\1" + _GONE),
)


_ISSUED = re.compile(r"(?<![A-Za-z0-9])(igw_|iga_|sk-|whsec_)[A-Za-z0-9+/=_-]{16,}", re.I)


def without_keys(text: str) -> str:
    """A text for a caller, who may have sent a key where a name belongs: without whatever is one by its form."""
    return _ISSUED.sub(r"\1[redacted]", text)


_MARKERS = tuple(marker for markers, _, _ in _RULES for marker in markers)


def redact(line: bytes) -> bytes:
    """The line without keys, bearer tokens, webhook secrets and signatures of links."""
    # The "sk-" of a task's id, which most lines have, is refused by the look-behind: no reason to search.
    lowered = line.lower().replace(b"task-", b"")
    for marker in _MARKERS:
        if marker in lowered:
            break
    else:
        return line  # nearly always, and every request writes one
    for markers, pattern, replacement in _RULES:
        if any(marker in lowered for marker in markers):
            line = pattern.sub(replacement, line)
    return line
