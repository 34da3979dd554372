"""Bodies and answers of `/admin/v1/callbacks…` and of a key's callback secret."""

from typing import Literal

from gateway.api.schemas.answers import Answer
from gateway.domain.callbacks import CallbackState


class CallbackItem(Answer):
    """`url` is without its query; empty once the task is erased."""

    id: str
    task_id: str
    account: str
    url: str
    state: CallbackState
    tries: int
    next_at_ms: int | None
    created_at_ms: int
    answer: str | None


class CallbackListAnswer(Answer):
    object: Literal["list"]
    data: list[CallbackItem]
    has_more: bool


class CallbackTryAnswer(Answer):
    """`answer`: how the receiver's body begins; without a status, what went wrong."""

    at_ms: int
    status: int | None
    ms: int
    answer: str | None


class CallbackAnswer(CallbackItem):
    """`attempts`: the latest ones, oldest first."""

    attempts: list[CallbackTryAnswer]


class CallbackSecretAnswer(Answer):
    """`declared`: it stands in the config. Until `old_until_ms` messages are signed with the secret before, too."""

    key_id: str
    account: str
    secret: str
    declared: bool
    version: int
    old_until_ms: int | None
