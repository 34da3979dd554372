"""Random requests through every adapter to its emulator: an able offer is never refused, makes what was asked for, and bills no more than quoted."""

import base64
import math
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from gateway.domain.catalog import Capabilities, MaskPolarity, Model, Offer, SizeRule
from gateway.domain.clock import SystemClock
from gateway.domain.images import (
    Background,
    Contract,
    ImageInput,
    ImageRequest,
    InputSource,
    Operation,
    OutputFormat,
    Pixels,
    Quality,
    parse_pixels,
    parse_ratio,
)
from gateway.domain.sizes import AREA_MIN_SHARE, RATIO_TOLERANCE
from gateway.imaging.sniff import SniffedImage, sniff
from gateway.routing.plan import NotAble, PlannedOffer, plan, request_for
from gateway.tokens.counter import TokenCounter
from gateway.upstreams.base import Adapter, InlineImage, Inputs, LinkedImage, RawImage, UpstreamImage
from gateway.upstreams.registry import build
from gateway.upstreams.wire import Resources
from tests.emulators.base import Emulator
from tests.emulators.inputs import Polarity
from tests.emulators.masks import mask
from tests.emulators.pictures import decoded, picture
from tests.proofs import Proof
from tests.property.lanes import LANES
from tests.unit.upstreams.calls import a_call
from tests.unit.upstreams.given import given

SEED = 20261126
REQUESTS = 2_000 if os.environ.get("SOAK") == "1" else 40
"""A lane and model."""
RATIOS = ("1:1", "2:3", "3:2", "16:9", "9:16", "4:3")
SIZES = (
    "1024x1024",
    "1536x1024",
    "1024x1536",
    "2048x2048",
    "3840x2160",
    "768x768",
    "1792x1024",
    "896x1152",
    "1:1",
    "2:3",
    "3:2",
    "16:9",
    "9:16",
    "4:3",
)
WORDS = ("a", "fox", "snow", "狐狸", "Über", "🦊", "supercalifragilistic", "0x7f", "—", "\n")
AN_INPUT = ImageInput(InputSource.FILE, "file-1")
PICTURES = [
    picture((64, 48), "png", "small"),
    picture((1024, 1024), "webp", "square"),
    picture((2160, 3840), "jpeg", "large"),
]
RULE = SizeRule(("auto", *SIZES))


@dataclass(slots=True)
class Lane:
    emulator: Emulator
    adapter: Adapter
    offers: list[Offer]


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(2) as threads:
        yield Resources(SystemClock(), threads)


@pytest.fixture(scope="module")
def tokens() -> TokenCounter:
    return TokenCounter()


@pytest_asyncio.fixture(params=list(LANES))
async def lane(request: pytest.FixtureRequest, resources: Resources) -> AsyncIterator[Lane]:
    described = LANES[request.param]
    async with described.make() as emulator:
        adapter = build(described.settings(emulator), resources)
        yield Lane(emulator, adapter, described.offers())
        await adapter.close()


async def test_plans_are_kept(lane: Lane, tokens: TokenCounter, proof: Proof) -> None:
    """What a plan calls able is made in one try at no more than the quote, in the asked shape; every size and count of an offer comes up."""
    chance = random.Random(SEED)
    for offer in lane.offers:
        seen: Counter[str] = Counter()
        capabilities = lane.adapter.capabilities(offer.upstream_model)
        dearest = 0.0
        for _ in range(REQUESTS):
            request = a_request(chance, tokens)
            found = plan(request, a_model(offer), [(offer, capabilities)], links=True)
            if isinstance(found, NotAble):
                seen["not able"] += 1
                continue
            planned = found.offers[0]
            before = lane.emulator.billed_usd
            await make(lane, planned, request, inputs_of(request, capabilities, chance))
            billed = (lane.emulator.billed_usd - before) * 1_000_000
            assert billed <= planned.most_microusd, f"{offer.id} billed {billed} for {request}"
            dearest = max(dearest, float(billed) / (planned.most_microusd or 1))
            seen["able"] += 1
            seen[request.operation] += 1
        rejected = [
            (item.status, item.body) for item in lane.emulator.requests if item.status is None or item.status >= 400
        ]
        assert rejected == []
        assert seen["able"] >= REQUESTS / 20, f"{offer.id}: {seen}"
        edits = Operation.EDIT in capabilities.operations
        assert (seen[Operation.EDIT] > 0) is edits, f"{offer.id}: {seen}"
        proof(
            "mapping",
            f"{lane.adapter.kind} {offer.upstream_model}: {seen['able']} of {REQUESTS} requests made, {seen[Operation.EDIT]} of them edits, "
            f"at most {dearest:.2f} of the quote",
        )


