"""What upstreams say, without what they were told."""

from base64 import b64encode

import pytest

from gateway.pipeline.echo import TEXT_CHARS_MAX, without_echo

PROMPT = "A secret product, seen from above\nin the heavy rain"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Invalid size.", "Invalid size."),
        (f"Rejected: '{PROMPT}'.", "Rejected: '[prompt]'."),
        ("Rejected: 'a SECRET product, seen fr…'", "Rejected: '[prompt]…'"),
        (r"{'prompt': 'A secret product, seen from above\nin the heavy rain'}", r"{'prompt': '[prompt]\n[prompt]'}"),
        ("Wrong key: 0123456789abcdef!", "Wrong key: [key]!"),
        ("", ""),
    ],
    ids=["nothing", "whole", "cut, in other case", "escaped", "the key", "empty"],
)
def test_a_quotation_is_taken_out(said: str, kept: str) -> None:
    """The prompt goes, whole or in part, and so does our key; the rest stays."""
    assert without_echo(said, prompt=PROMPT, secret="0123456789abcdef") == kept


def test_a_short_prompt_counts_whole_and_a_tiny_one_not_at_all() -> None:
    """`a cat` is found; `e` would be found everywhere."""
    assert without_echo("no picture of a cat here", prompt="a cat", secret="") == "no picture of [prompt] here"
    assert without_echo("the engine failed", prompt="e", secret="") == "the engine failed"


def test_long_words_are_cut() -> None:
    """However long the upstream's page and the prompt are, little is kept, and nothing of the prompt."""
    prompt = "".join(chr(ord("a") + index * 7 % 26) for index in range(30_000))
    said = "x" * 400 + prompt
    assert without_echo(said, prompt=prompt, secret="") == "x" * 400 + "[prompt]"
    assert len(without_echo("y" * 9_000, prompt=PROMPT, secret="")) == TEXT_CHARS_MAX


KEY = "sk-Proj_0123456789-ABCDEFGHIJ"


@pytest.mark.parametrize(
    "said",
    [
        f"the key {KEY} is wrong",
        f"HTTP 401 invalid_key_{KEY.lower().replace('-', '_')}: m",
        f"a page that was cut at {KEY[:20]}",
        f"you sent {KEY[:16]} here",
        f"Authorization: Basic {b64encode(KEY.encode()).decode()}",
        f"cut Basic {b64encode(KEY.encode()).decode()[:24]}",
    ],
    ids=["as it is", "as a code", "cut at the end", "in part", "in base64", "in base64, cut"],
)
def test_the_key_is_taken_out_in_every_form(said: str) -> None:
    """Codes are kept in lower case with underscores, long words are cut, and some send it in base64."""
    kept = without_echo(said, prompt=PROMPT, secret=KEY)
    assert "[key]" in kept
    for form in (KEY.lower().replace("-", "_"), b64encode(KEY.encode()).decode().lower()):
        bare = kept.lower().replace("-", "_")
        assert not any(form[at : at + 9] in bare for at in range(len(form) - 8))


def test_a_short_key_counts_whole() -> None:
    """Else every word would be a part of it."""
    assert without_echo("the test key test failed", prompt=PROMPT, secret="test") == "the [key] key [key] failed"
    assert without_echo("nothing of it", prompt=PROMPT, secret=KEY) == "nothing of it"
