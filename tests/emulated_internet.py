"""An internet inside the test's process: names, public servers with a certificate, and a canary that is everything else.

While `Internet.led` holds, every look-up of a name is answered from its table (a name that is not in it has the address of this machine), and
every connection is led by its address: port 443 of a public address goes to a server that answers with a picture, everything else -- loopback,
this gateway, private networks, metadata, other ports -- to the canary, which takes whatever comes and counts it. Only what runs under `own` goes
where it says.
"""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Answers = Sequence[Sequence[str]]
"""Each look-up of a name gives the next row, the last one for ever; an empty row: there is no such name."""
HERE = ("127.0.0.1",)
_OWN: ContextVar[bool] = ContextVar("own", default=False)


@contextmanager
def own() -> Iterator[None]:
    """For a test's own calls."""
    token = _OWN.set(True)
    try:
        yield
    finally:
        _OWN.reset(token)


@dataclass
class Internet:
    """What a test says of it, and what was seen."""

    picture: bytes
    public: frozenset[str]
    """Addresses of the servers; all of them are one, which knows its hosts by their names."""
    names: dict[str, Answers] = field(default_factory=dict)
    redirects: dict[tuple[str, str], str] = field(default_factory=dict)
    """By host and path."""
    asked: Counter[str] = field(default_factory=Counter)
    """Names that were looked up."""
    served: list[tuple[str, str]] = field(default_factory=list)
    """Host and path of what public servers were asked."""
    dialled: list[tuple[str, int]] = field(default_factory=list)
    """What came to the canary, by the address it was meant for."""
    canary_bytes: int = 0
    _ports: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def up(self, folder: Path) -> AsyncIterator[str]:
        """The servers, as long as the block runs; gives the file of their certificate authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = folder / "internet.pem"
        path.write_bytes(certificate([*self.names, *self.public]))
        context.load_cert_chain(path)
        site = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        canary = await asyncio.start_server(self._swallow, "127.0.0.1", 0)
        async with site, canary:
            self._ports = {"site": _port(site), "canary": _port(canary)}
            # Servers of the other family at the same ports: a socket is of a family before it is led anywhere.
            six = await asyncio.start_server(self._serve, "::1", self._ports["site"], ssl=context)
            six_canary = await asyncio.start_server(self._swallow, "::1", self._ports["canary"])
            async with six, six_canary:
                yield str(path)

    @contextmanager
    def led(self) -> Iterator[None]:
        """From here on this process sees this internet."""
        connect, look_up = socket.socket.connect, socket.getaddrinfo

        def led(sock: socket.socket, address: Any) -> None:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not _OWN.get():
                port = self._ports["site" if self._is_public(address) else "canary"]
                if port == self._ports["canary"]:
                    self.dialled.append((str(address[0]), int(address[1])))
                address = ("127.0.0.1" if sock.family == socket.AF_INET else "::1", port)
            connect(sock, address)

        def answer(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
            if _OWN.get() or not isinstance(host, str) or _is_address(host):
                return look_up(host, port, *arguments, **options)
            name = host.lower()
            self.asked[name] += 1
            rows = self.names.get(name, [HERE])
            row = rows[min(self.asked[name], len(rows)) - 1]
            if not row:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, port, 0, 0))
                if ":" in text
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
                for text in row
            ]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", led)
            patch.setattr(socket, "getaddrinfo", answer)
            yield

    def _is_public(self, address: Any) -> bool:
        return int(address[1]) == 443 and str(ipaddress.ip_address(address[0])) in self.public

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            host = head.lower().partition("\r\nhost: ")[2].partition("\r\n")[0].removesuffix(":443").strip("[]")
            host = str(ipaddress.ip_address(host)) if _is_address(host) else host
            self.served.append((host, path))
            location = self.redirects.get((host, path))
            if location is None:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(self.picture)
                )
                writer.write(self.picture)
            else:
                writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location.encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # refused in the middle: the one who dialled decides
        finally:
            writer.close()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.canary_bytes += len(await asyncio.wait_for(reader.read(65_536), 2.0))
        except (TimeoutError, ConnectionError):
            pass  # who says nothing was counted when he came
        finally:
            writer.close()


def _port(server: asyncio.Server) -> int:
    port = server.sockets[0].getsockname()[1]
    assert isinstance(port, int)
    return port


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def certificate(names: Sequence[str]) -> bytes:
    """Key and certificate of an authority that vouches for its own servers, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an emulated internet")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name) for name in names
    ]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
