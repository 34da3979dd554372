"""Bodies and answers of `/admin/v1/accounts…`."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, StrictBool, StrictInt

from gateway.api.schemas.admin import AdminBody, Name
from gateway.api.schemas.answers import Answer
from gateway.domain.accounts import Budget, parse_budget


def _budget(value: object) -> Budget:
    """Raises ValueError with what may be written."""
    return parse_budget(value if isinstance(value, str) else repr(value)[:60])


def _decimal(value: object) -> Decimal:
    """Raises ValueError for what is no decimal number of a reasonable length."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool) and len(str(value)) <= _DIGITS_MAX:
            return Decimal(str(value))
    except InvalidOperation:
        pass
    raise ValueError("must be a decimal number, or the same as text")


_DIGITS_MAX = 60
DecimalText = Annotated[Decimal, PlainValidator(_decimal, json_schema_input_type=int | float | str)]
"""A number, or the same as text where it must not pass through anybody's floats."""
BudgetText = Annotated[Budget, PlainValidator(_budget, json_schema_input_type=str)]
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=1000)]


class LimitsBody(AdminBody):
    """What is not named stays; null takes a limit away."""

    rpm: StrictInt | None = None
    concurrency: StrictInt | None = None
    models: Words | None = None
    sizes: Words | None = None
    n_max: StrictInt | None = None


class TermsBody(AdminBody):
    """What is not named stays. `budgets` replaces all of them; a null markup takes it away."""

    budgets: list[BudgetText] | None = Field(None, max_length=50)
    timezone: str | None = Field(None, min_length=1, max_length=100)
    limits: LimitsBody | None = None
    markup: DecimalText | None = None


class AccountBody(TermsBody):
    """An org, or a team of it; the org is made where it does not exist."""

    org: Name
    team: Name | None = None


class AccountChangeBody(TermsBody):
    disabled: StrictBool | None = None
    prepaid: Literal[False] | None = None
    """An account becomes prepaid with its first grant."""


class GrantBody(AdminBody):
    credits: DecimalText
    """Below zero: taken back, which needs a `why`."""
    why: str = Field("", max_length=500)


class AmountAnswer(Answer):
    credits: float
    usd: float
    images: int


class LimitsAnswer(Answer):
    rpm: int | None
    concurrency: int | None
    models: list[str]
    sizes: list[str]
    n_max: int | None


class BudgetAnswer(Answer):
    """`limit`, `used`, `held` and `left` are in the unit. `resets_at_ms` is when the window ends; null: never."""

    budget: str
    unit: Literal["usd", "credits", "images"]
    window: Literal["day", "week", "month", "total"]
    limit: float
    used: float
    held: float
    left: float
    resets_at_ms: int | None


class PrepaidAnswer(Answer):
    granted_credits: float
    left_credits: float


class AccountAnswer(Answer):
    """`used` and `held` are of the account's whole life. `prepaid` is null where the account may spend more than was granted."""

    id: str
    kind: Literal["org", "team", "key", "upstream", "ours"]
    name: str
    parent: str | None
    declared: bool
    disabled: bool
    timezone: str
    markup: str | None
    limits: LimitsAnswer
    used: AmountAnswer
    held: AmountAnswer
    budgets: list[BudgetAnswer]
    prepaid: PrepaidAnswer | None


class AccountListAnswer(Answer):
    object: Literal["list"]
    data: list[AccountAnswer]
    has_more: bool


class GrantAnswer(Answer):
    """`repeated`: this grant was made before under the same Idempotency-Key; nothing changed now."""

    account: str
    credits: float
    left_credits: float
    repeated: bool


class EntryAnswer(Answer):
    id: int
    account: str
    kind: str
    at_ms: int
    task_id: str | None
    attempt_id: str | None
    posted: AmountAnswer
    pending: AmountAnswer
    note: str | None


class EntryListAnswer(Answer):
    """`before` is for the next page. A page may be short, even empty, and there may still be more."""

    object: Literal["list"]
    data: list[EntryAnswer]
    has_more: bool
    before: int | None
