"""The tripwire refuses what leaves the machine and nothing else."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tripwire import NetworkRefusedError, is_local, is_local_host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1", "localhost", "LOCALHOST.", "a.localhost"])
def test_this_machine_is_local(host: str) -> None:
    """Loopback addresses and the names reserved for them."""
    assert is_local_host(host)


@pytest.mark.parametrize(
    "host",
    ["126.255.255.255", "128.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "::", "::2", "localhost.example", "example", ""],
)  # fmt: skip
def test_everything_else_is_not(host: str) -> None:
    """The neighbours of the loopback ranges, private addresses, and names that only look local."""
    assert not is_local_host(host)


def test_unix_sockets_are_local() -> None:
    """A path stays on the machine; an unknown address family is refused."""
    assert is_local(socket.AF_UNIX, "/tmp/some.sock")
    assert not is_local(socket.AF_PACKET, ("eth0", 0))


def test_connecting_elsewhere_is_refused() -> None:
    """TCP and UDP to a documentation address (RFC 5737) fail before a packet is sent."""
    with socket.socket() as tcp, pytest.raises(NetworkRefusedError, match="loopback"):
        tcp.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(NetworkRefusedError, match="loopback"):
        udp.sendto(b"x", ("192.0.2.1", 53))


async def test_asyncio_is_refused_too() -> None:
    """The event loop's own connections and look-ups pass the same tripwire."""
    with pytest.raises(NetworkRefusedError):
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises(NetworkRefusedError):
        socket.getaddrinfo("gateway.invalid", 80)


async def test_loopback_works() -> None:
    """A server on this machine is reached by address and by name."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()


def test_error_handling_cannot_swallow_it() -> None:
    """`except Exception` in the code under test does not hide an attempt."""
    assert not issubclass(NetworkRefusedError, Exception)


def test_the_suite_is_guarded_without_asking(tmp_path: Path) -> None:
    """A test that asks for nothing is guarded: the fixture is automatic."""
    (tmp_path / "test_escape.py").write_text(
        "import socket\ndef test_escape():\n    socket.socket().connect(('192.0.2.1', 80))\n"
    )
    root = Path(__file__).parents[2]
    (tmp_path / "conftest.py").write_text("from tests.conftest import _no_network\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(root / "pyproject.toml"),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "NetworkRefusedError" in done.stdout
