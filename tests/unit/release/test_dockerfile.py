"""What the Dockerfile and .dockerignore say. That the layout works is shown by tests/acceptance/test_image.py."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import load
from release.dockerfile import DOCKERFILE, instructions, read_image

ROOT = DOCKERFILE.parent
TEXT = DOCKERFILE.read_text(encoding="utf-8")
IMAGE = read_image(TEXT)


def test_the_linter_finds_nothing() -> None:
    """hadolint, with all its rules."""
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--failure-threshold", "style", DOCKERFILE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_image_starts_as_promised() -> None:
    """An unnamed user that is not root, exec forms, a home and a config that are there, ports of the config."""
    assert IMAGE.user == (10001, 10001)
    assert (IMAGE.entrypoint, IMAGE.command, IMAGE.healthcheck) == (
        ("gateway",),
        ("serve",),
        ("gateway", "healthcheck"),
    )
    assert IMAGE.volumes == ("/var/lib/image-gateway", "/tmp")
    assert IMAGE.workdir == IMAGE.environ["HOME"] == IMAGE.volumes[0]
    assert IMAGE.environ["GATEWAY_CONFIG"] in {copied.target for copied in IMAGE.copied}
    config = load(ROOT / "config/container.yaml", {})
    assert IMAGE.ports == (config.server.port, config.metrics.port)
    assert {"title", "description", "licenses", "version", "revision", "source"} == {
        label.removeprefix("org.opencontainers.image.") for label in IMAGE.labels
    }


def test_nothing_runs_in_the_last_stage_and_nothing_is_installed_unlocked() -> None:
    """The runtime image needs no shell; pip takes hashes or the wheel just built, npm the lock without scripts; every base is an argument."""
    assert IMAGE.run == ()
    runs = [rest for name, rest in instructions(TEXT) if name == "RUN"]
    installs = [step for run in runs for step in run.split("&&") if " install " in step or " ci " in step]
    assert len(installs) == 4
    for step in installs:
        assert "--require-hashes" in step or "--no-index" in step or "--ignore-scripts" in step, step
    bases = [rest.split()[0] for name, rest in instructions(TEXT) if name == "FROM"]
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE\}", base) for base in bases), bases
    assert not any(name == "ADD" for name, _ in instructions(TEXT))


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    """Every source of a COPY from the repository is there and not held back by .dockerignore; secrets, caches and environments are."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copies = [rest.split() for name, rest in instructions(TEXT) if name == "COPY" and "--from=" not in rest]
    sources = [source for *found, _ in copies for source in found]
    assert len(sources) >= 8
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source.rstrip("/"), rules), source
    for held in (
        ".git",
        ".venv",
        "tests",
        "var/api_key",
        "deploy/secrets/secret_key",
        "gateway/cli/__pycache__",
        "console/node_modules",
        "gateway/console",
    ):
        assert not is_sent(held, rules), held


def is_sent(path: str, rules: list[str]) -> bool:
    """As the builder decides: the last rule that names the path, or a folder that it is in, counts."""
    sent = True
    parts = path.split("/")
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("/")
        if not pattern or rule.startswith("#"):
            continue
        names = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if pattern.startswith("**/"):
            found = any(fnmatch.fnmatchcase(part, pattern.removeprefix("**/")) for part in parts)
        else:
            found = any(name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern) for name in names)
        if found:
            sent = rule.startswith("!")
    return sent


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ENTRYPOINT ["gateway"]', "ENTRYPOINT gateway"),
        ("USER 10001:10001", "USER gateway"),
        ("USER 10001:10001", ""),
        ('CMD ["gateway", "healthcheck"]', "CMD curl localhost"),
    ],
)
def test_a_shell_form_or_a_named_user_is_refused(old: str, new: str) -> None:
    """What the checks read is what they understand, or an error."""
    assert old in TEXT
    with pytest.raises(ValueError, match=r"exec form|USER"):
        read_image(TEXT.replace(old, new))
