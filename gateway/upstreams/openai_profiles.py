"""Who speaks OpenAI's Images API, and in what each of them differs from it: data that the `openai` adapter reads. Pure.

A vendor or server is a Profile; what depends on the model is in its Traits. Sources: the vendors' references, read in November 2026. What they leave
open is declared as not able, so that routing does not send there what may be refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from gateway.domain.catalog import CostSource, MaskPolarity
from gateway.domain.images import OutputFormat, Quality
from gateway.domain.sizes import PixelBounds, Ratios, Sizes, Step, listed
from gateway.domain.tasks import Fault
from gateway.upstreams.answers import ImagesAnswer
from gateway.upstreams.faults import Row


class EditForm(StrEnum):
    """How the caller's pictures are written."""

    MULTIPART = "multipart"  # a form with files, as OpenAI
    OBJECTS = "objects"  # JSON: `image` is {url}, `images` a list of such, with data URLs
    TEXTS = "texts"  # JSON: data URLs, one as a text, several as a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """How pictures are edited: the fields of a generation, and the pictures."""

    form: EditForm = EditForm.MULTIPART
    path: str = "/images/edits"
    masked_path: str | None = None
    """Where edits with a mask go, if not there, too."""
    one: str = "image"
    """The field of one picture."""
    several: str = "image[]"
    """That of several."""
    leaves_out: frozenset[str] = frozenset()
    """Fields of a generation that edits do not know."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Sent with every edit."""
    keep_size: bool = False
    """They come in the size of their picture."""


class SizeForm(StrEnum):
    """How a size is written."""

    SIZE = "size"  # one text, as OpenAI
    SIDES = "width, height"  # two numbers
    RATIO = "aspect_ratio, resolution"  # a ratio, and a step where the upstream has such


