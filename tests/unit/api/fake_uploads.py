"""Callers' pictures in memory, with the manners of the real store: sniffed by the first bytes, bounded, owned."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from gateway.domain.accounts import Principal
from gateway.domain.errors import FileNotFound, GatewayError, ImageTooLarge, InvalidImage
from gateway.domain.files import Purpose, StoredFile
from gateway.domain.ids import AccountId, FileId
from gateway.domain.images import Pixels

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff\xe0": "image/jpeg", b"RIFF": "image/webp"}
NOW_MS = 1_757_165_031_000


@dataclass
class FakeUploads:
    """`error` is raised by what is called next."""

    stored: dict[str, StoredFile] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    largest_piece: int = 0
    fetched: list[str] = field(default_factory=list)
    error: GatewayError | None = None

    async def receive(
        self, principal: Principal, chunks: AsyncIterator[bytes], *, purpose: Purpose, filename: str, bytes_max: int
    ) -> StoredFile:
        if self.error is not None:
            raise self.error
        content = b""
        async for chunk in chunks:
            self.largest_piece = max(self.largest_piece, len(chunk))
            content += chunk
            if len(content) > bytes_max:
                raise ImageTooLarge(f"The picture has more than {bytes_max} bytes.")
        content_type = _TYPES.get(content[:4])
        if content_type is None:
            raise InvalidImage("This is no picture in PNG, JPEG or WebP.")
        return self.put(content, purpose, filename, content_type, principal.account)

    def put(
        self,
        content: bytes,
        purpose: Purpose = Purpose.VISION,
        filename: str = "fox.png",
        content_type: str = "image/png",
        account: AccountId = AccountId("key:acme//ci"),
    ) -> StoredFile:
        file_id = FileId(f"file-{len(self.stored) + 1:024}")
        file = StoredFile(
            file_id, account, purpose, filename, content_type, len(content), Pixels(17, 9), content_type == "image/png",
            hashlib.sha256(content).hexdigest(), NOW_MS + len(self.stored), NOW_MS + 72 * 3_600_000,
        )  # fmt: skip
        self.stored[file_id], self.contents[file_id] = file, content
        return file

    async def fetch(self, principal: Principal, url: str, *, filename: str) -> StoredFile:
        if self.error is not None:
            raise self.error
        self.fetched.append(url)
        return self.put(PNG, filename=filename, account=principal.account)

    async def file(self, principal: Principal, file_id: str) -> StoredFile:
        file = self.stored.get(file_id)
        if file is None or file.account != principal.account:
            raise FileNotFound("This key has no such file.")
        return file

    async def files(self, principal: Principal, *, limit: int, after: str | None) -> tuple[Sequence[StoredFile], bool]:
        mine = [
            file for file in self.stored.values() if (file.account, file.purpose) == (principal.account, Purpose.VISION)
        ]
        mine.reverse()
        if after is not None:
            mine = mine[1 + mine.index(await self.file(principal, after)) :]
        return mine[:limit], len(mine) > limit

    async def content(self, principal: Principal, file_id: str) -> AsyncIterator[bytes]:
        await self.file(principal, file_id)
        return self._read(file_id)

    async def _read(self, file_id: str) -> AsyncIterator[bytes]:
        content = self.contents[file_id]
        yield content[:100]
        yield content[100:]

    async def delete(self, principal: Principal, file_id: str) -> None:
        await self.file(principal, file_id)
        del self.stored[file_id]

    async def forget(self, files: Sequence[FileId]) -> None:
        for file_id in files:
            del self.stored[file_id]
            self.forgotten.append(file_id)
