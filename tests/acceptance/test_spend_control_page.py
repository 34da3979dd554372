"""docs/spend-control.md, pasted: every command of the page in its order in one shell, beside a gateway started as `make run` starts it."""

import csv
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from gateway.config import load
from tests.acceptance.conftest import NewGateway
from tests.acceptance.gateway_process import GATEWAY, ROOT, environment
from tests.acceptance.pasting import PORT_OF_THE_PAGES, Block, blocks_of, output_of, script_of

PAGE = ROOT / "docs/spend-control.md"
PASTING_S_MAX = 240.0
QUIET_S = 120.0
RUN = {"sh", "python"}
DIFFERENT_EACH_TIME = (
    (r"\b(igw|key|req|task-unified-\d+)_?-?[0-9A-Za-z]{8,}\b", r"\1_ID"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"(?<=T)(?!00:00:00)\d\d:\d\d:\d\d", "TIME"),
    (r"(?<=[0-9E])[+-]\d\d:00\b", "+ZONE"),  # Berlin's, in summer and in winter
    (r"(?<=_ms\":)\d+", "TIME"),
    (r"(?<=\"id\":)\d+|\d+(?= entries)", "NUMBER"),
)
"""What a reader sees otherwise than the page. Midnight is not among them: that is when a day begins anew."""


def comparable(text: str) -> str:
    """Without white space, since tables and long lines break differently, and with placeholders for what differs each time."""
    for pattern, word in DIFFERENT_EACH_TIME:
        text = re.sub(pattern, word, text)
    return re.sub(r"\s+", "", text)


def wait_for_a_quiet_time() -> None:
    """The page's budget begins anew at midnight in Berlin: not while it is pasted."""
    now = datetime.now(ZoneInfo("Europe/Berlin"))
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left_s = (midnight - now).total_seconds()
    if left_s < QUIET_S:
        time.sleep(left_s + 1)


@pytest.mark.parametrize("client_python", ["openai-3"], indirect=True)
@pytest.mark.slow
@pytest.mark.timeout(420)  # its two bounded waits, and the start
def test_every_command_of_the_page_does_what_it_shows(
    new_gateway: NewGateway, tmp_path: Path, client_python: Path
) -> None:
    """Nothing fails, each shown output is what is printed but for ids, times and keys, and the books agree afterwards."""
    gateway = new_gateway(None)
    shutil.copytree(ROOT / "config", gateway.folder / "config")
    (gateway.folder / ".venv").symlink_to(GATEWAY.parents[1])
    gateway.start("--config", "config/gateway.yaml", "--port", "0")
    page = PAGE.read_text(encoding="utf-8").replace(PORT_OF_THE_PAGES, gateway.base_url.removesuffix("/v1"))
    blocks = [block for block in blocks_of(page) if block.language in RUN]
    pasted = tmp_path / "pasted"
    pasted.mkdir()
    wait_for_a_quiet_time()
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
    for block, output in zip(blocks, printed, strict=True):
        if block.shown is not None:
            assert comparable(output) == comparable(block.shown), (block.text, output)
    for name in ("fox.png", "fox2.png", "fox3.png"):
        with Image.open(gateway.folder / name) as picture:
            picture.load()
    [titles, day] = csv.reader((gateway.folder / "usage.csv").read_text(encoding="utf-8").splitlines())
    assert (day[titles.index("images")], day[titles.index("charged_usd")]) == ("92", "18.4")
    assert not list(gateway.folder.glob("new_key*"))
    audit = gateway.ask("ledger audit")
    assert (audit["rows"], audit["failed"]) == ([], False)
    assert gateway.terminate() == 0


def test_the_config_of_the_page_is_good(tmp_path: Path) -> None:
    """The shipped config with what the page has added to it is accepted."""
    added = [block.text for block in blocks_of(PAGE.read_text(encoding="utf-8")) if block.language not in RUN]
    shutil.copytree(ROOT / "config", tmp_path / "config")
    file = tmp_path / "config/gateway.yaml"
    file.write_text("\n".join([file.read_text(encoding="utf-8"), *added]), encoding="utf-8")
    config = load(file, {"ALERTS_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    assert len(added) == 1
    assert config.alerts is not None


def test_a_command_that_fails_and_an_output_that_differs_are_noticed(tmp_path: Path) -> None:
    """The script ends with the first failing command, wherever it stands in its block; of outputs, only what differs each time may differ."""
    good, bad = Block("sh", "word=here\n", None), Block("sh", "false | cat\necho $word\n", None)
    script = script_of([good, bad, good], tmp_path, Path("python3"))
    done = subprocess.run(["bash"], input=script, text=True, check=False, timeout=PASTING_S_MAX)
    assert done.returncode == 1
    assert not (tmp_path / "2.sh.out").exists()
    shown = "a  igw_EY942v24Xk0eOQuJ  1.6usd  2026-11-27T00:00:00+01:00 until 2026-11-26T13:52:45+00:00"
    same = "a igw_zzzzzzzzXk0eOQuJ 1.6usd\n2027-07-01T00:00:00+02:00 until 2027-06-30T09:00:01+00:00"
    assert comparable(shown) == comparable(same)
    for wrong in (same.replace("1.6", "1.7"), same.replace("T00:00:00", "T22:00:00"), same.replace("igw_", "iga_")):
        assert comparable(shown) != comparable(wrong)
