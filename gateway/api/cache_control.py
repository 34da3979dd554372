"""`Cache-Control` of a call: whether pictures that another call made will do. What is not understood is ignored, as RFC 9111 wants it."""

import re

from aiohttp import web

from gateway.domain.sharing import NO_WISH, CacheWish

_AGE = re.compile(r"max-age=\"?([0-9]{1,9})\"?")


def cache_wish(request: web.Request) -> CacheWish:
    """`Pragma: no-cache`, of before HTTP/1.1, counts where there is no `Cache-Control`."""
    given = ",".join(request.headers.getall("Cache-Control", ()) or request.headers.getall("Pragma", ()))
    if not given:
        return NO_WISH
    said = {part.strip().lower() for part in given.split(",")}
    ages = [int(match[1]) for match in map(_AGE.fullmatch, said) if match is not None]
    stores = "no-store" not in said
    return CacheWish(looks=stores and "no-cache" not in said, keeps=stores, age_s_max=min(ages, default=None))
