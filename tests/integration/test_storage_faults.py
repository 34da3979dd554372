"""Disks and files that fail below a running gateway: callers hear it, paid pictures wait, nothing is lost, and no restart is needed."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from gateway.db import sqlite
from gateway.pipeline import pipeline, results
from tests.emulators.openai import OpenAIEmulator
from tests.integration import machine
from tests.integration.gateway_app import serving, write_config
from tests.integration.machine import Disk, calls_in_flight, generated, moved_away, recovered, refused, until_logged

Fault = Callable[[Disk, Path], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness is looked at anew for every question, and what waits tries again soon."""
    monkeypatch.setattr(pipeline, "READY_KEPT_S", 0.0)
    monkeypatch.setattr(results, "STORE_PAUSE_S", 0.05)
    monkeypatch.setattr(results, "SILENT_S", 0.5)
    for module in (pipeline, results):
        monkeypatch.setattr(module, "LOOK_S_MAX", 0.3)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with machine.small_disk(tmp_path / "disk") as disk:
        yield disk


def _replaced(path: Path) -> AbstractContextManager[None]:
    return moved_away(path, lambda: path.write_bytes(b"not a folder"))


BROKEN_FOLDERS: dict[str, tuple[Fault, str]] = {
    "full": (lambda disk, _: disk.full(), "no space left; make room"),
    "read-only": (lambda disk, _: disk.read_only(), "read-only; mount it writable"),
    "fsync fails": (lambda _disk, _: machine.failing_fsync(), "the disk reports an error; look at the kernel's log"),
    "hangs": (lambda _disk, _: machine.hanging_fsync(), "hangs; look at its disk, or the network to it"),
    "no descriptors": (lambda _disk, _: machine.no_descriptor_left(), "too many open files; raise the limit"),
    "gone, and back": (lambda _, folder: moved_away(folder), "the directory is gone; put it back"),
    "gone, and made anew": (lambda _, folder: moved_away(folder, back=False), "the directory is gone; put it back"),
    "a file instead": (lambda _, folder: _replaced(folder), "not a directory; put the directory back"),
}


@pytest.mark.parametrize("case", BROKEN_FOLDERS)
async def test_pictures_that_cannot_be_stored(
    case: str, disk: Disk, tmp_path: Path, openai_emulator: OpenAIEmulator
) -> None:
    """Calls that were paid for wait and are delivered; new ones are refused before anything is sent, until storing works again."""
    breaking, cause = BROKEN_FOLDERS[case]
    folder = disk.folder / "images"
    config = machine.config_of(
        tmp_path,
        f"sqlite:///{tmp_path}/gateway.db",
        openai_emulator,
        blobs=f"file:///{folder}",
    )
    async with serving(config, {"openai": openai_emulator}) as house:
        await recovered(house)
        async with calls_in_flight(house, openai_emulator):
            with breaking(disk, folder):
                openai_emulator.release()
                await until_logged(house, "pictures cannot be stored")
                await refused(house, openai_emulator, reason="pictures cannot be stored", log=[cause])
            await recovered(house)
        await until_logged(house, "pictures can be stored again")


