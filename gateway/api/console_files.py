"""The built console: read once at the start into memory, looked up by name. No request ever names a file on the disk.

How it fails: BuildRefused for a folder that is too large to be a console; a folder without a page is no console.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILES_MAX = 2_000
BYTES_MAX = 32 << 20
"""Of all files, compressed ones included. A console has three to five megabytes."""
PAGE = "index.html"
NONCE_PLACE = b"__CSP_NONCE__"
"""What the page has where a nonce belongs; another one stands there in every answer."""
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""The better one first."""
_TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json",
    ".map": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain", ".svg": "image/svg+xml", ".png": "image/png",
    ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2",
}  # fmt: skip
_TEXTS = ("text/", "application/json", "image/svg")


class BuildRefused(Exception):
    """This is no console. The text says why."""


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    """One file, with what the build compressed it to beforehand."""

    content_type: str
    body: bytes = field(repr=False)
    etag: str
    encoded: Mapping[str, bytes] = field(repr=False)
    """By content coding."""


@dataclass(frozen=True, slots=True)
class ConsoleFiles:
    """A console that can be served. `files` by their path below `/console/`, the page not among them."""

    page: bytes = field(repr=False)
    files: Mapping[str, ConsoleFile] = field(repr=False)

    def page_with(self, nonce: str) -> bytes:
        return self.page.replace(NONCE_PLACE, nonce.encode())


def read_console(folder: Path) -> ConsoleFiles | None:
    """The build in a folder; None: there is none. Raises BuildRefused, OSError."""
    if not (folder / PAGE).is_file():
        return None
    found: dict[str, bytes] = {}
    left = BYTES_MAX
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        left -= path.stat().st_size
        if len(found) >= FILES_MAX or left < 0:
            raise BuildRefused(f"{folder} has more than {FILES_MAX} files or {BYTES_MAX >> 20} MiB: build it anew")
        found[path.relative_to(folder).as_posix()] = path.read_bytes()
    page = found.pop(PAGE)
    endings = tuple(ending for _, ending in ENCODINGS)
    names = [name for name in found if not (name.endswith(endings) and name.rpartition(".")[0] in found)]
    files = {name: _file(name, found) for name in names if not name.startswith(f"{PAGE}.")}
    return ConsoleFiles(page, files)


def _file(name: str, found: Mapping[str, bytes]) -> ConsoleFile:
    body = found[name]
    kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
    kind += "; charset=utf-8" if kind.startswith(_TEXTS) else ""
    encoded = {coding: found[name + ending] for coding, ending in ENCODINGS if name + ending in found}
    return ConsoleFile(kind, body, hashlib.sha256(body).hexdigest()[:32], encoded)
