"""What a 2xx answer of OpenAI's shape contains: pictures first, everything else if it makes sense."""

from decimal import Decimal

import orjson
import pytest

from gateway.domain.images import Usage
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.answers import decode_images
from gateway.upstreams.base import Generated, InlineImage, LinkedImage, UpstreamFailure
from gateway.upstreams.openai import pictures
from gateway.upstreams.openai_profiles import DEFAULT_PROFILE, PROFILES


def read(document: object, profile: str = DEFAULT_PROFILE) -> Generated:
    return pictures(decode_images(orjson.dumps(document)), PROFILES[profile])


def failed(document: object) -> tuple[Fault, Billed]:
    with pytest.raises(UpstreamFailure) as caught:
        read(document)
    return caught.value.fault, caught.value.billed


def test_base64_and_links() -> None:
    """Both forms are taken, base64 first, with the revised prompt."""
    data = [{"b64_json": "aGk=", "url": None, "revised_prompt": "p"}, {"url": "https://cdn.example.com/a.png"}]
    assert read({"created": 1, "data": data}).images == (
        InlineImage(b"aGk=", "p"),
        LinkedImage("https://cdn.example.com/a.png"),
    )


@pytest.mark.parametrize("field", ["b64_json", "url"])
def test_data_urls(field: str) -> None:
    """A data URL in either field is base64 text with its prefix cut off (xAI, Fireworks, OpenRouter)."""
    assert read({"data": [{field: "data:image/png;base64,aGk="}]}).images == (InlineImage(b"aGk="),)


def test_usage() -> None:
    """Token usage is read whole; image tokens default to none."""
    usage = {"input_tokens": 50, "output_tokens": 70, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    assert read({"data": [{"b64_json": "aGk="}], "usage": usage}).usage == Usage(10, 40, 70)
    del usage["input_tokens_details"]
    assert read({"data": [{"b64_json": "aGk="}], "usage": usage}).usage == Usage(50, 0, 70)


@pytest.mark.parametrize("usage", [None, {}, [], "x", {"input_tokens": -1, "output_tokens": 1}, {"output_tokens": 5}])
def test_odd_neighbours_do_not_cost_the_picture(usage: object) -> None:
    """A malformed field beside a picture counts as absent."""
    found = read({"data": [{"b64_json": "aGk=", "revised_prompt": 7, "error": "x"}], "usage": usage, "created": "now"})
    assert found == Generated((InlineImage(b"aGk="),), None)


def test_fewer_pictures_than_items() -> None:
    """Refused and failed items are left out, the others delivered."""
    data = [
        {"b64_json": "aGk="},
        {"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}},
        {"url": "", "is_image_safe": False},
    ]
    assert read({"data": data}) == Generated((InlineImage(b"aGk="),), withheld=1)  # the one that was made and not shown


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"data": []}, (Fault.NO_IMAGE, Billed.NO)),
        ({"created": 1}, (Fault.NO_IMAGE, Billed.NO)),
        ({"data": [], "usage": {"input_tokens": 5, "output_tokens": 0}}, (Fault.NO_IMAGE, Billed.NO)),
        ({"data": [], "usage": {"input_tokens": 5, "output_tokens": 9}}, (Fault.NO_IMAGE, Billed.YES)),
        ({"data": [{"b64_json": ""}]}, (Fault.NO_IMAGE, Billed.YES)),
        ({"data": [{"url": "", "is_image_safe": False}]}, (Fault.REFUSED, Billed.YES)),
        ({"data": [{"respect_moderation": False}]}, (Fault.REFUSED, Billed.YES)),
        ({"data": [{"finish_reason": "CONTENT_FILTERED"}]}, (Fault.REFUSED, Billed.YES)),
        (
            {"data": [{"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}}]},
            (Fault.REFUSED, Billed.NO),
        ),
        ({"error": {"code": "insufficient_user_quota", "message": "m"}}, (Fault.NO_MONEY, Billed.NO)),
        ({"error": "no idea"}, (Fault.FAILED, Billed.NO)),
    ],
)
def test_answers_without_pictures(document: object, expected: tuple[Fault, Billed]) -> None:
    """A 2xx without a picture is a refusal where something says so, an error where one is named, else NO_IMAGE; billed only where it shows."""
    assert failed(document) == expected


@pytest.mark.parametrize(
    ("document", "expected", "cost_usd"),
    [
        ({"data": [], "usage": {"cost_in_usd_ticks": 0}}, (Fault.REFUSED, Billed.NO), None),
        ({"data": [], "usage": {"cost_in_usd_ticks": 200_000_000}}, (Fault.REFUSED, Billed.YES), Decimal("0.02")),
        ({"data": []}, (Fault.REFUSED, Billed.UNKNOWN), None),
        ({"data": None, "block_reason": "csam"}, (Fault.REFUSED, Billed.UNKNOWN), None),
        (
            {"data": [{"respect_moderation": False}], "usage": {"cost_in_usd_ticks": 0}},
            (Fault.REFUSED, Billed.NO),
            None,
        ),
        (
            {"data": [{"url": ""}], "usage": {"cost_in_usd_ticks": 10**10}},
            (Fault.NO_IMAGE, Billed.YES),
            Decimal(1),
        ),
        ({"data": [], "usage": {"cost_in_usd_ticks": "free"}}, (Fault.REFUSED, Billed.UNKNOWN), None),
    ],
)
def test_a_vendor_that_names_its_cost(
    document: object, expected: tuple[Fault, Billed], cost_usd: Decimal | None
) -> None:
    """At xAI nothing delivered is a refusal, and its own figure says whether it was billed; without a figure nobody knows."""
    with pytest.raises(UpstreamFailure) as caught:
        read(document, "xai")
    assert (caught.value.fault, caught.value.billed) == expected
    assert caught.value.cost_usd == cost_usd


@pytest.mark.parametrize(
    ("profile", "beside", "cost_usd"),
    [
        ("xai", {"usage": {"cost_in_usd_ticks": 600_000_000}}, Decimal("0.06")),
        ("xai", {"usage": {"cost_in_usd_ticks": -1}}, None),
        ("xai", {}, None),
        ("recraft", {"credits": 80}, Decimal("0.08")),
        ("recraft", {"credits": 0.5}, Decimal("0.0005")),
        ("recraft", {"credits": "many"}, None),
        ("openai", {"credits": 80, "usage": {"cost_in_usd_ticks": 600_000_000}}, None),
    ],
)
def test_what_a_call_cost(profile: str, beside: dict[str, object], cost_usd: Decimal | None) -> None:
    """Exact decimals where this vendor says it, nothing where its figure makes no sense or is another vendor's."""
    generated = read({"data": [{"b64_json": "aGk=", "revised_prompt": ""}], **beside}, profile)
    assert (generated.images, generated.cost_usd) == ((InlineImage(b"aGk="),), cost_usd)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"data":'])
def test_not_an_object(body: bytes) -> None:
    """What is no JSON object is a ValueError, which the wire turns into NO_ANSWER."""
    with pytest.raises(ValueError):
        decode_images(body)
