"""What is installed and locked is old enough, licensed, written down, and runs nothing unasked."""

import importlib.metadata
import json
import shutil
import sys
from datetime import date, timedelta
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, cast

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from gateway import __version__
from release import installed, licences, locks, published, sbom
from release.locks import ROOT

SITE = Path(sys.prefix)
TODAY = date(2026, 11, 27)


# --- code at start-up


def test_nothing_runs_at_the_start_of_python_without_a_reason() -> None:
    """In every environment of the tests; what is shipped has no such file at all."""
    environments = [SITE, ROOT / ".venv-chart", *(ROOT / ".venv-clients").glob("*")]
    assert installed.findings(environments) == []
    shipped = locks.locked(locks.RUN)
    reasons = locks.exceptions()["pth"]
    assert not {entry["package"] for entry in reasons.values()} & shipped.keys()
    for name in shipped:
        assert (
            not any(len(file.parts) == 1 and file.suffix == ".pth" for file in importlib.metadata.files(name) or ())
            if is_here(name)
            else True
        )


@pytest.mark.parametrize("name", ["evil.pth", "sitecustomize.py", "usercustomize/__init__.py"])
def test_a_file_that_runs_at_the_start_is_found(tmp_path: Path, name: str) -> None:
    """Whatever put it there, and wherever Python would take it up; not in a folder below."""
    site = tmp_path / "lib/python3.11/site-packages"
    for path in (site / name, site / "package/harmless.pth"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    [found] = installed.findings([tmp_path])
    assert str(site / name.partition("/")[0]) in found


# --- age


def test_every_locked_release_is_a_week_old() -> None:
    """By the table that `make lock` writes: it has each release of each lock, and no other."""
    # The real day: what is locked too early today is accepted in a week, without a change.
    assert published.findings(published.read(published.TABLE.read_text()), published.wanted(), date.today()) == []  # noqa: DTZ011 - days are enough


def test_young_unknown_and_forgotten_releases_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seventh day is old enough; a reason excuses youth and must go when it is not needed; rows and locks must match."""
    days = {
        ("old", "1"): TODAY - timedelta(days=7),
        ("young", "2"): TODAY - timedelta(days=6),
        ("gone", "3"): TODAY - timedelta(days=90),
    }
    releases = {("old", "1"), ("young", "2"), ("new", "4")}
    assert [line.partition(":")[0] for line in published.findings(days, releases, TODAY)] == [
        "new==4",
        "gone==3",
        "young==2",
    ]
    monkeypatch.setattr(
        published, "exceptions", lambda: {"young": {"young==2": {"why": "closes a hole"}, "old==1": {"why": "did"}}}
    )
    assert [line.partition(":")[0] for line in published.findings(days, releases, TODAY)] == [
        "new==4",
        "gone==3",
        "old==1",
    ]


def test_the_locks_are_made_without_young_releases() -> None:
    """By options of uv and npm for all of them; npm checks again what is locked already."""
    text = (ROOT / "Makefile").read_text()
    assert text.count('--exclude-newer "7 days"') == 1
    assert "NPM_AGE = --min-release-age=7 " in text
    assert (
        text.count("--package-lock-only --ignore-scripts $(NPM_AGE) && npm ci --dry-run --ignore-scripts $(NPM_AGE)\n")
        == 2
    )


# --- licences


def test_every_package_may_be_used() -> None:
    """Known, judged, and where it is copyleft with a reason; no reason is left over."""
    tables = licences.tables()
    rows = [row for table in tables.values() for row in table]
    assert [finding for row in rows if (finding := row.finding())] == []
    assert len(tables["Shipped: the gateway"]) > 40
    copyleft, by_hand = locks.exceptions()["copyleft"], locks.exceptions()["licence"]
    assert {row.name for row in rows if row.reason} == copyleft.keys()
    assert by_hand.keys() <= {row.name for row in rows}


def test_the_page_lists_what_is_installed() -> None:
    """docs/licences.md is what `make licences` would write now."""
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page(licences.tables()), "make licences"


@pytest.mark.parametrize(
    ("licence", "reason", "wrong"),
    [
        ("MIT", "", ""),
        ("MPL-2.0 OR MIT", "", ""),
        ("MIT AND (MPL-2.0 OR 0BSD)", "", ""),
        ("MPL-2.0 AND MIT", "", "is copyleft"),
        ("AGPL-3.0-only", "", "is copyleft"),
        ("MPL-2.0", "unmodified", ""),
        ("MIT AND Elastic-2.0", "a reason", "has Elastic-2.0, which nobody judged yet"),
        ("", "", "no licence is known"),
    ],
)
def test_a_licence_is_judged(licence: str, reason: str, wrong: str) -> None:
    """Permissive ones suffice, one side of OR is enough, both of AND are needed; nothing unknown passes."""
    finding = licences.Row("package", licence, reason).finding()
    assert finding is None if not wrong else wrong in str(finding)


@pytest.mark.parametrize("expression", ["MIT AND", "(MIT", "MIT MIT", "MIT)", ""])
def test_a_malformed_expression_permits_nothing(expression: str) -> None:
    """It is an error, not a yes."""
    with pytest.raises(ValueError, match=r"ends too early|bracket|goes on"):
        licences.permits(expression, licences.PERMISSIVE)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "Apache-2.0 AND MIT")], "Apache-2.0 AND MIT"),
        ([("License", "Apache License 2.0")], "Apache-2.0"),
        ([("License", "BSD"), ("Classifier", "License :: OSI Approved :: BSD License")], ""),
        ([("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        (
            [
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "License :: OSI Approved :: ISC License (ISCL)"),
            ],
            "",
        ),
        ([], ""),
    ],
)
def test_metadata_is_read_and_never_guessed(fields: list[tuple[str, str]], expected: str) -> None:
    """The expression first, usual names of older metadata next; `BSD`, two classifiers or nothing are not known."""
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    distribution = type("Given", (), {"metadata": metadata})()
    assert licences.licence_of(cast(Distribution, distribution), "package") == expected


# --- the bill of materials


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return sbom.bill()


def test_the_bill_is_valid_and_always_the_same(bill: dict[str, Any], tmp_path: Path) -> None:
    """By CycloneDX's own schema, strictly; twice the same text."""
    text = json.dumps(bill)  # noqa: TID251 - no picture in it
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sbom.bill() == bill


def test_the_bill_names_what_is_shipped(bill: dict[str, Any]) -> None:
    """Each package of requirements/run-otel.txt, each of the console's that browsers may get, with licences, checksums and what needs what."""
    found = {component["purl"]: component for component in bill["components"]}
    for name, pin in locks.locked(locks.RUN).items():
        assert is_here(name) == (f"pkg:pypi/{name}@{pin.version}" in found), name
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/image-gateway@{__version__}"
    assert all(component.get("licenses") for component in found.values())
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert needs.keys() == found.keys() | {"image-gateway"}
    assert any(ref.startswith("pkg:pypi/aiohttp@") for ref in needs["image-gateway"])
    assert any(ref.startswith("pkg:pypi/yarl@") for name, refs in needs.items() if "/aiohttp@" in name for ref in refs)
    react = next(component for purl, component in found.items() if purl.startswith("pkg:npm/react@"))
    assert [len(checksum["content"]) for checksum in react["hashes"]] == [128]
    assert not any("/vite@" in purl or "/pytest@" in purl for purl in found)


def test_another_version_than_the_locked_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bill of what is not locked would be a lie."""
    shutil.copy(locks.RUN, tmp_path / "run.txt")
    text = (tmp_path / "run.txt").read_text().replace("aiohttp==", "aiohttp==1.")
    (tmp_path / "run.txt").write_text(text)
    monkeypatch.setattr(sbom, "RUN", tmp_path / "run.txt")
    with pytest.raises(ValueError, match=r"aiohttp .* is installed, 1\..* is locked: make env"):
        sbom.bill()


@pytest.mark.parametrize(
    "lock", [locks.CONSOLE_LOCK, ROOT / "tests/sdk/node/package-lock.json"], ids=["console", "clients"]
)
def test_npms_locks_name_no_host(lock: Path) -> None:
    """Where packages come from is the machine's business; every archive has its checksum, and none may run a script at its installation unseen."""
    text = lock.read_text(encoding="utf-8")
    assert "http" not in "".join(line for line in text.splitlines() if '"resolved"' in line)
    packages = locks.console_packages(text)
    assert all(package.integrity.startswith("sha512-") for package in packages)


def is_here(name: str) -> bool:
    """Installed on this platform."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
