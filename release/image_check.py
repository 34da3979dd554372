"""`make image-check`: makes the image's layout and uses it as its first user would. Prints a line a finding; exit code 0 if all is as promised.

As root on Linux the gateway runs in a room (release/room.py) that has what a container has: a read-only root without programs, an unnamed user
without capabilities, the volumes. Elsewhere it runs in place, with the tree's write permissions taken away, and the first line says so.
"""

import argparse
import base64
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from release.dockerfile import DOCKERFILE, Image, read_image
from release.layout import build_wheel, make_tree
from release.locks import ROOT
from release.room import NOT_POSSIBLE, Room, furnish

START_S_MAX, STOP_S_MAX, CALL_S_MAX = 60.0, 60.0, 60.0
LATENCY = "1500ms"
"""How long the sandbox takes: a picture is surely still being made when the signal comes."""
MODEL = "gpt-image-2"
PROBE = """
import json, os, sys
def writes(path):
    try:
        open(path, "w").close(); os.remove(path); return True
    except OSError:
        return False
status = open("/proc/self/status").read()
print(json.dumps({
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": status.partition("CapEff:")[2].split()[0] + status.partition("CapPrm:")[2].split()[0],
    "written": [folder for folder in sys.argv[1:] if writes(folder + "/probe")],
    "programs": [name for name in ("/bin/sh", "/usr/bin/env", "/bin/bash", "/usr/bin/id") if os.path.exists(name)],
}))
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the layout is and how its commands are run."""

    image: Image
    root: Path
    volumes: dict[str, Path]
    plan: Path | None
    """The room; None: in place."""
    environ: dict[str, str]
    base_url: str

    def command(self, *words: str) -> list[str]:
        if self.plan is not None:
            return [sys.executable, "-m", "release.room", str(self.plan), *words]
        return [str(self.root / "opt/image-gateway/bin/python"), *([] if words[0] == "-c" else ["-m"]), *words]

    def options(self) -> dict[str, Any]:
        """For subprocess: the room's own environment is in its plan."""
        if self.plan is not None:
            return {"cwd": ROOT}
        return {"cwd": self.volumes[self.image.workdir], "env": self.environ}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """As `docker exec`."""
        return subprocess.run(
            self.command(*words), **self.options(), text=True, capture_output=True, check=False, timeout=CALL_S_MAX
        )


