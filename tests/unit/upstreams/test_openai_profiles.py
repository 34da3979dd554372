"""What is declared of the copies of OpenAI's API, and what the adapter makes of a declaration."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from gateway.domain.catalog import CostSource
from gateway.domain.clock import SystemClock
from gateway.domain.images import OutputFormat, Pixels, Quality
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.openai import OpenAIAdapter
from gateway.upstreams.openai_profiles import PROFILES, Profile, SizeForm, Traits
from gateway.upstreams.wire import Resources
from tests.unit.upstreams.calls import A_REQUEST, an_offer


def body(
    profile: Profile, *, size: str = "1024x1536", extra: tuple[tuple[str, str], ...] = (), **options: str
) -> dict[str, object]:
    """What would be sent for this size, without the model and the prompt."""
    width, height = map(int, size.split("x"))
    request = replace(A_REQUEST, size=size, pixels=Pixels(width, height), quality=Quality.HIGH)
    settings = UpstreamSettings("u", "openai", base_url="http://127.0.0.1:9", options=options)
    with ThreadPoolExecutor(1) as threads:
        adapter = OpenAIAdapter(settings, Resources(SystemClock(), threads), profile)
        made = adapter._body(request, replace(an_offer(), extra=extra))
    return {name: value for name, value in made.items() if name not in ("model", "prompt")}


@pytest.mark.parametrize("name", list(PROFILES))
def test_each_profile_is_sound(name: str) -> None:
    """Patterns compile, counts begin at one, a format that comes unasked may be asked for, and a cost in the answer is declared as such."""
    profile = PROFILES[name]
    for pattern, _ in profile.models:
        re.compile(pattern)
    for traits in (profile.traits, *(traits for _, traits in profile.models)):
        assert traits.n == tuple(range(1, len(traits.n) + 1))
        assert traits.sends_n or traits.n == (1,)
        assert traits.output_format is None or traits.output_format in traits.output_formats
        assert (traits.cost is CostSource.ANSWER) == (profile.cost_usd is not None)
        assert traits.qualities is None or "quality" in traits.params
        assert "response_format" not in traits.params
    assert profile.base_url == "" or profile.base_url.startswith(("https://", "http://127.0.0.1:"))
    assert profile.base_url.startswith("https://") <= profile.needs_key


@pytest.mark.parametrize(
    ("model", "area_min"),
    [
        ("seedream-4-0-250828", 921_600),
        ("doubao-seedream-4-0-250828", 921_600),
        ("seedream-4-5-251128", 3_686_400),
        ("ep-20261101", 3_686_400),
    ],
)
def test_traits_by_model(model: str, area_min: int) -> None:
    """The first pattern that matches the whole name counts; an endpoint's id says nothing, so the narrower bounds hold."""
    assert getattr(PROFILES["ark"].traits_of(model).sizes, "area_min", 0) == area_min
    assert PROFILES["openai"].traits_of("x/gpt-image-12").base64 is None
    assert PROFILES["openai"].traits_of("my-gpt-image-2").base64 == "b64_json"


def test_a_size_that_is_not_made_goes_as_it_is() -> None:
    """Routing sends no such call; if one comes all the same, the upstream refuses it rather than to draw something else."""
    assert body(PROFILES["together"], size="4096x4096")["width"] == 4096
    assert body(PROFILES["recraft"], size="1000x300")["size"] == "1000x300"
    wide = body(PROFILES["xai"], size="3000x1000")
    assert (wide["aspect_ratio"], "resolution" in wide) == ("3:1", False)


def test_fixed_fields_give_way_to_the_offers() -> None:
    """What a profile always sends is a default: the operator's `extra` goes over it."""
    assert body(PROFILES["ark"])["watermark"] is False
    assert body(PROFILES["ark"], extra=(("watermark", "true"),))["watermark"] is True


def test_a_profile_is_nothing_but_data() -> None:
    """A server with quirks of its own, made up here: every field that a profile has is used."""
    traits = Traits(
        n=(1,),
        sends_n=False,
        size_form=SizeForm.SIDES,
        params=frozenset({"quality", "output_format"}),
        base64="raw",
        output_format=None,
        fixed={"safe": True},
    )
    profile = Profile(traits=traits)
    expected = {"width": 1024, "height": 1536, "response_format": "raw", "safe": True, "quality": "high"}
    assert body(profile) == expected
    assert body(profile, response_format="url") == expected | {"response_format": "url"}
    without = body(profile, response_format="", params="")
    assert without == {"width": 1024, "height": 1536, "safe": True}
    assert orjson.loads(orjson.dumps(expected)) == expected


@pytest.mark.parametrize(
    ("options", "formats", "links_live_s"),
    [
        ({}, {OutputFormat.JPEG, OutputFormat.PNG}, None),
        ({"params": "user"}, {OutputFormat.JPEG}, None),
        ({"response_format": "url"}, {OutputFormat.JPEG, OutputFormat.PNG}, 3600.0),
        ({"response_format": ""}, {OutputFormat.JPEG, OutputFormat.PNG}, 3600.0),
    ],
)
def test_options_change_what_is_declared(
    options: dict[str, str], formats: set[OutputFormat], links_live_s: float | None
) -> None:
    """A format that cannot be asked for is the one that comes; links are declared where they are asked for, or nothing is."""
    settings = UpstreamSettings(
        "u", "openai", base_url="http://127.0.0.1:9", options={"profile": "together", **options}
    )
    with ThreadPoolExecutor(1) as threads:
        found = OpenAIAdapter(settings, Resources(SystemClock(), threads)).capabilities("m")
    assert (set(found.output_formats), found.links_live_s) == (formats, links_live_s)
