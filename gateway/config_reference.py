"""The configuration reference, made from the models that check a config: each setting with its type, its bounds, its default and how to write it.

`docs/configuration-reference.md` is what this writes, which a test holds it to; what settings mean is told in docs/configuration.md. Pure.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, PlainValidator
from pydantic.fields import FieldInfo

from gateway import config_sections
from gateway.app_reload import RESTART
from gateway.config_schema import ConfigFile
from gateway.config_sections import ModelSection, Section
from gateway.config_text import parse_duration_s
from gateway.domain.accounts import Budget

HEAD = """# Configuration reference

Every setting of the config file, made from the code by `gateway config-reference`. What they mean and how they work together is told in
[Configuration](configuration.md).

`NAME` is a name of yours, `[]` an entry of a list. Text may have [variables and files](configuration.md#values) in it. A duration is a number with
`ms`, `s`, `m`, `h` or `d`, or seconds without; a budget is `AMOUNT(usd|credits|images)/(day|week|month|total)`. A default of *none* is `null`, or
leaving the setting out. A key that is not here is an error.
"""
_COLUMNS = "| setting | type | default | in the file |\n|---|---|---|---|\n"
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))
_KNOWN: dict[Callable[..., object], str] = {
    parse_duration_s: "duration",
    config_sections.option_duration: "duration",
    config_sections.json_text: "anything",
    config_sections.text_of_any: "text or number",
    config_sections.expiry: "day or moment",
    config_sections.http_url: "URL",
    config_sections.usd_budget: "budget in USD",
}
"""Types that a check makes of text."""
_NAMES: dict[object, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    str: "text",
    Decimal: "number",
    Budget: "budget",
    date: "day",
    object: "anything",
}
_BY_RESTART = {setting.partition(".")[0] for setting in RESTART.values()} | {
    "s3_endpoint",
    "s3_region",
    "s3_path_style",
}
_RELOAD = "a [reload](configuration.md#a-changed-config)"
_AT_START, _AT_RELOAD = "Changes take effect at the next start.", f"Changes take effect at {_RELOAD}."
_MIXED = {
    "upstreams": f"A changed `budget`, and an upstream that is gone, take effect at {_RELOAD}, everything else at the next start.",
    "cache": f"A changed bound takes effect at the next start, everything else at {_RELOAD}.",
}
_MANY = {"whole number": "whole numbers", "budget": "budgets", "section": "sections", "number": "numbers"}


def reference() -> str:
    """The whole page, as Markdown."""
    parts, plain = [HEAD], list[str]()
    for name, field in ConfigFile.model_fields.items():
        inner = ModelSection if name == "models" else section_in(field.annotation)[0]
        if inner is None:
            when = "restart" if name in _BY_RESTART else "reload"
            plain.append(_row(name, field).rstrip("\n") + f" {when} |\n")
            continue
        suffix = ".NAME" if name == "models" else section_in(field.annotation)[1]
        rows = "".join(_row(path, found) for path, found in walk(inner, f"{name}{suffix}."))
        when = _MIXED.get(name) or (_AT_START if name in _BY_RESTART else _AT_RELOAD)
        parts.append(f"\n## {name}\n\n{field.description} {when}\n\n{_COLUMNS}{rows}")
    head, rule = _COLUMNS.splitlines()
    parts.insert(1, f"\n## At the top\n\n{head} a change takes effect at |\n{rule}---|\n{''.join(plain)}")
    return "".join(parts)


def walk(schema: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of a section and of those inside it, by its full name."""
    for name, field in schema.model_fields.items():
        inner, suffix = section_in(field.annotation)
        if inner is None or suffix or field.is_required() or field.default is None:
            yield f"{prefix}{name}", field
        if inner is not None:
            yield from walk(inner, f"{prefix}{name}{suffix}.")


def section_in(annotation: Any) -> tuple[type[Section] | None, str]:
    """The section behind a field's type, and how it is reached: `[]` in a list, `.NAME` in a mapping."""
    if get_origin(annotation) is Annotated or NoneType in get_args(annotation):
        return section_in(next(item for item in get_args(annotation) if item is not NoneType))
    if get_origin(annotation) in (tuple, dict):
        suffix = "[]" if get_origin(annotation) is tuple else ".NAME"
        return section_in(get_args(annotation)[0 if suffix == "[]" else 1])[0], suffix
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return (annotation if is_section else None), ""


def _row(path: str, field: FieldInfo) -> str:
    fix = (field.description or "").replace("|", "\\|")
    return f"| `{path}` | {type_of(field.annotation, field.metadata)} | {_default(field)} | {fix} |\n"


def type_of(annotation: Any, metadata: Sequence[object] = ()) -> str:
    """In words, with bounds: `whole number, 1 to 64`, `list of text`, `duration`."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return type_of(inner, [*more, *metadata])
    if NoneType in get_args(annotation):
        [inner] = [item for item in get_args(annotation) if item is not NoneType]
        return type_of(inner, metadata)
    flat = [item for found in metadata for item in (found.metadata if isinstance(found, FieldInfo) else [found])]
    checks = [item.func for item in flat if isinstance(item, AfterValidator | BeforeValidator | PlainValidator)]
    known = next((_KNOWN[check] for check in checks if check in _KNOWN), None)
    return (known or _plain_type(annotation)) + _bounds(flat, is_duration=known == "duration")


def _plain_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:  # sorted: typing takes those of one set for the same, in the order that came first
        return ", ".join(f"`{value}`" for value in sorted(arguments))
    if origin is tuple:
        one, comma, bounds = type_of(arguments[0]).partition(",")
        return f"list of {_MANY.get(one, one)}{comma}{bounds}"
    if origin is dict:
        return f"by name: {type_of(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{value.value}`" for value in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _NAMES[annotation]


def _bounds(metadata: Sequence[object], *, is_duration: bool) -> str:
    def shown(value: object) -> str:
        return _duration(float(str(value))) if is_duration else f"{Decimal(str(value)):f}"

    least = most = above = below = None
    for item in metadata:
        match item:
            case Ge(ge=value) if value != 0 or not is_duration:
                least = shown(value)
            case Gt(gt=value):
                above = shown(value)
            case Le(le=value):
                most = shown(value)
            case Lt(lt=value):
                below = shown(value)
            case MinLen(min_length=length) if length > 1:
                least = f"{length} long"
            case MaxLen(max_length=length):
                most = f"{length} long"
    if least is not None and most is not None:
        return f", {least} to {most}"
    told = [("at least", least), ("above", above), ("at most", most), ("below", below)]
    return "".join(f", {word} {value}" for word, value in told if value is not None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case None:
            return "none"
        case "" | () | {}:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{_duration(value)}`"
        case tuple():
            return ", ".join(f"`{getattr(item, 'value', item)}`" for item in value)
        case StrEnum():
            return f"`{value.value}`"
        case _:
            return f"`{value}`"


def _duration(seconds: float) -> str:
    """`2m` and not `120s`, but `45s` and `90s`."""
    for unit, unit_s in _UNITS:
        if seconds and seconds % unit_s == 0:
            return f"{seconds / unit_s:g}{unit}"
    return f"{seconds:g}s"
