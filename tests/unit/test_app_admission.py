"""The tokenizer is built before the gateway serves where prompts will be counted, and not at all where they will not."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app_admission import admission
from gateway.domain.catalog import PriceFormula
from gateway.tokens.counter import TokenCounter
from tests.unit.pipeline.test_admission import CATALOG


@pytest.mark.parametrize("by_tokens", [False, True])
def test_the_tokenizer_is_built_before_it_is_needed(by_tokens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the prices of the models that are offered."""
    prepared: list[TokenCounter] = []
    monkeypatch.setattr(TokenCounter, "prepare", lambda counter: prepared.append(counter))  # noqa: PLW0108 - a method of a list is none of a class
    models = {
        name: model
        for name, model in CATALOG.models.items()
        if by_tokens or not any(isinstance(offer.price, PriceFormula) for offer in model.offers)
    }
    assert models
    current: Any = SimpleNamespace(config=SimpleNamespace(catalog=SimpleNamespace(models=models)))
    urls: Any = SimpleNamespace(check=None)
    admission(current, {}, urls)
    assert len(prepared) == by_tokens
