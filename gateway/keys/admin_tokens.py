"""From a header to the Administrator behind it: as the authenticator does for keys, under another pepper and for other routes.

It fails closed: what is not known is nobody. Messages never repeat what the caller sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.domain.administrators import Administrator
from gateway.domain.clock import Clock
from gateway.domain.errors import InvalidKey, KeyDisabled, KeyExpired, MissingKey
from gateway.keys.authenticator import bearer
from gateway.keys.last_used import LastUsed
from gateway.keys.secrets import SECRET_CHARS_MAX, digest, is_mistyped


@dataclass(frozen=True, slots=True)
class AdminTokenRecord:
    """One admin token. `id` is None for the config's own."""

    digest: str
    administrator: Administrator
    id: str | None = None
    expires_at_ms: int | None = None
    disabled: bool = False


class AdminTokens:
    """All admin tokens of this gateway."""

    def __init__(self, pepper: bytes, clock: Clock) -> None:
        self._pepper = pepper
        self._clock = clock
        self._records: Mapping[str, AdminTokenRecord] = MappingProxyType({})
        self.used = LastUsed()
        """By token id. The config's own token has none, and is not noted."""

    def replace(self, records: Iterable[AdminTokenRecord]) -> None:
        """From now on exactly these are valid."""
        self._records = MappingProxyType({record.digest: record for record in records})

    def authenticate(self, authorization: str | None) -> Administrator:
        """By the value of the header `Authorization`. Raises MissingKey, InvalidKey, KeyDisabled, KeyExpired."""
        token = bearer(authorization)
        if not token:
            raise MissingKey("No admin token. Send the header 'Authorization: Bearer <admin token>'.")
        return self.admit(token).administrator

    def admit(self, secret: str) -> AdminTokenRecord:
        """By the token itself. Raises InvalidKey, KeyDisabled, KeyExpired."""
        if len(secret) > SECRET_CHARS_MAX or is_mistyped(secret):
            raise InvalidKey("This admin token is not valid: check that it was copied whole.")
        try:
            return self.admit_digest(digest(self._pepper, secret))
        except UnicodeEncodeError:
            return self.admit_digest("")

    def admit_digest(self, known_as: str, *, is_use: bool = True) -> AdminTokenRecord:
        """By the digest of a token that was admitted before. `is_use`: whether it counts as used. Raises InvalidKey, KeyDisabled, KeyExpired."""
        record = self._records.get(known_as)
        if record is None:
            raise InvalidKey(
                "This admin token is not known here. API keys do not administer: make a token with `gateway admin-tokens create`."
            )
        if record.disabled:
            raise KeyDisabled("This admin token is revoked.", log=f"admin token {record.id}")
        now_ms = self._clock.now_ms()
        if record.expires_at_ms is not None and now_ms >= record.expires_at_ms:
            raise KeyExpired("This admin token has expired.", log=f"admin token {record.id}")
        if record.id is not None and is_use:
            self.used.note(record.id, now_ms)
        return record
