"""The span of one attempt, by OpenTelemetry's conventions for calls of generative models where they fit (docs/tracing.md). It decides nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from gateway.domain.catalog import Offer
from gateway.domain.tasks import Attempt
from gateway.telemetry.traces import Attributes, Kind, current, span
from gateway.upstreams.base import Adapter, UpstreamFailure

_PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini"}
"""Where the conventions have a name of their own for a kind of upstream."""


@contextmanager
def attempted(attempt: Attempt, offer: Offer, adapter: Adapter, resends: int) -> Iterator[None]:
    """Around the sending of an attempt and the storing of what came. Sent again it is another span of the same attempt.

    The span fails with the attempt's fault; the upstream's own words stay out of it.
    """
    if current() is None:
        yield
        return
    kind = adapter.settings.kind
    attributes: Attributes = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "image",
        "gen_ai.provider.name": _PROVIDERS.get(kind, kind),
        "gen_ai.request.model": offer.upstream_model,
        "gen_ai.request.choice.count": attempt.n,
        "server.address": urlsplit(adapter.settings.base_url).hostname,
        "gateway.task.id": attempt.task_id,
        "gateway.attempt.id": attempt.id,
        "gateway.upstream": offer.upstream,
        "gateway.offer": offer.id,
        "gateway.resend": resends or None,
    }
    with span(f"generate_content {offer.upstream_model}", attributes, Kind.CLIENT) as told:
        try:
            yield
        except UpstreamFailure as exc:
            told.set({"gateway.fault": exc.fault.value, "gateway.billed": exc.billed.value})
            told.fail(exc.fault.value)
            raise
