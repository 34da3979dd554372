"""`python -m release.sbom [FILE]`: the bill of materials of what is shipped, as CycloneDX JSON: the gateway, its locked packages, the console's.

The same repository gives the same bill to the byte: no time, no random number; which lock it is of is said by that lock's checksum. Licences and
what needs what are the installed packages' own words, so it is written in the development environment; ValueError where that is not the lock's.
"""

import base64
import hashlib
import importlib.metadata
import json
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement

from gateway import __version__
from release.licences import licence_of
from release.locks import CONSOLE_LOCK, ROOT, RUN, ConsolePackage, console_packages, locked, normal

SPEC_VERSION = "1.6"
TARGET = ROOT / "dist/sbom.cdx.json"
MAIN = "image-gateway"
Json = dict[str, Any]


def bill() -> Json:
    """The whole document."""
    components = python_components()
    graph = {component["bom-ref"]: python_needs(component["name"], components) for component in components}
    main = {
        "type": "application", "bom-ref": MAIN, "name": MAIN, "version": __version__,
        "purl": f"pkg:pypi/{MAIN}@{__version__}", **licences("Apache-2.0"),
    }  # fmt: skip
    graph[MAIN] = python_needs(MAIN, components)
    properties = [checksum("requirements/run-otel.txt", RUN)]
    if CONSOLE_LOCK.exists():
        packages = [
            package for package in console_packages(CONSOLE_LOCK.read_text(encoding="utf-8")) if package.shipped
        ]
        components += [console_component(package) for package in packages]
        graph |= console_graph(packages)
        graph[MAIN] = sorted(
            [*graph[MAIN], *(console_ref(package) for package in packages if package.name in console_wishes())]
        )
        properties.append(checksum("console/package-lock.json", CONSOLE_LOCK))
    document: Json = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": main, "properties": properties},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": needs} for ref, needs in sorted(graph.items())],
    }
    text = json.dumps(document, sort_keys=True)  # noqa: TID251 - no picture in it
    return {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, text)}", **document}


def python_components() -> list[Json]:
    """Every package of requirements/run-otel.txt that this platform has."""
    components = []
    for name, pin in sorted(locked(RUN).items()):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if pin.marker:
                continue
            raise
        if distribution.version != pin.version:
            raise ValueError(f"{name} {distribution.version} is installed, {pin.version} is locked: make env")
        purl = f"pkg:pypi/{name}@{quote(pin.version)}"
        components.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": pin.version,
                "purl": purl,
                **licences(licence_of(distribution, name)),
            }
        )
    return components


def python_needs(name: str, components: list[Json]) -> list[str]:
    """The references of what a package asks for here, extras of others included, as far as it is locked."""
    refs = {component["name"]: component["bom-ref"] for component in components}
    wanted = [Requirement(text) for text in importlib.metadata.distribution(name).requires or ()]
    names = {
        normal(wish.name)
        for wish in wanted
        if wish.marker is None or any(wish.marker.evaluate({"extra": extra}) for extra in ("", "asyncio"))
    }
    return sorted(refs[name] for name in names if name in refs)


def console_component(package: ConsolePackage) -> Json:
    """One npm package, with the checksum of its archive."""
    algorithm, _, digest = package.integrity.partition("-")
    hashes = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}] if algorithm == "sha512" else []
    ref = console_ref(package)
    group, _, name = package.name.rpartition("/")
    return {
        "type": "library", "bom-ref": ref, **({"group": group} if group else {}), "name": name, "version": package.version, "purl": ref,
        "hashes": hashes, **licences(package.licence.strip("()")),
    }  # fmt: skip


def console_graph(packages: list[ConsolePackage]) -> dict[str, list[str]]:
    """By names: where two versions of one are locked, both count as needed."""
    refs: dict[str, list[str]] = {}
    for package in packages:
        refs.setdefault(package.name, []).append(console_ref(package))
    return {
        console_ref(package): sorted(ref for need in package.needs for ref in refs.get(need, ()))
        for package in packages
    }


def console_wishes() -> set[str]:
    """What the console itself asks for."""
    root = json.loads(CONSOLE_LOCK.read_text(encoding="utf-8"))["packages"][""]
    return set(root.get("dependencies", ()))


def console_ref(package: ConsolePackage) -> str:
    return f"pkg:npm/{quote(package.name, safe='/')}@{quote(package.version)}"


def licences(expression: str) -> Json:
    """As CycloneDX wants a single licence, or an expression; nothing where it is not known."""
    if not expression:
        return {}
    if " " in expression:
        return {"licenses": [{"expression": expression}]}
    return {"licenses": [{"license": {"id": expression}}]}


def checksum(name: str, lock: Path) -> Json:
    return {"name": f"{MAIN}:sha256:{name}", "value": hashlib.sha256(lock.read_bytes()).hexdigest()}


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=2) + "\n", encoding="utf-8")  # noqa: TID251 - no picture in it
    print(target)
