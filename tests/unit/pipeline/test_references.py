"""A call's pictures before anything is held: how many, which URLs, and whether anybody makes variations."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.catalog import Catalog, Offer
from gateway.domain.errors import GatewayError, InvalidRequest, ModelNotFound, Overloaded, UnsupportedParameter
from gateway.domain.images import ImageInput, InputSource, Operation
from gateway.egress.caller_urls import TooManyLookups
from gateway.egress.errors import EgressRefused
from gateway.pipeline.admission import Admission
from gateway.tokens.counter import TokenCounter
from tests.unit.pipeline.test_admission import DRAFT, FOUR_O, IMAGE_2, PRINCIPAL

MODELS = {"gpt-4o-image": replace(FOUR_O, image_urls_max=2), "gpt-image-2": IMAGE_2}
FILE = ImageInput(InputSource.FILE, "file-a")


class Urls:
    """Says of each host what it is told; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def check(self, url: str) -> None:
        self.asked.append(url)
        await asyncio.sleep(0)
        if "internal" in url:
            raise EgressRefused("address 10.0.0.7 is PRIVATE")
        if "busy" in url:
            raise TooManyLookups


def url(host: str) -> ImageInput:
    return ImageInput(InputSource.URL, f"https://{host}/a.png")


def admission(urls: Urls | None, *, varies: bool = False) -> Admission:
    def can(_: Offer, operation: Operation) -> bool:
        return varies and operation is Operation.VARIATION

    return Admission(lambda: Catalog(MODELS), TokenCounter(), (), None, urls.check if urls else None, can)


async def admitted(
    urls: Urls | None, *images: ImageInput, mask: ImageInput | None = None, model: str = "gpt-4o-image"
) -> Urls | None:
    names = tuple(f"image_urls[{at}]" for at in range(len(images))) + (("mask_url",) if mask else ())
    draft = replace(
        DRAFT, model=model, operation=Operation.EDIT, images=images, mask=mask, input_names=names
    )  # fmt: skip
    request = (await admission(urls).admit(PRINCIPAL, draft)).request
    assert (request.operation, request.images, request.mask) == (Operation.EDIT, images, mask)
    return urls


async def test_pictures_pass_and_urls_alone_are_looked_up() -> None:
    """Files are ours; every URL is checked once, the mask's as well."""
    urls = await admitted(Urls(), url("a.com"), FILE, mask=url("b.com"))
    assert urls is not None
    assert urls.asked == ["https://a.com/a.png", "https://b.com/a.png"]
    await admitted(None, FILE)


@pytest.mark.parametrize(
    ("images", "mask", "error", "param"),
    [
        ((url("a.com"), url("internal.com")), None, InvalidRequest, "image_urls[1]"),
        ((url("internal.com"), url("internal.com")), None, InvalidRequest, "image_urls[0]"),
        ((FILE,), url("internal.com"), InvalidRequest, "mask_url"),
        ((url("busy.com"),), None, Overloaded, "image_urls[0]"),
        ((FILE,) * 3, None, InvalidRequest, "image_urls"),
    ],
)
async def test_refusals_name_the_picture(
    images: tuple[ImageInput, ...], mask: ImageInput | None, error: type[GatewayError], param: str
) -> None:
    """And tell nothing of the network: its addresses are in the log alone."""
    with pytest.raises(error) as caught:
        await admitted(Urls(), *images, mask=mask)
    assert caught.value.param == param
    assert "10.0.0.7" not in caught.value.message


async def test_a_gateway_that_fetches_nothing_refuses_urls() -> None:
    """Without a check no URL passes."""
    with pytest.raises(InvalidRequest):
        await admitted(None, url("a.com"))


async def test_a_model_without_pictures_says_so() -> None:
    """image_urls_max is 0."""
    with pytest.raises(UnsupportedParameter, match="takes no pictures"):
        await admitted(Urls(), FILE, model="gpt-image-2")


async def test_variations_need_an_offer_that_makes_them() -> None:
    """Else the model does not exist for them, with a way out; where there is one, no prompt is wanted."""
    draft = replace(DRAFT, operation=Operation.VARIATION, images=(FILE,), prompt="", input_names=("image",))
    with pytest.raises(ModelNotFound, match="/v1/images/edits"):
        await admission(Urls()).admit(PRINCIPAL, draft)
    request = (await admission(Urls(), varies=True).admit(PRINCIPAL, draft)).request
    assert (request.operation, request.prompt) == (Operation.VARIATION, "")
