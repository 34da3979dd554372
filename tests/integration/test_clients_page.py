"""docs/clients.md, run: each program of the page as it stands, beside a gateway that draws.

A program is a fenced block below the marker `<!-- program: NAME -->`; its language and its name say by what it is run. Those of `apps` are too heavy
for every run: `make soak` has them.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

import orjson
import pytest
from PIL import Image

from tests.conftest import client_environment
from tests.integration.gateway_app import KEY, House, list_of, serving, write_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
ORIGIN_OF_THE_PAGE = "http://127.0.0.1:8080"
NODE_MODULES = ROOT / ".venv-clients/node/node_modules"
RUN_S_MAX = 120.0
PROGRAMS: dict[str, tuple[str, str]] = {
    name: (language, text)
    for name, language, text in re.findall(r"^<!-- program: (\S+) -->\n```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}  # fmt: skip
ENVIRONMENTS = {
    "openai-python": "openai-3",
    "azure-python": "openai-3",
    "langchain-python": "apps",
    "litellm-python": "apps",
}
"""Where a Python program finds its packages; those that are not here need none."""
PRINTING = ("curl", "tasks-python")
"""They print what they got; the others save cat.png."""
SOAK = os.environ.get("SOAK") == "1"
TRIED = sorted(name for name in PROGRAMS if SOAK or ENVIRONMENTS.get(name) != "apps")
WIDE = ("openai-python", "ai-sdk-node", "litellm-python")
"""They ask for 1536x1024, the others for nothing or for a square."""


async def run(name: str, house: House, folder: Path) -> str:
    """Start a program in a folder that has `var/api_key`, as beside `make run`; what it printed. AssertionError where it fails or takes too long."""
    language, text = PROGRAMS[name]
    (folder / "var").mkdir(parents=True)
    (folder / "var/api_key").write_text(KEY + "\n")
    file = folder / f"program.{'mjs' if language == 'js' else language}"
    assert ORIGIN_OF_THE_PAGE in text
    file.write_text(text.replace(ORIGIN_OF_THE_PAGE, house.origin), encoding="utf-8")
    if language == "js":
        assert NODE_MODULES.is_dir(), f"{NODE_MODULES} is missing: `make test` makes it, with Node 20 or newer"
        (folder / "node_modules").symlink_to(NODE_MODULES)
    environment = ENVIRONMENTS.get(name)
    python = str(client_environment(environment)) if environment else sys.executable
    command = {"python": [python, "-I"], "js": ["node"], "sh": ["bash", "-e"]}[language]
    process = await asyncio.create_subprocess_exec(
        *command, str(file), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        printed, complaint = await asyncio.wait_for(process.communicate(), RUN_S_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    return printed.decode()


@pytest.mark.parametrize("name", TRIED)
async def test_each_program_of_the_page_gets_its_picture(name: str, sqlite_database: str, tmp_path: Path) -> None:
    """As it stands there, with the client that it imports; one call, and none of it tried again."""
    config = write_config(tmp_path, sqlite_database, {"sandbox": {"kind": "sandbox", "latency": "50ms"}})
    folder = tmp_path / "beside"
    async with serving(config, {}) as house:
        printed = await run(name, house, folder)
        made = await house.metric("gateway_http_requests_total", route="/v1/images/generations")
        made += await house.metric(
            "gateway_http_requests_total", route="/openai/deployments/{deployment}/images/generations"
        )
        if name == "curl":
            link = str(list_of(orjson.loads(printed), "data")[0]["url"])
            assert (await house.get(link, key=None)).body.startswith(b"\x89PNG")
    assert made == 1
    if name == "tasks-python":
        assert printed.startswith("completed ")
        assert printed.count(f"{house.origin}/v1/results/") == 2
    if name not in PRINTING:
        with Image.open(folder / "cat.png") as picture:
            picture.load()
            assert (picture.format, picture.size) == ("PNG", (1536, 1024) if name in WIDE else (1024, 1024))


def test_every_program_of_the_page_is_run() -> None:
    """No block of code without a marker, and none whose packages nobody has."""
    blocks = re.findall(r"^```(?:python|js|ts|sh)$", PAGE, re.MULTILINE)
    assert len(blocks) == len(PROGRAMS) == PAGE.count("<!-- program: ")
    assert len(PROGRAMS) >= 9
    assert ENVIRONMENTS.keys() | set(PRINTING) >= {name for name in PROGRAMS if not name.endswith("-node")}
