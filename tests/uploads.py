"""Callers' pictures over a real database and a real store, with a clock that a test sets."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from gateway.blobs.local import LocalBlobStore
from gateway.domain.accounts import Principal
from gateway.domain.clock import SystemClock
from gateway.domain.files import FILE_BYTES_MAX, Purpose, StoredFile
from gateway.domain.ids import KeyId
from gateway.egress.guard import EgressPolicy
from gateway.files.quota import Quota
from gateway.pipeline.fetching import Fetching
from gateway.pipeline.intake import Intake
from gateway.pipeline.upload_expiry import ExpiredUploads
from gateway.pipeline.uploads import Uploads, UploadTerms
from gateway.retention.sweeper import Sweeper
from gateway.telemetry.metrics import Metrics
from tests.books import KEY, ORG, TEAM, Gateway

OWNER = Principal(KeyId("key_1"), "ci", (KEY, TEAM, ORG), "acme", "design")
OTHER = Principal(KeyId("key_2"), "other", (TEAM, ORG), "acme", "design")
"""Another account of the same path."""
DAY_MS = 86_400_000


class SetClock(SystemClock):
    """Ahead of the time by what a test says."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(file, kind, **options)
    return file.getvalue()


async def pieces(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@dataclass
class Desk:
    """Where uploads are taken in."""

    database: Gateway
    blobs: LocalBlobStore
    uploads: Uploads
    intake: Intake
    fetching: Fetching
    sweeper: Sweeper
    metrics: Metrics
    clock: SetClock
    folder: Path
    owner: Principal = field(default=OWNER)

    async def receive(
        self,
        data: bytes,
        purpose: Purpose = Purpose.VISION,
        *,
        principal: Principal = OWNER,
        bytes_max: int = FILE_BYTES_MAX,
        filename: str = "cat.png",
    ) -> StoredFile:
        return await self.uploads.receive(
            principal, pieces(data), purpose=purpose, filename=filename, bytes_max=bytes_max
        )

    async def content(self, file: StoredFile, principal: Principal = OWNER) -> bytes:
        return b"".join([chunk async for chunk in await self.uploads.content(principal, file.id)])

    async def left(self) -> tuple[str, ...]:
        """All blobs; and no temporary file may be there."""
        assert list((self.folder / ".tmp").iterdir()) == []
        return await self.blobs.list()

    async def close(self) -> None:
        await self.fetching.close()
        await self.blobs.close()


async def desk_on(
    database: Gateway,
    folder: Path,
    *,
    quota: Quota = Quota(),
    policy: EgressPolicy = EgressPolicy(),
    clock: SetClock | None = None,
) -> Desk:
    clock, metrics = clock or SetClock(), Metrics()
    blobs = await LocalBlobStore.open(folder / "images")
    intake, fetching = Intake(database, blobs, clock), Fetching(policy, clock)
    return Desk(
        database,
        blobs,
        Uploads(intake, fetching, database, blobs, clock, UploadTerms(3 * DAY_MS, quota)),
        intake,
        fetching,
        Sweeper((ExpiredUploads(intake, database),), database, metrics, clock, owner="run_test"),
        metrics,
        clock,
        folder / "images",
    )
