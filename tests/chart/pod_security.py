"""The rules of Kubernetes' Pod Security Standards, profile restricted, those of baseline included, one function a rule.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of Kubernetes 1.35, for Linux pods. Pure; says each violation with
its place, and fails on nothing that a schema lets through.
"""

from collections.abc import Callable, Iterator
from typing import Any

Fields = dict[str, Any]

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
VOLUMES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
})  # fmt: skip
SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
})  # fmt: skip
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def violations(template: Fields) -> list[str]:
    """Of a pod template, or of a pod: `{metadata, spec}`."""
    return [f"{rule.__name__}: {place}" for rule in RULES for place in rule(template)]


def pod_template(each: Fields) -> Fields | None:
    """That of an object which makes pods."""
    template = each.get("spec", {}).get("template")
    return template if isinstance(template, dict) and "spec" in template else None


def host_process(template: Fields) -> Iterator[str]:
    for place, security in _securities(template):
        if security.get("windowsOptions", {}).get("hostProcess"):
            yield place


def host_namespaces(template: Fields) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if template["spec"].get(name):
            yield name


def privileged(template: Fields) -> Iterator[str]:
    for place, _, security in _containers(template):
        if security.get("privileged"):
            yield place


def capabilities(template: Fields) -> Iterator[str]:
    """All are dropped; the one that may be added is NET_BIND_SERVICE."""
    for place, _, security in _containers(template):
        found = security.get("capabilities", {})
        if "ALL" not in found.get("drop", []):
            yield f"{place}: does not drop ALL"
        for name in set(found.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{place}: adds {name}"


def host_ports(template: Fields) -> Iterator[str]:
    for place, container, _ in _containers(template):
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield place


def host_probes(template: Fields) -> Iterator[str]:
    """No probe and no hook may name a host to connect to."""
    for place, container, _ in _containers(template):
        hooks = container.get("lifecycle", {})
        probes = {name: container.get(name, {}) for name in ("livenessProbe", "readinessProbe", "startupProbe")}
        for name, handler in {**probes, **hooks}.items():
            if any(handler.get(how, {}).get("host") for how in ("httpGet", "tcpSocket")):
                yield f"{place}: {name}"


def app_armor(template: Fields) -> Iterator[str]:
    for place, security in _securities(template):
        if security.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
            yield place
    for name, value in (template.get("metadata", {}).get("annotations") or {}).items():
        if name.startswith(APPARMOR_ANNOTATION) and not (value == "runtime/default" or value.startswith("localhost/")):
            yield name


def selinux(template: Fields) -> Iterator[str]:
    for place, security in _securities(template):
        options = security.get("seLinuxOptions", {})
        if options.get("type", "") not in SELINUX_TYPES or options.get("user") or options.get("role"):
            yield place


def proc_mount(template: Fields) -> Iterator[str]:
    for place, _, security in _containers(template):
        if security.get("procMount", "Default") != "Default":
            yield place


def sysctls(template: Fields) -> Iterator[str]:
    for each in template["spec"].get("securityContext", {}).get("sysctls", []):
        if each["name"] not in SYSCTLS:
            yield str(each["name"])


def volume_types(template: Fields) -> Iterator[str]:
    for volume in template["spec"].get("volumes", []):
        if set(volume) - {"name"} - VOLUMES or len(volume) < 2:
            yield str(volume["name"])


def privilege_escalation(template: Fields) -> Iterator[str]:
    for place, _, security in _containers(template):
        if security.get("allowPrivilegeEscalation") is not False:
            yield place


def run_as_non_root(template: Fields) -> Iterator[str]:
    """True for each container, by itself or by the pod's where it says nothing."""
    pod = template["spec"].get("securityContext", {}).get("runAsNonRoot")
    for place, _, security in _containers(template):
        if security.get("runAsNonRoot", pod) is not True:
            yield place
    if pod is False:
        yield "pod"


def run_as_user(template: Fields) -> Iterator[str]:
    for place, security in _securities(template):
        if security.get("runAsUser") == 0:
            yield place


def seccomp(template: Fields) -> Iterator[str]:
    """RuntimeDefault or Localhost for each container, by itself or by the pod's where it says nothing."""
    pod = template["spec"].get("securityContext", {}).get("seccompProfile", {}).get("type")
    for place, _, security in _containers(template):
        if security.get("seccompProfile", {}).get("type", pod) not in ("RuntimeDefault", "Localhost"):
            yield place
    if pod not in (None, "RuntimeDefault", "Localhost"):
        yield "pod"


RULES: tuple[Callable[[Fields], Iterator[str]], ...] = (
    host_process, host_namespaces, privileged, capabilities, host_ports, host_probes, app_armor, selinux, proc_mount, sysctls, volume_types,
    privilege_escalation, run_as_non_root, run_as_user, seccomp,
)  # fmt: skip


def _containers(template: Fields) -> Iterator[tuple[str, Fields, Fields]]:
    """Place, container and its security context."""
    for kind in CONTAINERS:
        for container in template["spec"].get(kind) or []:
            yield f"{kind}/{container['name']}", container, container.get("securityContext") or {}


def _securities(template: Fields) -> Iterator[tuple[str, Fields]]:
    """Every security context: the pod's and the containers'."""
    yield "pod", template["spec"].get("securityContext") or {}
    for place, _, security in _containers(template):
        yield place, security
