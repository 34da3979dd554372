"""What fal.ai's answers mean: states, results, failures, and which of them cost money. Pure.

A result may hold black pictures (`has_nsfw_concepts`): those are refused ones, and billed like the others. The header x-fal-billable-units says how
many units were taken, not what a unit costs: for offers with a price per picture or per megapixel, whose units these are, the offer's price tells it;
for every other form of price the catalogue's figure stands. Server errors are never charged; a 422 may be, unless the body was found wrong before the
model began or the header says 0, so what became of the money stays open. ValueError where an answer is not what the API promises.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, Field

from gateway.domain.catalog import PerImage, PerMegapixel, Price
from gateway.domain.tasks import Billed, Fault
from gateway.upstreams import faults
from gateway.upstreams.answers import Item, Lenient, decode_object
from gateway.upstreams.base import Generated, UpstreamFailure
from gateway.upstreams.wire import Reply

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What may become part of an address."""
_UNITS = "X-Fal-Billable-Units"
_UNITS_MAX = Decimal(10_000)
_VALIDATION = (
    r"missing|json_invalid|extra_forbidden|type_error(\.\w+)*|value_error(\.\w+)*|multiple_of|(less|greater)_than(_equal)?"
    r"|(string|int|float|decimal|bool|list|tuple|dict|enum|literal|model|union|url)_\w+|too_(short|long)"
)
"""Types by which a body is refused before the model sees it."""

RESULT_ROWS: tuple[faults.Row, ...] = (
    # How a request ended, by the answer in place of its result.
    faults.Row(Fault.REFUSED, Billed.UNKNOWN, statuses=range(400, 500), words="content_policy_violation"),
    faults.Row(Fault.BAD_REQUEST, statuses=(422,), words=_VALIDATION),
    faults.Row(
        Fault.REFUSED,
        Billed.UNKNOWN,
        statuses=range(400, 500),
        message=r"content.?checker|flagged|content.?policy|nsfw|safety|moderat|sensitive|prohibited",
    ),
    faults.Row(Fault.OVERLOADED, statuses=range(500, 600), words="runner_scheduling_failure|startup_timeout"),
    faults.Row(Fault.FAILED, statuses=range(500, 600)),
    faults.Row(Fault.FAILED, Billed.UNKNOWN, statuses=(499,)),  # somebody cancelled it
    faults.Row(Fault.FAILED, Billed.UNKNOWN, statuses=range(400, 500), words=r"fal\.retryable"),
    faults.Row(Fault.BAD_REQUEST, Billed.UNKNOWN, statuses=range(400, 500)),
)

Side = Annotated[int, Field(ge=1, le=100_000)]


class Submitted(BaseModel):
    request_id: Lenient[str] = None


class State(BaseModel):
    """`IN_QUEUE`, `IN_PROGRESS` or `COMPLETED`; a completed request that failed names an error, though not every endpoint does."""

    status: Lenient[str] = None
    error: Any = None
    error_type: Any = None

    @property
    def is_over(self) -> bool:
        return self.status == "COMPLETED"

    @property
    def is_waiting(self) -> bool:
        """No runner has begun it."""
        return self.status == "IN_QUEUE"

    @property
    def says_failed(self) -> bool:
        return bool(self.error or self.error_type)


class Picture(BaseModel):
    url: Lenient[str] = None
    width: Lenient[Side] = None
    height: Lenient[Side] = None


class Result(BaseModel):
    """A model's output; a few endpoints make a single `image`."""

    images: Lenient[list[Lenient[Picture]]] = None
    image: Lenient[Picture] = None
    has_nsfw_concepts: Lenient[list[Lenient[bool]]] = None

    @property
    def made(self) -> list[Picture]:
        if self.images is None:
            return [] if self.image is None else [self.image]
        return [image or Picture() for image in self.images]

    def is_black(self, index: int) -> bool:
        flags = self.has_nsfw_concepts or []
        return index < len(flags) and flags[index] is True


