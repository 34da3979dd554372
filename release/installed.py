"""What code an environment runs unasked: .pth files, sitecustomize and usercustomize, which Python executes at every start."""

from collections.abc import Iterable
from pathlib import Path

from release.locks import exceptions

STARTUP = ("*.pth", "sitecustomize.py", "usercustomize.py", "sitecustomize/", "usercustomize/")


def startup_files(site: Path) -> set[str]:
    """The names of such files at the top of a site-packages folder; those deeper are never run."""
    return {path.name for pattern in STARTUP for path in site.glob(pattern.rstrip("/"))}


def findings(environments: Iterable[Path]) -> list[str]:
    """Files that no reason in exceptions.toml covers, with their environment."""
    allowed = exceptions()["pth"].keys()
    return [
        f"{site / name} runs at every start of Python: remove its package, or write the reason into release/exceptions.toml"
        for environment in environments
        for site in environment.glob("lib/python*/site-packages")
        for name in sorted(startup_files(site) - allowed)
    ]
