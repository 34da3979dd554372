"""What a body may look like, and how each mistake is named."""

import pytest

from gateway.api.body import parse_object
from gateway.api.schemas.generation import Generation, GenerationBody, parse_generation
from gateway.domain.errors import InvalidRequest, UnsupportedParameter
from gateway.domain.images import ResponseFormat

NAMES_OF_THE_SDK = {
    "prompt", "background", "complexity", "frame_count", "frame_duration_ms", "model", "moderation", "n", "output_compression", "output_format",
    "partial_images", "quality", "response_format", "safety_identifier", "size", "stream", "style", "svg", "user",
}  # fmt: skip
"""Of `images.generate` in openai-python 3.57."""


def parse(**fields: object) -> Generation:
    return parse_generation({"prompt": "a red fox", **fields}, "gpt-image-2")


def test_defaults() -> None:
    """A prompt alone is enough; the default model stands in and is marked as such."""
    draft = parse().draft
    assert (draft.model, draft.model_given, draft.n, draft.size, draft.quality, draft.options) == (
        "gpt-image-2",
        False,
        1,
        None,
        None,
        (),
    )


def test_every_parameter_of_the_sdk_is_known() -> None:
    """None of the SDK's parameters counts as unknown."""
    assert set(GenerationBody.model_fields) >= NAMES_OF_THE_SDK


def test_null_means_absent() -> None:
    """JSON null is legal wherever a default exists, and is not reported as dropped."""
    nulls = dict.fromkeys(set(GenerationBody.model_fields) - {"prompt"}) | {"whatever": None}
    assert parse(**nulls) == parse()


@pytest.mark.parametrize(
    ("legacy", "now"), [("standard", "medium"), ("hd", "high"), ("auto", "auto"), ("xhigh", "xhigh")]
)
def test_legacy_qualities(legacy: str, now: str) -> None:
    """DALL-E's words mean the nearest present ones."""
    assert parse(quality=legacy).draft.quality == now


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", 5), ("prompt", None), ("prompt", ["a"]), ("prompt", "a\0b"), ("n", "2"),
        ("n", 2.0), ("n", 1.5), ("n", True), ("n", 0), ("n", -1), ("n", 11),
        ("n", 10**40),
        ("model", 5), ("model", ["m"]), ("size", 1024), ("size", "x" * 33), ("quality", "best"), ("quality", 1), ("background", "blue"),
        ("moderation", "none"), ("output_format", "tiff"), ("output_format", "jpg"), ("output_compression", 101), ("output_compression", -1),
        ("output_compression", "80"), ("response_format", "png"), ("user", {"id": 1}), ("safety_identifier", 7), ("stream", "true"), ("stream", 1),
        ("partial_images", 4), ("complexity", "extreme"), ("image_urls", "http://x"), ("mask_url", 1), ("callback_url", False),
    ],
)  # fmt: skip
def test_wrong_values_name_their_field(field: str, value: object) -> None:
    """The error's param and its text begin with the field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**{field: value})
    assert caught.value.code == "invalid_parameter"
    assert caught.value.param is not None
    assert caught.value.param.split(".")[0] == field
    assert caught.value.message.startswith(f"{field}")


def test_a_missing_prompt_is_named() -> None:
    """Without a prompt, the error says that it is required."""
    with pytest.raises(InvalidRequest, match="prompt: is required"):
        parse_generation({}, "gpt-image-2")


@pytest.mark.parametrize("prompt", ["", " ", "\n\t\u3000", "\u2003"])
def test_blank_prompts(prompt: str) -> None:
    """White space of any kind is no prompt."""
    with pytest.raises(InvalidRequest) as caught:
        parse(prompt=prompt)
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("field", "refused", "fine"),
    [("output_format", "gif", "png"), ("output_format", "svg", "webp")],
)
def test_what_is_not_served_is_refused_by_name(field: str, refused: object, fine: object) -> None:
    """Values that would change the answer are refused; their empty forms pass."""
    with pytest.raises(UnsupportedParameter) as caught:
        parse(**{field: refused})
    assert caught.value.param == field
    parse(**{field: fine})


@pytest.mark.parametrize(
    ("given", "expected"), [("https://example.com/cb", "https://example.com/cb"), ("", None), (None, None)]
)
def test_a_callback_chooses_the_contract(given: str | None, expected: str | None) -> None:
    """As it was sent; whether it may be reached is looked at later. Empty is absent."""
    generation = parse(callback_url=given)
    assert (generation.draft.callback_url, generation.hints.callback) == (expected, expected is not None)


def test_a_jpeg_cannot_be_transparent() -> None:
    """The pair that no upstream can make is refused here."""
    with pytest.raises(InvalidRequest, match="png or webp"):
        parse(background="transparent", output_format="jpeg")


def test_advisory_parameters_travel_as_sorted_json_texts() -> None:
    """What upstreams may understand is kept; defaults say nothing."""
    draft = parse(
        user='a"b', moderation="low", output_format="webp", output_compression=0, style="vivid", safety_identifier=""
    ).draft
    assert draft.options == (
        ("moderation", '"low"'),
        ("output_compression", "0"),
        ("style", '"vivid"'),
        ("user", '"a\\"b"'),
    )
    assert parse(moderation="auto").draft.options == ()


def test_unknown_and_meaningless_fields_are_reported() -> None:
    """Real clients send extras; they are named, in a form that fits a header, and never refused."""
    made = parse(steps=20, cfg={"a": 1}, svg={"model": "m"}, output_compression=90, **{"böse\r\nx": 1})
    assert made.dropped == ("b_se__x", "cfg", "output_compression", "steps", "svg")


def test_the_number_of_reported_fields_is_bounded() -> None:
    """A thousand extras do not make a header of a thousand names."""
    assert len(parse(**{f"extra_{index}": 1 for index in range(1000)}).dropped) == 20


def test_response_format_is_a_wish() -> None:
    """It is remembered for the answer, and it says which contract is meant."""
    made = parse(response_format="url")
    assert made.response_format is ResponseFormat.URL
    assert made.hints.response_format


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "empty"), (b" \n", "empty"), (b"[]", "object"), (b'"x"', "object"), (b"null", "object"), (b"5", "object"), (b"{", "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"), (b"{'a':1}", "not valid JSON"), (b'{"a":NaN}', "NaN"), (b'{"a":-Infinity}', "Infinity"),
        (b'{"n":1,"n":2}', "n stands in the body twice"), (b'{"svg":{"x":1,"x":2}}', "twice"), (b"\xff\xfe{}", "UTF-8"), (b'{"a":"\xe9"}', "UTF-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"), (b'{"n":' + b"9" * 5000 + b"}", "number"), (b'{"a":1} x', "not valid JSON"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_json_object(raw: bytes, text: str) -> None:
    """Each way to be wrong has its own sentence."""
    with pytest.raises(InvalidRequest, match=text):
        parse_object(raw)


def test_a_byte_order_mark_is_forgiven() -> None:
    """Some shells write one."""
    assert parse_object(b'\xef\xbb\xbf{"prompt":"x"}') == {"prompt": "x"}


def test_a_lone_surrogate_is_no_text() -> None:
    """What no encoding can carry is refused and not stored."""
    with pytest.raises(InvalidRequest) as caught:
        parse_generation(parse_object(b'{"prompt":"\\ud800"}'), "gpt-image-2")
    assert caught.value.param == "prompt"
