"""How the console gets into the package: npm's lock names no registry, and the wheel has the build that git ignores, or does without."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "console/package-lock.json"


def test_npms_lock_names_no_registry() -> None:
    """A lock made behind a mirror would send everybody else there; every package has its hash."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name and not package.get("link")}
    assert len(installed) > 50
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if not package["integrity"].startswith("sha512-")] == []


def wheel_of(root: Path, to: Path) -> set[str]:
    """The names in a wheel built from a working copy."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(to)],
        cwd=root,
        check=True,
        capture_output=True,
        timeout=60,
    )
    [wheel] = to.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("built", [True, False], ids=["built", "not built"])
def test_the_wheel_has_the_build_where_there_is_one(tmp_path: Path, built: bool) -> None:
    """A small copy of the project: what is packed is decided by pyproject.toml and .gitignore."""
    root = tmp_path / "project"
    (root / "gateway/console/assets").mkdir(parents=True)
    (root / "config").mkdir()
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "gateway/__init__.py", "config/catalog.yaml"):
        shutil.copy(ROOT / name, root / name)
    files = {
        "gateway/console/index.html",
        "gateway/console/assets/index-1a.js",
        "gateway/console/assets/index-1a.js.br",
    }
    for name in files if built else ():
        (root / name).write_text("built")
    packed = wheel_of(root, tmp_path / "dist")
    assert {name for name in packed if "console" in name} == (files if built else set())
    assert {"gateway/__init__.py", "gateway/catalog.yaml"} <= packed
