"""Every offer of a model as routing looked at it for one request: what it would cost, and why it was not to be tried.

A task keeps these beside its plan, so that anybody can see afterwards why this upstream and at what price.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

CONSIDERED_MAX = 64
"""Offers that a task tells of, those that were to be tried first; a model has a handful."""
WHY_CHARS_MAX = 160


class Skip(StrEnum):
    """Why an offer would not be tried."""

    NOT_ABLE = "not_able"
    CIRCUIT_OPEN = "circuit_open"
    LAST_RESORT = "last_resort"
    BUDGET_CLOSED = "budget_closed"
    OVER_MAX_CREDITS = "over_max_credits"
    OVER_BUDGET = "over_budget"
    NOT_CHOSEN = "not_chosen"


SKIPPED: Mapping[str, str] = {
    Skip.NOT_ABLE: "it cannot make this request",
    Skip.CIRCUIT_OPEN: "it is failing and is left alone for a while",
    Skip.LAST_RESORT: "it is failing: it is tried only when no other offer can be",
    Skip.BUDGET_CLOSED: "the budget of its upstream is used up",
    Skip.OVER_MAX_CREDITS: "its worst case is dearer than X-Max-Credits allows",
    Skip.OVER_BUDGET: "its worst case is dearer than what the budgets have left",
    Skip.NOT_CHOSEN: "X-Upstream-Only names other upstreams",
}
"""The same for people."""


class Considered(NamedTuple):
    """One offer. Prices are for all pictures of the request, None where it cannot make them. A tuple, so that its JSON is a short list."""

    offer: str
    """The offer's id."""
    expected_microusd: int | None = None
    most_microusd: int | None = None
    skipped: str | None = None
    """A word of Skip, or of a newer version's; None: it was to be tried."""
    said: str | None = None
    """What more is known of why, where the word does not say it all."""

    @property
    def is_tried(self) -> bool:
        """In its turn, or at last."""
        return self.skipped in (None, Skip.LAST_RESORT)

    @property
    def why(self) -> str | None:
        return self.said or (None if self.skipped is None else SKIPPED.get(self.skipped, self.skipped))


def upstream_and_model(offer_id: str) -> tuple[str, str]:
    """`openai/gpt-image-2#2` -> (openai, gpt-image-2): the second offer of that model with other parameters."""
    upstream, _, model = offer_id.partition("/")
    name, mark, number = model.rpartition("#")
    return upstream, name if mark and number.isdigit() else model