async def make(lane: Lane, planned: PlannedOffer, request: ImageRequest, inputs: Inputs) -> None:
    """All calls of a plan, as the pipeline makes them; one picture of each is looked at."""
    for n in planned.parts(request.n):
        part = request_for(request, planned.offer, planned.capabilities, n)
        call = replace(a_call(part, offer=planned.offer), inputs=inputs)
        generated = await lane.adapter.generate(call, submitted)
        assert len(generated.images) == n
        picture = sniff(await bytes_of(lane.adapter, generated.images[0]))
        if part.pixels is not None:
            assert is_asked_for(picture, part.pixels), (
                f"{planned.offer.id} made {picture.width}x{picture.height} for {request.size}"
            )
        if part.output_format is not None:
            assert picture.content_type == part.output_format.content_type


def inputs_of(request: ImageRequest, capabilities: Capabilities, chance: random.Random) -> Inputs:
    """Real pictures of any size; the mask in the adapter's meaning. Links lead elsewhere, where the emulators take them on trust."""
    images = [chance.choice(PICTURES) for _ in request.images]
    pictures = [given(content, "https://pictures.example/1.png") for content in images]
    if request.mask is None:
        return Inputs(tuple(pictures))
    polarity: Polarity = "white" if capabilities.mask is MaskPolarity.WHITE else "alpha"
    masked = mask(polarity, decoded(images[0])[1])
    return Inputs(tuple(pictures), given(masked, "https://pictures.example/mask.png"))


def is_asked_for(picture: SniffedImage, asked: Pixels) -> bool:
    """Shape and size within the stated tolerances, and a step of 32 pixels, which vendors round to."""
    off = abs(math.log(picture.width / picture.height) - math.log(asked.width / asked.height))
    rounding = 32 / min(picture.width, picture.height)
    return off <= RATIO_TOLERANCE + rounding and picture.width * picture.height >= asked.area * AREA_MIN_SHARE * (
        1 - rounding
    )


async def bytes_of(adapter: Adapter, image: UpstreamImage) -> bytes:
    match image:
        case InlineImage():
            return base64.b64decode(image.base64, validate=True)
        case LinkedImage():
            return await adapter.fetch(image, time.monotonic() + 20)
        case RawImage():
            return image.data


async def submitted(upstream_ref: str) -> None:
    assert upstream_ref


def a_request(chance: random.Random, tokens: TokenCounter) -> ImageRequest:
    """Half of them plain, as most calls are."""
    prompt = "a fox " + " ".join(chance.choice(WORDS) for _ in range(chance.choice((1, 5, 40, 300))))
    size = chance.choice(("auto", *SIZES))
    request = ImageRequest(
        "a-model",
        prompt,
        chance.choice((1, 1, 1, 2, 3, 4, 7, 10)),
        size,
        a_pixel_size(size),
        prompt_tokens=tokens.count(prompt),
    )
    if chance.random() < 0.4:
        count = chance.choice((1, 1, 2, 4))
        masked = AN_INPUT if count == 1 and chance.random() < 0.4 else None
        few = min(request.n, 4)
        request = replace(request, n=few, operation=Operation.EDIT, images=(AN_INPUT,) * count, mask=masked)
        if chance.random() < 0.5:  # else an upstream whose edits keep the size of their picture would hardly be asked
            request = replace(request, size="auto", pixels=None)
    if chance.random() < 0.5:
        return request
    background, output_format = chance.choice(list(Background)), chance.choice((None, *OutputFormat))
    if background is Background.TRANSPARENT and output_format is OutputFormat.JPEG:
        output_format = None  # the pair is refused before any plan
    return replace(
        request,
        quality=chance.choice(list(Quality)),
        background=background,
        output_format=output_format,
        options=(("seed", str(chance.randrange(2**31))),) if chance.random() < 0.5 else (),
    )


def a_pixel_size(size: str) -> Pixels | None:
    """A ratio means about a megapixel, as the catalogue's models have it."""
    ratio = parse_ratio(size)
    if ratio is None:
        return parse_pixels(size)
    scale = 1024 / math.sqrt(ratio[0] * ratio[1])
    return Pixels(*(round(side * scale / 16) * 16 for side in ratio))


def a_model(offer: Offer) -> Model:
    return Model("a-model", Contract.IMAGE, 100_000, RULE, tuple(range(1, 11)), (offer,), qualities=tuple(Quality))
