"""fal.ai's pure parts: families of endpoints, where requests are known, what answers mean and cost."""

from decimal import Decimal

import orjson
import pytest

from gateway.domain.catalog import MaskPolarity, Offer, PerImage, PerMegapixel, Price, PriceFormula
from gateway.domain.images import ImageRequest, Operation, OutputFormat, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Generated, InlineImage, LinkedImage, UpstreamFailure
from gateway.upstreams.fal import application_of
from gateway.upstreams.fal_answers import RequestEnded, decode_result, decode_state, ended
from gateway.upstreams.fal_bodies import body_of, family_of
from gateway.upstreams.wire import Reply

PER_IMAGE, PER_MEGAPIXEL = PerImage(Decimal("0.04")), PerMegapixel(Decimal("0.025"), whole=True)
SQUARE = {"url": "https://v3.fal.media/a.png", "width": 1024, "height": 1024}


def a_reply(body: object, status: int = 200, **headers: str | None) -> Reply:
    names = {"units": "X-Fal-Billable-Units", "retryable": "X-Fal-Retryable", "error_type": "X-Fal-Error-Type"}
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Reply(
        status, {names[name]: value for name, value in headers.items() if value is not None}, bytearray(content)
    )


def a_body(endpoint: str, size: str) -> dict[str, object]:
    width, height = map(int, size.split("x"))
    offer = Offer("f/m", "f", endpoint, PER_IMAGE)
    return body_of(ImageRequest("m", "p", n=1, size=size, pixels=Pixels(width, height)), offer)


@pytest.mark.parametrize(
    ("endpoint", "application"),
    [
        ("fal-ai/flux/dev", "fal-ai/flux"),
        ("fal-ai/nano-banana", "fal-ai/nano-banana"),
        ("openai/gpt-image-2.5/flare/text-to-image", "openai/gpt-image-2.5"),
        ("workflows/acme/house-style/v2", "workflows/acme/house-style"),
    ],
)
def test_requests_are_known_under_owner_and_application(endpoint: str, application: str) -> None:
    """The rest of the path is dropped; a namespace belongs to it."""
    assert application_of(endpoint) == application


@pytest.mark.parametrize(
    ("endpoint", "size", "sent"),
    [
        ("fal-ai/nano-banana-2", "512x512", {"aspect_ratio": "1:1", "resolution": "0.5K"}),
        ("fal-ai/nano-banana-pro", "512x512", {"aspect_ratio": "1:1", "resolution": "1K"}),
        ("fal-ai/nano-banana-pro", "4096x4096", {"aspect_ratio": "1:1", "resolution": "4K"}),
        ("fal-ai/nano-banana", "1024x1024", {"aspect_ratio": "1:1"}),
        ("fal-ai/flux-pro/v1.1-ultra", "2048x2048", {"aspect_ratio": "1:1"}),
        ("fal-ai/flux-pro/v1.1", "1344x768", {"image_size": {"width": 1344, "height": 768}}),
        ("fal-ai/somebodys/model", "1024x768", {"image_size": {"width": 1024, "height": 768}}),
        (
            "openai/gpt-image-2.5/sunburst/text-to-image",
            "3840x2160",
            {"image_size": {"width": 3840, "height": 2160}, "quality": "auto"},
        ),
    ],
)
def test_sizes_in_each_familys_words(endpoint: str, size: str, sent: dict[str, object]) -> None:
    """Pixels, or a ratio and the step that comes nearest."""
    common: dict[str, object] = {"prompt": "p", "num_images": 1, "output_format": "png"}
    assert a_body(endpoint, size) == {**common, **sent}


@pytest.mark.parametrize(
    ("endpoint", "size"),
    [
        ("fal-ai/flux-pro/v1.1", "1024x1536"),
        ("openai/gpt-image-2", "512x512"),
        ("openai/gpt-image-2", "3840x1024"),
        ("fal-ai/nano-banana", "2048x2048"),
        ("fal-ai/flux/dev", "4096x4096"),
    ],
)
def test_sizes_that_are_not_made(endpoint: str, size: str) -> None:
    """The plan leaves such an offer out; a body is not made either."""
    width, height = map(int, size.split("x"))
    assert family_of(endpoint).sizes.fit(size, Pixels(width, height)) is None
    with pytest.raises(UpstreamFailure) as caught:
        a_body(endpoint, size)
    assert (caught.value.fault, caught.value.billed, caught.value.param) == (Fault.BAD_REQUEST, Billed.NO, "size")