def up_to(count: int) -> tuple[int, ...]:
    return tuple(range(1, count + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How one model is asked for, and what it makes."""

    n: tuple[int, ...] = up_to(10)
    sends_n: bool = True
    """False: there is no such field, and one call is one picture."""
    sizes: Sizes | None = None
    size_form: SizeForm = SizeForm.SIZE
    params: frozenset[str] = frozenset()
    """Optional parameters of OpenAI's contract that are understood; all others are left out."""
    qualities: frozenset[Quality] | None = None
    """Values of `quality`, where not all of OpenAI's."""
    base64: str | None = "b64_json"
    """How `response_format` spells base64; None: there is no such field, and the answer has pictures in base64 anyway."""
    output_format: OutputFormat | None = OutputFormat.PNG
    """What comes unasked; None: nobody promises one."""
    output_formats: frozenset[OutputFormat] = frozenset(OutputFormat)
    """What may be asked for, where `output_format` is among the parameters."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Sent with every call."""
    prompt_chars_max: int | None = None
    edits: Edits | None = None
    """None: it makes pictures from text alone."""
    references_max: int = 0
    mask: MaskPolarity | None = None
    streams: bool = False
    cost: CostSource = CostSource.CATALOG


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A GET that costs nothing."""

    path: str = "/models"
    needs_key: bool = True
    """Whether an answer proves that the key is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One vendor or server."""

    base_url: str = ""
    """The usual one; empty where only the operator knows it."""
    needs_key: bool = True
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    path: str = "/images/generations"
    check: Check | None = field(default_factory=Check)
    links_live_s: float | None = None
    """How long its links live, where it was told to answer with links."""
    cost_usd: Callable[[ImagesAnswer], Decimal | None] | None = None
    """Reads what the answer says the call cost."""
    empty_is_refusal: bool = False
    """A success without any item is how it refuses content."""
    rows: tuple[Row, ...] = ()
    """Errors that the general table does not know, or takes for something else."""
    models: tuple[tuple[str, Traits], ...] = ()
    """Traits by a regular expression that matches a model's whole name; the first counts."""
    traits: Traits = Traits()
    """Those of every other model."""

    def traits_of(self, upstream_model: str) -> Traits:
        for pattern, traits in self.models:
            if re.fullmatch(pattern, upstream_model):
                return traits
        return self.traits


def _ticks_usd(answer: ImagesAnswer) -> Decimal | None:
    """xAI counts in ticks of 1e-10 USD."""
    ticks = answer.usage.cost_in_usd_ticks if answer.usage is not None else None
    return None if ticks is None else Decimal(ticks).scaleb(-10)


def _credits_usd(answer: ImagesAnswer) -> Decimal | None:
    """A thousand of Recraft's units are one USD."""
    return None if answer.credits is None else answer.credits / 1000


# --- OpenAI, and gateways that pass its models on

_GPT_IMAGE_PARAMS = frozenset(
    ("quality", "background", "output_format", "output_compression", "moderation", "user", "safety_identifier")
)
"""`response_format` and `style` are missing on purpose: GPT image models answer 400 unknown_parameter to them."""
OTHER_PARAMS = frozenset(("quality", "output_format", "style", "user"))
"""What servers that copy the API accept or ignore, going by their documentation."""

GPT_IMAGE = Traits(
    params=_GPT_IMAGE_PARAMS,
    base64=None,
    edits=Edits(leaves_out=frozenset({"moderation"})),  # OpenAI's own client has no such parameter for edits
    references_max=16,
    mask=MaskPolarity.TRANSPARENT,
    streams=True,
    cost=CostSource.TOKENS,
)
_GPT_IMAGE_1 = replace(GPT_IMAGE, sizes=listed("1024x1024", "1024x1536", "1536x1024"))
_GPT_IMAGE_1_5 = replace(_GPT_IMAGE_1, params=_GPT_IMAGE_PARAMS | {"input_fidelity"})
"""Its smaller sister knows the lower fidelity alone, and later models the higher one."""
_GPT_IMAGE_2 = replace(
    GPT_IMAGE, sizes=PixelBounds(multiple_of=16, edge_max=3840, area_min=655_360, area_max=8_294_400, ratio_max=3)
)
GPT_IMAGE_MODELS: tuple[tuple[str, Traits], ...] = (
    (r"(?:.*/)?(?:gpt-image-1\.5.*|chatgpt-image-.*)", _GPT_IMAGE_1_5),
    (r"(?:.*/)?gpt-image-1(?:[^0-9].*)?", _GPT_IMAGE_1),
    (r"(?:.*/)?gpt-image-2(?:[^0-9].*)?", _GPT_IMAGE_2),
    (r"(?:.*/)?gpt-image-.*", GPT_IMAGE),  # those to come
)
_OPENAI = Profile(base_url="https://api.openai.com/v1", models=GPT_IMAGE_MODELS, traits=Traits(params=OTHER_PARAMS))
_GATEWAY = Profile(models=GPT_IMAGE_MODELS, traits=Traits(params=OTHER_PARAMS))
"""LiteLLM and new-api: wherever it is, in front of whatever it is."""

# --- vendors

_ANY_SIZE = PixelBounds(edge_min=16, edge_max=4096)
"""Where the model behind decides, within reason."""

_DEEPINFRA = Profile(
    base_url="https://api.deepinfra.com/v1/openai",
    check=Check(needs_key=False),  # the list is public
    # Its examples show JPEG; what its other models make is not said.
    traits=Traits(params=frozenset({"user"}), sizes=_ANY_SIZE, output_format=None, edits=Edits(), references_max=1),
)
_TOGETHER = Profile(
    base_url="https://api.together.xyz/v1",
    links_live_s=3600.0,  # assumed
    traits=Traits(
        n=up_to(4),
        sizes=PixelBounds(multiple_of=16, edge_min=64, edge_max=1792),
        size_form=SizeForm.SIDES,
        params=frozenset({"output_format"}),
        base64="base64",
        output_format=OutputFormat.JPEG,
        output_formats=frozenset({OutputFormat.JPEG, OutputFormat.PNG}),
        edits=Edits(form=EditForm.TEXTS, path="/images/generations", one="image_url"),
        references_max=1,
    ),
)
# Without 9:19.5 and 19.5:9: a ratio is written in whole numbers here.
_XAI_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:20", "20:9", "1:2", "2:1")
_XAI = Profile(
    base_url="https://api.x.ai/v1",
    links_live_s=3600.0,  # assumed: "temporary" is all that is said
    cost_usd=_ticks_usd,
    empty_is_refusal=True,
    # The general table knows the usual sentence, which names both reasons.
    rows=(Row(Fault.NO_MONEY, statuses=(403, 429), message=r"monthly spending limit|purchase more credits"),),
    traits=Traits(
        sizes=Ratios(_XAI_RATIOS, steps=(Step("1k", 1024), Step("2k", 2048))),
        size_form=SizeForm.RATIO,
        params=frozenset({"quality", "user"}),
        qualities=frozenset({Quality.LOW, Quality.MEDIUM}),
        output_format=OutputFormat.JPEG,
        edits=Edits(form=EditForm.OBJECTS, several="images"),
        references_max=1,  # it takes more, and a mask; how many and of which polarity is not said
        cost=CostSource.ANSWER,
    ),
)


def _seedream(area_min: int, references_max: int) -> Traits:
    """`user` and `n` are unknown to it. The watermark is its default."""
    return Traits(
        n=(1,),
        sends_n=False,
        sizes=PixelBounds(area_min=area_min, area_max=4096 * 4096, ratio_max=16),
        output_format=OutputFormat.JPEG,
        fixed={"watermark": False},
        edits=Edits(form=EditForm.TEXTS, path="/images/generations", several="image"),
        references_max=references_max,
    )


_ARK = Profile(
    base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
    check=None,
    links_live_s=24 * 3600.0,
    models=((r".*seedream-4-0.*", _seedream(1280 * 720, 10)),),
    traits=_seedream(2560 * 1440, 14),
)
_RECRAFT = Profile(
    base_url="https://external.api.recraft.ai/v1",
    check=Check(path="/users/me"),
    links_live_s=24 * 3600.0,
    cost_usd=_credits_usd,
    traits=Traits(
        n=up_to(6),
        sizes=listed(
            *("1024x1024", "1365x1024", "1024x1365", "1536x1024", "1024x1536", "1820x1024", "1024x1820"),
            *("1024x2048", "2048x1024", "1434x1024", "1024x1434", "1024x1280", "1280x1024", "1024x1707", "1707x1024"),
        ),
        output_format=OutputFormat.WEBP,
        prompt_chars_max=1_000,
        edits=Edits(
            path="/images/imageToImage",
            masked_path="/images/inpaint",
            leaves_out=frozenset({"size"}),
            fixed={"strength": 0.5},  # it wants one; an offer's `extra` says another
            keep_size=True,
        ),
        references_max=1,
        mask=MaskPolarity.WHITE,
        cost=CostSource.ANSWER,
    ),
)

# --- servers of one's own: free, and open unless they were given a key

_VLLM_OMNI = Profile(
    base_url="http://127.0.0.1:8000/v1",
    needs_key=False,
    check=Check(needs_key=False),
    traits=Traits(params=frozenset({"user"}), sizes=_ANY_SIZE, edits=Edits(), references_max=1),
)
_SGLANG = Profile(
    base_url="http://127.0.0.1:30000/v1",
    needs_key=False,
    check=Check(needs_key=False),
    traits=Traits(params=frozenset({"user"}), sizes=_ANY_SIZE, edits=Edits(), references_max=1),
)
_LOCALAI = Profile(  # no usual address: its usual port is this gateway's own
    needs_key=False,
    check=Check(needs_key=False),
    # Of edits it has inpainting alone, always of 512x512 pixels: none is declared.
    traits=Traits(params=frozenset({"user"}), sizes=_ANY_SIZE),
)
_OLLAMA = Profile(
    base_url="http://127.0.0.1:11434/v1",
    needs_key=False,
    check=Check(needs_key=False),
    traits=Traits(n=(1,), params=frozenset({"user"}), sizes=_ANY_SIZE),
)

DEFAULT_PROFILE = "openai"
PROFILES: Mapping[str, Profile] = {
    "ark": _ARK,
    "deepinfra": _DEEPINFRA,
    "litellm": _GATEWAY,
    "localai": _LOCALAI,
    "new-api": _GATEWAY,
    "ollama": _OLLAMA,
    DEFAULT_PROFILE: _OPENAI,
    "recraft": _RECRAFT,
    "sglang": _SGLANG,
    "together": _TOGETHER,
    "vllm-omni": _VLLM_OMNI,
    "xai": _XAI,
}
"""By what stands under `profile:` of an upstream of kind openai; without it, DEFAULT_PROFILE."""


def profile_of(options: Mapping[str, str]) -> Profile:
    """The profile that an upstream's options name. Raises ValueError for one that there is not."""
    name = options.get("profile", DEFAULT_PROFILE)
    if name not in PROFILES:
        raise ValueError(f"profile: {name!r} is unknown; write one of {', '.join(PROFILES)}")
    return PROFILES[name]