class Failed(Exception):
    """A promise is broken; the text says which."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="image_check", description="Make and try the image's layout without a container engine."
    )
    parser.add_argument("--python", default=sys.executable, help="the Python to run with; the image has 3.13")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="copy the locked packages from this environment instead of installing them by hash",
    )
    options = parser.parse_args(arguments)
    # Not below pytest's folder or any other that nobody else may enter: the user inside is another one.
    with tempfile.TemporaryDirectory(prefix="gateway-image-") as folder:
        try:
            for finding in check(Path(folder), options.python, offline=options.offline):
                print(finding, flush=True)
        except Failed as exc:
            print(f"FAILED: {exc}", flush=True)
            return 1
    print("The image's layout is good.")
    return 0


def check(folder: Path, python: str, *, offline: bool) -> Iterator[str]:
    """Each promise in turn. Raises Failed."""
    image = read_image(DOCKERFILE.read_text(encoding="utf-8"))
    wheel = build_wheel(folder / "dist")
    yield f"built {wheel.name}"
    make_tree(folder / "root", wheel, image, python=python, offline=offline)
    yield f"installed it and the locked packages into an empty environment ({'copied by their hashes' if offline else 'from the index, by hash'})"
    stage = set_stage(folder, image, python)
    user = (
        "in place, read-only by permissions" if stage.plan is None else f"as user {image.user[0]} in a read-only root"
    )
    yield f"runs {user}"
    if stage.plan is not None:
        yield check_bounds(stage)
    before = listing(stage.root)
    with serving(stage, folder) as process:
        yield check_health(stage)
        yield check_console(stage)
        key = check_secrets(stage)
        yield "key and token are in the volume, readable for the gateway's user alone"
        picture(stage, key, "before")
        yield "makes a picture"
        yield check_command(stage)
        yield check_drain(stage, process, key)
    complaints = [
        line for line in (folder / "err").read_text().splitlines() if '"level":"info"' not in line.replace(" ", "")
    ]
    require(not complaints, f"the log complains: {complaints[:3]}")
    require(
        listing(stage.root) == before,
        f"files outside the volumes changed: {sorted(set(listing(stage.root)) ^ set(before))[:5]}",
    )
    yield check_volumes(stage)


def set_stage(folder: Path, image: Image, python: str) -> Stage:
    """Volumes, a config on free ports, and the room where one can be made."""
    root = folder / "root"
    volumes = {place: folder / "volumes" / place.strip("/").replace("/", "-") for place in image.volumes}
    for volume in volumes.values():
        volume.mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(volume, *image.user)
    port = free_port()
    environ = {**image.environ, "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    room = Room(
        str(root), base_prefix(python), {place: str(path) for place, path in volumes.items()}, image.user, image.workdir, environ
    )  # fmt: skip
    stage = Stage(image, root, volumes, folder / "room.json", environ, f"http://127.0.0.1:{port}")
    furnish(room)
    room.save(folder / "room.json")
    (folder / "root").chmod(0o755)
    folder.chmod(0o711)
    config = root / image.environ["GATEWAY_CONFIG"].lstrip("/")
    if stage.run("python", "-c", "").returncode == NOT_POSSIBLE:
        stage = in_place(stage, config)
    config.write_text(config_text(config.read_text(encoding="utf-8"), port), encoding="utf-8")
    if stage.plan is None:
        for path in root.rglob("*"):
            # A file with a second name is the environment's own, whose folder is enough to keep.
            if path.is_dir() or (not path.is_symlink() and path.stat().st_nlink == 1):
                path.chmod(path.stat().st_mode & ~0o222)
    return stage


def in_place(stage: Stage, config: Path) -> Stage:
    """Without a room: the same files where they are."""
    text = config.read_text(encoding="utf-8")
    place = stage.image.workdir
    config.write_text(text.replace(f"//{place}/", f"//{stage.volumes[place]}/"), encoding="utf-8")
    environ = {**stage.environ, "GATEWAY_CONFIG": str(config), "HOME": str(stage.volumes[stage.image.workdir])}
    return replace(stage, plan=None, environ=environ)


def config_text(shipped: str, port: int) -> str:
    """The image's own config, on free ports and with a slow sandbox."""
    data = yaml.safe_load(shipped)
    data["server"]["port"] = port
    data["metrics"]["port"] = free_port()
    data["upstreams"]["sandbox"]["latency"] = LATENCY
    return yaml.safe_dump(data)


@contextmanager
def serving(stage: Stage, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The image's entry point and command, until it says where it serves; never left behind."""
    image = stage.image
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            stage.command(*image.entrypoint, *image.command), **stage.options(), stdout=out, stderr=err, stdin=subprocess.DEVNULL
        )  # fmt: skip
    try:
        said = (folder / "out").read_text
        wait(lambda: "serves at" in said() or process.poll() is not None, START_S_MAX, "it does not start")
        require(process.poll() is None, f"it ended with {process.returncode}: {said()}{(folder / 'err').read_text()}")
        wait(lambda: request(stage, "GET", "/readyz")[0] == 200, START_S_MAX, "it does not become ready")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def check_bounds(stage: Stage) -> str:
    """User, capabilities, what can be written, and that there is no shell to be had."""
    tried = [
        "/",
        "/etc",
        "/etc/image-gateway",
        "/opt/image-gateway",
        "/usr/lib",
        "/var",
        "/var/lib",
        *stage.image.volumes,
    ]
    done = stage.run("python", "-c", PROBE, *tried)
    require(done.returncode == 0, done.stderr)
    seen = json.loads(done.stdout)
    require(seen["user"] == [*stage.image.user, []], f"it runs as {seen['user']}")
    require(set(seen["capabilities"]) == {"0"}, f"it has capabilities: {seen['capabilities']}")
    require(seen["written"] == list(stage.image.volumes), f"it can write {seen['written']}")
    return f"no capabilities; only the volumes can be written; programs there: {seen['programs'] or 'none'}"


def check_health(stage: Stage) -> str:
    """The HEALTHCHECK, as it stands in the Dockerfile."""
    for words in (stage.image.healthcheck, (*stage.image.healthcheck, "--ready")):
        done = stage.run(*words)
        require(done.returncode == 0, f"{' '.join(words)}: {done.stderr}")
    return "the health check passes"


