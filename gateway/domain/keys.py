"""API keys as they are kept and shown: never their secrets."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.ids import AccountId, KeyId
from gateway.domain.images import Contract

OVERLAP_S = 24 * 3600
"""How long a rotated key's old secret stays valid, where nobody says otherwise."""
OVERLAP_S_MAX = 30 * 24 * 3600


class KeyState(StrEnum):
    """Whether a key is let in, and if not, why not."""

    ACTIVE = "active"  # let in
    EXPIRED = "expired"  # its end has come; a later one brings it back
    REVOKED = "revoked"  # by an administrator, or gone from the config; for good
    DISABLED = "disabled"  # its account, or its team's or org's, is


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key as it is stored."""

    id: KeyId
    account: AccountId
    name: str
    digest: str = field(repr=False)
    display: str
    response: Contract | None
    models: tuple[str, ...]
    declared: bool
    """From the config, and following it."""
    created_at_ms: int
    expires_at_ms: int | None = None
    disabled_at_ms: int | None = None
    old_digest: str | None = field(default=None, repr=False)
    """Of the secret before the latest rotation, which is valid until `old_until_ms`."""
    old_until_ms: int | None = None
    used_at_ms: int | None = None
    """About when a call was last made with it: written down every half minute."""
    choose_upstream: bool = False
    """Whether its calls may prefer upstreams, or exclude others."""
    cache: bool = True
    """Whether its calls may be answered with pictures that others had made, and others with its own."""

    callback_version: int = 1
    """Of the secret that signs its callbacks; a rotation is the next one."""
    callback_old_until_ms: int | None = None
    """Until then the version before signs, too."""

    def state(self, now_ms: int, *, account_disabled: bool) -> KeyState:
        """`account_disabled`: whether any account of its path is."""
        if self.disabled_at_ms is not None:
            return KeyState.REVOKED
        if account_disabled:
            return KeyState.DISABLED
        expired = self.expires_at_ms is not None and now_ms >= self.expires_at_ms
        return KeyState.EXPIRED if expired else KeyState.ACTIVE

    def overlaps_until_ms(self, now_ms: int) -> int | None:
        """Until when a secret before the present one is valid, too; None where none is."""
        until_ms = self.old_until_ms
        return until_ms if until_ms is not None and until_ms > now_ms and self.disabled_at_ms is None else None
