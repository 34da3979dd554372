"""What the tests of the config share: writing a file, reading it on a fixed day, and collecting its problems."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, Problem, load

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config"
MODEL = {"prompt_tokens_max": 9, "sizes": ["1024x1024"]}
OFFER = {"upstream": "sandbox", "model": "sandbox", "cost": {"per_image_usd": 0.02}}


class SetClock:
    """The day that a test needs."""

    def __init__(self, now_ms: int = 1_795_392_000_000) -> None:  # 2026-11-23
        self.value_ms = now_ms

    def now_ms(self) -> int:
        return self.value_ms

    def monotonic_s(self) -> float:
        return 0.0


def write(folder: Path, text: str, name: str = "gateway.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    return load(write(folder, text), environ or {}, SetClock())


def problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environ)
    found = {problem.key: problem for problem in caught.value.errors}
    for problem in found.values():
        assert problem.key
        assert problem.why
        assert problem.fix.endswith((".", "?")), problem
        assert str(problem) in str(caught.value)
    return found
