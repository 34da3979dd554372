"""Statements rendered once for both drivers.

`Statement` wraps a SQLAlchemy Core query with named parameters, `Together` several of them that are answered at once. `insert_rows` and
`update_rows` build the bulk statements of the hot path from the tables: `executemany` on SQLite, one statement over unnested arrays on PostgreSQL,
where `in_one_text` makes one of several. Nothing here runs anything.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Select,
    Table,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine.interfaces import Dialect as EngineDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.db.url import Dialect

Value = str | int | None | Sequence[str] | Sequence[int]


class _WithConstants(SQLCompiler):
    """Writes a query's constants into its text; parameters are what has no value yet.

    A database that is given a constant as a parameter does not know it when it plans: PostgreSQL's generic plan passes by a partial index
    (`WHERE key <> ''`), SQLite plans such a statement anew, in milliseconds, whenever it is run.
    """

    def visit_bindparam(self, bindparam: "BindParameter[Any]", *args: Any, **kw: Any) -> str:
        if bindparam.value is not None:
            kw["literal_binds"] = True
        text: str = super().visit_bindparam(bindparam, *args, **kw)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated
        return text


class _SqliteCompiler(_WithConstants, SQLiteCompiler):
    pass


class _PostgresqlCompiler(_WithConstants, PGCompiler_asyncpg):
    pass


_SQLITE: EngineDialect = sqlite.dialect(paramstyle="qmark")
_SQLITE.statement_compiler = _SqliteCompiler
_POSTGRESQL: EngineDialect = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated
_POSTGRESQL.statement_compiler = _PostgresqlCompiler


class any_of(ColumnElement[bool]):
    """`column` is one of a list parameter; an IN whose statement text does not depend on the list's length."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[str] | ColumnElement[int], name: str) -> None:
        self.column = column
        self.name = name


@compiles(any_of, "sqlite")
def _any_of_sqlite(element: any_of, compiler: SQLCompiler, **kw: object) -> str:
    parameter: BindParameter[str] = bindparam(element.name, type_=Text())
    return f"{compiler.process(element.column)} IN (SELECT value FROM json_each({compiler.process(parameter)}))"


@compiles(any_of, "postgresql")
def _any_of_postgresql(element: any_of, compiler: SQLCompiler, **kw: object) -> str:
    kind = BigInteger() if isinstance(element.column.type, BigInteger) else Text()
    parameter: BindParameter[Sequence[str | int]] = bindparam(element.name, type_=ARRAY(kind))
    return f"{compiler.process(element.column)} = ANY({compiler.process(parameter)})"


class Statement:
    """One query with named parameters, rendered for both drivers at import."""

    def __init__(self, query: ClauseElement, *, postgresql_suffix: str = "") -> None:
        """`postgresql_suffix` is for row locks (`FOR UPDATE`), which SQLite neither has nor needs: there one connection does everything."""
        self._texts: dict[Dialect, tuple[str, tuple[str, ...]]] = {}
        for dialect, sql_dialect in ((Dialect.SQLITE, _SQLITE), (Dialect.POSTGRESQL, _POSTGRESQL)):
            compiled = query.compile(dialect=sql_dialect)
            if not isinstance(compiled, SQLCompiler):
                raise TypeError(f"not a query: {query}")
            suffix = f" {postgresql_suffix}" if postgresql_suffix and dialect is Dialect.POSTGRESQL else ""
            self._texts[dialect] = (str(compiled) + suffix, tuple(compiled.positiontup or ()))

    def render(self, dialect: Dialect, values: Mapping[str, Value]) -> tuple[str, list[Value]]:
        """The driver's text, and the values in its order. Raises KeyError for a parameter without value."""
        text, names = self._texts[dialect]
        return text, [values[name] for name in names]


class _rows_of(ColumnElement[str]):
    """All rows of a query as one JSON value: a list of lists."""

    inherit_cache = False

    def __init__(self, query: "Select[Any]") -> None:
        self.rows = query.subquery()


@compiles(_rows_of, "sqlite")
def _rows_of_sqlite(element: _rows_of, compiler: SQLCompiler, **kw: object) -> str:
    rows = select(func.json_group_array(func.json_array(*element.rows.c))).scalar_subquery()
    return compiler.process(rows)


@compiles(_rows_of, "postgresql")
def _rows_of_postgresql(element: _rows_of, compiler: SQLCompiler, **kw: object) -> str:
    rows = select(func.json_agg(func.json_build_array(*element.rows.c))).scalar_subquery()
    return compiler.process(rows)


class Together:
    """Several queries, answered by one statement: one round trip and, on PostgreSQL, one snapshot. Row locks within them hold."""

    def __init__(self, *queries: "Select[Any]") -> None:
        self.statement = Statement(select(*map(_rows_of, queries)))

    @staticmethod
    def answers(row: Sequence[str | int | None]) -> list[list[Sequence[str | int | None]]]:
        """Of the one row that the statement gives: the rows of each query, in order."""
        return [orjson.loads(value) if isinstance(value, str) else [] for value in row]


class BulkStatement:
    """One statement for many rows of values."""

    def __init__(
        self,
        sqlite_text: str,
        postgresql_text: Callable[[int], str],
        width: int,
        sqlite_rows_text: Callable[[int], str] | None = None,
    ) -> None:
        """`postgresql_text` is given the number of its first parameter; `width` is how many there are. `sqlite_rows_text` is given a number of rows,
        where several may stand in one text."""
        self.sqlite_text = sqlite_text
        self.postgresql_text = postgresql_text
        self.width = width
        self.sqlite_rows_text = None if sqlite_rows_text is None else lru_cache(maxsize=16)(sqlite_rows_text)


