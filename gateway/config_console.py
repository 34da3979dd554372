"""The section about the web console: whether there is one, and how long who signs in stays so."""

from dataclasses import dataclass

from pydantic import Field

from gateway.config_sections import Duration, Section

IDLE_S_MIN = 60.0
ABSOLUTE_S_MAX = 90 * 86_400.0


class ConsoleSection(Section):
    enabled: bool = Field(True, description="Write true or false.")
    idle: Duration = Field(
        28_800.0, ge=IDLE_S_MIN, le=ABSOLUTE_S_MAX, description="Write a duration from 1m to 90d, such as 8h."
    )
    absolute: Duration = Field(
        604_800.0, ge=IDLE_S_MIN, le=ABSOLUTE_S_MAX, description="Write a duration from 1m to 90d, such as 7d."
    )


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    enabled: bool
    idle_s: int
    """After so long without a request a session ends."""
    absolute_s: int
    """After so long it ends, whatever comes."""


def console_of(section: ConsoleSection) -> ConsoleConfig:
    return ConsoleConfig(section.enabled, round(section.idle), round(section.absolute))
