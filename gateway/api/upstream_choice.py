"""The request headers `X-Upstream-Prefer` and `X-Upstream-Only`: names of upstreams, with commas. Whether a key may send them is the admission's."""

from aiohttp import web

from gateway.domain.choice import ANY_UPSTREAM, ONLY_HEADER, PREFER_HEADER, UpstreamChoice
from gateway.domain.errors import InvalidRequest

NAMES_MAX = 20


def upstream_choice(request: web.Request) -> UpstreamChoice:
    """Raises InvalidRequest for a header without names, or with too many."""
    if PREFER_HEADER not in request.headers and ONLY_HEADER not in request.headers:
        return ANY_UPSTREAM
    return UpstreamChoice(_names(request, PREFER_HEADER), _names(request, ONLY_HEADER))


def _names(request: web.Request, header: str) -> tuple[str, ...]:
    lines = request.headers.getall(header, [])
    names = tuple(dict.fromkeys(name for line in lines for part in line.split(",") if (name := part.strip())))
    if len(names) > NAMES_MAX or (lines and not names):
        raise InvalidRequest(
            f"{header}: must be 1 to {NAMES_MAX} names of upstreams, such as openai,evolink.", param=header
        )
    return names
