"""Calls for the adapters' tests."""

import time
from decimal import Decimal

from gateway.domain.catalog import Offer, PerImage
from gateway.domain.ids import AttemptId, new_attempt_id
from gateway.domain.images import ImageRequest, Pixels
from gateway.upstreams.base import UpstreamCall

A_REQUEST = ImageRequest("a-model", "a red fox", size="1024x1536", pixels=Pixels(1024, 1536))


def an_offer(upstream_model: str = "m", *, params: tuple[tuple[str, str], ...] = ()) -> Offer:
    return Offer(f"u/{upstream_model}", "u", upstream_model, PerImage(Decimal("0.02")), params=params)


def a_call(
    request: ImageRequest = A_REQUEST,
    *,
    offer: Offer | None = None,
    attempt_id: AttemptId | None = None,
    seconds: float = 20.0,
    upstream_ref: str | None = None,
) -> UpstreamCall:
    """An attempt that may take so many seconds from now."""
    return UpstreamCall(
        attempt_id=attempt_id or new_attempt_id(),
        request=request,
        offer=offer or an_offer(),
        deadline_s=time.monotonic() + seconds,
        upstream_ref=upstream_ref,
    )


async def nothing_submitted(upstream_ref: str) -> None:
    raise AssertionError(f"this upstream has no jobs, but submitted {upstream_ref}")
