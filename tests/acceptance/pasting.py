"""The commands of a document, as a reader pastes them: its fenced blocks in their order, in one shell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PORT_OF_THE_PAGES = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and the `text` block that directly follows the command: what it prints."""

    language: str
    text: str
    shown: str | None


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page in their order, without the shown outputs."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [
        Block(language, text, following[1] if following[0] == "text" else None)
        for (language, text), following in pairwise([*found, ("", "")])
        if language != "text"
    ]


def script_of(blocks: Sequence[Block], folder: Path, client_python: Path) -> str:
    """One bash script: a block keeps its variables for the next; the first command that fails ends it. Its outputs are files in the folder."""
    lines = ["set -eo pipefail"]
    for number, block in enumerate(blocks):
        file = folder / f"{number}.{block.language}"
        file.write_text(block.text, encoding="utf-8")
        command = f". {file} < /dev/null" if block.language == "sh" else f"{client_python} - < {file}"
        lines.append(f"{command} > {file}.out 2> {file}.err")
    return "\n".join([*lines, ""])


def output_of(file: Path) -> str:
    """What a block printed, errors last; empty where it was not reached."""
    files = [file.with_name(f"{file.name}.{kind}") for kind in ("out", "err")]
    return "".join(each.read_text(encoding="utf-8") for each in files if each.exists())
