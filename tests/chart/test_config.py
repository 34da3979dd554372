"""Gateways on exactly the config that the chart renders: its files in one folder with those of the Secrets, as the pod has them, and the
pod's own arguments, started in another folder as on the state's volume."""

import http.client
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load
from tests.acceptance.gateway_process import GatewayProcess
from tests.chart.pod_security import pod_template
from tests.chart.tools import CHART, Object, find, render, yaml_blocks
from tests.chart.value_sets import CATALOG, PRODUCTION, VALUE_SETS
from tests.ports import free_port
from tests.valkey import ValkeyServer

pytestmark = pytest.mark.xdist_group("chart")
CONFIG_FOLDER = "/etc/image-gateway"
KEY = "the key of the ci, long enough"
SECRETS = {
    "secret_key": "0123456789abcdef" * 4,
    "admin_token": "the first admin token of this installation",
    "database_url": "postgresql://gateway:secret@db/gateway",
    "state_url": "redis://valkey:6379/0",
    "openai_api_key": "a key of the provider",
    "ci_key": KEY,
}
_seen: set[str] = set()
Pod = Callable[[dict[str, Any], Mapping[str, str]], GatewayProcess]


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """The gateway of a release, not started yet: its volume of config, and its working folder."""
    made: list[GatewayProcess] = []

    def make(values: dict[str, Any], secrets: Mapping[str, str]) -> GatewayProcess:
        path = _files(render(values), secrets, tmp_path / "etc")
        made.append(GatewayProcess(tmp_path / "state", path, key=KEY))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.mark.parametrize("name", sorted(VALUE_SETS.keys() - {"own-config"}))
def test_the_gateway_finds_nothing_wrong_with_any_config(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No unknown key, every secret where the config says, and no remark about the drain. A config that was there before is not read again."""
    monkeypatch.chdir(tmp_path)
    path = _files(render(VALUE_SETS[name]), SECRETS, tmp_path / "etc")
    text = path.read_text(encoding="utf-8")
    if text in _seen:
        return
    _seen.add(text)
    config = load(path)
    assert config.server.host == "0.0.0.0"
    assert not [line for line in config.summary() if "drain" in line and name != "embedded-for-a-look"]


def test_the_readmes_production_is_a_config(tmp_path: Path) -> None:
    """With the Secret that it says to make."""
    readme = CHART / "README.md"
    [values] = [yaml.safe_load(block) for block in yaml_blocks(readme) if "mode: production" in block]
    secret = re.findall(r"--from-literal=(\w+)='?([^'\n]*)", readme.read_text(encoding="utf-8"))
    config = load(_files(render(values), {**dict(secret), "secret_key": "0123456789abcdef" * 4}, tmp_path / "etc"))
    assert [upstream.name for upstream in config.upstreams] == ["openai"]
    assert config.bucket is not None
    assert (config.admin_token, config.state) != (None, None)


def test_an_embedded_gateway_runs_on_it(pod: Pod) -> None:
    """It draws, keeps all state in its working folder, shows metrics on their own port, and drains at SIGTERM."""
    gateway = pod({**_here(), "catalog": CATALOG, "config": {"upstreams": {"sandbox": {"kind": "sandbox"}}}}, {})
    gateway.start()
    gateway.key = (gateway.folder / "api_key").read_text(encoding="utf-8").strip()
    answer = gateway.generate("poster", "a red fox")
    assert answer.status == 200, answer.body
    assert {"gateway.db", "images", "secret_key", "api_key", "admin_token"} <= {
        each.name for each in gateway.folder.iterdir()
    }
    assert "gateway_credits_total" in _metrics(gateway)
    assert gateway.terminate() == 0


def test_gateways_of_a_production_run_on_it(pod: Pod, empty_postgresql_database: str, valkey: ValkeyServer) -> None:
    """The Job migrates, the pod serves with declared key, shared state and secrets from files, and the Job after the upgrade finds nothing to do."""
    config = {**PRODUCTION["config"], "upstreams": {"sandbox": {"kind": "sandbox"}}}
    del config["blobs"], config["s3_region"]
    values = {**PRODUCTION, **_here(), "config": config, "persistence": {"accessModes": ["ReadWriteMany"]}}
    gateway = pod(values, {**SECRETS, "database_url": empty_postgresql_database, "state_url": valkey.url})
    objects = render(values)
    migrated = gateway.command(*_arguments(objects, "prod-image-gateway-migrate-expand"))
    assert migrated.returncode == 0, (migrated.stdout, migrated.stderr)
    assert "The schema went from nothing to" in migrated.stdout
    gateway.start()
    answer = gateway.generate("gpt-image-2", "a red fox")
    assert answer.status == 200, answer.body
    assert gateway.request("GET", "/admin/v1/keys", key=SECRETS["admin_token"]).status == 200
    assert "gateway_state_up 1.0" in _metrics(gateway)
    assert {each.name for each in gateway.folder.iterdir() if each.is_dir()} == {"images"}
    done = gateway.command(*_arguments(objects, "prod-image-gateway-migrate-contract"))
    assert (done.returncode, done.stdout.startswith("The schema is at")) == (0, True), done.stderr
    assert gateway.terminate() == 0


def _here() -> dict[str, Any]:
    """Values that let several gateways run on one machine and end at once; all else is as the chart has it."""
    http, metrics = free_port(), free_port()
    return {
        "publicUrl": f"http://127.0.0.1:{http}",
        "ports": {"http": http, "metrics": metrics},
        "drain": {"acceptSeconds": 0, "seconds": 30},
    }


def _files(objects: list[Object], secrets: Mapping[str, str], folder: Path) -> Path:
    """The volume of config: what the ConfigMap of the Deployment and the Secrets project into it. Returns the path that the pod is given."""
    [volume] = [each for each in _template(objects)["spec"]["volumes"] if each["name"] == "config"]
    names = [each["configMap"]["name"] for each in volume["projected"]["sources"] if "configMap" in each]
    folder.mkdir()
    for name in names:
        for file, text in find(objects, "ConfigMap", name)["data"].items():
            (folder / file).write_text(text, encoding="utf-8")
    for file, text in secrets.items():
        (folder / file).write_text(text + "\n", encoding="utf-8")
    arguments = _template(objects)["spec"]["containers"][0]["args"]
    assert arguments[-2:] == ["--config", f"{CONFIG_FOLDER}/gateway.yaml"]
    return folder / "gateway.yaml"


def _template(objects: list[Object], kind: str = "Deployment", name: str | None = None) -> Object:
    template = pod_template(find(objects, kind, name))
    assert template is not None
    return template


def _arguments(objects: list[Object], job: str) -> list[str]:
    """Of a Job, without the config's path, which is another one here."""
    arguments = _template(objects, "Job", job)["spec"]["containers"][0]["args"]
    assert arguments[-2:] == ["--config", f"{CONFIG_FOLDER}/gateway.yaml"]
    return [str(each) for each in arguments[:-2]]


def _metrics(gateway: GatewayProcess) -> str:
    """From the port of its own, as the config has it."""
    port = load(gateway.config_path).metrics.port
    assert port is not None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text
