"""Answers of `/admin/v1/alerts…`; the message itself is what the receiver gets."""

from typing import Literal

from gateway.api.schemas.answers import Answer


class AlertData(Answer):
    account: str
    org: str | None
    team: str | None
    budget: str
    window: Literal["day", "week", "month", "total", "granted"]
    window_start: str | None
    resets_at: str | None
    threshold_percent: int
    used: float
    held: float
    limit: float
    left: float
    unit: Literal["usd", "credits", "images"]
    refusing: bool


class AlertMessage(Answer):
    type: Literal["budget.threshold"]
    timestamp: str
    data: AlertData


class AlertAnswer(Answer):
    id: str
    account: str
    budget: str
    window_start_ms: int
    threshold_percent: int
    created_at_ms: int
    state: Literal["due", "sent", "dead"]
    tries: int
    next_at_ms: int | None
    answer: str | None
    message: AlertMessage


class AlertListAnswer(Answer):
    object: Literal["list"]
    data: list[AlertAnswer]
    has_more: bool
