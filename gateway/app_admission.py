"""The admission of calls, put together: the catalogue of now, what adapters can do, and where callers' URLs may lead."""

from collections.abc import Mapping

from gateway.app_reload import Current
from gateway.callbacks.urls import CallbackUrls
from gateway.domain.catalog import Offer
from gateway.domain.images import Operation
from gateway.egress.caller_urls import CallerUrls
from gateway.pipeline.admission import Admission, counts_prompts
from gateway.tokens.counter import TokenCounter
from gateway.upstreams.base import Adapter


def admission(current: Current, adapters: Mapping[str, Adapter], urls: CallerUrls) -> Admission:
    """Blocks for half a second where prompts will be counted: the first call that needs it would block all others."""

    def can(offer: Offer, operation: Operation) -> bool:
        adapter = adapters.get(offer.upstream)
        return adapter is not None and operation in adapter.capabilities(offer.upstream_model).operations

    tokens = TokenCounter()
    if any(counts_prompts(model) for model in current.config.catalog.models.values()):
        tokens.prepare()
    return Admission(lambda: current.config.catalog, tokens, adapters, CallbackUrls(urls).check, urls.check, can)
