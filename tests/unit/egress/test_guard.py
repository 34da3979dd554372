"""The second and third lock, without a network: a resolver made of a table, and sockets that are never connected."""

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.egress.errors import AddressRefused
from gateway.egress.guard import EgressPolicy, Guard


class TableResolver(AbstractResolver):
    """Answers each look-up of a name with the next row of its list, the last one for ever."""

    def __init__(self, **table: list[list[str]]) -> None:
        self.table = {name.replace("_", "."): rows for name, rows in table.items()}
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        rows = self.table[host]
        row = rows.pop(0) if len(rows) > 1 else rows[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0) for address in row
        ]

    async def close(self) -> None:
        self.closed = True


def dial(guard: Guard, address: str, port: int = 443) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = (address, port, 0, 0) if ":" in address else (address, port)
    guard.open_socket((family, socket.SOCK_STREAM, 0, "", target)).close()


async def test_public_answers_pass_as_they_are() -> None:
    """A name with public addresses only is resolved, in the resolver's order."""
    guard = Guard(EgressPolicy(), TableResolver(img_shop=[["2606:4700::1", "8.8.8.8"]]))
    assert [answer["host"] for answer in await guard.resolve("img.shop", 443)] == ["2606:4700::1", "8.8.8.8"]


@pytest.mark.parametrize(
    "bad", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:8.8.8.8", "169.254.169.254", "fe80::1%eth0", "nonsense"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_single_bad_answer_refuses_the_name(bad: str, place: int) -> None:
    """Every address must be public, wherever in the list the other one hides."""
    row = ["8.8.8.8", "1.1.1.1"]
    row.insert(place, bad)
    guard = Guard(EgressPolicy(), TableResolver(img_shop=[row]))
    with pytest.raises(AddressRefused):
        await guard.resolve("img.shop", 443)


async def test_an_answer_for_another_port_is_refused() -> None:
    """A resolver that changes the port would lead trusted names elsewhere."""

    class Shifting(TableResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return await super().resolve(host, port + 1, family)

    with pytest.raises(AddressRefused):
        await Guard(EgressPolicy(), Shifting(img_shop=[["8.8.8.8"]])).resolve("img.shop", 443)


async def test_rebinding_is_noticed_at_the_next_look_up() -> None:
    """A name that turns inward is refused although it was public a moment ago: nothing is remembered."""
    guard = Guard(EgressPolicy(), TableResolver(img_shop=[["8.8.8.8"], ["127.0.0.1"]]))
    await guard.resolve("img.shop", 443)
    with pytest.raises(AddressRefused, match="127"):
        await guard.resolve("img.shop", 443)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:8.8.8.8", "169.254.169.254", "fe80::1%lo", "x"]
)
def test_the_socket_has_the_last_word(address: str) -> None:
    """No socket is made for an internal address, however it got past the resolver."""
    guard = Guard(EgressPolicy(), TableResolver())
    with pytest.raises(AddressRefused):
        dial(guard, address)


def test_the_socket_opens_for_public_and_allowed_addresses() -> None:
    """Public addresses and allowed networks may be dialled."""
    guard = Guard(EgressPolicy(allow=("127.0.0.0/8",)), TableResolver())
    for address in ("8.8.8.8", "127.0.0.1"):
        dial(guard, address)


async def test_a_trusted_name_opens_its_addresses_for_its_port_only() -> None:
    """What an upstream's own name resolves to may be dialled on that port; other names do not profit."""
    policy = EgressPolicy().for_upstream("http://comfy.corp:8188")
    guard = Guard(policy, TableResolver(comfy_corp=[["10.0.0.5"]], evil_shop=[["10.0.0.5"]]))
    with pytest.raises(AddressRefused):
        dial(guard, "10.0.0.5", 8188)
    await guard.resolve("comfy.corp", 8188)
    dial(guard, "10.0.0.5", 8188)
    with pytest.raises(AddressRefused):
        dial(guard, "10.0.0.5", 443)
    with pytest.raises(AddressRefused):
        await guard.resolve("comfy.corp", 443)
    with pytest.raises(AddressRefused):
        await guard.resolve("evil.shop", 8188)


async def test_an_allowed_host_never_leads_to_a_metadata_service() -> None:
    """Trust in a name ends at the cloud's credentials."""
    guard = Guard(EgressPolicy(allow=("minio",)), TableResolver(minio=[["10.0.0.5"], ["169.254.169.254"]]))
    await guard.resolve("minio", 443)
    dial(guard, "10.0.0.5")
    with pytest.raises(AddressRefused, match="metadata"):
        await guard.resolve("minio", 443)


async def test_grants_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted name with ever new addresses cannot fill the memory; the oldest grant goes first."""
    monkeypatch.setattr("gateway.egress.guard._GRANTS_MAX", 2)
    rows = [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"]]
    guard = Guard(EgressPolicy(allow=("minio",)), TableResolver(minio=rows))
    for _ in range(3):
        await guard.resolve("minio", 443)
    dial(guard, "10.0.0.3")
    with pytest.raises(AddressRefused):
        dial(guard, "10.0.0.1")


def test_an_upstreams_literal_address_can_be_dialled_on_its_port() -> None:
    """aiohttp asks no resolver for a literal address, so the socket itself knows the upstream's own."""
    guard = Guard(EgressPolicy().for_upstream("http://127.0.0.1:8188"), TableResolver())
    dial(guard, "127.0.0.1", 8188)
    with pytest.raises(AddressRefused):
        dial(guard, "127.0.0.1", 8189)


async def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up is bounded in time."""

    class Hanging(TableResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return []

    monkeypatch.setattr("gateway.egress.guard.DNS_TIMEOUT_S", 0.01)
    with pytest.raises(TimeoutError):
        await Guard(EgressPolicy(), Hanging()).resolve("img.shop", 443)


async def test_closing_the_guard_closes_its_resolver() -> None:
    """The guard owns the resolver it was given."""
    resolver = TableResolver()
    await Guard(EgressPolicy(), resolver).close()
    assert resolver.closed
