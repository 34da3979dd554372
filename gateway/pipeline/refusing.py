"""What a call is told that the money does not allow: its own limit, or a budget of its path. Pure."""

from datetime import datetime
from decimal import Decimal

from gateway.domain import money
from gateway.domain.accounts import AccountKind, Unit, Window
from gateway.domain.errors import InsufficientQuota, MaxCreditsExceeded
from gateway.domain.windows import zone
from gateway.ledger.model import BudgetRefusal
from gateway.pipeline import pricing
from gateway.pipeline.commands import HoldOption


def options_within(options: tuple[HoldOption, ...], max_microcredits: int | None) -> tuple[HoldOption, ...]:
    """Those that a caller's own limit allows. Raises MaxCreditsExceeded where that is none."""
    if max_microcredits is None:
        return options
    kept = pricing.within(options, max_microcredits)
    if not kept:
        needed = options[-1].amount.microcredits
        raise MaxCreditsExceeded(
            f"This call would hold {money.format_micro(needed)} credits, and X-Max-Credits allows "
            f"{money.format_micro(max_microcredits)}. Ask for fewer or cheaper images, or send a higher X-Max-Credits.",
            param="X-Max-Credits",
            details={
                "estimated_credits": money.json_number(needed),
                "max_credits": money.json_number(max_microcredits),
            },
        )
    return kept


def insufficient(refusal: BudgetRefusal, needed_microcredits: int, credits_per_usd: Decimal) -> InsufficientQuota:
    """Says which budget refused, what is left and what the call would hold; `details` as the task contract names them."""
    kind, _, name = refusal.account.partition(":")
    unit, scope = refusal.budget.unit, AccountKind(kind)
    if unit is Unit.IMAGES:
        left, needed, remaining = str(refusal.left), str(refusal.needed), 0
    else:
        left, needed = money.format_micro(refusal.left), money.format_micro(refusal.needed)
        remaining = refusal.left if unit is Unit.CREDITS else int(refusal.left * credits_per_usd)
    shown = name.rsplit("/", 1)[-1]
    resets = "" if refusal.resets_at_ms is None else f"; it begins anew at {_local(refusal.resets_at_ms, refusal.zone)}"
    what = "The prepaid balance" if refusal.budget.window is Window.GRANTED else f"The budget {refusal.budget}"
    return InsufficientQuota(
        f"{what} of the {scope} {shown!r} has {left} {unit} left{resets}; this call needs {needed} {unit}. "
        "Ask for fewer or cheaper images, or have it raised.",
        details={
            "estimated_credits": money.json_number(needed_microcredits),
            "remaining_credits": money.json_number(remaining),
            "limit_scope": scope.value,
        },
    )


def _local(moment_ms: int, zone_name: str) -> str:
    """As a clock on the account's wall shows it: `2026-11-27 00:00 Europe/Berlin`."""
    return f"{datetime.fromtimestamp(moment_ms / 1000, zone(zone_name)):%Y-%m-%d %H:%M} {zone_name}"
