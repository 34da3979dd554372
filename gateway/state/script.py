"""A Lua script that the server runs as one step."""

from dataclasses import dataclass, field
from hashlib import sha1


@dataclass(frozen=True, slots=True)
class Script:
    """Its text, and the name by which the server knows it once it has run. All its keys must share one hash tag (`{…}`)."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # SHA-1 is what EVALSHA names scripts by; nothing is kept secret or safe with it.
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())
