"""What is locked: Python's packages in requirements/*.txt, the console's in console/package-lock.json. Knows no index and asks nobody."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements"
RUN = REQUIREMENTS / "run-otel.txt"
"""What is shipped in the image: the gateway's packages, and those for tracing."""
CONSOLE_LOCK = ROOT / "console/package-lock.json"
EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?:\s*;\s*([^\\\n]+))?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    version: str
    marker: str
    """On which platforms and Pythons; empty: on all."""


@dataclass(frozen=True, slots=True)
class ConsolePackage:
    """One package of the console's lock, as npm wrote it."""

    name: str
    version: str
    licence: str
    integrity: str
    """Algorithm and digest in base64: `sha512-…`."""
    needs: tuple[str, ...]
    """Names of what it is built on."""
    shipped: bool
    """Its code may be in what browsers get; else it only builds and tests."""


def locks() -> list[Path]:
    """Every lock of Python's packages: what runs, what develops, what builds, clients in environments of their own."""
    return sorted(REQUIREMENTS.glob("*.txt"))


def locked(lock: Path) -> dict[str, Pin]:
    """The packages of a lock by their normalised names."""
    found = _PIN.findall(lock.read_text(encoding="utf-8"))
    return {normal(name): Pin(version, marker.strip()) for name, version, marker in found}


def normal(name: str) -> str:
    """A package's name as an index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def console_packages(text: str) -> list[ConsolePackage]:
    """The console's packages, each once by name and version; without its own entry, and binaries of a package for single platforms."""
    found: dict[tuple[str, str], ConsolePackage] = {}
    for path, entry in json.loads(text)["packages"].items():
        if path and "cpu" not in entry:
            name = path.rpartition("node_modules/")[2]
            shipped = not entry.get("dev", False)
            known = found.get((name, entry["version"]))
            found[name, entry["version"]] = ConsolePackage(
                name,
                entry["version"],
                entry.get("license", ""),
                entry.get("integrity", ""),
                tuple(sorted(entry.get("dependencies", ()))),
                shipped or (known is not None and known.shipped),
            )
    return sorted(found.values(), key=lambda package: (package.name, package.version))


@cache
def exceptions() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """What is accepted with a written reason, by kind: see the file."""
    return tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))