@lru_cache(maxsize=128)
def in_one_text(statements: tuple[BulkStatement, ...]) -> str:
    """One text for PostgreSQL that runs all of them. They see the tables as they were before, so no two may write to one row."""
    texts, first = [], 1
    for statement in statements:
        texts.append(statement.postgresql_text(first))
        first += statement.width
    *before, last = texts
    if not before:
        return last
    return f"WITH {', '.join(f'part{number} AS ({text})' for number, text in enumerate(before))} {last}"


def insert_rows(table: Table, columns: Sequence[str], *, ignore_repeats: bool = False) -> BulkStatement:
    """Insert rows of these columns, in this order. `ignore_repeats` leaves rows that exist as they are."""
    names = ", ".join(columns)
    marks = ", ".join("?" for _ in columns)
    ending = " ON CONFLICT DO NOTHING" if ignore_repeats else ""

    def postgresql_text(first: int) -> str:
        return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({_arrays(table, columns, first)}){ending}"

    return _inserting(f"INSERT INTO {table.name} ({names})", marks, ending, postgresql_text, len(columns))


def _inserting(
    beginning: str, marks: str, ending: str, postgresql_text: Callable[[int], str], width: int
) -> BulkStatement:
    def rows_text(count: int) -> str:
        return f"{beginning} VALUES {', '.join([f'({marks})'] * count)}{ending}"

    return BulkStatement(rows_text(1), postgresql_text, width, rows_text)


def update_rows(table: Table, keys: Sequence[str], columns: Sequence[str]) -> BulkStatement:
    """Update by key. A row of values holds the columns first, then the keys."""
    everything = (*columns, *keys)

    def postgresql_text(first: int) -> str:
        return (
            f"UPDATE {table.name} AS t SET {', '.join(f'{c} = v.{c}' for c in columns)}"
            f" FROM unnest({_arrays(table, everything, first)}) AS v({', '.join(everything)})"
            f" WHERE {' AND '.join(f't.{k} = v.{k}' for k in keys)}"
        )

    return BulkStatement(
        f"UPDATE {table.name} SET {', '.join(f'{c} = ?' for c in columns)} WHERE {' AND '.join(f'{k} = ?' for k in keys)}",
        postgresql_text,
        len(everything),
    )


def raise_rows(table: Table, keys: Sequence[str], column: str) -> BulkStatement:
    """Set a number by key where that raises it: who comes late with an earlier one changes nothing. A row of values: the number, then the keys."""

    def postgresql_text(first: int) -> str:
        return (
            f"UPDATE {table.name} AS t SET {column} = v.{column}"
            f" FROM unnest({_arrays(table, (column, *keys), first)}) AS v({', '.join((column, *keys))})"
            f" WHERE {' AND '.join(f't.{k} = v.{k}' for k in keys)} AND coalesce(t.{column}, 0) < v.{column}"
        )

    numbered = {name: number for number, name in enumerate((column, *keys), start=1)}
    same = " AND ".join(f"{k} = ?{numbered[k]}" for k in keys)
    return BulkStatement(
        f"UPDATE {table.name} SET {column} = ?1 WHERE {same} AND coalesce({column}, 0) < ?1",
        postgresql_text,
        1 + len(keys),
    )


def add_to_rows(table: Table, keys: Sequence[str], columns: Sequence[str], *, making: bool) -> BulkStatement:
    """Add to numbers by key. A row of values holds the keys first, then what is added.

    `making`: missing rows are made, for which nothing may be negative (a row's constraints are checked before it is found to be there).
    """
    everything = (*keys, *columns)
    names, same = ", ".join(everything), " AND ".join(f"t.{k} = v.{k}" for k in keys)
    if making:
        sums = ", ".join(f"{c} = {table.name}.{c} + excluded.{c}" for c in columns)
        ending = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sums}"
        return _inserting(
            f"INSERT INTO {table.name} ({names})",
            ", ".join("?" for _ in everything),
            ending,
            lambda first: (
                f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({_arrays(table, everything, first)}){ending}"
            ),
            len(everything),
        )
    numbered = {name: number for number, name in enumerate(everything, start=1)}
    return BulkStatement(
        f"UPDATE {table.name} SET {', '.join(f'{c} = {c} + ?{numbered[c]}' for c in columns)}"
        f" WHERE {' AND '.join(f'{k} = ?{numbered[k]}' for k in keys)}",
        lambda first: (
            f"UPDATE {table.name} AS t SET {', '.join(f'{c} = t.{c} + v.{c}' for c in columns)}"
            f" FROM unnest({_arrays(table, everything, first)}) AS v({names}) WHERE {same}"
        ),
        len(everything),
    )


def _arrays(table: Table, columns: Sequence[str], first: int) -> str:
    parts = []
    for number, column in enumerate(columns, start=first):
        kind = "bigint" if isinstance(table.c[column].type, BigInteger) else "text"
        parts.append(f"${number}::{kind}[]")
    return ", ".join(parts)


__all__ = [
    "BulkStatement",
    "Statement",
    "Together",
    "Value",
    "add_to_rows",
    "any_of",
    "in_one_text",
    "insert_rows",
    "raise_rows",
    "update_rows",
]