def test_what_endpoints_can_do() -> None:
    """Endpoints for edits generate nothing; formats and parameters are the family's; one picture a call where there is no count."""
    gpt, edit = (family_of(name).capabilities(name) for name in ("openai/gpt-image-2", "openai/gpt-image-2/edit"))
    assert gpt.operations == {Operation.GENERATE}
    assert edit.operations == {Operation.EDIT}
    assert (gpt.references_max, edit.references_max, gpt.mask, edit.mask) == (0, 16, None, MaskPolarity.WHITE)
    assert gpt.params == {"quality", "background", "output_format"}
    flux = family_of("fal-ai/flux/dev").capabilities("fal-ai/flux/dev")
    assert flux.n == (1, 2, 3, 4)
    assert flux.output_formats == {OutputFormat.PNG, OutputFormat.JPEG}
    recraft = family_of("fal-ai/recraft/v3/text-to-image")
    assert recraft.n == (1,)
    assert a_body("fal-ai/recraft/v3/text-to-image", "1024x1024").keys() == {"prompt", "image_size"}


@pytest.mark.parametrize(
    ("price", "units", "cost_usd"),
    [
        (PER_MEGAPIXEL, "2", Decimal("0.05")),
        (PER_MEGAPIXEL, "1.05", Decimal("0.02625")),
        (PER_MEGAPIXEL, "17.2", None),  # more than two pictures of one megapixel: seconds, perhaps
        (PER_MEGAPIXEL, "many", None),
        (PER_MEGAPIXEL, "-1", None),
        (PER_MEGAPIXEL, "NaN", None),
        (PER_IMAGE, "2", Decimal("0.08")),
        (PER_IMAGE, "3", None),
        (PER_IMAGE, None, None),
        (PriceFormula("gpt-image-2"), "2", None),
    ],
)
def test_units_tell_the_cost_where_they_can_be_the_prices(
    price: Price, units: str | None, cost_usd: Decimal | None
) -> None:
    """A unit has no name and no price in the answer: what cannot be the offer's unit is left to the catalogue."""
    reply = a_reply({"images": [SQUARE, SQUARE]}, units=units)
    found = decode_result(reply, price)
    assert isinstance(found, Generated)
    assert (len(found.images), found.cost_usd) == (2, cost_usd)


def test_odd_results_keep_their_pictures() -> None:
    """A field that is odd costs no picture; a single `image` is one; a picture without an address is none."""
    odd = {"images": [{"url": "https://x/a", "width": "wide"}, 7, None, {"url": ""}], "has_nsfw_concepts": "no"}
    assert decode_result(a_reply(odd, units="1"), PER_MEGAPIXEL) == Generated((LinkedImage("https://x/a"),))
    single = a_reply({"image": {**SQUARE, "url": "data:image/png;base64,aGk="}}, units="1")
    assert decode_result(single, PER_MEGAPIXEL) == Generated((InlineImage(b"aGk="),), cost_usd=Decimal("0.025"))
    with pytest.raises(ValueError):
        decode_result(a_reply([1]), PER_IMAGE)
    assert not decode_state(a_reply({"status": 3})).is_over


@pytest.mark.parametrize(
    ("price", "units", "withheld"),
    [(PER_IMAGE, "2", 1), (PER_IMAGE, None, 1), (PER_IMAGE, "1", 0), (PER_MEGAPIXEL, "4", 1), (PER_MEGAPIXEL, None, 1)],
)
def test_black_pictures_among_good_ones(price: Price, units: str | None, withheld: int) -> None:
    """They are billed like the others, unless fewer units were taken than pictures came."""
    body = {"images": [SQUARE, SQUARE], "has_nsfw_concepts": [False, True]}
    found = decode_result(a_reply(body, units=units), price)
    assert isinstance(found, Generated)
    assert (len(found.images), found.withheld) == (1, withheld)


