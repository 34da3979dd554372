"""Which of the two contracts answers a call: one pure function, the table "One URL, two contracts" in order."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.errors import UnsupportedParameter
from gateway.domain.images import Contract

WAIT_S_MAX = 600
"""Longer than any task lives; a bound only so that a nonsense number cannot overflow a timer."""


@dataclass(frozen=True, slots=True)
class BodyHints:
    """What the body says about the contract."""

    callback: bool = False
    stream: bool = False
    response_format: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """`wait_s` None: as long as the task lives (image) or not at all (task)."""

    contract: Contract
    wait_s: int | None = None
    preference_applied: str | None = None

    @property
    def task_status(self) -> int:
        """202 only for callers who asked for it with `Prefer`: SDKs take any 2xx for the final answer."""
        return 202 if self.preference_applied else 200


def choose(headers: Mapping[str, str], body: BodyHints, *, key: Contract | None, model: Contract) -> Choice:
    """The contract by the first rule that applies; `headers` must find names without regard to case. Raises UnsupportedParameter."""
    choice = _by_prefer(headers.get("Prefer"))
    if choice is None and body.callback:
        choice = Choice(Contract.TASK)
    if choice is not None:
        if body.stream:
            raise UnsupportedParameter(
                "stream cannot be combined with Prefer or callback_url: leave out either of them.", param="stream"
            )
        return choice
    if key is not None:
        if body.stream and key is Contract.TASK:
            raise UnsupportedParameter(
                "stream: this key's calls are answered with tasks; leave it out.", param="stream"
            )
        return Choice(key)
    if "X-Stainless-Lang" in headers or body.stream or body.response_format:
        return Choice(Contract.IMAGE)
    return Choice(model)


def _by_prefer(prefer: str | None) -> Choice | None:
    """RFC 7240: what is malformed or unknown is ignored; `respond-async, wait=10` means asynchronously unless done within ten seconds."""
    if prefer is None:
        return None
    asynchronous, wait_s = False, None
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "respond-async":
            asynchronous = True
        elif name == "wait" and wait_s is None and value.isascii() and value.isdigit():
            wait_s = min(int(value[:9]), WAIT_S_MAX)
    if wait_s is not None:
        applied = f"respond-async, wait={wait_s}" if asynchronous else f"wait={wait_s}"
        return Choice(Contract.IMAGE, wait_s, applied)
    return Choice(Contract.TASK, None, "respond-async") if asynchronous else None
