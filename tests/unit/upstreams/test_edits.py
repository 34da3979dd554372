"""Edits: what each upstream declares and the page says of it, how bodies are written, and that the sandbox shows what it was given."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.catalog import MaskPolarity
from gateway.domain.clock import SystemClock
from gateway.domain.images import ImageRequest, Operation, Pixels
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams.base import Inputs, RawImage, UpstreamFailure, UpstreamSettings
from gateway.upstreams.bodies import Base64Text, Outgoing
from gateway.upstreams.openai_edits import edit_body, edit_path
from gateway.upstreams.openai_profiles import EditForm, Edits, profile_of
from gateway.upstreams.registry import KINDS, build
from gateway.upstreams.replicate_inputs import DATA_URL_BYTES_MAX, input_of
from gateway.upstreams.wire import Resources
from tests.unit.upstreams.calls import a_call, an_offer, nothing_submitted
from tests.unit.upstreams.given import Given

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
ONE, TWO, MASK = Given(b"one"), Given(b"two", "image/jpeg"), Given(b"mask")
T, W = MaskPolarity.TRANSPARENT, MaskPolarity.WHITE
DECLARED = [
    ("openai", "gpt-image-2", 16, T),
    ("openai", "gpt-image-1.5", 16, T),
    ("openai", "some-model", 0, None),
    ("azure", "a-deployment", 16, T),
    ("gemini", "gemini-3-pro-image", 14, None),
    ("gemini", "gemini-2.5-flash-image", 3, None),
    ("fal", "openai/gpt-image-2/edit", 16, W),
    ("fal", "openai/gpt-image-2", 0, None),
    ("fal", "fal-ai/nano-banana-pro/edit", 10, None),
    ("fal", "fal-ai/flux-pro/kontext", 1, None),
    ("fal", "fal-ai/flux-pro/kontext/text-to-image", 0, None),
    ("replicate", "black-forest-labs/flux-schnell", 0, None),
    ("replicate", "black-forest-labs/flux-dev", 1, None),
    ("replicate", "black-forest-labs/flux-fill-pro", 1, W),
    ("replicate", "stability-ai/sdxl:1", 1, W),
    ("evolink", "gpt-image-2", 16, T),
    ("evolink", "gpt-4o-image", 5, T),
    ("kie", "gpt-image-2", 16, None),
    ("apimart", "gpt-image-2", 16, None),
    ("a1111", "default", 1, W),
    ("sandbox", "sandbox", 16, T),
    ("ark", "seedream-4-0-250828", 10, None),
    ("ark", "seedream-4-5-251128", 14, None),
    ("recraft", "recraftv3", 1, W),
    ("together", "flux", 1, None),
    ("xai", "grok-imagine-image", 1, None),
    ("deepinfra", "flux", 1, None),
    ("sglang", "m", 1, None),
    ("vllm-omni", "m", 1, None),
    ("localai", "m", 0, None),
    ("ollama", "m", 0, None),
    ("litellm", "openai/gpt-image-2", 16, T),
]


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(1) as threads:
        yield Resources(SystemClock(), threads)


@pytest.mark.parametrize(("name", "model", "references", "mask"), DECLARED)
def test_what_is_declared(
    resources: Resources, name: str, model: str, references: int, mask: MaskPolarity | None
) -> None:
    """Pictures, masks and operations belong together, and the page names the number."""
    kind, options = (name, {}) if name in KINDS else ("openai", {"profile": name})
    found = build(UpstreamSettings("u", kind, base_url="http://u", options=options), resources).capabilities(model)
    assert (found.references_max, found.mask) == (references, mask)
    assert (Operation.EDIT in found.operations) is (references > 0)
    assert (Operation.VARIATION in found.operations) is (kind == "sandbox")
    section = PAGE.read_text(encoding="utf-8").partition("### Who edits")[2].partition("\n## ")[0]
    [row] = [line for line in section.splitlines() if line.startswith("| ") and f"`{name}`" in line.split("|")[1]]
    assert re.search(rf"\b{references}\b" if references else r"none|endpoints|gpt-image|flux-dev", row), row


def test_evolinks_masks_are_as_the_operator_says(resources: Resources) -> None:
    """Its pages say both."""
    adapter = build(UpstreamSettings("u", "evolink", base_url="http://u", options={"mask": "white"}), resources)
    assert adapter.capabilities("gpt-image-2").mask is MaskPolarity.WHITE


def test_input_fidelity_goes_where_it_is_known() -> None:
    """To gpt-image-1.5 alone: its smaller sister has one, and later models answer 400 to the field."""
    known = [model for model in ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest", "gpt-image-2", "gpt-image-2.5-flare")
             if "input_fidelity" in profile_of({}).traits_of(model).params]  # fmt: skip
    assert known == ["gpt-image-1.5", "chatgpt-image-latest"]


@pytest.mark.parametrize(
    ("edits", "inputs", "path", "holds"),
    [
        (Edits(), Inputs((ONE,)), "/images/edits", [b'name="n"\r\n\r\n2', b'name="image"']),
        (Edits(), Inputs((ONE, TWO), MASK), "/images/edits", [b'name="image[]"', b'name="image[]"', b'name="mask"']),
        (Edits(masked_path="/paint"), Inputs((ONE,), MASK), "/paint", [b'name="image"', b'name="mask"']),
        (Edits(masked_path="/paint"), Inputs((ONE,)), "/images/edits", [b'name="image"']),
        (Edits(form=EditForm.OBJECTS, several="images"), Inputs((ONE, TWO), MASK), "/images/edits",
         [b'"images":[{"url":"data:image/png;base64,', b'{"url":"data:image/jpeg;base64,', b'"mask":{"url":"data:image/png;base64,']),
        (Edits(form=EditForm.OBJECTS), Inputs((ONE,)), "/images/edits", [b'"image":{"url":"data:image/png;base64,']),
        (Edits(form=EditForm.TEXTS, one="image_url"), Inputs((ONE,)), "/images/edits", [b'"image_url":"data:image/png;base64,']),
        (Edits(form=EditForm.TEXTS, several="image"), Inputs((ONE, TWO)), "/images/edits",
         [b'"image":["data:image/png;base64,', b',"data:image/jpeg;base64,', b"]"]),
    ],
)  # fmt: skip
def test_forms_of_edits(edits: Edits, inputs: Inputs, path: str, holds: list[bytes]) -> None:
    """Each vendor's form has the fields of a generation and the pictures in order."""
    edits = replace(edits, leaves_out=frozenset({"moderation"}), fixed={"strength": 0.5, "n": 9})
    body = edit_body(edits, {"prompt": "a fox", "n": 2, "moderation": "low"}, inputs)
    assert edit_path(edits, inputs) == path
    assert isinstance(body, Outgoing)
    text = b"".join(part if isinstance(part, bytes) else b"<>" for part in body.parts)
    assert b"moderation" not in text
    assert b"strength" in text
    at = 0
    for piece in holds:
        at = text.index(piece, at) + len(piece)


