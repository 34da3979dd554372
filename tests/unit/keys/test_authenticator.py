"""Headers in, Principal or the right error out."""

import pytest

from gateway.domain.accounts import Principal
from gateway.domain.errors import AuthenticationError, InvalidKey, KeyDisabled, KeyExpired, MissingKey
from gateway.domain.ids import AccountId, KeyId
from gateway.keys.authenticator import Authenticator, KeyRecord
from gateway.keys.secrets import digest, new_key

PEPPER = b"test pepper"
ISSUED = new_key()


class StandingClock:
    """Noon, always."""

    def now_ms(self) -> int:
        return 1_000_000

    def monotonic_s(self) -> float:
        return 0.0


def record(secret: str, name: str = "ci", expires_at_ms: int | None = None, disabled: bool = False) -> KeyRecord:
    principal = Principal(KeyId(name), name, (AccountId(f"key:acme//{name}"), AccountId("org:acme")), "acme", None)
    return KeyRecord(KeyId(name), digest(PEPPER, secret), principal, expires_at_ms, disabled)


def authenticator(*records: KeyRecord) -> Authenticator:
    return Authenticator(PEPPER, StandingClock(), records)


@pytest.mark.parametrize(
    "secret",
    [ISSUED, "12345678", "a secret with spaces", "schlüssel-eins", "igw_not-an-issued-one", "x" * 512],
    ids=["issued", "shortest", "spaces", "umlaut", "issued_prefix", "longest"],
)
@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}  ", None])
def test_every_kind_of_secret_is_accepted_in_every_form(secret: str, form: str | None) -> None:
    """Issued and declared keys, by bearer token of any case and by the api-key header."""
    keys = authenticator(record(secret))
    principal = keys.authenticate(form.format(secret)) if form else keys.authenticate(None, f" {secret} ")
    assert principal.key_name == "ci"


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [(None, None), ("", ""), ("Bearer", None), ("Bearer   ", "  "), ("Basic Y2k6Y2k=", None)],
)
def test_no_key_is_missing(authorization: str | None, api_key: str | None) -> None:
    """No header, an empty one, or another scheme: 401 missing_api_key that says what to send."""
    with pytest.raises(MissingKey, match="Authorization: Bearer"):
        authenticator(record(ISSUED)).authenticate(authorization, api_key)


def test_bearer_wins_over_api_key_and_another_scheme_does_not_hide_it() -> None:
    """A bearer token decides alone; a proxy's Basic credentials leave the api-key header to speak."""
    keys = authenticator(record("first key"), record("second key", "other"))
    assert keys.authenticate("Bearer first key", "second key").key_name == "ci"
    assert keys.authenticate("Basic Y2k6Y2k=", "second key").key_name == "other"
    with pytest.raises(InvalidKey):
        keys.authenticate("Bearer wrong key", "second key")


@pytest.mark.parametrize(
    "secret",
    ["sk-unknown-key", new_key(), ISSUED[:-1] + "?", "x" * 513, "\ud800 bad text", "\udcff\udcfe bytes"],
    ids=["other_kind", "issued_elsewhere", "mistyped", "too_long", "surrogate", "bytes"],
)
def test_unknown_keys_are_invalid_and_never_repeated(secret: str) -> None:
    """Unknown, mistyped, overlong or unreadable: 401 invalid_api_key without a word of what was sent."""
    with pytest.raises(InvalidKey) as caught:
        authenticator(record(ISSUED), record("x" * 513, "long")).authenticate(f"Bearer {secret}")
    assert secret not in caught.value.message


def test_checksum_refuses_before_the_look_up() -> None:
    """A mistyped issued key is refused even if somebody stored its digest."""
    wrong = ISSUED[:-1] + ("0" if ISSUED[-1] != "0" else "1")
    with pytest.raises(InvalidKey, match="copied whole"):
        authenticator(record(wrong)).authenticate(f"Bearer {wrong}")


def test_disabled_and_expired_keys_have_their_own_errors() -> None:
    """The caller learns which; a key is expired from its very millisecond on."""
    now = StandingClock().now_ms()
    keys = authenticator(
        record("disabled", "a", disabled=True), record("expired!", "b", now), record("still good", "c", now + 1)
    )
    with pytest.raises(KeyDisabled):
        keys.authenticate("Bearer disabled")
    with pytest.raises(KeyExpired):
        keys.authenticate("Bearer expired!")
    assert keys.authenticate("Bearer still good").key_name == "c"


def test_replace_revokes_and_adds_at_once() -> None:
    """After a reload only the new keys are valid; two secrets of one key may overlap."""
    keys = authenticator(record("old secret"))
    keys.replace([record("new secret"), record("newer secret")])
    with pytest.raises(AuthenticationError):
        keys.authenticate("Bearer old secret")
    assert keys.authenticate("Bearer new secret") == keys.authenticate("Bearer newer secret")


def test_shared_secret_is_refused_and_the_old_keys_stay() -> None:
    """Two keys with one secret cannot be told apart: the replacement is refused as a whole."""
    keys = authenticator(record("old secret"))
    with pytest.raises(ValueError, match="same secret"):
        keys.replace([record("same same", "a"), record("same same", "b")])
    assert keys.authenticate("Bearer old secret").key_name == "ci"


def test_empty_pepper_is_refused() -> None:
    """Without a pepper digests would protect nothing."""
    with pytest.raises(ValueError, match="pepper"):
        Authenticator(b"", StandingClock())
