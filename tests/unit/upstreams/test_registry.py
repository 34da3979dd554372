"""Which class serves which kind: written as names, so every one of them is loaded here."""

import pytest

from gateway.upstreams.base import Adapter
from gateway.upstreams.registry import DEFAULT_BASE_URLS, KINDS, KINDS_WITHOUT_KEY, adapter_class


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_adapter(kind: str) -> None:
    """The module and the class exist, and the class says that it is of this kind."""
    found = adapter_class(kind)
    assert isinstance(found, type)
    assert issubclass(found, Adapter)
    assert found.kind == kind


def test_what_is_said_of_kinds_is_of_kinds() -> None:
    """Usual addresses, and who needs no key."""
    assert set(KINDS) >= DEFAULT_BASE_URLS.keys() | KINDS_WITHOUT_KEY
