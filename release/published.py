"""requirements/published.tsv: when each locked release was published. `python -m release.published` asks the index for it, through uv.

What attackers publish is mostly found and withdrawn within days. So `make lock` takes nothing younger than a week, and the tests hold every lock to
this table, without asking anybody.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from release.locks import REQUIREMENTS, exceptions, locked, locks, normal

TABLE = REQUIREMENTS / "published.tsv"
AGE_DAYS_MIN = 7
HEADER = "# When the newest file of each locked release was published (UTC), as the package index says. Written by `make lock`.\n"
Release = tuple[str, str]
"""Normalised name and version."""


def read(text: str) -> dict[Release, date]:
    """The table."""
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {(name, version): date.fromisoformat(day) for name, version, day in rows}


def wanted() -> set[Release]:
    """Every release that any lock names."""
    return {(name, pin.version) for lock in locks() for name, pin in locked(lock).items()}


def findings(published: Mapping[Release, date], releases: set[Release], today: date) -> list[str]:
    """Releases without a row, rows without a release, releases that are too young without a reason, and reasons that are not needed."""
    reasons = exceptions()["young"]
    young = {
        f"{name}=={version}"
        for (name, version), day in published.items()
        if (today - day).days < AGE_DAYS_MIN and (name, version) in releases
    }
    return [
        *(f"{name}=={version}: its day is not known: make lock" for name, version in sorted(releases - published.keys())),
        *(f"{name}=={version}: no lock names it: make lock" for name, version in sorted(published.keys() - releases)),
        *(f"{release}: younger than {AGE_DAYS_MIN} days: wait, or write into [young] why not" for release in sorted(young - reasons.keys())),
        *(f"{release}: the reason in [young] is not needed any more" for release in sorted(reasons.keys() - young)),
    ]  # fmt: skip


def ask(lock: Path, folder: Path) -> dict[Release, date]:
    """The days of one lock's releases. Raises CalledProcessError without uv or the index, and KeyError where the index tells no times."""
    answer = folder / "pylock.toml"
    # The same freedom from the machine's settings as `make lock`; the lock's own pins leave nothing to choose.
    subprocess.run(
        [
            "uv", "pip", "compile", "--quiet", "--no-config", "--universal", "--python-version", "3.11", "--no-deps",
            "--format", "pylock.toml", str(lock), "-o", str(answer),
        ],
        check=True,
    )  # fmt: skip
    found: dict[Release, date] = {}
    for package in tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        times: list[datetime] = [file["upload-time"] for file in files]
        found[normal(package["name"]), package["version"]] = max(times).date()
    answer.unlink()
    return found


def main() -> int:
    found: dict[Release, date] = {}
    with tempfile.TemporaryDirectory() as folder:
        for lock in locks():
            found |= ask(lock, Path(folder))
    lines = [f"{name}\t{version}\t{day.isoformat()}\n" for (name, version), day in sorted(found.items())]
    TABLE.write_text(HEADER + "".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
