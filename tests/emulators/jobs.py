"""What the emulators of most vendors share: a valid request, the checks that make one of a JSON body, and the reason why not.

Pure. A body that the vendor would not accept raises `Invalid`, with a `kind` that each vendor turns into its own code and status. Texts are
illustrative; only what the vendors document (status, code, the field's name) is meant to be relied on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Size = tuple[int, int]
Kind = Literal["missing", "unknown", "type", "value", "low", "high", "model"]

_SIZE = re.compile(r"(\d{1,5})[x*](\d{1,5})")
_URL = re.compile(r"https?://\S+|data:(image/(png|jpeg|webp)|application/octet-stream);base64,[A-Za-z0-9+/=]+")


class Invalid(Exception):
    """A request that the vendor answers with an error of the caller's making."""

    def __init__(self, kind: Kind, message: str, param: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A valid request with everything resolved that the caller left open."""

    model: str
    prompt: str
    n: int
    size: Size
    usd_per_image: Decimal
    output_format: str = "png"
    options: Mapping[str, object] = field(default_factory=dict)
    """What only this vendor's answer needs to know."""


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object that is read field by field."""

    values: Mapping[str, object]

    def only(self, names: Iterable[str]) -> None:
        """Refuse every field that the vendor does not know."""
        known = frozenset(names)
        for name in self.values:
            if name not in known:
                raise Invalid("unknown", f"Unknown parameter: '{name}'.", name)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str, default: str | None = None, *, chars_max: int = 0) -> str:
        """A text; without a default it must be there and say something."""
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if value is None or value == "":
            raise Invalid("missing", f"Missing required parameter: '{name}'.", name)
        if not isinstance(value, str):
            raise Invalid("type", f"Invalid type for '{name}': expected a string.", name)
        if chars_max and len(value) > chars_max:
            raise Invalid("high", f"'{name}' has more than {chars_max} characters.", name)
        return value

    def choice(self, name: str, values: Iterable[str], default: str | None = None) -> str:
        """One of a few texts."""
        value, allowed = self.text(name, default), tuple(values)
        if value not in allowed:
            raise Invalid("value", f"Invalid value for '{name}': '{value}'. Allowed: {', '.join(allowed)}.", name)
        return value

    def integer(self, name: str, low: int, high: int, default: int, *, multiple: int = 1) -> int:
        """A whole number within bounds."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid("type", f"Invalid type for '{name}': expected an integer.", name)
        if value > high:
            raise Invalid("high", f"'{name}' must be at most {high}, but is {value}.", name)
        if value < low:
            raise Invalid("low", f"'{name}' must be at least {low}, but is {value}.", name)
        if value % multiple:
            raise Invalid("value", f"'{name}' must be a multiple of {multiple}, but is {value}.", name)
        return value

    def number(self, name: str, low: float, high: float) -> None:
        """A number within bounds, where its value does not matter here."""
        value = self.values.get(name)
        if value is None:
            return
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Invalid("type", f"Invalid type for '{name}': expected a number.", name)
        if not low <= value <= high:
            raise Invalid("value", f"'{name}' must be within {low} and {high}.", name)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise Invalid("type", f"Invalid type for '{name}': expected a boolean.", name)
        return value

    def pictures(self, name: str, count_max: int) -> tuple[str, ...]:
        """Links or data URLs: one text or a list of them."""
        value = self.values.get(name)
        if value is None:
            return ()
        found = value if isinstance(value, list) else [value]
        if len(found) > count_max:
            raise Invalid("high", f"'{name}' takes at most {count_max} pictures.", name)
        for one in found:
            if not isinstance(one, str) or not _URL.fullmatch(one):
                raise Invalid("value", f"'{name}' must be an http(s) URL or a data URL of a picture.", name)
        return tuple(map(str, found))


def read_object(document: Mapping[str, object] | None) -> Body:
    """The body as fields; Invalid where it is no JSON object."""
    if document is None:
        raise Invalid("type", "The body is not a JSON object.")
    return Body(document)


def parsed_size(text: str) -> Size | None:
    """`1024x768` or `1024*768`."""
    match = _SIZE.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def megapixels(size: Size) -> int:
    """As vendors that charge per megapixel count them: begun ones, of 1024 x 1024 each."""
    return -(-size[0] * size[1] // (1024 * 1024))


RATIO_SIZES: Mapping[str, Size] = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "9:21": (672, 1536),
    "21:9": (1536, 672),
    "1:2": (720, 1440),
    "2:1": (1440, 720),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (352, 2928),
    "8:1": (2928, 352),
    "9:19.5": (704, 1520),
    "19.5:9": (1520, 704),
    "9:20": (688, 1520),
    "20:9": (1520, 688),
}
"""About one megapixel in each ratio that some vendor offers; each vendor's own list says which of them it takes."""
