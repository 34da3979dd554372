"""What a caller says with `Cache-Control`, as RFC 9111 spells it; what is not understood says nothing."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.api.cache_control import AGE_S_MAX, cache_wish
from gateway.domain.sharing import NO_WISH, CacheWish

DECLINES, LEAVES_NO_TRACE = CacheWish(looks=False), CacheWish(looks=False, keeps=False)


def wish(*headers: tuple[str, str]) -> CacheWish:
    return cache_wish(make_mocked_request("POST", "/v1/images/generations", headers=CIMultiDict(headers)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", NO_WISH),
        ("no-cache", DECLINES),
        ("No-Cache", DECLINES),
        ("no-store", LEAVES_NO_TRACE),
        ("NO-STORE", LEAVES_NO_TRACE),
        ("no-cache, no-store", LEAVES_NO_TRACE),
        ("max-age=60", CacheWish(age_s_max=60)),
        ("Max-Age=60", CacheWish(age_s_max=60)),
        ('max-age="60"', CacheWish(age_s_max=60)),
        ("max-age=0", CacheWish(age_s_max=0)),
        ("max-age=007", CacheWish(age_s_max=7)),
        ("max-age=60, max-age=5", CacheWish(age_s_max=5)),
        ("max-age=9999999999", CacheWish(age_s_max=AGE_S_MAX)),
        (f"max-age={'9' * 5000}", CacheWish(age_s_max=AGE_S_MAX)),
        (f"max-age={'0' * 5000}5", CacheWish(age_s_max=5)),
        ("no-cache,max-age=60", CacheWish(looks=False, age_s_max=60)),
        ("no-store , max-age=60", CacheWish(looks=False, keeps=False, age_s_max=60)),
        (", ,\tmax-age=60,", CacheWish(age_s_max=60)),
        ("max-stale=60, min-fresh=5, no-transform, only-if-cached", NO_WISH),
        ("max-age", NO_WISH),
        ("max-age=", NO_WISH),
        ("max-age=-1", NO_WISH),
        ("max-age=+1", NO_WISH),
        ("max-age=1.5", NO_WISH),
        ("max-age=60s", NO_WISH),
        ("max-age = 60", NO_WISH),
        ("max-age=\u0666\u0660", NO_WISH),  # digits of another script
        ("s-maxage=60", NO_WISH),
        ("no-cached", NO_WISH),
        ("x-no-cache", NO_WISH),
        ("no cache", NO_WISH),
        ("public, private", NO_WISH),
        (",".join(["junk=1"] * 500), NO_WISH),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_a_header_says(value: str, expected: CacheWish) -> None:
    assert wish(("Cache-Control", value)) == expected


def test_several_headers_are_one() -> None:
    headers = (("Cache-Control", "max-age=60"), ("cache-control", "no-store"), ("Cache-Control", "max-age=30"))
    assert wish(*headers) == CacheWish(looks=False, keeps=False, age_s_max=30)


def test_pragma_counts_where_there_is_nothing_newer() -> None:
    assert wish(("Pragma", "no-cache")) == DECLINES
    assert wish(("Pragma", "junk")) == NO_WISH
    assert wish(("Pragma", "no-cache"), ("Cache-Control", "max-age=60")) == CacheWish(age_s_max=60)
    assert wish() == NO_WISH
