"""What is in the wheel and in the source distribution: every file that the gateway reads when it runs, and a source that makes the same wheel."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = (
    "gateway",
    "config",
    "release",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    "Dockerfile",
    "Makefile",
)
CONSOLE = {"gateway/console/index.html": "<title>built</title>", "gateway/console/assets/app-1a2b.js": "1"}
"""As the console's build would leave them: not in git."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A folder with a wheel, a source distribution, and a wheel made of that; and the files of the package that was built."""
    folder = tmp_path_factory.mktemp("distribution")
    source = folder / "source"
    source.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "console"))
        else:
            shutil.copy(ROOT / name, source)
    for path, text in CONSOLE.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    build(source, folder / "dist", "wheel", "sdist")
    [archive] = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    build(unpacked, folder / "again", "wheel")
    package = {str(path.relative_to(source)) for path in (source / "gateway").rglob("*") if path.is_file()}
    return folder, package


def build(source: Path, target: Path, *kinds: str) -> None:
    targets = [word for kind in kinds for word in ("-t", kind)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *targets, "-d", target], cwd=source, check=True, capture_output=True, timeout=100
    )  # fmt: skip


def files_of(folder: Path) -> dict[str, int]:
    """Name and checksum of each file in the folder's wheel."""
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        return {entry.filename: entry.CRC for entry in wheel.infolist()}


def test_the_wheel_has_every_file_of_the_package(built: tuple[Path, set[str]]) -> None:
    """Modules, migrations, vocabularies, pages, the marker of types, the built console, and the catalogue of config/; nothing else."""
    folder, package = built
    wheel = {name for name in files_of(folder / "dist") if ".dist-info/" not in name}
    assert wheel == package | {"gateway/catalog.yaml"}
    for name in ("py.typed", "tokens/o200k_base.tiktoken.gz", "api/handlers/docs.html", "console/index.html"):
        assert f"gateway/{name}" in wheel
    assert sum(name.startswith("gateway/db/migrations/versions/0") for name in wheel) >= 8


def test_the_source_makes_the_same_wheel(built: tuple[Path, set[str]]) -> None:
    """To the byte, but for the record of checksums: whoever builds from the source distribution gets what we publish."""
    folder, _ = built
    assert files_of(folder / "again") == files_of(folder / "dist")


def test_the_wheel_says_licence_and_command(built: tuple[Path, set[str]]) -> None:
    """The licence's text is in it, its SPDX name in the metadata; the one command is `gateway`."""
    [path] = (built[0] / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        [info] = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
        metadata = wheel.read(f"{info}/METADATA").decode()
        assert wheel.read(f"{info}/licenses/LICENSE").decode() == (ROOT / "LICENSE").read_text()
        assert wheel.read(f"{info}/entry_points.txt").decode().strip().splitlines() == [
            "[console_scripts]",
            "gateway = gateway.cli.main:main",
        ]
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "Classifier: Typing :: Typed\n" in metadata
