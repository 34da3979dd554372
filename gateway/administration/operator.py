"""The commands of operators by name, for the command line beside a running gateway (api/control.py) and without one.

How it fails: AdministrationError and its kin name the argument and the remedy.
"""

from collections.abc import Mapping

from gateway.administration.reports import Arguments, Command, Report
from gateway.domain.errors import AdministrationError


class Operator:
    """Runs commands by name."""

    def __init__(self, *groups: Mapping[str, Command]) -> None:
        self._commands: dict[str, Command] = {}
        self.add(*groups)

    def add(self, *groups: Mapping[str, Command]) -> None:
        """More commands: those that need a serving gateway come later."""
        for group in groups:
            self._commands.update(group)

    async def run(self, command: str, arguments: Arguments) -> Report:
        """Raises AdministrationError and other GatewayErrors."""
        if command not in self._commands:
            raise AdministrationError(f"there is no command {command!r}; there are: {', '.join(self._commands)}")
        return await self._commands[command](arguments)
