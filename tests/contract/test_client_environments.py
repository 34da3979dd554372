"""The official clients' environments are what their locks say."""

import re
import subprocess
from pathlib import Path


def test_each_client_environment_has_its_locked_major_version(client_python: Path) -> None:
    """`.venv-clients/openai-1` imports openai 1, and so on, apart from the packages of the tests themselves."""
    name, _, major = client_python.parents[1].name.rpartition("-")
    command = [str(client_python), "-I", "-c", f"import {name}; print({name}.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.partition(".")[0] == major


def test_the_vendors_environment_has_every_locked_package(vendors_python: Path) -> None:
    """`.venv-clients/vendors` has the SDKs named in its requirements, in the versions of the lock."""
    root = Path(__file__).parents[2] / "requirements"
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (root / "client-vendors.txt").read_text(), re.MULTILINE))
    names = re.findall(r"^([\w.-]+)", (root / "client-vendors.in").read_text(), re.MULTILINE)
    program = f"from importlib.metadata import version; print(*[version(name) for name in {names}])"
    done = subprocess.run([str(vendors_python), "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [locked[name] for name in names]
