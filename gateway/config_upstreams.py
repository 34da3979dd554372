"""From an upstream's section of the config to what its adapter is given."""

from collections.abc import Mapping

from pydantic import BaseModel

from gateway.config_sections import UPSTREAM_OPTIONS, UpstreamSection
from gateway.config_text import Problems, join
from gateway.upstreams.base import UpstreamSettings
from gateway.upstreams.registry import usual_base_url


def settings_of(name: str, section: UpstreamSection, options: Mapping[str, str]) -> UpstreamSettings:
    return UpstreamSettings(
        name=name,
        kind=section.kind,
        base_url=section.base_url or usual_base_url(section.kind, options),
        api_key=section.api_key.strip(),
        timeout_s=section.timeout,
        connect_timeout_s=section.connect_timeout,
        concurrency=section.concurrency,
        queue_max=section.queue.max,
        queue_wait_s=section.queue.wait,
        on_unknown=section.on_unknown,
        proxy=section.proxy,
        ca_file=section.ca_file,
        options=options,
    )


def options_of(section: UpstreamSection) -> dict[str, str]:
    """What is given of the settings that only one kind understands, as text; a section of its own as JSON."""
    given = {name: getattr(section, name) for names in UPSTREAM_OPTIONS.values() for name in names}
    return {
        name: value.model_dump_json() if isinstance(value, BaseModel) else str(value)
        for name, value in given.items()
        if value is not None
    }


def check_described(name: str, section: UpstreamSection, problems: Problems) -> None:
    """A vendor that nobody knows has no usual address and no preset."""
    if section.kind == "task_api":
        for key in ("base_url", "task_api"):
            if getattr(section, key) is None:
                fix = UpstreamSection.model_fields[key].description or ""
                problems.add(join(join("upstreams", name), key), None, "is missing for kind task_api", fix)
