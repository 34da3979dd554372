"""Signed links: what verifies, what does not, and that the answer is never more than None."""

import string

import pytest

from gateway.blobs.links import LinkKey, LinkSigner, LinkTarget
from gateway.blobs.store import BlobNameInvalid

OLD = LinkKey("k1", b"o" * 32)
NEW = LinkKey("k2", b"n" * 32)
NAME = "att_01hxyz/0"


def signer(*keys: LinkKey) -> LinkSigner:
    return LinkSigner(keys or (OLD,), "https://images.shop/")


def parts(path: str) -> tuple[str, str]:
    token, file = path.removeprefix("/v1/results/").split("/")
    return token, file


def test_a_link_leads_to_what_was_signed_until_it_expires() -> None:
    """The path ends in the extension without a query, verifies up to its last second, and not in the next."""
    path = signer().sign(NAME, "png", 2_000)
    assert path.startswith("/v1/results/")
    assert path.endswith("/0.png")
    assert "?" not in path
    target = LinkTarget(NAME, "png", 2_000)
    assert signer().verify(*parts(path), now_s=0) == target
    assert signer().verify(*parts(path), now_s=1_999) == target
    assert signer().verify(*parts(path), now_s=2_000) is None


def test_a_key_can_be_replaced_while_its_links_live() -> None:
    """The first key signs, all verify; links of a dropped key, or of another secret under the same id, are dead."""
    old = parts(signer(OLD).sign(NAME, "png", 2_000))
    new = parts(signer(NEW, OLD).sign(NAME, "png", 2_000))
    assert signer(NEW, OLD).verify(*old, now_s=0)
    assert signer(NEW).verify(*new, now_s=0)
    assert signer(OLD).verify(*new, now_s=0) is None
    assert signer(NEW).verify(*old, now_s=0) is None
    assert signer(LinkKey("k1", b"x" * 32)).verify(*old, now_s=0) is None


def test_extension_and_file_name_are_signed_too() -> None:
    """A link cannot be made to serve another type, nor carry another file name."""
    token, _ = parts(signer().sign(NAME, "png", 2_000))
    for file in (
        "0.jpg",
        "0.svg",
        "1.png",
        "0.png.png",
        "0png",
        ".png",
        "0.",
        "",
        "0.PNG",
        "a/0.png",
        "0.png\n",
        "\u0660.png",
    ):
        assert signer().verify(token, file, now_s=0) is None


@pytest.mark.parametrize(
    "token", ["", "a", "=", "A" * 10, "A" * 200, "A" * 600, "%00", "\u00e9", "AAA\n", "++++", "....", "\ud800"]
)
def test_nonsense_is_none(token: str) -> None:
    """A token that nobody made is None, not an exception."""
    assert signer().verify(token, "0.png", now_s=0) is None


def test_a_token_has_one_spelling() -> None:
    """base64 ignores the last bits of a token whose length is no multiple of three; the signer does not."""
    for name in ("att_1/0", "att_12/0", "att_123/0"):
        token, file = parts(signer().sign(name, "png", 2_000))
        spellings = {token[:-1] + last for last in string.ascii_letters + string.digits + "-_"} | {
            token + "=",
            token + "==",
        }
        assert [spelling for spelling in spellings if signer().verify(spelling, file, now_s=0)] == [token]


def test_own_absolute_links_are_recognised() -> None:
    """A URL below the public address verifies without a fetch; the same path elsewhere does not."""
    url = signer().url(NAME, "webp", 2_000)
    assert url.startswith("https://images.shop/v1/results/")
    assert signer().verify_url(url, now_s=0) == LinkTarget(NAME, "webp", 2_000)
    for other in (
        url.replace("https", "http"),
        url.replace("shop", "shop.evil.shop"),
        url + "?a",
        url + "/",
        "",
        "https://images.shop",
    ):
        assert signer().verify_url(other, now_s=0) is None


def test_what_cannot_be_signed_is_an_error() -> None:
    """Names, extensions and expiries outside the form are bugs of the caller."""
    with pytest.raises(BlobNameInvalid):
        signer().sign("../etc/passwd", "png", 1)
    for extension, expires_at_s in (("", 1), ("p.g", 1), ("PNG", 1), ("png", -1), ("png", 256**5)):
        with pytest.raises(ValueError):
            signer().sign(NAME, extension, expires_at_s)


def test_weak_or_ambiguous_keys_are_refused() -> None:
    """No keys, two with one id, a short secret, or an id that does not fit a token: an error at the start. Secrets are not shown."""
    for keys in ((), (OLD, OLD), (LinkKey("k", b"short"),), (LinkKey("", b"o" * 32),), (LinkKey("a" * 17, b"o" * 32),)):
        with pytest.raises(ValueError):
            LinkSigner(keys, "https://images.shop")
    assert "ooo" not in repr(OLD)
