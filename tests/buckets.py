"""A real S3 server for the tests, from the wheel moto: a process of its own on loopback, one a test process, with buckets that anybody makes.

It takes any credentials, keeps everything in memory, and is gone with the process that started it. Fails loudly: RuntimeError.
"""

import contextlib
import functools
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.request import Request, urlopen

import pytest

from gateway.blobs.bucket_url import BucketPlace, Cloud

# moto says where it listens on standard output; the end of standard input is the end of the server, also where the tests were killed.
PROGRAM = """
import logging, sys
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("at", server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
ACCESS_KEY, SECRET_KEY = "AKIATESTSKEY", "tests-secret-access-key"


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint: str

    @functools.cached_property
    def shared_bucket(self) -> str:
        return self.new_bucket()

    def new_bucket(self) -> str:
        """The name of an empty bucket of the caller's own."""
        name = f"pictures{uuid.uuid4().hex[:12]}"
        self._ask("PUT", name)
        return name

    def place(self, bucket: str, prefix: str = "some/where") -> BucketPlace:
        return BucketPlace(Cloud.S3, bucket, prefix, self.endpoint, "us-east-1")

    def new_place(self) -> BucketPlace:
        """An empty folder of a bucket that all tests share."""
        return self.place(self.shared_bucket, f"tests/{uuid.uuid4().hex}")

    def keys(self, bucket: str) -> list[str]:
        """Of all objects in a bucket, whatever a store says."""
        return re.findall(r"<Key>(.*?)</Key>", self._ask("GET", f"{bucket}?list-type=2"))

    def uploads(self, bucket: str) -> list[str]:
        """The keys of uploads that were begun and neither completed nor aborted."""
        return re.findall(r"<Key>(.*?)</Key>", self._ask("GET", f"{bucket}?uploads"))

    def remove(self, bucket: str) -> None:
        """An empty bucket."""
        self._ask("DELETE", bucket)

    def _ask(self, method: str, path: str) -> str:
        with urlopen(Request(f"{self.endpoint}/{path}", method=method), timeout=60) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    command = [sys.executable, "-c", PROGRAM]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            port = next((line.split()[1] for line in process.stdout if line.startswith(b"at ")), None)
            if port is None:
                raise RuntimeError("moto's server did not start")
            yield S3Server(f"http://127.0.0.1:{port.decode()}")
        finally:
            process.kill()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server a test process (pytest-xdist: one a worker), started by the first test that needs it."""
    with running_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with credentials in the environment as an operator has them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return s3_server
