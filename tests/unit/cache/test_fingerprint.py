"""What makes two requests identical: everything that shapes the picture, and nothing else; and no two of them come to the same bytes."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.fingerprint import fingerprint
from gateway.domain.choice import UpstreamChoice
from gateway.domain.images import (
    Background,
    ImageInput,
    ImageRequest,
    InputSource,
    Operation,
    OutputFormat,
    Pixels,
    Quality,
)

SECRET, SCOPE, OFFERS = b"a secret", "org:acme", ("openai/gpt-image-2",)
FIRST, SECOND = (ImageInput(InputSource.FILE, f"file-{number}") for number in (1, 2))
SAME_AS_FIRST = ImageInput(InputSource.FILE, "file-3")
CONTENTS = {FIRST: "aa" * 32, SECOND: "bb" * 32, SAME_AS_FIRST: "aa" * 32}
ANY = UpstreamChoice()
REQUEST = ImageRequest(
    "gpt-image-2", "a red fox", size="1:1", pixels=Pixels(1024, 1024), options=(("style", '"vivid"'),)
)
TEXTS = st.text(max_size=6)
OPTIONS = st.lists(st.tuples(st.sampled_from(["a", "ab", "b", "style"]), TEXTS), max_size=3).map(tuple)


def told(
    request: ImageRequest = REQUEST,
    choice: UpstreamChoice = ANY,
    offers: tuple[str, ...] = OFFERS,
    scope: str = SCOPE,
    secret: bytes = SECRET,
) -> str:
    return fingerprint(secret, scope, request, choice, offers, CONTENTS)


SHAPING = {
    "model": "gpt-image-1",
    "prompt": "a red fox ",
    "n": 2,
    "pixels": Pixels(1024, 1536),
    "quality": Quality.LOW,
    "background": Background.OPAQUE,
    "output_format": OutputFormat.PNG,
    "operation": Operation.EDIT,
    "options": (("style", '"natural"'),),
    "images": (FIRST,),
    "mask": FIRST,
}
NOT_SHAPING = {"size": "1024x1024", "prompt_tokens": 7, "partial_images": 3}


def test_every_field_of_a_request_is_one_or_the_other() -> None:
    """A new one must be thought of here."""
    assert {field.name for field in fields(ImageRequest)} == SHAPING.keys() | NOT_SHAPING.keys()


@pytest.mark.parametrize("name", SHAPING)
def test_what_shapes_the_picture_tells_requests_apart(name: str) -> None:
    changed = replace(REQUEST, **{name: SHAPING[name]})  # type: ignore[arg-type]  # a field's own type, by name
    assert told(changed) != told()


@pytest.mark.parametrize("name", NOT_SHAPING)
def test_what_only_shapes_the_answer_does_not(name: str) -> None:
    changed = replace(REQUEST, **{name: NOT_SHAPING[name]})  # type: ignore[arg-type]  # as above
    assert told(changed) == told()


def test_whom_a_call_is_for_is_nobodys_business() -> None:
    """Nor does it hide what stands beside it."""
    for name in ("user", "safety_identifier"):
        assert told(replace(REQUEST, options=(*REQUEST.options, (name, '"somebody"')))) == told()
    other = replace(REQUEST, options=(("style", '"natural"'), ("user", '"vivid"')))
    assert told(other) != told()


def test_where_it_comes_from_and_who_may_share_it_tells_apart() -> None:
    others = [
        told(scope="org:other"),
        told(secret=b"another secret"),
        told(offers=(*OFFERS, "azure/gpt-image-2")),
        told(choice=UpstreamChoice(prefer=("openai",))),
        told(choice=UpstreamChoice(only=("openai",))),
        told(choice=UpstreamChoice(prefer=("openai", "azure"))),
        told(choice=UpstreamChoice(prefer=("azure", "openai"))),
    ]
    assert len({told(), *others}) == 1 + len(others)


def test_pictures_are_told_by_their_contents_and_places() -> None:
    given_, same = replace(REQUEST, images=(FIRST, SECOND)), replace(REQUEST, images=(SAME_AS_FIRST, SECOND))
    assert told(given_) == told(same)
    others = [
        replace(REQUEST, images=(SECOND, FIRST)),
        replace(REQUEST, images=(FIRST,), mask=SECOND),
        replace(REQUEST, images=(SECOND,), mask=FIRST),
        replace(REQUEST, images=(FIRST,)),
    ]
    assert len({told(one) for one in (given_, *others)}) == 5


@given(st.tuples(TEXTS, OPTIONS), st.tuples(TEXTS, OPTIONS), st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=3))
def test_nothing_moves_over_a_boundary(
    one: tuple[str, tuple[tuple[str, str], ...]],
    other: tuple[str, tuple[tuple[str, str], ...]],
    offers: list[str],
    other_offers: list[str],
) -> None:
    """Between prompt, options and offers, whatever they say: equal only where all is equal. No text is too odd."""
    first = told(replace(REQUEST, prompt=one[0], options=one[1]), offers=tuple(offers))
    second = told(replace(REQUEST, prompt=other[0], options=other[1]), offers=tuple(other_offers))
    assert (first == second) is ((one, offers) == (other, other_offers))


@given(TEXTS, TEXTS, st.integers(0, 6))
def test_the_words_of_one_place_are_not_those_of_the_next(left: str, right: str, cut: int) -> None:
    """The same letters in a row, parted elsewhere, or in one option instead of two."""
    words, place = left + right, min(cut, len(left + right))
    parted = [
        (words[:place], (("a", words[place:]),)),
        (left, (("a", right),)),
        (words, (("a", ""),)),
        (words, ()),
        ("", (("a", words),)),
        ("", (("a", left), ("b", right))),
        ("", ((words, "a"),)),
    ]
    assert len({told(replace(REQUEST, prompt=prompt, options=options)) for prompt, options in parted}) == len(
        set(parted)
    )


def test_half_a_character_is_a_text_as_well() -> None:
    """JSON can spell one; it is nobody else's, and breaks nothing."""
    assert told(replace(REQUEST, prompt="\ud83d")) != told(replace(REQUEST, prompt="?"))
