"""Formats that an upstream does not make: converted here where the model's entry allows it, never at the price of a paid picture."""

import io
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from gateway.blobs.links import LinkKey, LinkSigner
from gateway.blobs.local import LocalBlobStore
from gateway.domain.catalog import Capabilities, Model, Offer, PerImage, SizeRule
from gateway.domain.clock import SystemClock
from gateway.domain.ids import AttemptId
from gateway.domain.images import Background, Contract, ImageRequest, ImageResult, OutputFormat
from gateway.domain.tasks import TaskState
from gateway.imaging.decode import Decoder, DecoderLimits
from gateway.pipeline.forms import Form, form_of
from gateway.pipeline.frozen import FrozenPlan, request_text
from gateway.pipeline.results import Results
from gateway.pipeline.views import view_of
from gateway.routing.plan import Plan, plan, request_for
from gateway.upstreams.base import Generated, LinkedImage, RawImage
from tests.books import new_task
from tests.uploads import picture

ATTEMPT = AttemptId("att_1")
OFFER = Offer("u/m", "u", "m", PerImage(Decimal("0.01")))
PLAIN = Capabilities()
"""A PNG of the upstream's own making, whatever is asked for."""
ABLE = Capabilities(
    params=frozenset({"output_format", "output_compression", "background"}), output_formats=frozenset(OutputFormat)
)
MODEL = Model("m", Contract.IMAGE, 1_000, SizeRule(("auto",)), (1,), (OFFER,), convert=True)
ASKED = ImageRequest("m", "a cat", n=1, size="auto", pixels=None)
JPEG_50 = replace(ASKED, output_format=OutputFormat.JPEG, options=(("output_compression", "50"),))
OPAQUE = replace(ASKED, background=Background.OPAQUE)


def clear() -> bytes:
    """Half of it red and clear, half of it blue."""
    image = Image.new("RGBA", (40, 30), (0, 0, 255, 255))
    image.paste((255, 0, 0, 0), (0, 0, 20, 30))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


async def no_link(image: LinkedImage) -> bytes:
    raise AssertionError(image)


@pytest.fixture
async def results(tmp_path: Path) -> AsyncIterator[Results]:
    decoder, blobs = Decoder(DecoderLimits(wait_s=5)), await LocalBlobStore.open(tmp_path)
    yield Results(blobs, SystemClock(), decoder)
    await decoder.aclose()
    await blobs.close()


async def delivered(results: Results, data: bytes, form: Form | None) -> tuple[ImageResult, bytes]:
    """What the manifest says of it, and the bytes in the store, which are those that a waiting caller gets."""
    delivery, [text] = await results.store(ATTEMPT, Generated((RawImage(data),)), no_link, keep=True, form=form)
    [image] = delivery.images
    stored = await results._blobs.read(image.blob)
    assert stored is not None
    assert await results.find(ATTEMPT) == delivery
    assert image.sha256 == sha256(stored).hexdigest()
    assert image.size_bytes == len(stored)
    assert b64decode(text) == stored
    return image, stored


async def test_files_become_what_was_asked_for(results: Results) -> None:
    """Another format, a compression, a background: made anew, and told as what they are."""
    for data, form, content_type, mode in (
        (picture(), Form(OutputFormat.JPEG), "image/jpeg", "RGB"),
        (picture("JPEG"), Form(OutputFormat.PNG), "image/png", "RGB"),
        (clear(), Form(OutputFormat.WEBP), "image/webp", "RGBA"),
        (clear(), Form(None, opaque=True), "image/png", "RGB"),
        (clear(), Form(OutputFormat.WEBP, opaque=True), "image/webp", "RGB"),
        (clear(), Form(OutputFormat.JPEG), "image/jpeg", "RGB"),
    ):
        image, stored = await delivered(results, data, form)
        seen = Image.open(io.BytesIO(stored))
        assert (image.content_type, seen.mode, seen.size) == (content_type, mode, (40, 30)), form
        if mode == "RGB" and data == clear():
            left = seen.getpixel((5, 5))
            assert isinstance(left, tuple)
            assert min(left) > 245, form


async def test_compression_is_honoured(results: Results) -> None:
    """50 makes a smaller file than 100, of a JPEG that came as well; a PNG has no compression to honour."""
    noise = picture("JPEG", size=(200, 200), quality=95)
    sizes = [
        (await delivered(results, noise, Form(OutputFormat.JPEG, compression, compress=True)))[0].size_bytes
        for compression in (10, 50, 95)
    ]
    assert sizes == sorted(set(sizes))
    png = picture()
    assert (await delivered(results, png, Form(OutputFormat.PNG, 10, compress=True)))[1] == png


