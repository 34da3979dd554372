"""Secrets that an embedded gateway makes for itself."""

import stat
from pathlib import Path

import pytest

from gateway.secret_files import derive, keep, read_or_make


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    """64 hex digits, mode 0600, the same at the next start; no temporary file is left."""
    path = tmp_path / "var/secret_key"
    made = read_or_make(path)
    assert len(bytes.fromhex(made)) == 32
    assert read_or_make(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["secret_key"]


def test_keep_replaces_whole(tmp_path: Path) -> None:
    """A kept secret is read back without its line end."""
    path = tmp_path / "api_key"
    keep(path, "first")
    keep(path, "second")
    assert read_or_make(path) == "second"


def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path: Path) -> None:
    """The caller turns it into one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        read_or_make(tmp_path / "file/secret_key")


def test_purposes_give_unrelated_keys() -> None:
    """Deterministic, different by purpose and by secret."""
    assert derive("s", "a") == derive("s", "a")
    assert len({derive("s", "a"), derive("s", "b"), derive("t", "a")}) == 3
