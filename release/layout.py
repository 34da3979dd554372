"""The image's files without a container engine: the built wheel and exactly the locked packages in an empty virtual environment, below a root folder.

Follows the stages `wheel`, `tree` and `runtime` of the Dockerfile. Raises CalledProcessError where a step fails, with its output printed already.
"""

import base64
import compileall
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from release.dockerfile import Image
from release.locks import ROOT, RUN, Pin, locked

PREFIX = "opt/image-gateway"
"""Where the Dockerfile makes the virtual environment."""
STEP_S_MAX = 900.0


def build_wheel(folder: Path) -> Path:
    """The wheel, built from the repository by the locked backend."""
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


def make_tree(root: Path, wheel: Path, image: Image, *, python: str, offline: bool) -> None:
    """`root` as the image's root: the environment in /opt, the config in /etc.

    Offline, the dependencies are the files that are installed here (the same inodes where that is possible), each checked against the hash its
    wheel came with; otherwise they are installed from the index by the lock's hashes, as the Dockerfile does. Neither takes anything but the lock.
    """
    environment = root / PREFIX
    _run(python, "-m", "venv", "--without-pip", str(environment))
    inside = environment / "bin/python"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        str(inside),
        "install",
        "--quiet",
    )
    if offline:
        [site] = environment.glob("lib/python*/site-packages")
        copy_installed(locked(RUN), site)
    else:
        _run(*pip, "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(RUN))
    _run(*pip, "--no-deps", "--no-index", "--no-compile", str(wheel))
    for script in (environment / "bin").iterdir():
        _move_script(script, environment)
    # As pip does in the image; for the gateway alone, since a tree that was made offline has the others' bytecode already.
    for package in environment.glob("lib/python*/site-packages/gateway"):
        compileall.compile_dir(package, quiet=1)
    for copied in image.copied:
        if copied.stage is None:
            place = root / copied.target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            [source] = copied.sources
            shutil.copyfile(ROOT / source, place)


def copy_installed(wanted: dict[str, Pin], site: Path) -> None:
    """The locked packages of the running environment, file by file of their RECORD. Raises ValueError where version or content differ."""
    for name, pin in wanted.items():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if pin.marker:
                continue  # for another platform
            raise
        if distribution.version != pin.version:
            raise ValueError(f"{name} {distribution.version} is installed, {pin.version} is locked; `make env`")
        for file in distribution.files or ():
            _copy(Path(str(distribution.locate_file(file))), file, site)


def _copy(source: Path, file: importlib.metadata.PackagePath, site: Path) -> None:
    target = site / file
    if file.parts[0] == "..":
        return  # scripts of other packages are not used
    if file.hash is not None:  # bytecode has none
        digest = (
            base64.urlsafe_b64encode(hashlib.new(file.hash.mode, source.read_bytes()).digest()).rstrip(b"=").decode()
        )
        if digest != file.hash.value:
            raise ValueError(f"{source} is not the file that was installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)  # nobody writes to the tree, and a second of copying is saved
    except OSError:
        shutil.copy2(source, target)  # with its time: bytecode is valid for the source's time and size alone


def _move_script(script: Path, environment: Path) -> None:
    """A script made below the root names its interpreter there; in the image the root is /."""
    if script.is_symlink() or not script.is_file():
        return
    text = script.read_bytes()
    script.write_bytes(text.replace(os.fsencode(environment), os.fsencode(f"/{PREFIX}")))


def _run(*command: str, cwd: Path | None = None) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        command, cwd=cwd, env=environ, check=True, timeout=STEP_S_MAX, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