async def test_what_is_right_already_stays_byte_for_byte(results: Results) -> None:
    """No form, or one that the file has."""
    for data, form in ((picture(), None), (picture(), Form(OutputFormat.PNG)), (picture("JPEG"), Form(OutputFormat.JPEG)),
                       (picture(), Form(None, opaque=True))):  # fmt: skip
        assert (await delivered(results, data, form))[1] == data


async def test_a_paid_picture_is_kept_where_it_cannot_be_converted(results: Results, tmp_path: Path) -> None:
    """A kind that no decoder here takes, damage inside, a dead worker pool: delivered as it came, and told so."""
    png = picture()
    damaged = png[:60] + bytes(40) + png[100:]
    gif = picture("GIF", "L")
    for data, content_type in ((damaged, "image/png"), (gif, "image/gif")):
        image, stored = await delivered(results, data, Form(OutputFormat.JPEG))
        assert (stored, image.content_type) == (data, content_type)
    without = Results(results._blobs, SystemClock())
    image, stored = await delivered(without, png, Form(OutputFormat.JPEG))
    assert (stored, image.content_type) == (png, "image/png")
    request = replace(ASKED, output_format=OutputFormat.JPEG)
    task = replace(new_task(), state=TaskState.COMPLETED, request_json=request_text(request), results=(image,))
    signer = LinkSigner([LinkKey("1", bytes(16))], "https://a.example")

    def dropped(results: tuple[ImageResult, ...], before: tuple[str, ...] = ()) -> tuple[str, ...]:
        shown = replace(task, results=results)
        return view_of(
            shown, (), signer.url, can_cancel=False, estimated_time_s=1, credits_per_usd=Decimal(1), dropped=before
        ).dropped

    assert dropped((image,), ("style",)) == ("style", "output_format")
    assert dropped((replace(image, content_type="image/jpeg", extension="jpg"),)) == ()
    assert dropped(()) == ()


def planned(request: ImageRequest, capabilities: Capabilities, model: Model = MODEL) -> Plan:
    found = plan(request, model, [(OFFER, capabilities)])
    assert isinstance(found, Plan)
    return found


def test_what_is_honoured_here_is_not_dropped_and_restricts_nothing() -> None:
    """With `convert` an upstream that makes PNG alone stays in the plan beside one that makes all; without, it leaves."""
    other = Offer("v/m", "v", "m", PerImage(Decimal("0.02")))
    both = [(OFFER, PLAIN), (other, ABLE)]
    for model, offers in ((MODEL, ["u/m", "v/m"]), (replace(MODEL, convert=False), ["v/m"])):
        found = plan(JPEG_50, model, both)
        assert isinstance(found, Plan)
        assert [item.offer.id for item in found.offers] == offers
    assert planned(JPEG_50, PLAIN).dropped == ()
    assert planned(JPEG_50, PLAIN, replace(MODEL, convert=False)).dropped == ("output_compression", "output_format")
    assert planned(OPAQUE, PLAIN).dropped == ()
    assert planned(replace(ASKED, background=Background.TRANSPARENT), PLAIN).dropped == ("background",)


@pytest.mark.parametrize(
    ("asked", "capabilities", "form"),
    [
        (ASKED, PLAIN, None),
        (JPEG_50, PLAIN, Form(OutputFormat.JPEG, 50, compress=True)),
        (JPEG_50, ABLE, Form(OutputFormat.JPEG, 50)),
        (OPAQUE, PLAIN, Form(None, opaque=True)),
        (OPAQUE, ABLE, None),
        (replace(ASKED, options=(("output_compression", "30"),)), PLAIN, Form(None, 30, compress=True)),
        (replace(ASKED, options=(("output_compression", '"much"'),)), PLAIN, None),
    ],
)  # fmt: skip
def test_only_what_the_upstream_was_not_asked_for_is_done_here(
    asked: ImageRequest, capabilities: Capabilities, form: Form | None
) -> None:
    """What it was asked for it has done, unless the file says otherwise."""
    frozen = FrozenPlan((OFFER,), None, Decimal(1), Decimal(72), converts=True)
    assert form_of(frozen, asked, request_for(asked, OFFER, capabilities)) == form
    assert form_of(replace(frozen, converts=False), asked, asked) is None
