"""Gateways some of whose waits are short, for tests that would only wait for them: `make soak` waits in full.

What is awaited is asserted by these figures, so that it is shown that a gateway waits as long as it should. Forked processes alone.
"""

import os
from typing import Any, cast

from gateway import app_keys
from gateway.cli import main as command
from gateway.pipeline import attempts

SOAK = os.environ.get("SOAK") == "1"
HURRIED = f"{__name__}:main"
"""For GatewayProcess.target."""
KEYS_RELOAD_S: float = app_keys.KEYS_RELOAD_S if SOAK else 4.0
"""What another process did to keys is known after so long."""
GRACE_S: float = attempts.MANIFEST_GRACE_S if SOAK else 6.0
"""Beside an upstream's time-out: what a sender that might only be paused may still store is waited for."""


def shorten() -> None:
    """In the forked process, before it begins."""
    cast(Any, app_keys).KEYS_RELOAD_S = KEYS_RELOAD_S
    cast(Any, attempts).MANIFEST_GRACE_S = GRACE_S


def main() -> None:
    """`gateway …`."""
    shorten()
    command.main()