class RequestEnded(UpstreamFailure):
    """How a request ended that made no picture. Not `sure`: the platform could have said it of the asking, too."""

    def __init__(
        self,
        fault: Fault,
        billed: Billed,
        message: str,
        *,
        cost_usd: Decimal | None = None,
        param: str | None = None,
        sure: bool = True,
        cancelled: bool = False,
    ) -> None:
        super().__init__(fault, billed, message, cost_usd=cost_usd, param=param)
        self.sure = sure
        self.cancelled = cancelled
        """Somebody told the queue to stop it."""


def decode_submitted(reply: Reply) -> Submitted:
    return Submitted.model_validate(decode_object(reply.body))


def decode_state(reply: Reply) -> State:
    return State.model_validate(decode_object(reply.body))


def decode_result(reply: Reply, price: Price) -> Generated | RequestEnded:
    """The pictures without the black ones, and what all of them cost. Without any left: the failure that it is."""
    result = Result.model_validate(decode_object(reply.body))
    made, units = result.made, _units(reply.headers)
    cost_usd = None if units is None else _cost_usd(price, units, made)
    found = [None if result.is_black(index) else Item(url=one.url).image() for index, one in enumerate(made)]
    pictures = tuple(image for image in found if image is not None)
    if pictures:
        return Generated(pictures, cost_usd=cost_usd, withheld=_withheld(result, len(pictures), units, cost_usd))
    # Successful outputs alone are charged; the header knows better, where it is there.
    billed = Billed.NO if units == 0 or (units is None and not made) else Billed.YES
    if any(result.is_black(index) for index in range(len(made))):
        return RequestEnded(Fault.REFUSED, billed, "black pictures: has_nsfw_concepts", cost_usd=cost_usd)
    return RequestEnded(Fault.NO_IMAGE, billed, f"{len(made)} pictures without an address", cost_usd=cost_usd)


def _withheld(result: Result, shown: int, units: Decimal | None, cost_usd: Decimal | None) -> int:
    """Everything that the cost is of; where it is not known, the black ones, unless as many units as pictures shown were taken."""
    if cost_usd is not None:
        return len(result.made) - shown
    return 0 if units == shown else sum(map(result.is_black, range(len(result.made))))


def ended(reply: Reply) -> RequestEnded | None:
    """What an answer in place of a result says of the request; None where it is about the asking."""
    error = faults.with_headers(faults.read_error(reply.status, reply.body), reply.headers)
    if not _tells_an_end(error):
        return None
    fault, billed = faults.classify(error, RESULT_ROWS)
    units = _units(reply.headers)
    if units is not None and error.status < 500:
        billed = Billed.YES if units > 0 else Billed.NO
    message = f"ended with {error.status} {' '.join(error.words)}: {error.message}"
    # A model names the place of its error; nothing else answers 422.
    sure = error.status == 422 or error.param is not None
    return RequestEnded(fault, billed, message, param=error.param, sure=sure, cancelled=error.status == 499)


def _tells_an_end(error: faults.ApiError) -> bool:
    """A model's own error, or the platform's with its type; not what is said of keys, addresses and rates."""
    named = bool(error.words) and error.from_api
    return error.status == 422 or (named and (error.status in (400, 499) or 500 <= error.status < 600))


def _units(headers: Mapping[str, str]) -> Decimal | None:
    try:
        units = Decimal(headers.get(_UNITS, ""))
    except InvalidOperation:
        return None
    return units if units.is_finite() and 0 <= units <= _UNITS_MAX else None


def _cost_usd(price: Price, units: Decimal, made: list[Picture]) -> Decimal | None:
    """None where these cannot be the units of this price: not as many as there are pictures, or more than their begun megapixels."""
    match price:
        case PerImage() if units == len(made):
            return units * price.per_image_usd
        case PerMegapixel():
            areas = [one.width * one.height for one in made if one.width and one.height]
            if len(areas) == len(made) and units <= sum(math.ceil(area / 1_000_000) for area in areas):
                return units * price.per_megapixel_usd
    return None
