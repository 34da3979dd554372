"""Programs from Debian's packages for tests that need one: those of the machine, else fetched once, by one process at a time.

`unpacked` changes nothing in the system; `installed` does, as root, for programs that need libraries besides. Both fail loudly: RuntimeError
with what the operator of the machine can do.
"""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"
DOWNLOAD_S_MAX = 180
INSTALL_S_MAX = 400
UPDATE = ["apt-get", "update", "-qq"]


def unpacked(name: str, package: str) -> str:
    """The path of a program that runs where its package was unpacked, in .cache."""
    found = shutil.which(name)
    if found is not None:
        return found
    program = CACHE / package / "usr/bin" / name
    with _alone(package):
        if not program.exists():
            _unpack(package)
    return str(program)


def installed(name: str, *packages: str) -> str:
    """The path of a program; where there is none, its packages are installed with what they need and no more."""
    install = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=300",
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        *packages,
    ]
    with _alone(packages[0]):
        if shutil.which(name) is None:
            # A fresh machine has no lists of packages yet, an old one stale ones.
            said = _refused(install) and (_refused(UPDATE) or _refused(install))
            if said:
                raise RuntimeError(f"no {name} here, and apt-get cannot install {' '.join(packages)}: {said[-2000:]}")
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{' '.join(packages)} is installed, and has no {name}")
    return found


@contextmanager
def _alone(package: str) -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(package: str) -> None:
    """Whole or not at all."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        download = ["apt-get", "download", package]
        if _refused(download, folder) and (_refused(UPDATE, folder) or _refused(download, folder)):
            raise RuntimeError(f"no {package} here, and apt-get cannot get it: install {package}")
        [file] = Path(folder).glob("*.deb")
        root = Path(folder) / "unpacked"
        subprocess.run(["dpkg", "-x", file, root], check=True, timeout=DOWNLOAD_S_MAX)
        root.rename(CACHE / package)


def _refused(command: Sequence[str], folder: str | None = None) -> str:
    """What apt-get said where it failed; nothing where it did not."""
    time_s = INSTALL_S_MAX if "install" in command else DOWNLOAD_S_MAX
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=time_s, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as exc:
        raise RuntimeError(f"{command[0]} is missing: this is no Debian; install the program by hand") from exc
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"status {done.returncode}"
