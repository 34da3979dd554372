"""The vendored vocabulary is OpenAI's, unchanged, and damage to it is noticed."""

import gzip
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tiktoken_ext import openai_public

from gateway.tokens import vocabulary


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """tiktoken's own definition of o200k_base, with the digest it pins in place of the vocabulary it would download."""

    def load(_location: str, expected_hash: str) -> dict[bytes, int]:
        return {expected_hash.encode(): 0}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)
    definition: dict[str, Any] = openai_public.o200k_base()
    return definition


def test_the_vocabulary_is_the_one_tiktoken_pins(official: dict[str, Any]) -> None:
    """Our digest is the digest that tiktoken demands of its own download."""
    assert list(official["mergeable_ranks"]) == [vocabulary.VOCABULARY_SHA256.encode()]


def test_the_pattern_is_tiktokens(official: dict[str, Any]) -> None:
    """Our copy of the pre-tokenising pattern is the one in the installed tiktoken."""
    assert official["pat_str"] == vocabulary.PATTERN


def test_the_longest_token_has_128_bytes_and_every_byte_is_a_token() -> None:
    """Both facts behind the short cuts: a token has between 1 and 128 bytes, and any text can be written in tokens."""
    ranks = vocabulary.read_ranks()
    assert max(map(len, ranks)) == vocabulary.TOKEN_BYTES_MAX
    assert all(bytes([value]) in ranks for value in range(256))
    assert len(ranks) == 199_998  # the special tokens 199999 and 200018 are not ordinary ones


def test_a_damaged_vocabulary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary that differs by one line stops the start with a message that says what to do."""
    original = (Path(vocabulary.__file__).parent / "o200k_base.tiktoken.gz").read_bytes()
    lines = gzip.decompress(original).splitlines(keepends=True)
    (tmp_path / "o200k_base.tiktoken.gz").write_bytes(gzip.compress(b"".join(lines[:-1]), compresslevel=1))
    monkeypatch.setattr(vocabulary, "files", lambda _package: tmp_path)
    with pytest.raises(RuntimeError, match=r"damaged.*reinstall"):
        vocabulary.read_ranks()


def test_building_the_encoding_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken's downloader is never called."""

    def refuse(*_args: object) -> bytes:
        raise AssertionError("the vocabulary must come from the package")

    monkeypatch.setattr("tiktoken.load.read_file", refuse)
    vocabulary.build_encoding.cache_clear()
    assert isinstance(vocabulary.build_encoding(), tiktoken.Encoding)
