"""Where the shared state is, by what a config may say."""

from pathlib import Path

import pytest

from gateway.state.address import StateAddress, parse_state


def test_memory_is_no_address() -> None:
    assert parse_state("memory") is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://cache", StateAddress("cache")),
        ("redis://cache:6380/3", StateAddress("cache", 6380, database=3)),
        ("valkey://:s%3Acret@[::1]:1/", StateAddress("::1", 1, password="s:cret")),
        ("rediss://app:pw@cache:6379/1", StateAddress("cache", database=1, user="app", password="pw", tls=True)),
        ("valkeys://cache", StateAddress("cache", tls=True)),
        ("unix:///run/valkey.sock", StateAddress(socket="/run/valkey.sock")),
        ("unix://:pw@/run/valkey.sock?db=2", StateAddress(socket="/run/valkey.sock", database=2, password="pw")),
    ],
)
def test_what_may_be_written(text: str, address: StateAddress) -> None:
    """Server, database, credentials and TLS; a password may have any character when it is percent-encoded."""
    assert parse_state(text) == address


def test_a_private_authority(tmp_path: Path) -> None:
    """A bundle of its own, which must be there."""
    (tmp_path / "ca.pem").touch()
    address = parse_state(f"rediss://cache?ca_file={tmp_path}/ca.pem")
    assert address is not None
    assert address.ca_file == f"{tmp_path}/ca.pem"
    with pytest.raises(ValueError, match="there is no file"):
        parse_state(f"rediss://cache?ca_file={tmp_path}/other.pem")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write memory"),
        ("disk", "write memory"),
        ("http://cache", "write memory"),
        ("redis://", "write memory"),
        ("redis://cache:port", "write memory"),
        ("redis://cache#1", "write memory"),
        ("unix://host/socket", "write memory"),
        ("redis://cache/one", "a number"),
        ("redis://cache/-1", "a number"),
        ("redis://me@cache", "a user needs a password"),
        ("redis://cache?ca_file=/ca.pem", "no option"),
        ("rediss://cache?timeout=1", "there is ca_file"),
    ],
)
def test_what_may_not(text: str, why: str) -> None:
    """The error says what may be written."""
    with pytest.raises(ValueError, match=why):
        parse_state(text)


def test_no_secret_is_shown() -> None:
    """Neither in logs nor in errors."""
    address = parse_state("rediss://app:hush@cache:1/2")
    assert str(address) == "rediss://cache:1/2"
    assert "hush" not in repr(address)
    for wrong in ("http://app:hush@cache", "redis://app:hush@cache/x"):
        with pytest.raises(ValueError) as told:
            parse_state(wrong)
        assert "hush" not in str(told.value)
