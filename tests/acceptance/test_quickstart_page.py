"""README.md and docs/quickstart.md, pasted: every command but those that start a gateway, beside one that is started as `make run` starts it."""

import shutil
import subprocess
from pathlib import Path

import orjson
import pytest
from PIL import Image

from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GATEWAY, ROOT, environment
from tests.acceptance.pasting import PORT_OF_THE_PAGES, Block, blocks_of, output_of, script_of

PASTING_S_MAX = 120.0
PAGES = (ROOT / "README.md", ROOT / "docs/quickstart.md")


def pasted_blocks(origin: str) -> list[Block]:
    """What a reader runs, of both pages, at this gateway; what starts one is not among it."""
    found = [block for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8"))]
    return [
        Block(block.language, block.text.replace(PORT_OF_THE_PAGES, origin), None)
        for block in found
        if block.language in ("sh", "python") and "make run" not in block.text
    ]


@pytest.mark.parametrize("client_python", ["openai-3"], indirect=True)
@pytest.mark.slow
def test_every_command_of_the_first_minutes_works(new_gateway: NewGateway, tmp_path: Path, client_python: Path) -> None:
    """Nothing fails; the pictures are there, the task is done, and the key has its budgets."""
    gateway = new_gateway(None)
    shutil.copytree(ROOT / "config", gateway.folder / "config")
    (gateway.folder / ".venv").symlink_to(GATEWAY.parents[1])
    gateway.start("--config", "config/gateway.yaml", "--port", "0")
    blocks = pasted_blocks(gateway.base_url.removesuffix("/v1"))
    assert [block.language for block in blocks] == ["sh", "python", "sh", "python", "sh", "sh", "sh"]
    pasted = tmp_path / "pasted"
    pasted.mkdir()
    done = subprocess.run(
        ["bash"],
        input=script_of(blocks, pasted, client_python),
        cwd=gateway.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PASTING_S_MAX,
    )
    printed = [output_of(pasted / f"{number}.{block.language}") for number, block in enumerate(blocks)]
    assert (done.returncode, done.stderr) == (0, ""), next(output for output in reversed(printed) if output)
    for name, size in (("cat.png", (1024, 1024)), ("fox.png", (1536, 1024))):
        with Image.open(gateway.folder / name) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("PNG", size)
    task = orjson.loads((gateway.folder / "done.json").read_bytes())
    assert (task["status"], len(task["results"])) == ("completed", 2)
    listed = [row for row in gateway.rows("keys", "list") if row["account"].endswith("/design/ci")]
    assert [row["budgets"] for row in listed] == ["5usd/day, 100images/month"], gateway.rows("keys", "list")
    assert gateway.terminate() == 0
