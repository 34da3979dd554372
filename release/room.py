"""A command as a container would run it, without a container engine: `python -m release.room PLAN.json COMMAND…` replaces itself by the command.

Needs Linux and root, and leaves nothing behind: the mounts are this process's own. The root is the plan's folder, read-only, with the interpreter
and the system's shared libraries bound into it, and no program besides. Only the volumes can be written. The user is a number that no passwd file
knows, without capabilities and without a way to more. Exit code 125, and a sentence, where the machine does not allow such a room.
"""

import ctypes
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, Self

NOT_POSSIBLE = 125
BOUND = ("/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ssl", "/proc")
LINKED = ("/lib", "/lib64")
"""Links to the folders below /usr on any current system; folders of their own on older ones."""
DEVICES = ("/dev/null", "/dev/urandom")
RESOLVING = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")

# linux/mount.h, linux/sched.h, linux/prctl.h
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000
PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Room:
    """What is where. Folders that the root lacks are made by `furnish`."""

    root: str
    interpreter: str
    """The prefix of the Python behind the tree's virtual environment; bound at the same place."""
    volumes: Mapping[str, str]
    """Where in the room, and which folder outside of it."""
    user: tuple[int, int]
    workdir: str
    environ: Mapping[str, str]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")  # noqa: TID251 - a small file of our own

    @classmethod
    def read(cls, path: Path) -> Self:
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**data | {"user": tuple(data["user"])})

    def bound(self) -> list[str]:
        """The system's folders and files that are bound: those that this machine has."""
        wanted = [self.interpreter, *BOUND, *(path for path in LINKED if not os.path.islink(path)), *DEVICES]
        return [path for path in wanted if os.path.exists(path)]


def furnish(room: Room) -> None:
    """Make the places to mount upon. Once, before anything is compared."""
    root = Path(room.root)
    for path in [*room.bound(), *room.volumes]:
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(path) or path in room.volumes:
            place.mkdir(exist_ok=True)
        else:
            place.touch()
    for path in LINKED:
        if os.path.islink(path):
            (root / path.lstrip("/")).symlink_to(os.readlink(path))
    for path in RESOLVING:
        if os.path.exists(path):
            (root / path.lstrip("/")).write_bytes(Path(path).read_bytes())


def enter(room: Room) -> None:
    """Become the room's user in the room's root. Raises OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.unshare(CLONE_NEWNS), "unshare")
    _mount(libc, None, "/", MS_REC | MS_PRIVATE)
    _mount(libc, room.root, room.root, MS_BIND)
    for path in room.bound():
        place = room.root + path
        _mount(libc, path, place, MS_BIND | MS_REC)
        if path not in ("/proc", *DEVICES):
            _mount(libc, None, place, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)
    for place, folder in room.volumes.items():
        _mount(libc, folder, room.root + place, MS_BIND)
    _mount(libc, None, room.root, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)
    os.chroot(room.root)
    os.chdir(room.workdir)
    os.setgroups([])
    os.setresgid(room.user[1], room.user[1], room.user[1])
    os.setresuid(room.user[0], room.user[0], room.user[0])
    _call(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def main(arguments: list[str]) -> NoReturn:
    plan, *command = arguments
    room = Room.read(Path(plan))
    try:
        enter(room)
    except OSError as exc:
        print(f"no room can be made here: {exc}", file=sys.stderr)
        sys.exit(NOT_POSSIBLE)
    os.execvpe(command[0], command, dict(room.environ))


def _mount(libc: ctypes.CDLL, source: str | None, target: str, flags: int) -> None:
    name = None if source is None else os.fsencode(source)
    _call(libc.mount(name, os.fsencode(target), None, ctypes.c_ulong(flags), None), f"mount {target}")


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