def check_console(stage: Stage) -> str:
    """Its page, where it was built before the wheel, as the Dockerfile does."""
    status, page = request(stage, "GET", "/console/")
    if not any(stage.root.glob("opt/image-gateway/lib/python*/site-packages/gateway/console/index.html")):
        require(status == 503, f"without a build /console/ answers {status}")
        return "the console is not built here, and says so"
    require(status == 200 and b"<script" in page, f"/console/ answers {status}: {page[:200]!r}")
    return "the console's page is served"


def check_secrets(stage: Stage) -> str:
    """The key of the first start, from the volume."""
    state = stage.volumes[stage.image.workdir]
    for name in ("api_key", "admin_token", "secret_key"):
        mode = (state / name).stat()
        require(stat.S_IMODE(mode.st_mode) == 0o600, f"{name} has mode {stat.S_IMODE(mode.st_mode):o}")
    return (state / "api_key").read_text().strip()


def check_command(stage: Stage) -> str:
    done = stage.run("gateway", "tasks", "list", "--format", "json")
    require(done.returncode == 0, done.stderr)
    require(len(json.loads(done.stdout)["rows"]) == 1, "the task is not listed")
    return "commands reach the running gateway through the volume"


def check_drain(stage: Stage, process: "subprocess.Popen[bytes]", key: str) -> str:
    """A signal while a picture is made: the caller gets it, health checks see the stop, the exit code is 0."""
    failures: list[Exception] = []

    def call() -> None:
        try:
            picture(stage, key, "during")
        except Exception as exc:  # noqa: BLE001 - told by the main thread
            failures.append(exc)

    caller = threading.Thread(target=call)
    caller.start()
    wait(
        lambda: b'"pending"' in (tasks := request(stage, "GET", "/v1/tasks", key=key)[1]) or b'"processing"' in tasks,
        CALL_S_MAX,
        "no task begins",
    )
    process.send_signal(signal.SIGTERM)
    wait(lambda: request(stage, "GET", "/readyz")[0] == 503, CALL_S_MAX, "/readyz stays good after SIGTERM")
    caller.join(CALL_S_MAX)
    require(not caller.is_alive() and not failures, f"the call in flight was lost: {failures}")
    code = process.wait(STOP_S_MAX)
    require(code == 0, f"it ended with {code} after SIGTERM")
    return "SIGTERM: the call in flight got its picture, exit code 0"


def check_volumes(stage: Stage) -> str:
    """The state is in the first volume, all of it the gateway's own; nothing is left in the other."""
    state, scratch = (stage.volumes[place] for place in (stage.image.workdir, "/tmp"))
    files = sorted(path for path in state.rglob("*") if path.is_file())
    require(any(path.suffix == ".db" for path in files), f"no database among {files}")
    require(sum("images" in path.parts for path in files) >= 2, "the pictures are not in the volume")
    if stage.plan is not None:
        owners = {path.stat().st_uid for path in files}
        require(owners == {stage.image.user[0]}, f"files of {owners}")
    left = [path.name for path in scratch.rglob("*")]
    require(not left, f"left in /tmp: {left}")
    return f"all state is in {stage.image.workdir} ({len(files)} files), nothing changed elsewhere"


def picture(stage: Stage, key: str, prompt: str) -> None:
    body = json.dumps({"model": MODEL, "prompt": prompt, "response_format": "b64_json"})  # noqa: TID251 - a small request
    status, answer = request(stage, "POST", "/v1/images/generations", body, key=key)
    require(status == 200, f"a call is answered {status}: {answer[:300]!r}")
    content = base64.b64decode(json.loads(answer)["data"][0]["b64_json"])
    require(content.startswith(b"\x89PNG"), "the answer is no picture")


def request(stage: Stage, method: str, path: str, body: str | None = None, *, key: str = "") -> tuple[int, bytes]:
    """Status and body; 0 where nobody listens."""
    connection = http.client.HTTPConnection(stage.base_url.removeprefix("http://"), timeout=CALL_S_MAX)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (ConnectionError, http.client.HTTPException) as exc:
        return 0, str(exc).encode()
    finally:
        connection.close()


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time of change of everything below; what is mounted inside is not seen from here."""
    found = {}
    for path in root.rglob("*"):
        at = path.lstat()
        found[str(path.relative_to(root))] = (at.st_mode, at.st_size, at.st_mtime_ns)
    return found


def base_prefix(python: str) -> str:
    return subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port


def wait(look: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not look():
        require(time.monotonic() < deadline_s, f"after {timeout_s:.0f} s: {what}")
        time.sleep(0.05)


def require(good: bool, otherwise: str) -> None:
    if not good:
        raise Failed(otherwise)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
