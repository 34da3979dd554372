"""What is told of an offer."""

from gateway.domain.considered import SKIPPED, Considered, Skip, upstream_and_model


def test_every_word_has_its_sentence() -> None:
    """A word alone says little to people."""
    assert SKIPPED.keys() == set(Skip)
    assert Considered("a/m", skipped=Skip.OVER_BUDGET).why == SKIPPED[Skip.OVER_BUDGET]
    assert Considered("a/m", skipped=Skip.NOT_ABLE, said="does not make 1x1").why == "does not make 1x1"
    assert Considered("a/m", 1, 2).why is None


def test_an_offers_id_names_upstream_and_model() -> None:
    """The model's own slashes and marks stay; the number of a second offer goes."""
    assert upstream_and_model("openai/gpt-image-2") == ("openai", "gpt-image-2")
    assert upstream_and_model("openai/gpt-image-2#2") == ("openai", "gpt-image-2")
    assert upstream_and_model("fal/vendor/flux#dev") == ("fal", "vendor/flux#dev")
