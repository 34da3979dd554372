"""The check of Pod Security finds a violation of each of its rules: planted in a pod that has none."""

import copy
from typing import Any

import pytest

from tests.chart.pod_security import RULES, violations

GOOD: dict[str, Any] = {
    "metadata": {"annotations": {}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "one",
                "ports": [{"containerPort": 8080}],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 1}},
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
POD, CONTAINER, SECURITY = ("spec",), ("spec", "containers", 0), ("spec", "containers", 0, "securityContext")
POD_SECURITY = ("spec", "securityContext")
BAD: list[tuple[str, tuple[str | int, ...], dict[str, Any]]] = [
    ("host_process", SECURITY, {"windowsOptions": {"hostProcess": True}}),
    ("host_process", POD_SECURITY, {"windowsOptions": {"hostProcess": True}}),
    ("host_namespaces", POD, {"hostNetwork": True}),
    ("host_namespaces", POD, {"hostPID": True}),
    ("host_namespaces", POD, {"hostIPC": True}),
    ("privileged", SECURITY, {"privileged": True}),
    ("capabilities", SECURITY, {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}),
    ("capabilities", SECURITY, {"capabilities": {"drop": ["NET_RAW"]}}),
    ("capabilities", SECURITY, {"capabilities": {}}),
    ("host_ports", CONTAINER, {"ports": [{"containerPort": 1, "hostPort": 1}]}),
    ("host_probes", CONTAINER, {"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 1}}}),
    ("host_probes", CONTAINER, {"lifecycle": {"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 1}}}}),
    ("app_armor", SECURITY, {"appArmorProfile": {"type": "Unconfined"}}),
    ("app_armor", ("metadata", "annotations"), {"container.apparmor.security.beta.kubernetes.io/one": "unconfined"}),
    ("selinux", SECURITY, {"seLinuxOptions": {"type": "spc_t"}}),
    ("selinux", POD_SECURITY, {"seLinuxOptions": {"role": "sysadm_r"}}),
    ("selinux", POD_SECURITY, {"seLinuxOptions": {"user": "root"}}),
    ("proc_mount", SECURITY, {"procMount": "Unmasked"}),
    ("sysctls", POD_SECURITY, {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
    ("volume_types", POD, {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    ("volume_types", POD, {"volumes": [{"name": "share", "nfs": {"server": "a", "path": "/"}}]}),
    ("volume_types", POD, {"volumes": [{"name": "nothing"}]}),
    ("privilege_escalation", SECURITY, {"allowPrivilegeEscalation": True}),
    ("privilege_escalation", SECURITY, {"allowPrivilegeEscalation": None}),
    ("run_as_non_root", SECURITY, {"runAsNonRoot": False}),
    ("run_as_non_root", POD_SECURITY, {"runAsNonRoot": None}),
    ("run_as_user", SECURITY, {"runAsUser": 0}),
    ("run_as_user", POD_SECURITY, {"runAsUser": 0}),
    ("seccomp", SECURITY, {"seccompProfile": {"type": "Unconfined"}}),
    ("seccomp", POD_SECURITY, {"seccompProfile": {}}),
    ("seccomp", POD_SECURITY, {"seccompProfile": {"type": "Unconfined"}}),
    ("capabilities", POD, {"initContainers": [{"name": "first", "securityContext": {"allowPrivilegeEscalation": False}}]}),
    ("privilege_escalation", POD, {"initContainers": [{"name": "first", "securityContext": {"capabilities": {"drop": ["ALL"]}}}]}),
]  # fmt: skip


def test_a_pod_that_keeps_every_rule_has_no_violation() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(("rule", "place", "change"), BAD)
def test_a_violation_is_found_by_its_rule_and_no_other(
    rule: str, place: tuple[str | int, ...], change: dict[str, Any]
) -> None:
    template = copy.deepcopy(GOOD)
    target: Any = template
    for part in place:
        target = target[part]
    target.update(change)
    assert {found.partition(":")[0] for found in violations(template)} == {rule}


def test_each_rule_is_violated_by_something_here() -> None:
    assert {rule.__name__ for rule in RULES} == {rule for rule, _, _ in BAD}
