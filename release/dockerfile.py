"""What the last stage of the Dockerfile promises about the image: user, volumes, environment, commands.

Knows exactly the forms that our Dockerfile uses and raises ValueError at any other, so that nothing is checked against a guess.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Copied:
    """A COPY of the last stage: from the repository, or from another stage."""

    stage: str | None
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Image:
    """The settings a container of it starts with."""

    user: tuple[int, int]
    """Numbers: a name would need a passwd file, and Kubernetes could not see that it is not root."""
    workdir: str
    volumes: tuple[str, ...]
    environ: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    healthcheck: tuple[str, ...]
    ports: tuple[int, ...]
    labels: Mapping[str, str]
    copied: tuple[Copied, ...]
    run: tuple[str, ...]
    """RUN lines of the last stage: each needs a shell in the runtime image."""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """(instruction, rest), continued lines joined, comments left out."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def read_image(text: str) -> Image:
    """The last stage. Raises ValueError for a shell form, a named user, or something missing."""
    stage: dict[str, list[str]] = {}
    for name, rest in instructions(text):
        if name == "FROM":
            stage = {}
        stage.setdefault(name, []).append(rest)
    user = re.fullmatch(r"(\d+):(\d+)", _last(stage, "USER"))
    if user is None:
        raise ValueError("USER is not two numbers")
    health = _last(stage, "HEALTHCHECK").partition("CMD ")[2]
    return Image(
        user=(int(user[1]), int(user[2])),
        workdir=_last(stage, "WORKDIR"),
        volumes=_words(_last(stage, "VOLUME")),
        environ=_pairs(stage.get("ENV", [])),
        entrypoint=_words(_last(stage, "ENTRYPOINT")),
        command=_words(_last(stage, "CMD")),
        healthcheck=_words(health),
        ports=tuple(int(port) for rest in stage.get("EXPOSE", []) for port in rest.split()),
        labels=_pairs(stage.get("LABEL", [])),
        copied=tuple(_copied(rest) for rest in stage.get("COPY", [])),
        run=tuple(stage.get("RUN", [])),
    )


def _last(stage: Mapping[str, list[str]], name: str) -> str:
    if name not in stage:
        raise ValueError(f"the last stage has no {name}")
    return stage[name][-1]


def _words(text: str) -> tuple[str, ...]:
    """An exec form: a JSON list of texts."""
    words = json.loads(text) if text.startswith("[") else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f'{text!r} is no exec form, such as ["gateway"]')
    return tuple(words)


def _pairs(lines: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for line in lines for word in shlex.split(line)]
    return {name: value for name, _, value in pairs}


def _copied(rest: str) -> Copied:
    words = shlex.split(rest)
    options = [word for word in words if word.startswith("--")]
    stages = [option.removeprefix("--from=") for option in options if option.startswith("--from=")]
    *sources, target = [word for word in words if not word.startswith("--")]
    return Copied(stages[0] if stages else None, tuple(sources), target)
