"""The official clients' environments are what their locks say."""

import subprocess
from pathlib import Path


def test_each_client_environment_has_its_locked_major_version(client_python: Path) -> None:
    """`.venv-clients/openai-1` imports openai 1, and so on, apart from the packages of the tests themselves."""
    name, _, major = client_python.parents[1].name.rpartition("-")
    command = [str(client_python), "-I", "-c", f"import {name}; print({name}.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.partition(".")[0] == major
