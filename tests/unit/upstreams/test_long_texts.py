"""Long texts of pictures are taken out of an answer before it is parsed, and only those: the answer reads as if it had been parsed whole."""

import base64
import random

import orjson
import pytest

from gateway.upstreams.answers import decode_images, decode_object, images_answer
from gateway.upstreams.base import InlineImage
from gateway.upstreams.long_texts import PLACES_MAX, TEXT_BYTES_MIN, taken_apart

TEXT = base64.b64encode(random.Random(1).randbytes(TEXT_BYTES_MIN)).decode()
SHORT = "aGk="


def parsed_whole(body: bytes) -> list[object]:
    return [item.image() for item in images_answer(decode_object(body)).data or ()]


@pytest.mark.parametrize(
    ("document", "taken"),
    [
        ({"data": [{"b64_json": TEXT, "revised_prompt": "p"}]}, 1),
        (
            {"data": [{"b64_json": TEXT}, {"b64_json": SHORT}, {"url": "https://a.example/1"}, {"b64_json": TEXT[4:]}]},
            2,
        ),
        ({"data": [{"b64_json": SHORT}]}, 0),
        ({"data": [{"b64_json": f"data:image/png;base64,{TEXT}"}]}, 0),
        ({"data": [{"b64_json": TEXT + "\n"}]}, 0),
        ({"data": [{"b64_json": None, "url": f"data:image/png;base64,{TEXT}"}]}, 0),
        ({"b64_json": TEXT, "data": [{"b64_json": SHORT}]}, 1),
        ({"data": [{"b64_json": SHORT, "error": {"b64_json": TEXT}}]}, 1),
        ({"data": [{"b64_json": SHORT, "revised_prompt": f'"b64_json":"{TEXT}"'}]}, 0),
        ({"data": [{"revised_prompt": "b64_json", "b64_json": TEXT}]}, 1),
    ],
)
@pytest.mark.parametrize("spaced", [False, True])
def test_an_answer_reads_as_if_parsed_whole(document: object, taken: int, spaced: bool) -> None:
    """Wherever the text stands, in a picture or not, and whatever stands around it."""
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if spaced else None)
    rest, texts = taken_apart(bytearray(body))
    assert len(texts) == taken
    assert all(text.decode() in (TEXT, TEXT[4:]) for text in texts.values())
    if taken:
        assert len(rest) < len(body) - taken * TEXT_BYTES_MIN
    assert [item.image() for item in decode_images(bytearray(body)).data or ()] == parsed_whole(body)


def test_what_is_no_json_stays_none() -> None:
    """An answer that ends within the text, or around it, is refused as before."""
    whole = orjson.dumps({"data": [{"b64_json": TEXT}]})
    for body in (whole[:-1], whole[: len(whole) // 2], whole.replace(b"[", b"", 1), b'x"b64_json":"' + TEXT.encode()):
        with pytest.raises(ValueError, match=r"\w"):
            decode_images(body)


def test_the_search_is_bounded() -> None:
    """More places than anybody has pictures: those that are left are parsed."""
    document = {"data": [{"b64_json": SHORT}] * PLACES_MAX + [{"b64_json": TEXT}]}
    body = orjson.dumps(document)
    assert taken_apart(body) == (body, {})
    assert (decode_images(body).data or ())[-1].image() == InlineImage(TEXT.encode())
