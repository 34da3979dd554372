"""docs/licences.md: the licence of every package, shipped or developed with, and whether it may be used. `python -m release.licences` writes it.

An expression may be used where permissive licences suffice for it; what needs a copyleft licence needs a written reason in exceptions.toml. A
licence that is neither known nor read by hand is a finding, never a guess.
"""

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from release.locks import CONSOLE_LOCK, REQUIREMENTS, ROOT, RUN, Pin, console_packages, exceptions, locked

PAGE = ROOT / "docs/licences.md"
PERMISSIVE = frozenset(
    (
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0",
        "Unlicense", "Zlib",
    )
)  # fmt: skip
COPYLEFT = frozenset(("MPL-2.0", "LGPL-3.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-only"))
_USUAL = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
"""How metadata of before SPDX names them, in fields and classifiers; `BSD` alone says too little."""


@dataclass(frozen=True, slots=True)
class Row:
    """One package of one table."""

    name: str
    licence: str
    """An SPDX expression; empty: not known."""
    reason: str
    """Why copyleft is accepted; empty where it is not needed."""

    def finding(self) -> str | None:
        """What is wrong with it, and the remedy."""
        remedy = f"read its licence and add [licence.{self.name}] to release/exceptions.toml, or do without it"
        if not self.licence:
            return f"{self.name}: no licence is known: {remedy}"
        unknown = set(_words(self.licence)) - PERMISSIVE - COPYLEFT
        if unknown:
            return f"{self.name}: {self.licence} has {', '.join(sorted(unknown))}, which nobody judged yet: {remedy}"
        if not permits(self.licence, PERMISSIVE) and not self.reason:
            return (
                f"{self.name}: {self.licence} is copyleft: add [copyleft.{self.name}] with the reason, or do without it"
            )
        return None


def permits(expression: str, allowed: frozenset[str]) -> bool:
    """Do these licences suffice? AND needs both sides, OR one. Raises ValueError for a malformed expression."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)

    def either() -> bool:
        found = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            found = both() or found
        return found

    def both() -> bool:
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = one() and found
        return found

    def one() -> bool:
        if not tokens:
            raise ValueError(f"{expression!r} ends too early")
        token = tokens.pop(0)
        if token != "(":
            return token in allowed
        found = either()
        if not tokens or tokens.pop(0) != ")":
            raise ValueError(f"{expression!r} lacks a bracket")
        return found

    result = either()
    if tokens:
        raise ValueError(f"{expression!r} goes on with {tokens}")
    return result


def licence_of(distribution: importlib.metadata.Distribution, name: str) -> str:
    """The SPDX expression of an installed package; empty where its metadata does not tell and nobody has read it."""
    read = exceptions()["licence"].get(name)
    if read is not None:
        return read["is"]
    metadata = distribution.metadata
    for text in [*(metadata.get_all("License-Expression") or ()), *(metadata.get_all("License") or ())]:
        usual: str = _USUAL.get(text.lower(), text)
        if usual and set(_words(usual)) <= PERMISSIVE | COPYLEFT:
            return usual
    classifiers = [
        line.rpartition(" :: ")[2].lower()
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    named = {_USUAL[line] for line in classifiers if line in _USUAL}
    return named.pop() if len(named) == 1 else ""


def tables() -> dict[str, list[Row]]:
    """The rows of each table of the page: what is shipped, what the console ships, what develops."""
    run = locked(RUN)
    develop = locked(REQUIREMENTS / "dev.txt") | locked(REQUIREMENTS / "build.txt")
    found = {
        "Shipped: the gateway": list(_installed(run)),
        "Development and tests": list(_installed({name: pin for name, pin in develop.items() if name not in run})),
    }
    if CONSOLE_LOCK.exists():
        packages = console_packages(CONSOLE_LOCK.read_text(encoding="utf-8"))
        for title, shipped in (("Shipped: the console", True), ("The console's development and tests", False)):
            licences = {package.name: package.licence.strip("()") for package in packages if package.shipped == shipped}
            found[title] = [_row(name, licence) for name, licence in sorted(licences.items())]
    return found


def page(rows: dict[str, list[Row]]) -> str:
    """The document."""
    lines = [
        "# Licences",
        "",
        "The gateway is Apache-2.0 ([LICENSE](../LICENSE)). This lists what it is made with, as SPDX expressions; written by",
        "`make licences`, compared by the tests with what is installed. Copyleft is used only with a reason. Versions are in the locks and in the",
        "[bill of materials](supply-chain.md#bill-of-materials). Other programs that the tests run in environments of their own (clients, helm) "
        "are not listed.",
    ]
    for title in sorted(rows, key=lambda title: not title.startswith("Shipped")):
        lines += ["", f"## {title}", "", "| package | licence | copyleft, because |", "|---|---|---|"]
        lines += [f"| `{row.name}` | {row.licence} | {row.reason} |" for row in rows[title]]
    return "\n".join(lines) + "\n"


def _installed(pins: Mapping[str, Pin]) -> Iterator[Row]:
    for name, pin in sorted(pins.items()):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if pin.marker:
                continue  # for another platform or Python
            raise
        yield _row(name, licence_of(distribution, name))


def _row(name: str, licence: str) -> Row:
    reason = exceptions()["copyleft"].get(name, {})
    return Row(name, licence, reason.get("why", "") if reason.get("is") == licence else "")


def _words(expression: str) -> list[str]:
    return [word for word in re.findall(r"[^\s()]+", expression) if word not in ("AND", "OR")]


if __name__ == "__main__":
    PAGE.write_text(page(tables()), encoding="utf-8")
