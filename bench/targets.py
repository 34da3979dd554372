"""What load is put on: the bare pass-through, and a gateway on each database, each a process in front of an upstream."""

import contextlib
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench import loop_probe, setup
from bench.databases import Maker
from bench.load import Measurement, Plan
from bench.pictures import large_answer, small_answer
from bench.processes import BenchFailed, Child, free_port, python_output_of, running, wait_until_ready
from bench.results import BARE

SMALL, LARGE = "small", "large"
ANSWERS = {SMALL: small_answer, LARGE: large_answer}
ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """Something that load is put on."""

    name: str
    child: Child
    url: str
    blocks: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, where its upstream is, what its gateways run on, and what puts load on them."""

    folder: Path
    upstream_port: int
    databases: Mapping[str, Maker]
    generate: Callable[[Plan], Measurement]

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


@contextlib.contextmanager
def passthrough(place: Place, size: str, purpose: str) -> Iterator[Target]:
    port, blocks = free_port(), place.folder / f"blocks-bare-{purpose}"
    loop_probe.clear(blocks)
    arguments = ["-m", "bench.passthrough", str(port), f"{place.upstream}/{size}", str(blocks)]
    with running(f"bare-{purpose}", arguments, place.folder) as child:
        wait_until_ready(child, ready(port))
        yield Target(BARE, child, _generations(port), blocks)


@contextlib.contextmanager
def hello(place: Place) -> Iterator[Target]:
    """Named as the pass-through, because it stands in its place."""
    port = free_port()
    with running("hello", ["-m", "bench.hello", str(port)], place.folder) as child:
        wait_until_ready(child, ready(port))
        yield Target(BARE, child, _generations(port), place.folder / "blocks-hello")


@contextlib.contextmanager
def gateway(
    place: Place, database: str, size: str, purpose: str, *, probed: bool, cached: bool = False
) -> Iterator[Target]:
    """As `gateway serve` runs it, or with the loop probe beside it."""
    port, blocks = free_port(), place.folder / f"blocks-{database}-{purpose}"
    loop_probe.clear(blocks)
    config = configured(place, f"gateway-{database}-{purpose}", database, port, size, cached=cached)
    arguments = ["-m", "bench.watched", str(config), str(blocks)] if probed else serve(config)
    with running(f"gateway-{database}-{purpose}", arguments, place.folder) as child:
        wait_until_ready(child, ready(port))
        yield Target(f"gateway, {database}", child, _generations(port), blocks)


def configured(place: Place, name: str, database: str, port: int, size: str, *, cached: bool = False) -> Path:
    """A config on a new database. PostgreSQL is migrated beforehand, as an operator does; a gateway migrates its SQLite file itself."""
    folder = place.folder / name
    folder.mkdir()
    url = place.databases[database](folder)
    config = setup.write_config(folder, database=url, port=port, upstream=f"{place.upstream}/{size}/v1", cached=cached)
    if url.startswith("postgresql:"):
        python_output_of(["-m", "gateway", "migrate", "--config", str(config)])
    return config


def serve(config: Path) -> list[str]:
    return ["-m", "gateway", "serve", "--config", str(config)]


def ready(port: int) -> str:
    return f"http://127.0.0.1:{port}/readyz"


def check_answer(name: str, url: str, size: str) -> None:
    """One call; its answer must carry the very picture that the upstream gives. Raises BenchFailed: what answers anything else is not measured."""
    headers = {"Authorization": setup.AUTHORIZATION, "Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, setup.BODY.encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:
            status, body = answer.status, answer.read()
    except (OSError, ValueError) as exc:
        raise BenchFailed(f"{name}: the first call failed: {exc}") from exc
    if status != 200 or _picture(body) != _picture(ANSWERS[size]()):
        raise BenchFailed(
            f"{name}: the first call was answered {status} without the upstream's picture: {body[:500]!r}"
        )


def hits(target: Target) -> int:
    """How many calls were answered with pictures that were there, by the gateway's own count of tasks. Raises BenchFailed."""
    origin = target.url.removesuffix(setup.PATH)
    request = urllib.request.Request(f"{origin}/v1/tasks?page_size=1", headers={"Authorization": setup.AUTHORIZATION})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:
            tasks = int(orjson.loads(answer.read())["total"])
        with urllib.request.urlopen(f"{origin}/metrics", timeout=ANSWER_TIMEOUT_S) as answer:
            metrics = answer.read().decode()
    except (OSError, ValueError, LookupError) as exc:
        raise BenchFailed(f"{target.name}: its tasks cannot be counted: {exc}") from exc
    found = re.search(r'gateway_cache_requests_total\{result="hit"\} ([0-9.e+]+)', metrics)
    counted = 0 if found is None else int(float(found[1]))
    if tasks <= counted:
        raise BenchFailed(f"{target.name}: {counted} hits, and only {tasks} tasks")
    return counted


def _picture(body: bytes) -> str | None:
    try:
        picture: str = orjson.loads(body)["data"][0]["b64_json"]
    except (ValueError, LookupError, TypeError):
        return None
    return picture


def _generations(port: int) -> str:
    return f"http://127.0.0.1:{port}{setup.PATH}"
