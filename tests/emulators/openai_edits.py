"""OpenAI's edits: a form whose scalars are text, up to 16 pictures as `image` or `image[]`, a mask whose transparent area is made anew."""

from collections.abc import Mapping
from dataclasses import replace

from tests.emulators.inputs import Unusable, read_form, take, tokens
from tests.emulators.openai_rules import Invalid, Job
from tests.emulators.records import Received

PICTURES_MAX = 16
_NUMBERS = frozenset({"n", "output_compression", "partial_images"})
_TRUTHS = {"true": True, "false": False}


def edit_fields(received: Received) -> Mapping[str, object] | None:
    """The scalars of a form with their types; None where the body is none."""
    form = read_form(received)
    if form is None:
        return None
    return {name: _typed(name, value) for name, value in form.fields.items() if name != "input_fidelity"}


def with_pictures(received: Received, job: Job) -> Job:
    """The job of a form with its pictures, or Invalid."""
    form = read_form(received)
    files = form.files if form is not None else {}
    unknown = files.keys() - {"image", "image[]", "mask"}
    if unknown:
        raise Invalid("unknown_parameter", f"Unknown parameter: '{min(unknown)}'.", min(unknown))
    if "moderation" in (form.fields if form is not None else {}):
        raise Invalid("unknown_parameter", "Unknown parameter: 'moderation'.", "moderation")
    fidelity = form.fields.get("input_fidelity") if form is not None else None
    if fidelity is not None and "gpt-image-1.5" not in job.model:
        message = f"The model '{job.model}' does not support 'input_fidelity'."
        raise Invalid("invalid_input_fidelity_model", message, "input_fidelity")
    images = [*files.get("image", []), *files.get("image[]", [])]
    if not images:
        raise Invalid("missing_required_parameter", "Missing required parameter: 'image'.", "image")
    if len(files.get("image", [])) > 1:
        raise Invalid("duplicate_parameter", "Duplicate parameter: 'image'.", "image")
    if len(images) > PICTURES_MAX:
        raise Invalid("array_above_max_length", f"Invalid 'image': at most {PICTURES_MAX} images.", "image")
    try:
        take(received, images, next(iter(files.get("mask", [])), None), "alpha")
    except Unusable as exc:
        raise Invalid("invalid_image_file", exc.message, "mask" if exc.mask else "image") from exc
    return replace(job, image_tokens_in=tokens(images))


def _typed(name: str, value: str) -> object:
    if name in _NUMBERS and value.isdecimal():
        return int(value)
    return _TRUTHS.get(value, value) if name == "stream" else value
