"""Optional and fixed parameters, options of upstreams, and the registry."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from gateway.domain.catalog import CostSource, Recovery
from gateway.domain.clock import SystemClock
from gateway.domain.images import Background, ImageRequest, OutputFormat, Pixels, Quality
from gateway.domain.sizes import fit
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.kie import KIE
from gateway.upstreams.openai_profiles import PROFILES
from gateway.upstreams.options import decimal_option, rate_option, seconds_option
from gateway.upstreams.params import fixed_params, optional_params
from gateway.upstreams.registry import DEFAULT_BASE_URLS, KINDS, build, needs_base_url, needs_key, usual_base_url
from gateway.upstreams.wire import Resources

SIZES = [
    (str(pixels), pixels) for pixels in (Pixels(512, 512), Pixels(1024, 1536), Pixels(2048, 2048), Pixels(4096, 1024))
]


@pytest.fixture
def resources() -> Iterator[Resources]:
    with ThreadPoolExecutor(1) as threads:
        yield Resources(SystemClock(), threads)


def test_only_understood_parameters_are_sent() -> None:
    """What the upstream does not know is left out; defaults are not sent at all."""
    request = ImageRequest(
        "m",
        "p",
        quality=Quality.HIGH,
        background=Background.TRANSPARENT,
        output_format=OutputFormat.WEBP,
        options=(("output_compression", "80"), ("style", '"vivid"'), ("user", '"u"')),
    )
    assert optional_params(request, frozenset({"quality", "output_compression", "user", "background"})) == {
        "quality": "high",
        "background": "transparent",
        "output_compression": 80,
        "user": "u",
    }
    assert optional_params(ImageRequest("m", "p"), frozenset({"quality", "background"})) == {}


def test_fixed_parameters_get_their_type_back() -> None:
    """Numbers and booleans of the config become JSON numbers and booleans; texts stay texts, also those that look like numbers."""
    fixed = (("quality", "medium"), ("steps", "4"), ("raw", "true"), ("user", "123"), ("note", "a b"))
    assert fixed_params(fixed) == {"quality": "medium", "steps": 4, "raw": True, "user": "123", "note": "a b"}


@pytest.mark.parametrize(("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1.5", 1.5), ("1m", 60), (" 3 s", 3)])
def test_durations(text: str, seconds: float) -> None:
    """The config's forms of a duration."""
    assert seconds_option(UpstreamSettings("s", "sandbox", options={"latency": text}), "latency", 0) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "soon", "1h", "nan", "1e3"])
def test_bad_durations_name_the_option(text: str) -> None:
    """The error says which upstream, which option and what to write."""
    with pytest.raises(ValueError, match=r"upstreams\.s\.latency.*2s"):
        seconds_option(UpstreamSettings("s", "sandbox", options={"latency": text}), "latency", 0)


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "half"])
def test_bad_rates(text: str) -> None:
    """A share lies between 0 and 1."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        rate_option(UpstreamSettings("s", "sandbox", options={"failure_rate": text}), "failure_rate")


def test_decimals_stay_exact() -> None:
    """Credit rates are decimals; zero and nonsense are refused."""
    assert decimal_option(UpstreamSettings("e", "evolink", options={"r": "68.1"}), "r", "72") == Decimal("68.1")
    for text in ("0", "-1", "x", "Infinity"):
        with pytest.raises(ValueError, match="positive"):
            decimal_option(UpstreamSettings("e", "evolink", options={"r": text}), "r", "72")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in DEFAULT_BASE_URLS or kind == "sandbox"])
def test_every_kind_can_be_built_without_a_loop(kind: str, resources: Resources) -> None:
    """Adapters are made before the event loop runs and open nothing; the base URL has a default."""
    options = {"task_api": KIE.model_dump_json()} if kind == "task_api" else {}
    adapter = build(UpstreamSettings("u", kind, api_key="k", options=options), resources)
    assert (adapter.kind, adapter.name) == (kind, "u")
    assert adapter.settings.base_url == DEFAULT_BASE_URLS.get(kind, "")


def test_an_upstream_whose_address_only_the_operator_knows(resources: Resources) -> None:
    """Azure, and servers without a usual address, are not built without one; profiles and keyless servers have theirs."""
    for kind, options in (("azure", {}), ("openai", {"profile": "localai"}), ("openai", {"profile": "litellm"})):
        assert needs_base_url(kind, options)
        with pytest.raises(ValueError, match=r"upstreams\.u\.base_url: is required"):
            build(UpstreamSettings("u", kind, api_key="k", options=options), resources)
    together = build(UpstreamSettings("u", "openai", api_key="k", options={"profile": "together"}), resources)
    assert together.settings.base_url == "https://api.together.xyz/v1"
    assert usual_base_url("openai", {"profile": "deepinfra"}) == "https://api.deepinfra.com/v1/openai"
    open_ones = {name for name in PROFILES if not needs_key("openai", {"profile": name})}
    assert open_ones == {"vllm-omni", "sglang", "localai", "ollama"}
    assert (needs_key("openai", {}), needs_key("azure", {}), needs_key("sandbox", {})) == (True, True, False)


def test_unknown_profile(resources: Resources) -> None:
    """The error lists the profiles there are."""
    with pytest.raises(ValueError, match=r"'nope' is unknown; write one of ark, .*xai"):
        build(UpstreamSettings("u", "openai", options={"profile": "nope"}), resources)


def test_unknown_kind(resources: Resources) -> None:
    """The error lists the kinds there are."""
    with pytest.raises(ValueError, match=r"upstreams\.u\.kind: 'nope'.*openai, .*evolink, .*sandbox"):
        build(UpstreamSettings("u", "nope"), resources)


def test_capabilities(resources: Resources) -> None:
    """GPT image models know OpenAI's parameters but neither style nor response_format; other servers what their options say."""
    openai = build(UpstreamSettings("o", "openai"), resources)
    gpt = openai.capabilities("openai/gpt-image-2")
    assert {"quality", "background", "output_compression", "user"} <= gpt.params
    assert not {"style", "response_format"} & gpt.params
    assert (gpt.n, gpt.recovery, gpt.cost) == (tuple(range(1, 11)), Recovery.NONE, CostSource.TOKENS)
    assert [fit(gpt.sizes, size, pixels) is not None for size, pixels in SIZES] == [False, True, True, False]
    older = openai.capabilities("gpt-image-1.5")
    assert [fit(older.sizes, size, pixels) is not None for size, pixels in SIZES] == [False, True, False, False]
    assert gpt.output_formats == frozenset(OutputFormat)
    assert "style" in openai.capabilities("dall-e-3").params
    strict = build(UpstreamSettings("v", "openai", options={"params": "seed, user"}), resources)
    assert strict.capabilities("sdxl").params == {"seed", "user"}
    assert strict.capabilities("sdxl").output_formats == {OutputFormat.PNG}
    evolink = build(UpstreamSettings("e", "evolink"), resources)
    assert evolink.capabilities("gpt-4o-image").n == (1, 2, 4)
    assert evolink.capabilities("gpt-4o-image").recovery is Recovery.IDEMPOTENCY_KEY
    assert evolink.capabilities("gpt-image-2").params == {"quality"}
