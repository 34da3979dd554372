"""Replicate's pure parts: where predictions are made, inputs by family, and what becomes of a prediction that is over."""

from decimal import Decimal

import pytest

from gateway.domain.catalog import Offer, PerImage
from gateway.domain.images import ImageRequest, OutputFormat, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Generated, InlineImage, LinkedImage, UpstreamFailure
from gateway.upstreams.replicate import Prediction, outcome
from gateway.upstreams.replicate_inputs import Place, family_of, input_of, place_of

OFFICIAL = place_of("black-forest-labs/flux-schnell")
VERSION = place_of("acme/fox:0a1b2c")


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("google/imagen-4", Place("google/imagen-4", "/v1/models/google/imagen-4/predictions")),
        ("acme/fox:0a1b", Place("acme/fox", "/v1/predictions", version="acme/fox:0a1b", by_time=True)),
        ("deployments/acme/fox", Place("acme/fox", "/v1/deployments/acme/fox/predictions", by_time=True)),
    ],
)
def test_where_predictions_are_made(model: str, place: Place) -> None:
    """By name, by version, or at a deployment; the last two are charged by time."""
    assert place_of(model) == place


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        (
            "black-forest-labs/flux-1.1-pro-ultra",
            "2048x2048",
            {"aspect_ratio": "1:1", "output_format": "png"},
        ),
        (
            "stability-ai/sdxl:7762fd07cf82",
            "1024x768",
            {"width": 1024, "height": 768, "num_outputs": 1},
        ),
        ("google/nano-banana", "1536x1024", {"aspect_ratio": "3:2", "output_format": "png"}),
        ("deployments/acme/fox", "1024x1024", {"aspect_ratio": "1:1", "output_format": "png"}),
    ],
)
def test_inputs(model: str, size: str, sent: dict[str, object]) -> None:
    """A version is its model; a model that no family knows gets what nearly all of them take."""
    width, height = map(int, size.split("x"))
    request = ImageRequest("m", "p", size=size, pixels=Pixels(width, height))
    assert input_of(request, Offer("r/m", "r", model, PerImage(Decimal(1)))) == {"prompt": "p", **sent}


def test_what_models_can_do() -> None:
    """Counts, formats and references are the family's."""
    dev, pro, sdxl = (
        family_of(name).capabilities()
        for name in ("black-forest-labs/flux-dev", "black-forest-labs/flux-1.1-pro", "stability-ai/sdxl:1")
    )
    assert (dev.n, pro.n, sdxl.n) == ((1, 2, 3, 4), (1,), (1, 2, 3, 4))
    assert (dev.references_max, family_of("black-forest-labs/flux-schnell").capabilities().references_max) == (1, 0)
    assert dev.output_formats == set(OutputFormat)
    assert sdxl.output_formats == {OutputFormat.PNG}
    assert (dev.links_live_s, "output_format" in sdxl.params) == (3600, False)


@pytest.mark.parametrize(
    ("output", "images"),
    [
        ("https://replicate.delivery/a.png", (LinkedImage("https://replicate.delivery/a.png"),)),
        (["https://x/a", None, 7, "https://x/b"], (LinkedImage("https://x/a"), LinkedImage("https://x/b"))),
        ("data:image/png;base64,aGk=", (InlineImage(b"aGk="),)),
    ],
)
def test_outputs(output: object, images: tuple[object, ...]) -> None:
    """A link or a list of them; the vendor names no cost."""
    assert outcome(Prediction(status="succeeded", output=output), OFFICIAL) == Generated(images)  # type: ignore[arg-type]  # either kind


@pytest.mark.parametrize(
    ("status", "error", "started", "place", "fault", "billed"),
    [
        ("succeeded", None, True, OFFICIAL, Fault.NO_IMAGE, Billed.NO),
        ("succeeded", None, True, VERSION, Fault.NO_IMAGE, Billed.YES),
        ("failed", "the model crashed", True, OFFICIAL, Fault.FAILED, Billed.NO),
        ("failed", "the model crashed", True, VERSION, Fault.FAILED, Billed.YES),
        ("failed", "E6716: Timeout starting prediction", False, VERSION, Fault.OVERLOADED, Billed.NO),
        ("failed", "Content moderated. Try another prompt.", True, OFFICIAL, Fault.REFUSED, Billed.NO),
        ("failed", "429: Too Many Requests", True, OFFICIAL, Fault.RATE_LIMITED, Billed.NO),
        ("failed", "CUDA out of memory (E1001)", True, OFFICIAL, Fault.OVERLOADED, Billed.NO),
        ("failed", {"odd": 1}, True, OFFICIAL, Fault.FAILED, Billed.NO),
        ("failed", None, True, OFFICIAL, Fault.FAILED, Billed.NO),
        ("canceled", None, True, OFFICIAL, Fault.FAILED, Billed.YES),
        ("aborted", None, False, VERSION, Fault.FAILED, Billed.NO),
    ],
)
def test_predictions_without_pictures(
    status: str, error: object, started: bool, place: Place, fault: Fault, billed: Billed
) -> None:
    """What never began is free; what was canceled is charged; what failed, where time is."""
    prediction = Prediction(status=status, error=error, started_at="2026-11-26T10:00:00Z" if started else None)
    assert prediction.is_over
    with pytest.raises(UpstreamFailure) as caught:
        outcome(prediction, place)
    assert (caught.value.fault, caught.value.billed) == (fault, billed)


@pytest.mark.parametrize(
    ("output", "billed"),
    [(None, Billed.NO), ([], Billed.NO), ({"image": "https://x/a"}, Billed.YES), ([7], Billed.YES), (7, Billed.YES)],
)
def test_an_output_that_cannot_be_read_was_made(output: object, billed: Billed) -> None:
    """An official model is paid by its outputs: only without any was nothing billed."""
    with pytest.raises(UpstreamFailure) as caught:
        outcome(Prediction(status="succeeded", output=output), OFFICIAL)
    assert (caught.value.fault, caught.value.billed) == (Fault.NO_IMAGE, billed)


@pytest.mark.parametrize("status", ["starting", "processing", "queued", None])
def test_predictions_that_are_not_over(status: str | None) -> None:
    """Also those in a state that nobody knows yet."""
    assert not Prediction(status=status).is_over