def test_large_pictures_at_replicate() -> None:
    """By a link from 256 kB on, where there is one."""
    small, large = Given(b"x" * 10, url="https://gw/1"), Given(b"x" * (DATA_URL_BYTES_MAX + 1), url="https://gw/2")
    request, offer = ImageRequest("m", "p", operation=Operation.EDIT), an_offer("black-forest-labs/flux-kontext-pro")
    assert isinstance(input_of(request, offer, Inputs((small,)))["input_image"], Base64Text)
    assert input_of(request, offer, Inputs((large,)))["input_image"] == "https://gw/2"
    large.url = None
    assert isinstance(input_of(request, offer, Inputs((large,)))["input_image"], Base64Text)


async def drawn(resources: Resources, inputs: Inputs, operation: Operation = Operation.EDIT) -> bytes:
    adapter = build(UpstreamSettings("sandbox", "sandbox"), resources)
    request = ImageRequest("m", "a fox", size="512x512", pixels=Pixels(512, 512), operation=operation)
    found = await adapter.generate(replace(a_call(request), inputs=inputs), nothing_submitted)
    [image] = found.images
    assert isinstance(image, RawImage)
    return image.data


async def test_the_sandbox_shows_what_it_was_given(resources: Resources) -> None:
    """The same pictures give the same drawing; another picture, order or mask, or none, another one."""
    inputs = [
        Inputs((ONE, TWO)),
        Inputs((TWO, ONE)),
        Inputs((ONE,)),
        Inputs((ONE,), MASK),
        Inputs((ONE,), TWO),
        Inputs((ONE, MASK)),
        Inputs(),
    ]
    drawings = [await drawn(resources, one) for one in inputs]
    assert len(set(drawings)) == len(inputs)
    assert await drawn(resources, inputs[0]) == drawings[0]
    assert await drawn(resources, Inputs((ONE,)), Operation.VARIATION) == drawings[2]


async def test_the_sandbox_reads_them_whole(resources: Resources) -> None:
    """A store that fails is noticed here, too."""
    with pytest.raises(UpstreamFailure) as caught:
        await drawn(resources, Inputs((Given(b"x" * 10, chunk_bytes=5, fails_at=5),)))
    assert (caught.value.fault, caught.value.billed) == (Fault.LOCAL, Billed.NO)
