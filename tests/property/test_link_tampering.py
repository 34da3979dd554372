"""No change to a signed link verifies as anything but what was signed."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.blobs.links import LinkKey, LinkSigner, LinkTarget

SIGNER = LinkSigner((LinkKey("key-1", b"s" * 32), LinkKey("old", b"t" * 32)), "https://images.shop")
NAMES = st.from_regex(r"[a-z0-9_-]{1,30}(/[a-z0-9_-]{1,10}){0,2}", fullmatch=True)
EXTENSIONS = st.sampled_from(["png", "jpg", "webp", "gif"])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="


@given(NAMES, EXTENSIONS, st.integers(1, 2**40 - 1))
def test_what_is_signed_comes_back(name: str, extension: str, expires_at_s: int) -> None:
    """Every nameable blob can be linked and found again."""
    token, file = SIGNER.sign(name, extension, expires_at_s).split("/")[-2:]
    assert SIGNER.verify(token, file, expires_at_s - 1) == LinkTarget(name, extension, expires_at_s)
    assert SIGNER.verify(token, file, expires_at_s) is None


@given(st.data(), NAMES, EXTENSIONS)
def test_a_changed_token_is_dead(data: st.DataObject, name: str, extension: str) -> None:
    """Replacing, removing or inserting any character of the token kills the link, unused bits of base64 included."""
    token, file = SIGNER.sign(name, extension, 2_000).split("/")[-2:]
    at = data.draw(st.integers(0, len(token)))
    cut = data.draw(st.integers(0, 2))
    changed = token[:at] + data.draw(st.text(ALPHABET, max_size=2)) + token[at + cut :]
    assert changed == token or SIGNER.verify(changed, file, 0) is None


@given(NAMES, NAMES, EXTENSIONS, EXTENSIONS)
def test_a_token_serves_one_file_only(name: str, other: str, extension: str, other_extension: str) -> None:
    """A token with another link's file name is dead, unless the names are the same."""
    token, file = SIGNER.sign(name, extension, 2_000).split("/")[-2:]
    other_file = SIGNER.sign(other, other_extension, 2_000).split("/")[-1]
    assert other_file == file or SIGNER.verify(token, other_file, 0) is None


@given(st.text(max_size=600), st.text(max_size=60), st.integers())
def test_anything_else_is_none(token: str, file: str, now_s: int) -> None:
    """No text makes verification raise."""
    assert SIGNER.verify(token, file, now_s) is None
