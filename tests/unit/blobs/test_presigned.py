"""Links to the bucket itself: signed before they are needed, kept for a moment, and never the reason that an answer fails."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.blobs import presigned
from gateway.blobs.links import LinkKey, LinkSigner
from gateway.blobs.presigned import KEPT_S, SECONDS_MAX, PresignedLinks
from gateway.blobs.store import BlobStoreUnavailable

SIGNER = LinkSigner([LinkKey("1", b"k" * 32)], "https://gateway.test")


class Signing:
    """Says what it was asked for in the URLs."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self.failing: BaseException | None = None

    async def __call__(self, names: Sequence[str], seconds: int) -> Sequence[str]:
        if self.failing is not None:
            raise self.failing
        self.asked.append((tuple(names), seconds))
        return [f"https://bucket.test/{name}?for={seconds}&call={len(self.asked)}" for name in names]


class HandClock:
    """Both clocks, moved by hand together."""

    def __init__(self) -> None:
        self.at_s = 1_000

    def now_ms(self) -> int:
        return self.at_s * 1000

    def monotonic_s(self) -> float:
        return float(self.at_s)


def of_gateway(url: str) -> bool:
    return url.startswith("https://gateway.test/v1/results/")


async def test_links_are_signed_for_as_long_as_results_live() -> None:
    """All of one expiry together, no longer than S3 allows, and not again for a while."""
    signing, clock = Signing(), HandClock()
    links = PresignedLinks(signing, SIGNER, clock)
    await links.prepare([("att_1/0", 1_600), ("att_1/1", 1_600), ("att_1/0", 1_600), ("att_2/0", 10_000_000)])
    assert signing.asked == [(("att_1/0", "att_1/1"), 600), (("att_2/0",), SECONDS_MAX)]
    assert links.url("att_1/1", "png", 1_600) == "https://bucket.test/att_1/1?for=600&call=1"
    await links.prepare([("att_1/0", 1_600)])
    assert len(signing.asked) == 2
    clock.at_s += int(KEPT_S) + 1
    await links.prepare([("att_1/0", 1_600)])
    assert links.url("att_1/0", "png", 1_600).endswith(f"for={600 - int(KEPT_S) - 1}&call=3")


async def test_tasks_that_share_a_picture_have_links_of_their_own() -> None:
    """As after a hit of the cache: each ends with its task's results."""
    links = PresignedLinks(Signing(), SIGNER, HandClock())
    await links.prepare([("att_1/0", 1_600), ("att_1/0", 1_900)])
    assert [links.url("att_1/0", "png", at_s).partition("&")[0] for at_s in (1_600, 1_900)] == [
        "https://bucket.test/att_1/0?for=600",
        "https://bucket.test/att_1/0?for=900",
    ]


async def test_what_is_not_signed_is_the_gateways_link() -> None:
    """Not prepared, expired, of another expiry, or refused by the bucket's credentials."""
    signing, clock = Signing(), HandClock()
    links = PresignedLinks(signing, SIGNER, clock)
    await links.prepare([("att_1/0", 1_000), ("att_2/0", 1_600)])
    assert of_gateway(links.url("att_1/0", "png", 1_000))
    assert of_gateway(links.url("att_2/0", "png", 1_700))
    assert of_gateway(links.url("att_3/0", "png", 1_600))
    signing.failing = BlobStoreUnavailable("no credentials are to be had")
    await links.prepare([("att_3/0", 1_600)])
    assert of_gateway(links.url("att_3/0", "png", 1_600))
    assert links.url("att_2/0", "png", 1_600).startswith("https://bucket.test/")


async def test_a_slow_signature_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the machine's credentials are renewed and their issuer hangs."""
    monkeypatch.setattr(presigned, "SIGN_S_MAX", 0)

    async def hang(_: Sequence[str], __: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    links = PresignedLinks(hang, SIGNER, HandClock())
    await links.prepare([("att_1/0", 1_600)])
    assert of_gateway(links.url("att_1/0", "png", 1_600))
