"""What the chart renders for many installations: taken by Kubernetes, allowed by Pod Security `restricted`, and of one piece."""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gateway.config_text import parse_duration_s
from gateway.egress import addresses
from gateway.egress.addresses import Verdict, classify
from tests.chart.pod_security import pod_template, violations
from tests.chart.tools import (
    CHART,
    NAMESPACE,
    ROOT,
    VERSIONS,
    HelmFailed,
    Object,
    find,
    lint,
    notes,
    render,
    schema_errors,
)
from tests.chart.value_sets import EXTERNAL, PRODUCTION, VALUE_SETS

pytestmark = pytest.mark.xdist_group("chart")
EVERY = pytest.mark.parametrize("name", VALUE_SETS)
LAST_WORDS_S = 10
_seen: set[str] = set()


@pytest.mark.parametrize("name", ["embedded", "production", "monitoring", "own-network"])
def test_helm_finds_nothing_to_say(name: str) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in lint(VALUE_SETS[name])


@EVERY
def test_kubernetes_takes_every_object(name: str) -> None:
    """By the schemas of three versions, unknown fields refused. An object that was there before is not looked at again."""
    objects = render(VALUE_SETS[name])
    assert objects
    for each in objects:
        text = json.dumps(each, sort_keys=True)  # noqa: TID251 - to compare
        if text in _seen:
            continue
        _seen.add(text)
        assert [error for version in VERSIONS for error in schema_errors(each, version)] == []


def test_the_schemas_refuse_what_kubernetes_would() -> None:
    """A misspelt field, a wrong type, and a word that is none of its kind."""
    monitor = find(render(VALUE_SETS["monitoring"]), "ServiceMonitor")
    assert list(schema_errors({**monitor, "spec": {**monitor["spec"], "endpoint": []}}, VERSIONS[0]))
    deployment = find(render({}), "Deployment")
    for path, value in (
        ("template.spec.containers.0.lifecycle.preStop.slep", {"seconds": 5}),
        ("replicas", "1"),
        ("strategy.tpye", "Recreate"),
    ):
        broken = json.loads(json.dumps(deployment))  # noqa: TID251 - a copy
        *above, last = path.split(".")
        target: Any = broken["spec"]
        for part in above:
            target = target[int(part)] if part.isdigit() else target[part]
        target[last] = value
        for version in VERSIONS:
            assert list(schema_errors(broken, version)), (path, version)


@EVERY
def test_pods_are_restricted(name: str) -> None:
    """Pod Security `restricted`; and beyond it no writable root, no token of the cluster's API, no variables of Services, memory limited."""
    templates = list(_templates(render(VALUE_SETS[name])))
    assert templates
    for each in templates:
        assert violations(each) == []
        spec = each["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsUser"] == 10001
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
            assert "command" not in container, "the image's own entry point, without a shell"


