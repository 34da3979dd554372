"""The container image's layout, made and used without a container engine: release/image_check.py says what is looked at."""

import os
import subprocess
import sys

import pytest

from tests.acceptance.gateway_process import ROOT, environment

CHECK_S_MAX = 600.0
FOUND = (
    "built image_gateway-",
    "the health check passes",
    "makes a picture",
    "commands reach the running gateway",
    "SIGTERM: the call in flight got its picture, exit code 0",
    "all state is in /var/lib/image-gateway",
    "The image's layout is good.",
)
ISOLATED = ("runs as user 10001 in a read-only root", "no capabilities; only the volumes can be written")


@pytest.mark.slow
@pytest.mark.timeout(CHECK_S_MAX)
def test_the_wheel_in_an_empty_environment_serves_and_drains() -> None:
    """Unprivileged, a read-only tree with the locked packages alone, all state in the volumes. With SOAK=1 they come from the index, by hash."""
    offline = () if os.environ.get("SOAK") else ("--offline",)
    done = subprocess.run(
        [sys.executable, "-m", "release.image_check", *offline],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=CHECK_S_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    expected = FOUND + (ISOLATED if sys.platform == "linux" and os.geteuid() == 0 else ())
    assert [line for line in expected if line not in done.stdout] == []
