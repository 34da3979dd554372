"""The form of issued keys, their checksum, and the stored digest."""

import hashlib
import hmac
import re

import pytest

from gateway.keys.secrets import digest, display_prefix, is_mistyped, looks_valid, new_key


def test_new_keys_have_the_documented_form_and_differ() -> None:
    """`igw_` + 38 base62 characters, never twice the same."""
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert re.fullmatch(r"igw_[0-9A-Za-z]{38}", key)
        assert looks_valid(key)
        assert not is_mistyped(key)


def test_any_single_typing_error_is_noticed() -> None:
    """CRC32 finds every change of one character."""
    key = new_key()
    for position in range(4, len(key)):
        wrong = key[:position] + ("0" if key[position] != "0" else "1") + key[position + 1 :]
        assert not looks_valid(wrong)
        assert is_mistyped(wrong)


@pytest.mark.parametrize(
    "text", ["", "igw_", "igw_dev key", "sk-whatever-else", "igw_" + "a" * 37, "igw_" + "a" * 39, "igw_" + "é" * 38]
)
def test_other_texts_are_neither_issued_nor_mistyped(text: str) -> None:
    """Declared keys may be anything, even with the prefix."""
    assert not looks_valid(text)
    assert not is_mistyped(text)


def test_digest_is_keyed_and_ignores_outer_spaces() -> None:
    """HMAC-SHA256 of the secret under the pepper; HTTP drops spaces around a value, inner ones count."""
    expected = hmac.new(b"pepper", b"my own secret", hashlib.sha256).hexdigest()
    assert digest(b"pepper", " my own secret ") == expected
    assert digest(b"other", "my own secret") != expected
    assert digest(b"pepper", "my own  secret") != expected


def test_display_prefix_never_gives_a_declared_secret_away() -> None:
    """Twelve characters identify an issued key; of a short declared one at most a quarter is shown."""
    key = new_key()
    assert display_prefix(key) == key[:12]
    assert display_prefix("password") == "pa"
    assert display_prefix("a long declared secret") == "a lo"