def test_pods_are_what_the_image_expects() -> None:
    """Its user, its working folder, which is the volume, its entry point and its ports."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    spec = find(render({}), "Deployment")["spec"]["template"]["spec"]
    [container] = spec["containers"]
    security = spec["securityContext"]
    assert f"\nUSER {security['runAsUser']}:{security['runAsGroup']}\n" in text
    assert f"\nWORKDIR {container['workingDir']}\n" in text
    assert container["workingDir"] in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert '\nENTRYPOINT ["gateway"]\n' in text
    assert f"\nEXPOSE {' '.join(str(port['containerPort']) for port in container['ports'])}\n" in text


@EVERY
def test_objects_refer_to_what_is_there(name: str) -> None:
    """Selectors meet the pods they mean and no others, names of ports, volumes, claims and accounts exist."""
    objects = render(VALUE_SETS[name])
    names = {kind: {each["metadata"]["name"] for each in objects if each["kind"] == kind} for kind in EXTERNAL}
    gateway = find(objects, "Deployment")["spec"]["template"]
    for each in objects:
        assert each["metadata"]["namespace"] == NAMESPACE
        assert len(each["metadata"]["name"]) <= 63
    for template in _templates(objects):
        spec = template["spec"]
        [container] = spec["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
        for kind, found in _references(spec):
            assert found in names[kind] | EXTERNAL[kind], (kind, found)
        ports = {port["name"] for port in container.get("ports", [])}
        assert all(container[probe]["httpGet"]["port"] in ports for probe in container if probe.endswith("Probe"))
    for each in objects:
        match each["kind"]:
            case "Service":
                assert each["spec"]["selector"].items() <= gateway["metadata"]["labels"].items()
                assert {port["targetPort"] for port in each["spec"]["ports"]} <= {"http", "metrics"}
            case "Deployment" | "PodDisruptionBudget":
                selector = each["spec"]["selector"]["matchLabels"]
                assert [t is gateway for t in _templates(objects) if _selects(selector, t)] == [True]
            case "NetworkPolicy":
                assert [t for t in _templates(objects) if _selects(each["spec"]["podSelector"]["matchLabels"], t)]
            case "HorizontalPodAutoscaler":
                assert each["spec"]["scaleTargetRef"]["name"] == find(objects, "Deployment")["metadata"]["name"]
                assert "replicas" not in find(objects, "Deployment")["spec"]
            case "Ingress":
                [path] = each["spec"]["rules"][0]["http"]["paths"]
                service = find(objects, "Service", path["backend"]["service"]["name"])
                assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]


@EVERY
def test_the_grace_period_fits_the_drain(name: str) -> None:
    """The hook, the time in which calls are accepted, the drain and the last words, as the rendered config has them."""
    objects = render(VALUE_SETS[name])
    spec = find(objects, "Deployment")["spec"]["template"]["spec"]
    hook = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if name != "own-config":
        server = _config(objects)["server"]
        together = parse_duration_s(server["accept_after_term"]) + parse_duration_s(server["drain"])
        assert spec["terminationGracePeriodSeconds"] == hook + together + LAST_WORDS_S
    assert spec["terminationGracePeriodSeconds"] > hook
    assert find(objects, "Deployment")["spec"]["progressDeadlineSeconds"] > spec["terminationGracePeriodSeconds"]


def test_embedded_is_one_process_with_a_volume() -> None:
    """The old one is gone before the new one opens the file; nothing of what is for several."""
    objects = render({})
    spec = find(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert {each["kind"] for each in objects} == {
        "Deployment", "Service", "ServiceAccount", "ConfigMap", "NetworkPolicy", "PersistentVolumeClaim",
    }  # fmt: skip
    assert find(objects, "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert find(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert _config(objects)["database"] == "sqlite:///gateway.db"


def test_production_is_rolled_without_a_gap_and_spread() -> None:
    """A new pod before an old one goes, one eviction at a time, over zones and nodes."""
    objects = render(PRODUCTION)
    spec = find(objects, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert find(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    constraints = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert not [each for each in objects if each["kind"] == "PersistentVolumeClaim"]


def test_pods_roll_with_a_changed_config_or_catalogue_and_not_otherwise() -> None:
    def sums(**more: object) -> tuple[str, str]:
        annotations = find(render({**PRODUCTION, **more}), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/config"], annotations["checksum/catalog"]

    config, catalog = sums()
    assert sums(replicaCount=5, podLabels={"a": "b"}) == (config, catalog)
    assert sums(publicUrl="https://other.example.com")[0] != config
    with_catalog = sums(catalog="models: {}")
    assert sums(catalog="models: {} # another")[0] == with_catalog[0]
    assert len({catalog, with_catalog[1], sums(catalog="models: {} # another")[1]}) == 3


def test_metrics_have_a_port_and_a_service_of_their_own() -> None:
    objects = render({**VALUE_SETS["monitoring"], "service": {"type": "LoadBalancer"}})
    ports = {each["metadata"]["name"]: each["spec"]["ports"] for each in objects if each["kind"] == "Service"}
    assert {name: [port["name"] for port in found] for name, found in ports.items()} == {
        "prod-image-gateway": ["http"],
        "prod-image-gateway-metrics": ["metrics"],
    }
    assert _config(objects)["metrics"] == {"port": 9090}
    metrics = find(objects, "Service", "prod-image-gateway-metrics")
    monitor = find(objects, "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= metrics["metadata"]["labels"].items()
    others = find(objects, "Service", "prod-image-gateway")["metadata"]["labels"]
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= others.items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == ["metrics"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_scaling_is_by_processor_and_by_tasks() -> None:
    both, cpu = (
        find(render(VALUE_SETS[name]), "HorizontalPodAutoscaler")["spec"]
        for name in ("autoscaling", "autoscaling-by-cpu")
    )
    assert [each["type"] for each in both["metrics"]] == ["Resource", "Pods"]
    assert both["metrics"][1]["pods"] == {
        "metric": {"name": "gateway_tasks_in_flight"},
        "target": {"type": "AverageValue", "averageValue": "400"},
    }
    assert [each["type"] for each in cpu["metrics"]] == ["Resource"]
    assert (both["minReplicas"], both["maxReplicas"]) == (2, 6)


def test_migrations_run_before_and_after_with_what_is_there_by_then() -> None:
    """Hooks run before the release's own objects exist: the Jobs use a config and a policy that are hooks, too, and come first."""
    objects = render(PRODUCTION)
    hooked = [each for each in objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    jobs = {each["metadata"]["name"]: each for each in hooked if each["kind"] == "Job"}
    hooks = {name: job["metadata"]["annotations"]["helm.sh/hook"] for name, job in jobs.items()}
    assert hooks == {
        "prod-image-gateway-migrate-expand": "pre-install,pre-upgrade",
        "prod-image-gateway-migrate-contract": "post-upgrade",
    }
    before = {(each["kind"], each["metadata"]["name"]): each for each in hooked if each["kind"] != "Job"}
    assert set(before) == {(kind, "prod-image-gateway-migrate") for kind in ("ConfigMap", "NetworkPolicy")}
    for each in before.values():
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade,post-upgrade"
        assert int(annotations["helm.sh/hook-weight"]) < 0
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    for phase in ("expand", "contract"):
        spec = jobs[f"prod-image-gateway-migrate-{phase}"]["spec"]["template"]["spec"]
        assert spec["containers"][0]["args"][:3] == ["migrate", "--phase", phase]
        assert "serviceAccountName" not in spec
        assert set(_references(spec)) == {("ConfigMap", "prod-image-gateway-migrate")}
        assert spec["restartPolicy"] == "Never"
    config = before["ConfigMap", "prod-image-gateway-migrate"]
    assert config["data"] == find(objects, "ConfigMap", "prod-image-gateway")["data"]
    policy = before["NetworkPolicy", "prod-image-gateway-migrate"]["spec"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [5432]]
    assert policy.get("ingress") is None


def test_a_migration_is_left_out_where_it_is_not_wanted() -> None:
    def jobs(values: dict[str, Any]) -> list[str]:
        return [each["metadata"]["name"][-8:] for each in render(values) if each["kind"] == "Job"]

    assert jobs({}) == []
    assert jobs({**PRODUCTION, "migration": {"enabled": False}}) == []
    assert jobs(VALUE_SETS["production-one-database-only"]) == ["e-expand"]


def test_the_network_policy_lets_out_to_public_addresses_alone() -> None:
    """Whatever the gateway's own guard refuses, the network refuses, too; and other ports."""
    rules = find(render({}), "NetworkPolicy")["spec"]["egress"]
    for address in ("1.1.1.1", "104.18.6.192", "2606:4700::6810:84e5"):
        assert classify(ipaddress.ip_address(address)) is Verdict.PUBLIC
        assert _lets_out(rules, address, 443)
        assert not _lets_out(rules, address, 80)
    networks = [network for table in (addresses._IPV4, addresses._IPV6) for network, _ in table]
    assert len(networks) > 30
    edges = {address for network in networks for address in (network[0], network[-1])}
    for number in addresses._METADATA:
        edges.add(ipaddress.ip_address(number))
    for edge in edges:
        assert not _lets_out(rules, str(edge), 443), edge


def test_the_network_policy_lets_in_the_proxy_and_prometheus() -> None:
    policy = find(render(PRODUCTION), "NetworkPolicy", "prod-image-gateway")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    allowed = {
        (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for rule in policy["ingress"]
        for peer in rule["from"]
        for port in rule["ports"]
    }
    assert allowed == {("ingress-nginx", 8080), ("monitoring", 9090)}
    own = find(render(VALUE_SETS["own-network"]), "NetworkPolicy", "prod-image-gateway")["spec"]
    assert [rule["ports"][0]["port"] for rule in own["ingress"]] == [8080]


def test_the_network_policy_lets_out_to_database_state_and_bucket() -> None:
    def inside(name: str) -> list[int]:
        rules = find(render(VALUE_SETS[name]), "NetworkPolicy", "prod-image-gateway")["spec"]["egress"]
        return [rule["ports"][0]["port"] for rule in rules]

    assert inside("embedded") == [53, 443]
    assert inside("production") == [53, 5432, 6379, 443]
    assert inside("production-one-database-only") == [53, 5432, 443]
    assert inside("own-network") == [53, 6432, 6379, 9000, 443, 80]
    assert not [each for each in render(VALUE_SETS["network-policy-off"]) if each["kind"] == "NetworkPolicy"]


def test_monitoring_brings_the_rules_and_the_dashboard() -> None:
    """As the files say: braces in them are Prometheus' and Grafana's, not helm's."""
    objects = render(VALUE_SETS["monitoring"])
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text(encoding="utf-8"))
    assert rules["groups"]
    assert find(objects, "PrometheusRule")["spec"] == rules
    board = find(objects, "ConfigMap", "prod-image-gateway-dashboard")
    text = board["data"]["image-gateway.json"]
    assert json.loads(text) == json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
    assert len(text) < 1_000_000, "a ConfigMap has a megabyte"
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"mode": "production"}, "needs secrets.existingSecret"),
        ({"mode": "production", "secrets": {"existingSecret": "a"}}, "needs a place for pictures that all pods share"),
        (
            {"mode": "production", "secrets": {"existingSecret": "a"}, "persistence": {"enabled": False}},
            "needs a place for pictures: config.blobs",
        ),
        ({"autoscaling": {"enabled": True}}, "needs mode production"),
        (
            {**PRODUCTION, "autoscaling": {"enabled": True, "cpuPercent": None, "tasksInFlight": None}},
            "needs autoscaling.cpuPercent or autoscaling.tasksInFlight",
        ),
        ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.host"),
        ({"drain": {"acceptSeconds": 240}}, "drain.acceptSeconds must be less than drain.seconds"),
        ({"ports": {"metrics": 8080}}, "ports.http and ports.metrics must differ"),
        ({"config": {"server": {"drain": "1h"}}}, "config.server.drain is the chart's: set drain.seconds"),
        ({"config": {"server": {"port": 1}}}, "config.server.port is the chart's: set ports.http"),
        ({"config": {"metrics": {"port": 1}}}, "config.metrics.port is the chart's: set ports.metrics"),
        ({"config": {"database": "postgresql://a"}}, "config.database is the chart's in mode embedded"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(values: dict[str, Any], why: str) -> None:
    with pytest.raises(HelmFailed, match=why):
        render(values)


def test_the_notes_say_what_is_next_and_what_is_missing() -> None:
    assert "gateway keys create" in notes({})
    assert "back it up apart" in notes({})
    assert "gone with the pod" in notes(VALUE_SETS["embedded-for-a-look"])
    assert "networkPolicy.enabled is false" in notes(VALUE_SETS["embedded-for-a-look"])
    assert "serves at https://images.example.com/v1" in notes(VALUE_SETS["ingress"])
    assert "counts limits for itself" in notes(VALUE_SETS["production-one-database-only"])
    assert "WARNING" not in notes(PRODUCTION)


def _templates(objects: list[Object]) -> Iterator[Object]:
    for each in objects:
        template = pod_template(each)
        if template is not None:
            yield template


def _selects(selector: dict[str, str], template: Object) -> bool:
    labels: dict[str, str] = template["metadata"]["labels"]
    return selector.items() <= labels.items()


def _references(spec: Object) -> Iterator[tuple[str, str]]:
    """Kind and name of what a pod needs besides Secrets."""
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec["volumes"]:
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        for source in volume.get("projected", {}).get("sources", []):
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"]


def _config(objects: list[Object]) -> Object:
    [found] = [
        each
        for each in objects
        if each["kind"] == "ConfigMap"
        and "helm.sh/hook" not in each["metadata"].get("annotations", {})
        and "gateway.yaml" in each["data"]
    ]
    config = yaml.safe_load(found["data"]["gateway.yaml"])
    assert isinstance(config, dict)
    return config


def _lets_out(rules: list[Object], address: str, port: int) -> bool:
    """By blocks of addresses; selectors of pods mean none of these."""
    parsed = ipaddress.ip_address(address)
    for rule in rules:
        if port not in [each["port"] for each in rule["ports"]]:
            continue
        for peer in rule["to"]:
            block = peer.get("ipBlock")
            if block is None or parsed not in ipaddress.ip_network(block["cidr"]):
                continue
            if not any(parsed in ipaddress.ip_network(each) for each in block.get("except", [])):
                return True
    return False
