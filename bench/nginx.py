"""nginx as the upstream: its config, and where the program is. One worker, kept connections, no access log, all its files in the run's folder.

A picture of two million characters is too long for `return`, so the large answer is a file. nginx answers POST to a file with 405, which
`error_page` turns into a 200 with the file.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.pictures import large_answer, small_answer

DOWNLOAD_TIMEOUT_S = 60.0
CONNECTIONS_MAX = 8192

# keepalive: a server that closes a kept connection while a POST is on its way would make a failed call of our own doing.
_CONFIG = """\
daemon off;
{user}worker_processes 1;
worker_rlimit_nofile {connections_max};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections_max}; }}
http {{
    access_log off;
    sendfile on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    default_type application/json;
    {temporary}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location /small/ {{ return 200 '{small}'; }}
        location /large/ {{ error_page 405 =200 /large.json; return 405; }}
        location = /large.json {{ internal; root {folder}; open_file_cache max=1; }}
    }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def arguments(folder: Path, port: int) -> list[str]:
    """Writes the config and the answers below `folder`; what to call nginx with."""
    folder = folder / "nginx"
    folder.mkdir()
    (folder / "large.json").write_bytes(large_answer())
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            # Started by root, a worker would change to a user who may not read the folder. It listens on loopback only.
            user="user root;\n" if os.geteuid() == 0 else "",
            connections_max=CONNECTIONS_MAX,
            folder=folder,
            temporary=" ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY),
            port=port,
            small=small_answer().decode(),
        )
    )
    return ["-p", str(folder), "-c", str(config)]


def program() -> str | None:
    """An installed nginx. It often lies in a folder that is only in root's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def fetched_program(folder: Path) -> str | None:
    """Debian's nginx, unpacked in the run's folder for root on a machine with apt-get: nothing is installed, no service starts. None: no luck."""
    if os.geteuid() != 0 or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    print("... nginx is not installed: taking Debian's package for this run alone", file=sys.stderr, flush=True)
    folder = folder / "nginx-package"
    folder.mkdir()
    for package in ("nginx", "nginx-light"):  # the program is in the first since Debian 12, in the second before
        try:
            _quietly(["apt-get", "--quiet", "download", package], folder)
            for archive in folder.glob(f"{package}_*.deb"):
                _quietly(["dpkg-deb", "--extract", str(archive), str(folder)], folder)
            found = folder / "usr" / "sbin" / "nginx"
            if found.is_file():
                _quietly([str(found), "-v"], folder)
                return str(found)
        except (OSError, subprocess.SubprocessError) as exc:
            print(f"... {package}: {exc}", file=sys.stderr, flush=True)
    return None


def _quietly(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S, check=True)
