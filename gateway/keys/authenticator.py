"""From a header to the Principal behind it: one HMAC and one dictionary look-up.

Holds every key's digest in memory, handed over at start and replaced as a whole, and notes when each key was last used; reads no database and
stores nothing. It fails closed: what is not in the dictionary is nobody. Messages never repeat what the caller sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.domain.accounts import Principal
from gateway.domain.clock import Clock
from gateway.domain.errors import InvalidKey, KeyDisabled, KeyExpired, MissingKey
from gateway.domain.ids import KeyId
from gateway.keys.last_used import LastUsed
from gateway.keys.secrets import SECRET_CHARS_MAX, digest, is_mistyped


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One secret of one key. Two records of a key (a rotation's overlap) share `key_id`; the old one has an earlier end of its own."""

    key_id: KeyId
    digest: str
    principal: Principal
    expires_at_ms: int | None = None
    disabled: bool = False
    display: str = ""
    """Its first characters, to recognise the key by."""


class Authenticator:
    """All keys of this gateway."""

    def __init__(self, pepper: bytes, clock: Clock, records: Iterable[KeyRecord] = ()) -> None:
        if not pepper:
            raise ValueError("the pepper is empty: anybody could compute digests")
        self._pepper = pepper
        self._clock = clock
        self._records: Mapping[str, KeyRecord] = MappingProxyType({})
        self.used = LastUsed()
        """By key id: either secret counts. A refused key is not used."""
        self.replace(records)

    def replace(self, records: Iterable[KeyRecord]) -> None:
        """From now on exactly these keys are valid. Raises ValueError where two keys share a secret, and keeps the old ones."""
        fresh: dict[str, KeyRecord] = {}
        for record in records:
            other = fresh.setdefault(record.digest, record)
            if other.key_id != record.key_id:
                raise ValueError(f"keys {other.key_id} and {record.key_id} have the same secret")
            fresh[record.digest] = record
        self._records = MappingProxyType(fresh)

    def authenticate(self, authorization: str | None, api_key: str | None = None) -> Principal:
        """`authorization` and `api_key` are the headers' values; a bearer token wins. Raises MissingKey, InvalidKey, KeyDisabled or KeyExpired."""
        secret = bearer(authorization) or (api_key or "").strip()
        if not secret:
            raise MissingKey("No API key. Send the header 'Authorization: Bearer <key>' or 'api-key: <key>'.")
        return self.admit(secret).principal

    def admit(self, secret: str) -> KeyRecord:
        """By the secret itself. Raises InvalidKey, KeyDisabled or KeyExpired."""
        if len(secret) > SECRET_CHARS_MAX or is_mistyped(secret):
            raise InvalidKey("This API key is not valid: check that it was copied whole.")
        try:
            return self.admit_digest(digest(self._pepper, secret))
        except UnicodeEncodeError:
            return self.admit_digest("")

    def admit_digest(self, known_as: str, *, is_use: bool = True) -> KeyRecord:
        """By the digest of a secret that was admitted before. `is_use`: whether it counts as used. Raises InvalidKey, KeyDisabled or KeyExpired."""
        record = self._records.get(known_as)
        if record is None:
            raise InvalidKey("This API key is not known here: check it, or ask your administrator for one.")
        if record.disabled:
            raise KeyDisabled(
                "This API key is disabled: ask your administrator.", log=f"key {record.key_id} is disabled"
            )
        now_ms = self._clock.now_ms()
        if record.expires_at_ms is not None and now_ms >= record.expires_at_ms:
            raise KeyExpired(
                "This API key has expired: ask your administrator for a new one.", log=f"key {record.key_id} expired"
            )
        if is_use:
            self.used.note(record.key_id, now_ms)
        return record


def bearer(authorization: str | None) -> str:
    """The token after `Bearer`, spaces inside kept; empty for another scheme."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
