"""Callers' own pictures on both databases: what is kept, whose it is, what is refused, and when it goes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.db.connection import Connection
from gateway.domain.errors import FileNotFound, GatewayError, ImageTooLarge, InsufficientQuota, InvalidImage
from gateway.domain.files import Purpose, StoredFile
from gateway.domain.ids import FileId, TaskId
from gateway.domain.images import ImageInput, ImageRequest, InputSource, Operation, Pixels
from gateway.domain.tasks import Task
from gateway.files import store
from gateway.files.quota import Quota
from gateway.pipeline.frozen import request_text
from gateway.pipeline.intake import Label, forget_erased
from gateway.pipeline.upload_expiry import GRACE_MS, ExpiredUploads
from gateway.pipeline.uploads import CALL_MS, shown_name
from gateway.tasks.erasing import Erase, Erasing
from tests.books import Gateway, accept, completed, new_task, opened
from tests.uploads import DAY_MS, OTHER, OWNER, Desk, SetClock, desk_on, picture, pieces


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    clock = SetClock()
    database = await opened(database_url, clock)
    desk = await desk_on(database, tmp_path, quota=Quota(bytes_max=200_000, files_max=5), clock=clock)
    yield desk
    await desk.close()
    await database.close()


def edit_of(*files: StoredFile, mask: StoredFile | None = None) -> Task:
    """An unfinished task that names these files."""
    given = tuple(ImageInput(InputSource.FILE, file.id) for file in files)
    masked = None if mask is None else ImageInput(InputSource.FILE, mask.id)
    request = ImageRequest(
        "m", "a cat", n=1, size="1024x1024", pixels=Pixels(1024, 1024), operation=Operation.EDIT, images=given, mask=masked
    )  # fmt: skip
    return replace(new_task(), request_json=request_text(request))


async def rows(database: Gateway, *ids: FileId) -> set[FileId]:
    async def read(connection: Connection) -> set[FileId]:
        return set(await store.read(connection, OWNER.account, ids))

    return await database.read(read)


async def test_an_upload_is_kept_as_it_came_and_is_its_owners_alone(desk: Desk) -> None:
    """Type, size and hash come from the bytes; another account of the same path does not see that it exists."""
    data = picture(mode="RGBA", size=(300, 200))
    file = await desk.receive(data, filename="../holiday/cat\x00.jpg")
    assert (file.content_type, file.size_bytes, file.pixels, file.has_alpha) == (
        "image/png",
        len(data),
        Pixels(300, 200),
        True,
    )
    assert (file.sha256, file.filename, file.account) == (sha256(data).hexdigest(), "cat.jpg", OWNER.account)
    assert file.expires_at_ms - file.created_at_ms == pytest.approx(3 * DAY_MS, abs=5_000)
    assert await desk.uploads.file(OWNER, file.id) == file
    assert await desk.content(file) == data
    for ask in (desk.uploads.file, desk.uploads.content, desk.uploads.delete):
        with pytest.raises(FileNotFound):
            await ask(OTHER, file.id)
    assert await desk.uploads.files(OTHER, limit=10, after=None) == ([], False)
    for wrong in ("file-unknown", "../../etc/passwd", f"{file.id}/0", file.id.replace("file-", "file-0")):
        with pytest.raises(FileNotFound):
            await desk.uploads.file(OWNER, wrong)


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise ConnectionResetError


async def test_nothing_is_kept_of_what_is_refused(desk: Desk) -> None:
    """No picture, too large, empty, of another format, cut off by its sender, cancelled: neither a blob nor a row nor a temporary file."""
    png = picture()
    for data, bytes_max, error in (
        (b"plain text", 1_000, InvalidImage),
        (b"", 1_000, InvalidImage),
        (picture("GIF", "L"), 100_000, InvalidImage),
        (png[:-4], 100_000, InvalidImage),
        (png, len(png) - 1, ImageTooLarge),
    ):
        with pytest.raises(error):
            await desk.receive(data, bytes_max=bytes_max)
    with pytest.raises(ConnectionResetError):
        await desk.uploads.receive(OWNER, broken(png), purpose=Purpose.CALL, filename="a", bytes_max=100_000)
    for turns in (0, 1, 3, 6, 12, 25, 50):
        receiving = asyncio.create_task(desk.receive(png, Purpose.CALL))
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
    assert await desk.left() == ()
    assert await desk.uploads.files(OWNER, limit=10, after=None) == ([], False)


async def test_the_quota_holds_whatever_comes_at_once(desk: Desk) -> None:
    """Twelve uploads side by side: five are kept. Deleting one makes room; parts of calls are not counted."""
    png = picture()
    outcomes = await asyncio.gather(*(desk.receive(png) for _ in range(12)), return_exceptions=True)
    kept = [outcome for outcome in outcomes if isinstance(outcome, StoredFile)]
    assert len(kept) == 5
    assert sum(isinstance(outcome, InsufficientQuota) for outcome in outcomes) == 7
    assert len(await desk.left()) == 5
    await desk.receive(png, Purpose.CALL)
    with pytest.raises(InsufficientQuota, match="Delete files"):
        await desk.receive(png)
    await desk.uploads.delete(OWNER, kept[0].id)
    await desk.receive(png)


async def test_the_quota_counts_bytes(desk: Desk) -> None:
    """200,000 bytes: a second large picture does not fit, and the refusal says how much is left."""
    large = picture("PNG", "RGB", (300, 150))
    assert 100_000 < len(large) < 200_000
    await desk.receive(large)
    with pytest.raises(InsufficientQuota, match=f"{200_000 - len(large)} are left"):
        await desk.receive(large)
    assert len(await desk.left()) == 1


async def test_uploads_are_listed_by_pages_newest_first(desk: Desk) -> None:
    """Every upload once, also of the same millisecond; parts of calls and deleted files are not among them."""
    made = [await desk.receive(picture()) for _ in range(5)]
    await desk.receive(picture(), Purpose.CALL)
    await desk.uploads.delete(OWNER, made[2].id)
    expected = sorted(
        (file for file in made if file is not made[2]), key=lambda f: (f.created_at_ms, f.id), reverse=True
    )
    found: list[StoredFile] = []
    after: str | None = None
    for more in (True, True, True, False):
        page, has_more = await desk.uploads.files(OWNER, limit=1, after=after)
        found += page
        after = found[-1].id
        assert has_more is more
    assert found == expected
    with pytest.raises(FileNotFound):
        await desk.uploads.files(OWNER, limit=1, after=made[2].id)


async def test_a_deleted_file_stays_for_the_task_that_uses_it(desk: Desk) -> None:
    """Gone for its owner at once, there for the task until that ends; then the bytes go."""
    reference, mask = await desk.receive(picture()), await desk.receive(picture(mode="RGBA"), Purpose.CALL)
    lone = await desk.receive(picture())
    task = edit_of(reference, mask=mask)
    await desk.database.write(accept(task, 2))
    for file in (reference, lone):
        await desk.uploads.delete(OWNER, file.id)
        with pytest.raises(FileNotFound):
            await desk.uploads.content(OWNER, file.id)
    with pytest.raises(FileNotFound):
        await desk.uploads.delete(OWNER, lone.id)
    assert await desk.sweeper.sweep() == 0  # a call may just be on its way from the look at its files to its task
    desk.clock.ahead_ms += 10 * DAY_MS
    assert await desk.sweeper.sweep() == 1
    assert await rows(desk.database, reference.id, mask.id, lone.id) == {reference.id, mask.id}
    assert set(await desk.left()) == {reference.id, mask.id}
    await desk.database.write(completed(task, 1))
    assert await desk.sweeper.sweep() == 2
    assert await desk.left() == ()


async def test_what_expires_goes_and_the_lag_is_told(desk: Desk) -> None:
    """An upload after three days, a part of a call after an hour; how late the first of them goes is a metric."""
    upload, part = await desk.receive(picture()), await desk.receive(picture(), Purpose.CALL)
    desk.clock.ahead_ms = CALL_MS + GRACE_MS + 90_000
    since_ms = await ExpiredUploads(desk.intake, desk.database).oldest_ms(desk.clock.now_ms())
    assert since_ms == part.expires_at_ms + GRACE_MS
    assert await desk.sweeper.sweep() == 1
    assert await rows(desk.database, upload.id, part.id) == {upload.id}
    desk.clock.ahead_ms = 3 * DAY_MS + 1_000
    with pytest.raises(FileNotFound):
        await desk.uploads.file(OWNER, upload.id)
    desk.clock.ahead_ms += GRACE_MS
    assert await desk.sweeper.sweep() == 1
    assert await desk.sweeper.sweep() == 0
    assert b'\ngateway_retention_lag_seconds{kind="uploads"} 0.0\n' in desk.metrics.render()
    assert await desk.left() == ()


async def test_a_crash_between_row_and_blob_leaves_nothing_for_long(desk: Desk) -> None:
    """A row without its bytes is no file that could be read, and its expiry takes it away."""
    file = await desk.receive(picture())
    await desk.blobs.delete(file.id)
    with pytest.raises(FileNotFound, match="Upload it again"):
        await desk.uploads.content(OWNER, file.id)
    await desk.uploads.delete(OWNER, file.id)
    desk.clock.ahead_ms = 2 * GRACE_MS
    assert await desk.sweeper.sweep() == 1
    assert await rows(desk.database, file.id) == set()


async def test_parts_of_a_call_that_was_not_accepted_go_at_once(desk: Desk) -> None:
    """Bytes and rows; a second time changes nothing."""
    parts = [await desk.receive(picture(), Purpose.CALL) for _ in range(3)]
    for _ in range(2):
        await desk.uploads.forget([part.id for part in parts])
    assert await desk.left() == ()
    assert await rows(desk.database, *(part.id for part in parts)) == set()


async def test_an_erased_task_takes_the_parts_of_its_call_along(desk: Desk) -> None:
    """What it fetched and its form's parts are erased with it; the owner's uploads stay, and so do other tasks' pictures."""
    upload, part = await desk.receive(picture()), await desk.receive(picture(), Purpose.CALL)
    others = await desk.receive(picture(), Purpose.CALL)
    task, other = edit_of(upload, part), edit_of(others)
    for each in (task, other):
        await desk.database.write(accept(each, 2))
    own = FileId(f"{task.id}/0")
    label = Label(
        own, OWNER.account, Purpose.CALL, "reference picture 1", desk.clock.now_ms() + DAY_MS, TaskId(task.id)
    )
    await desk.intake.take(label, pieces(picture()), bytes_max=100_000)
    await desk.database.write(completed(task, 1))

    async def blobs() -> object:
        return desk.blobs

    erasing = Erasing(desk.database, blobs, desk.clock, lambda store, ids: forget_erased(desk.database, store, ids))  # type: ignore[arg-type]  # the store that the desk has
    for _ in range(2):
        await erasing.erase(Erase(task.id))
    assert set(await desk.left()) == {upload.id, others.id}
    assert await rows(desk.database, upload.id, part.id, others.id, own) == {upload.id, others.id}
    assert await desk.content(upload)


async def test_a_database_that_refuses_the_row_leaves_no_blob(desk: Desk) -> None:
    """The row comes first: where it cannot be written, the bytes never become a blob."""
    stranger = replace(OWNER, path=(FileId("key:acme//nobody"),))  # type: ignore[arg-type]  # an account without a row
    with pytest.raises(Exception) as failed:
        await desk.receive(picture(), Purpose.CALL, principal=stranger)
    assert not isinstance(failed.value, GatewayError)
    assert await desk.left() == ()


@pytest.mark.parametrize(
    ("given", "shown"),
    [("cat.png", "cat.png"), ("/tmp/a/cat.png", "cat.png"), ("C:\\x\\cat.png", "cat.png"), ("", "upload"), ("a/", "upload"),
     ("\r\nSet-Cookie: a", "Set-Cookie: a"), ("x" * 300 + ".png", "x" * 251 + ".png")],
)  # fmt: skip
def test_a_files_name_is_only_shown(given: str, shown: str) -> None:
    """Whatever a caller calls it: no folder, no control character, not endless."""
    assert shown_name(given) == shown
