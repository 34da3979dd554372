"""What is constant in a query is written into its text, for both drivers; what is not is a parameter."""

import pytest
from sqlalchemy import bindparam, select

from gateway.db.schema import idempotency, tasks
from gateway.db.statements import Statement, Together, any_of
from gateway.db.url import Dialect
from gateway.pipeline import batch

EACH_DIALECT = pytest.mark.parametrize("dialect", list(Dialect))


@EACH_DIALECT
def test_a_constant_is_known_when_the_query_is_planned(dialect: Dialect) -> None:
    """As it is with quotes in it, too; and how many rows are wanted."""
    query = select(tasks.c.id).where(
        tasks.c.model != "", tasks.c.owner == "it's", tasks.c.account_id == bindparam("account")
    )
    text, values = Statement(query.limit(7)).render(dialect, {"account": "key:a//b"})
    words = " ".join(text.split())
    assert "tasks.model != ''" in words
    assert "tasks.owner = 'it''s'" in words
    assert words.replace(" OFFSET 0", "").endswith("LIMIT 7")
    assert values == ["key:a//b"]


@EACH_DIALECT
def test_in_parts_of_a_query_as_well(dialect: Dialect) -> None:
    """What is asked together, and the lists, which are parameters."""
    together = Together(
        select(idempotency.c.key).where(idempotency.c.body_sha256 != "", any_of(idempotency.c.account_id, "accounts"))
    )
    text, values = together.statement.render(dialect, {"accounts": ["key:a//b"]})
    assert "idempotency.body_sha256 != ''" in text
    assert values == [["key:a//b"]]


@EACH_DIALECT
def test_a_batch_has_no_parameter_but_what_it_asks_for(dialect: Dialect) -> None:
    """The statement of every acceptance that may be a repeated one: partial indexes are chosen when it is planned, once."""
    lists = [
        "accounts",
        "windows",
        "starts",
        "held",
        "tasks",
        "key_accounts",
        "keys",
        "left_accounts",
        "left_bodies",
        "left_ids",
    ]
    _, values = batch._WITH_REPEATS.statement.render(dialect, {**dict.fromkeys(lists, ()), "left_since": 5})
    assert [value for value in values if value != ()] == [5]
