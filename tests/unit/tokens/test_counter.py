"""Counts are exact, short cuts never change an answer, and nothing blocks."""

import asyncio
import random
import time
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NoReturn

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.tokens.counter import INLINE_BYTES_MAX, TEXT_CHARS_MAX, TokenCounter
from gateway.tokens.vocabulary import PATTERN, TOKEN_BYTES_MAX, read_ranks

FRAGMENTS = [
    "the quick brown fox", " A photo of", "don't", "WE'LL", "I've", " naïve", "Straße", "ΑΒΓ", "кот", "猫在窗边", "，", "。", "日本語", "한국어",
    "🐈", "👩‍👩‍👧", "🏳️‍🌈", "🇩🇪", "\u200d", "\ufe0f", "e\u0301", "\u0301\u0302", "ſ", "ʼ", "’s", "१२३", "½", "1234567", " 3.14",
    "def f(x):\n    return x", "https://example.test/a?b=c", "<|endoftext|>", "<|endofprompt|>", "{}[]();", "----", "====",
    "//", "/\n", "\n", "\r\n", "\n\n \n", "\t", " ", "   ", "\u00a0", "\u3000", "\u2028", "\x00", "\x1b[0m", "\x7f", "\x85",
    "a" * 50, "A" * 40, "ab" * 30, " " * 130, "-" * 129, "\n" * 20,
]  # fmt: skip


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    """One counter: building it reads the whole vocabulary."""
    return TokenCounter()


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    """The vocabulary for the slow reference."""
    return read_ranks()


def reference_count(text: str, ranks: dict[bytes, int]) -> int:
    """Byte-pair encoding as its definition says, with another regex engine: slow, short and independent of tiktoken's."""
    return sum(len(merge(piece.encode(), ranks)) for piece in regex.findall(PATTERN, text))


def merge(piece: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """Join the neighbouring pair of lowest rank until no pair is a token."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while len(parts) > 1:
        found = min((ranks.get(a + b, 1 << 30), i) for i, (a, b) in enumerate(pairwise(parts)))
        if found[0] == 1 << 30:
            break
        parts[found[1] : found[1] + 2] = [parts[found[1]] + parts[found[1] + 1]]
    return parts


def random_texts(seed: int, amount: int) -> Iterator[str]:
    """Seeded mixtures of the fragments and of single characters of every kind."""
    rng = random.Random(seed)
    for _ in range(amount):
        yield "".join(
            rng.choice(FRAGMENTS) if rng.random() < 0.8 else random_character(rng) for _ in range(rng.randint(1, 12))
        )


def random_character(rng: random.Random) -> str:
    """Any character that Python's Unicode tables know: on newer ones the two regex engines may disagree what is a letter."""
    while unicodedata.category(character := chr(rng.randrange(0x110000))) in ("Cn", "Cs"):
        pass
    return character


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hello world", 2),
        ("tiktoken is great!", 6),  # the example of OpenAI's cookbook
        ("antidisestablishmentarianism", 6),  # the same page, o200k_base
        ("2 + 2 = 4", 7),  # the same page
        ("お誕生日おめでとう", 8),  # the same page, o200k_base
        ("<|endoftext|>", 7),  # ordinary text, not the special token
        (" " * 128, 1),
        ("a" * 1000, 125),
    ],
)
def test_known_counts(counter: TokenCounter, text: str, tokens: int) -> None:
    """Published and hand-checked counts."""
    assert counter.count(text) == tokens


def test_counts_equal_the_definition_on_a_large_random_corpus(counter: TokenCounter, ranks: dict[bytes, int]) -> None:
    """English, Chinese, emoji, code, whitespace, repeats, control characters: the count is what the definition gives."""
    for text in random_texts(seed=1, amount=2000):
        assert counter.count(text) == reference_count(text, ranks), ascii(text)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200), limit=st.integers(min_value=0, max_value=250))
