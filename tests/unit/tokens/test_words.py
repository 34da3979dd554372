"""Counting by words seen before gives what the tokenizer gives; the encoding is built once, whoever asks first; damage is told at the start."""

import asyncio
import gzip
import threading
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.tokens import counter as counting
from gateway.tokens import vocabulary, words
from gateway.tokens.counter import TokenCounter

ODD = "  \t\n\r\x0b\x0c\x1c\x1f\x00aAbBzZ019'sStTrReEvVmMlLdD/-.,!_{}"
"""What the pattern treats in ways of its own: kinds of blank, contractions in both cases, slashes after signs."""


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    """One that has built its encoding."""
    counter = TokenCounter()
    counter.count("x")
    return counter


@given(text=st.text(alphabet=st.characters(max_codepoint=127), max_size=60) | st.text(alphabet=ODD, max_size=30))
@example(text="  \x1ca  \x1f!")  # a control character is no blank
@example(text="WE'LL don't I'Ve  \n\n x//\n 1234567 \x1c\x1f a")
def test_words_count_as_the_tokenizer_does(counter: TokenCounter, text: str) -> None:
    """For any ASCII text, whatever its blanks, cases and signs."""
    assert counter._words.tokens(text) == counter.count(text)


async def test_a_known_text_is_counted_without_the_tokenizer(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time no piece is new; a text that is not ASCII, or long, is the tokenizer's."""
    text = "a lighthouse at dawn"
    expected = await counter.measure(text)
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return 7

    monkeypatch.setattr(counter, "count", count)
    assert await counter.measure(text) == expected
    assert asked == []
    assert await counter.measure("ein Leuchtturm für dich") == 7
    assert await counter.measure("a " * words.TEXT_CHARS_MAX) == 7
    assert len(asked) == 2


def test_few_words_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is bounded, and forgetting changes no count."""
    monkeypatch.setattr(words, "WORDS_MAX", 3)
    known = words.Words(len)
    assert known.tokens("aa bb cc dd ee ff") == len("aa bb cc dd ee ff")
    assert len(known._known) <= 3


async def test_callers_before_the_encoding_is_built_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several first prompts at once: all are counted, off the event loop, and the vocabulary is built a single time."""
    built: list[int] = []
    go, build = threading.Event(), vocabulary.build_encoding

    def slow() -> tiktoken.Encoding:
        built.append(threading.get_ident())
        go.wait(10)
        return build()

    monkeypatch.setattr(counting, "build_encoding", slow)
    counter = TokenCounter()
    waiting = [asyncio.ensure_future(counter.measure("a red fox")) for _ in range(4)]
    while not built:  # noqa: ASYNC110 - it is set in a thread
        await asyncio.sleep(0)  # the loop runs on while the vocabulary is being built
    go.set()
    assert await asyncio.gather(*waiting) == [3] * 4
    assert len(built) == 1
    assert built[0] != threading.get_ident()


def test_a_damaged_vocabulary_fails_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making the counter, which the root does before it serves, tells of it; not the first prompt."""
    whole = files("gateway.tokens").joinpath("o200k_base.tiktoken.gz").read_bytes()
    (tmp_path / "o200k_base.tiktoken.gz").write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    monkeypatch.setattr(vocabulary, "files", lambda _: tmp_path)
    vocabulary.check_vocabulary.cache_clear()
    with pytest.raises(RuntimeError, match="damaged"):
        TokenCounter()