@pytest.mark.parametrize(
    ("body", "units", "fault", "billed"),
    [
        ({"images": []}, None, Fault.NO_IMAGE, Billed.NO),
        ({"images": []}, "1", Fault.NO_IMAGE, Billed.YES),
        ({"images": [{}]}, None, Fault.NO_IMAGE, Billed.YES),
        ({"images": [{}]}, "0", Fault.NO_IMAGE, Billed.NO),
        ({}, None, Fault.NO_IMAGE, Billed.NO),
        ({"images": [SQUARE], "has_nsfw_concepts": [True]}, None, Fault.REFUSED, Billed.YES),
        ({"images": [SQUARE], "has_nsfw_concepts": [True]}, "0", Fault.REFUSED, Billed.NO),
    ],
)
def test_results_without_pictures(body: object, units: str | None, fault: Fault, billed: Billed) -> None:
    """Outputs alone are charged, black ones too; the header knows better."""
    found = decode_result(a_reply(body, units=units), PER_MEGAPIXEL)
    assert isinstance(found, RequestEnded)
    assert (found.fault, found.billed) == (fault, billed)


DETAIL = {"loc": ["body", "prompt"], "msg": "Flagged.", "type": "content_policy_violation"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "fault", "billed"),
    [
        (422, [{"type": "less_than_equal", "msg": "x"}], {}, Fault.BAD_REQUEST, Billed.NO),
        (422, [{"type": "value_error.missing", "msg": "x"}], {}, Fault.BAD_REQUEST, Billed.NO),
        (422, [{"type": "image_too_large", "msg": "x"}], {}, Fault.BAD_REQUEST, Billed.UNKNOWN),
        (422, [{"type": "image_too_large", "msg": "x"}], {"retryable": "true"}, Fault.FAILED, Billed.UNKNOWN),
        (422, [DETAIL], {"units": "0"}, Fault.REFUSED, Billed.NO),
        (422, [DETAIL], {"units": "1.5"}, Fault.REFUSED, Billed.YES),
        (422, {"detail": "NSFW content"}, {}, Fault.REFUSED, Billed.UNKNOWN),
        (422, "Flagged.", {}, Fault.REFUSED, Billed.UNKNOWN),
        (422, [{"type": "bool_type", "msg": "x", "loc": ["enable_safety_checker"]}], {}, Fault.BAD_REQUEST, Billed.NO),
        (422, [{"type": "value_error", "msg": "x"}, DETAIL], {}, Fault.REFUSED, Billed.UNKNOWN),
        (422, b"?", {}, Fault.BAD_REQUEST, Billed.UNKNOWN),
        (400, {"detail": {"error": "content_policy_violation"}}, {}, Fault.REFUSED, Billed.UNKNOWN),
        (504, {"detail": [{"type": "generation_timeout", "loc": ["body"]}]}, {}, Fault.FAILED, Billed.NO),
        (503, {"detail": "x"}, {"error_type": "runner_scheduling_failure"}, Fault.OVERLOADED, Billed.NO),
        (500, {"detail": "x", "error_type": "internal_error"}, {"units": "1"}, Fault.FAILED, Billed.NO),
        (499, {"detail": "x", "error_type": "client_cancelled"}, {}, Fault.FAILED, Billed.UNKNOWN),
    ],
)
def test_how_a_request_ended(status: int, body: object, headers: dict[str, str], fault: Fault, billed: Billed) -> None:
    """Server errors are never charged; a 422 may be, unless the body was wrong or the header says."""
    found = ended(a_reply(body, status, **headers))
    assert found is not None
    assert (found.fault, found.billed, found.sure) == (fault, billed, status in (422, 504))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"detail": "Request is still in progress"}),
        (401, {"detail": "no", "error_type": "unauthorized"}),
        (404, {"detail": "no", "error_type": "not_found"}),
        (429, {"detail": "slow down", "error_type": "rate_limited"}),
        (500, {"detail": "no type"}),
        (502, b"<html>Bad gateway</html>"),
        (307, {"detail": "x", "error_type": "bad_request"}),
    ],
)
def test_answers_that_are_about_the_asking(status: int, body: object) -> None:
    """They say nothing of the request."""
    assert ended(a_reply(body, status)) is None
