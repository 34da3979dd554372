"""Which callback URLs are accepted, and that every refusal says the same."""

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.callbacks import urls as module
from gateway.callbacks.urls import CallbackUrls
from gateway.domain.errors import InvalidCallbackUrl, Overloaded
from gateway.egress import caller_urls
from gateway.egress.caller_urls import CallerUrls
from gateway.egress.guard import EgressPolicy

PUBLIC = "93.184.216.34"


class Names(AbstractResolver):
    """Answers as it is told; a name that it does not know is not known to anybody."""

    def __init__(self, **addresses: tuple[str, ...]) -> None:
        self.addresses = {name.replace("_", "."): found for name, found in addresses.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host == "slow.example.com":
            await asyncio.sleep(60)
        if host not in self.addresses:
            raise OSError("no such name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.addresses[host]
        ]

    async def close(self) -> None:
        pass


NAMES = Names(
    hooks_acme_com=(PUBLIC,),
    private_acme_com=("10.0.0.7",),
    half_acme_com=(PUBLIC, "127.0.0.1"),
    metadata_acme_com=("169.254.169.254",),
)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.acme.com/",
        "https://hooks.acme.com",
        "https://hooks.acme.com/a/b?token=1&x=%20#f",
        "HTTPS://Hooks.acme.com/" + "a" * 2_024,
    ],
)
async def test_public_urls_are_accepted(url: str) -> None:
    """https to a name with public addresses alone, up to 2,048 characters."""
    NAMES.addresses["Hooks.acme.com"] = (PUBLIC,)
    await CallbackUrls(CallerUrls(EgressPolicy(), NAMES)).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.acme.com/", "ftp://hooks.acme.com/", "//hooks.acme.com/", "hooks.acme.com", "https://", " ", "javascript:alert(1)",
        "https://hooks.acme.com/" + "a" * 2_026, "https://user:pass@hooks.acme.com/", "https://hooks.acme.com:8443/",
        "https://hooks.acme.com:80/", "https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3/", "https://169.254.169.254/latest/",
        "https://0x7f000001/", "https://2130706433/", "https://localhost/", "https://gateway/", "https://db.internal/",
        "https://private.acme.com/", "https://half.acme.com/", "https://metadata.acme.com/", "https://unknown.acme.com/",
        "https://hooks.acme.com\\@127.0.0.1/", "https://hooks.acme.com/\r\nX: 1", "https://höoks.acme.com/", "https://hooks.acme.com/\0",
    ],
)  # fmt: skip
async def test_others_are_refused_in_the_same_words(url: str) -> None:
    """Not https, too long, internal by its text or by any of its addresses, unknown: the caller is not told which."""
    with pytest.raises(InvalidCallbackUrl) as refused:
        await CallbackUrls(CallerUrls(EgressPolicy(), NAMES)).check(url)
    error = refused.value
    assert (error.status, error.code, error.param, error.message) == (
        400,
        "invalid_callback_url",
        "callback_url",
        module.TEXT,
    )
    assert error.log


async def test_a_name_that_nobody_answers_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the guard's time, in the same words."""
    monkeypatch.setattr("gateway.egress.guard.DNS_TIMEOUT_S", 0.01)
    with pytest.raises(InvalidCallbackUrl):
        await CallbackUrls(CallerUrls(EgressPolicy(), NAMES)).check("https://slow.example.com/")


async def test_nobody_waits_long_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """While all places are taken by names that nobody answers for, the next call is told to come again; text is checked all the same."""
    monkeypatch.setattr(caller_urls, "PLACE_S_MAX", 0.01)
    urls = CallbackUrls(CallerUrls(EgressPolicy(), NAMES))
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(urls.check("https://slow.example.com/")) for _ in range(caller_urls.LOOKUPS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await urls.check("https://hooks.acme.com/")
        with pytest.raises(InvalidCallbackUrl):
            await urls.check("http://hooks.acme.com/")
        for task in waiting:
            task.cancel()
    await urls.check("https://hooks.acme.com/")


async def test_the_own_threads_look_names_up() -> None:
    """Addresses come as the guard takes them; a literal is one without a look-up elsewhere."""
    urls = CallerUrls(EgressPolicy(allow=("127.0.0.1/32",)))
    await urls.check("https://127.0.0.1/")
    await urls.close()