@example(text="", limit=0)
@example(text="\ud800", limit=3)
@example(text="\ud83d\udc08" * 64, limit=1)
def test_short_cuts_never_change_the_answer(counter: TokenCounter, text: str, limit: int) -> None:
    """`fits` is `count <= limit`, whatever the length alone suggests."""
    assert counter.fits(text, limit) == (counter.count(text) <= limit)


@pytest.mark.parametrize(
    "text", ["a" * TOKEN_BYTES_MAX, " " * TOKEN_BYTES_MAX * 2000, "-" * 64 * 2000, "\U0001f408" * 700]
)
def test_limits_are_exact_at_the_border(counter: TokenCounter, text: str) -> None:
    """A text fits a limit of its own length in tokens and not one less."""
    tokens = counter.count(text)
    assert counter.fits(text, tokens)
    assert not counter.fits(text, tokens - 1)


def test_lone_surrogates_count_as_the_replacement_character(counter: TokenCounter) -> None:
    """JSON can carry what UTF-8 cannot: a lonely half is U+FFFD, a pair is the character it encodes."""
    assert counter.count("a\ud800b") == counter.count("a\ufffdb")
    assert counter.count("\ud83d\udc08") == counter.count("\U0001f408")


def test_a_million_characters_are_refused_without_tokenising(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt of a million characters against 2,000 tokens costs less than 5 ms, in every script."""
    forbid_counting(monkeypatch)
    for text in ("a" * 10**6, "猫" * 10**6, " " * 10**6, "\ud800" * 10**6):
        took_s = []
        for _ in range(5):  # by the processor's time, at best: a collection of garbage is nobody's
            started_s = time.thread_time()
            assert not counter.fits(text, 2000)
            took_s.append(time.thread_time() - started_s)
        assert min(took_s) < 0.005


def test_a_short_prompt_is_accepted_without_tokenising(counter: TokenCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most `limit` bytes are at most `limit` tokens."""
    forbid_counting(monkeypatch)
    assert counter.fits("猫" * 666, 2000)
    assert counter.fits("a" * 2000, 2000)


@pytest.mark.parametrize("unit", [" ", "\n", " \n", "a", "A", "-", "=", "1", "猫", "\u0301", "\x00", "🐈", "ab ", "!"])
def test_the_worst_texts_are_counted_in_bounded_time(counter: TokenCounter, unit: str) -> None:
    """The longest text that is ever counted neither hangs nor overflows the regex engine."""
    text = (unit * TEXT_CHARS_MAX)[:TEXT_CHARS_MAX]
    started_s = time.thread_time()
    assert counter.count(text) >= len(text.encode()) / TOKEN_BYTES_MAX
    assert time.thread_time() - started_s < 5  # measured 0.02 to 0.15 s; wide, for slow machines


def test_longer_texts_are_never_counted(counter: TokenCounter) -> None:
    """Above the bound `count` refuses and `fits` says no, whatever the limit."""
    text = " " * (TEXT_CHARS_MAX + 1)
    with pytest.raises(ValueError, match="at most 500000"):
        counter.count(text)
    assert not counter.fits(text, 10**9)


async def test_check_gives_the_same_answers(counter: TokenCounter) -> None:
    """Inline, in a thread and by short cut: `check` is `fits`."""
    for text in ("", "word " * 100, "word " * 3000, "猫" * 5000, "a" * 10**6):
        for limit in (0, 100, 101, 3000, 3001, 10**6):
            assert await counter.check(text, limit) == counter.fits(text, limit)


async def test_long_texts_do_not_block_the_loop(counter: TokenCounter) -> None:
    """While the slowest text that 2,000 tokens allow is counted, the event loop keeps turning."""
    text = "=" * (2000 * TOKEN_BYTES_MAX)  # about 45 ms of work: one run, many possible merges
    assert len(text) > INLINE_BYTES_MAX
    turns = 0
    task = asyncio.ensure_future(counter.check(text, 2000))
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert not await task
    assert turns > 20


def forbid_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, tokenising fails the test."""

    def refuse(_self: TokenCounter, _text: str) -> NoReturn:
        raise AssertionError("tokenised although the length gives the answer")

    monkeypatch.setattr(TokenCounter, "count", refuse)
