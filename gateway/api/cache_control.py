"""`Cache-Control` of a call: whether pictures that another call made will do. What is not understood is ignored, as RFC 9111 wants it."""

import re

from aiohttp import web

from gateway.domain.sharing import NO_WISH, CacheWish

AGE_S_MAX = 2**31
"""Any age above it means this one, RFC 9111, 1.2.2."""
_AGE = re.compile(r"max-age=\"?0*([0-9]+)\"?")


def cache_wish(request: web.Request) -> CacheWish:
    """`Pragma: no-cache`, of before HTTP/1.1, counts where there is no `Cache-Control`."""
    if "Cache-Control" not in request.headers and "Pragma" not in request.headers:
        return NO_WISH
    given = ",".join(request.headers.getall("Cache-Control", ()) or request.headers.getall("Pragma", ()))
    if not given:
        return NO_WISH
    said = {part.strip().lower() for part in given.split(",")}
    digits = [match[1] for match in map(_AGE.fullmatch, said) if match is not None]
    ages = [int(age) if len(age) < len(str(AGE_S_MAX)) else AGE_S_MAX for age in digits]
    stores = "no-store" not in said
    return CacheWish(looks=stores and "no-cache" not in said, keeps=stores, age_s_max=min(ages, default=None))
