"""deploy/compose.yaml and its config belong together: mounts, secrets, names, times, and how little a container may do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import Config, load
from gateway.config_text import parse_duration_s
from release.dockerfile import DOCKERFILE, read_image

DEPLOY = DOCKERFILE.parent / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("gateway", "migrate")
IMAGE = read_image(DOCKERFILE.read_text(encoding="utf-8"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The config as it is in the container, with its secrets in place, checked as `check-config` does."""
    text = (DEPLOY / "gateway.yaml").read_text(encoding="utf-8")
    for name in COMPOSE["secrets"]:
        (tmp_path / name).write_text(f"{name}-0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    path = tmp_path / "gateway.yaml"
    path.write_text(text.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    return load(path, {}, strict=True)


def test_the_config_reaches_what_the_compose_file_starts(config: Config) -> None:
    """Host, user and database of PostgreSQL, and the shared state, are services of that name; pictures lie in the volume."""
    postgres = SERVICES["postgres"]["environment"]
    assert config.database.text == (
        f"postgresql://{postgres['POSTGRES_USER']}:database_password-0123456789abcdef0123456789abcdef@postgres:5432/{postgres['POSTGRES_DB']}"
    )
    assert "valkey:6379" in str(config.state)
    assert str(config.blobs).startswith(IMAGE.volumes[0])
    assert f"127.0.0.1:8080:{config.server.port}" in SERVICES["gateway"]["ports"]


def test_docker_waits_longer_than_the_gateway_drains(config: Config) -> None:
    """Else it would kill what is being paid for."""
    grace_s = parse_duration_s(SERVICES["gateway"]["stop_grace_period"])
    assert grace_s >= config.server.drain_s + config.server.accept_after_term_s + 10


def test_every_secret_is_declared_given_and_kept_out_of_the_repository() -> None:
    """What the config reads from /run/secrets is mounted; the files' folder is ignored by git."""
    read = set(re.findall(r"/run/secrets/(\w+)", (DEPLOY / "gateway.yaml").read_text(encoding="utf-8")))
    assert read == set(COMPOSE["secrets"])
    for name in OURS:
        assert set(SERVICES[name]["secrets"]) == read
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database_password"
    assert "/deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text().splitlines()


def test_our_containers_can_do_little() -> None:
    """A read-only root, no capability, no way to more; config and state at the image's places, /tmp in memory."""
    for name in OURS:
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
            True,
            ["ALL"],
            ["no-new-privileges:true"],
        )
        targets = [volume.split(":")[1] for volume in service["volumes"]]
        assert targets == [IMAGE.environ["GATEWAY_CONFIG"], IMAGE.volumes[0]]
        assert service["tmpfs"][0].startswith("/tmp:")
        assert "privileged" not in service
    assert SERVICES["migrate"]["command"] == ["migrate"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert all(SERVICES[name]["networks"] == ["back"] for name in ("postgres", "valkey", "migrate"))


def test_mounted_files_and_named_things_exist() -> None:
    """Relative paths lead to files of the repository; volumes, networks and awaited services are declared."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for name, wish in service.get("depends_on", {}).items():
            assert name in SERVICES
            assert wish["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]
    assert (DEPLOY / SERVICES["gateway"]["build"]["context"] / SERVICES["gateway"]["build"]["dockerfile"]).is_file()


def test_the_images_own_config_has_every_provider_of_the_shipped_one() -> None:
    """A provider added to config/gateway.yaml is one variable away in a container, too; nothing in it is refused by a strict check."""
    shipped, container = (
        yaml.safe_load((DEPLOY.parent / "config" / name).read_text(encoding="utf-8"))["upstreams"]
        for name in ("gateway.yaml", "container.yaml")
    )
    assert {name: wish["api_key"] for name, wish in shipped.items() if "api_key" in wish} == {
        name: wish["api_key"] for name, wish in container.items() if "api_key" in wish
    }
    assert load(DEPLOY.parent / "config/container.yaml", {}, strict=True).server.host == "0.0.0.0"