async def test_a_store_that_never_comes_back(
    disk: Disk, tmp_path: Path, openai_emulator: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for it ends: the picture is our loss and not the caller's, it is said what happened, and no other offer is paid for the same."""
    monkeypatch.setattr(results, "STORE_S_MAX", 0.3)
    folder = disk.folder / "images"
    database = f"sqlite:///{tmp_path}/gateway.db"
    offer = {"upstream": "openai", "model": "gpt-image-2", "cost": {"formula": "gpt-image-2"}}
    models = {
        machine.MODEL: {
            "prompt_tokens_max": 1000,
            "sizes": ["1024x1024"],
            "offers": [
                offer,
                {**offer, "params": {"quality": "medium"}},
                {**offer, "upstream": "second", "params": {"quality": "high"}},
            ],
        }
    }
    upstreams = machine.upstream_of(openai_emulator)
    upstreams["second"] = upstreams["openai"]
    config = write_config(tmp_path, database, upstreams, blobs=f"file:///{folder}", models=models, deadline="4s")
    async with serving(config, {"openai": openai_emulator}) as house:
        with machine.failing_fsync():
            answer = await generated(house)
        await recovered(house)
    assert answer.status == 502, answer.body
    assert "could not be fetched or stored" in str(answer.error["message"])
    assert len(openai_emulator.bills) == 2
    assert house.settled.lost_microusd > 0
    assert house.settled.charged() > 0  # the call afterwards


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Somebody else's transaction in our file."""
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        foreign.execute("ROLLBACK")
        foreign.close()


def _copied(path: Path) -> AbstractContextManager[None]:
    """A copy lies where the open file was, as after somebody restored a backup."""
    return moved_away(path, lambda: shutil.copy(path.with_name(path.name + ".aside"), path))


BROKEN_DATABASES: dict[str, tuple[Fault, str]] = {
    "full": (lambda disk, _: disk.full(), "its disk"),
    "locked": (lambda _, path: _locked(path), "another process holds a lock on the file"),
    "gone, and back": (lambda _, path: moved_away(path), "put the same file back"),
    "another file instead": (lambda _, path: _copied(path), "is not the file that is open"),
}


@pytest.mark.parametrize("case", BROKEN_DATABASES)
async def test_a_database_file_that_fails(
    case: str, disk: Disk, openai_emulator: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New calls are refused, what runs waits with its pictures, and the books are right when the file is as it was."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 200)
    breaking, cause = BROKEN_DATABASES[case]
    path = disk.folder / "gateway.db"
    config = machine.config_of(disk.folder, f"sqlite:///{path}", openai_emulator)
    async with serving(config, {"openai": openai_emulator}) as house:
        await recovered(house)
        async with calls_in_flight(house, openai_emulator):
            with breaking(disk, path):
                await refused(house, openai_emulator, reason="the database does not work", log=[cause])
                openai_emulator.release()
                await until_logged(house, "pictures cannot be stored" if case == "full" else "cannot be written yet")
                await refused(house, openai_emulator, reason="the database does not work", log=[cause])
            await recovered(house)
        await until_logged(house, "the database can be written again")


async def test_readiness_sees_a_vanished_file_without_a_call(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """Nobody has to fail first; what was stored can still be read, and the file's return is seen, too."""
    path = tmp_path / "gateway.db"
    config = machine.config_of(tmp_path, f"sqlite:///{path}", openai_emulator)
    async with serving(config, {"openai": openai_emulator}) as house:
        made = await generated(house)
        statuses = []
        with moved_away(path):
            statuses.append((await house.get("/readyz", key=None)).status)
            assert (await house.task(made.headers["X-Task-Id"])).json["status"] == "completed"
        statuses.append((await house.get("/readyz", key=None)).status)
    assert statuses == [503, 200]


async def test_a_removed_log_of_the_database(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """What only the log held is brought into the file, so not one commit is lost, and calls go on as if nothing had been."""
    path = tmp_path / "gateway.db"
    config = machine.config_of(tmp_path, f"sqlite:///{path}", openai_emulator)
    async with serving(config, {"openai": openai_emulator}) as house:
        before = await generated(house)
        async with calls_in_flight(house, openai_emulator):
            path.with_name("gateway.db-wal").unlink()
            await recovered(house)
            # Whoever opens the file now, as after a crash, finds all of it.
            with sqlite3.connect(path) as file:
                known = {row[0] for row in file.execute("SELECT id FROM tasks")}
            file.close()
    assert before.headers["X-Task-Id"] in known
    assert len(known) == 2 + 2 * machine.IN_FLIGHT


async def test_a_short_lock_is_waited_for(tmp_path: Path, openai_emulator: OpenAIEmulator) -> None:
    """A backup or a look with another program for a moment is nobody's error."""
    path = tmp_path / "gateway.db"
    config = machine.config_of(tmp_path, f"sqlite:///{path}", openai_emulator)
    async with serving(config, {"openai": openai_emulator}) as house:
        with _locked(path):
            call = asyncio.ensure_future(generated(house))
            await asyncio.sleep(0.5)
            assert not call.done()
        assert (await call).status == 200
