"""Statements rendered once for both drivers.

`Statement` wraps a SQLAlchemy Core query with named parameters. `insert_rows` and `update_rows` build the bulk statements of the hot path from
the tables: `executemany` on SQLite, one statement over unnested arrays on PostgreSQL. Nothing here runs anything.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sqlalchemy import ARRAY, BigInteger, BindParameter, ClauseElement, ColumnElement, Table, Text, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine.interfaces import Dialect as EngineDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

Value = str | int | None | Sequence[str]


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_SQLITE: EngineDialect = sqlite.dialect(paramstyle="qmark")
_POSTGRESQL: EngineDialect = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated


class any_of(ColumnElement[bool]):
    """`column` is one of a list parameter; an IN whose statement text does not depend on the list's length."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[str], name: str) -> None:
        self.column = column
        self.name = name


@compiles(any_of, "sqlite")
def _any_of_sqlite(element: any_of, compiler: SQLCompiler, **kw: object) -> str:
    parameter: BindParameter[str] = bindparam(element.name, type_=Text())
    return f"{compiler.process(element.column)} IN (SELECT value FROM json_each({compiler.process(parameter)}))"


@compiles(any_of, "postgresql")
def _any_of_postgresql(element: any_of, compiler: SQLCompiler, **kw: object) -> str:
    parameter: BindParameter[Sequence[str]] = bindparam(element.name, type_=ARRAY(Text()))
    return f"{compiler.process(element.column)} = ANY({compiler.process(parameter)})"


class Statement:
    """One query with named parameters, rendered for both drivers at import."""

    def __init__(self, query: ClauseElement, *, postgresql_suffix: str = "") -> None:
        """`postgresql_suffix` is for row locks (`FOR UPDATE`), which SQLite neither has nor needs: there one connection does everything."""
        self._texts: dict[Dialect, tuple[str, tuple[str, ...]]] = {}
        self._constants: dict[str, Value] = {}
        for dialect, sql_dialect in ((Dialect.SQLITE, _SQLITE), (Dialect.POSTGRESQL, _POSTGRESQL)):
            compiled = query.compile(dialect=sql_dialect)
            if not isinstance(compiled, SQLCompiler):
                raise TypeError(f"not a query: {query}")
            self._constants.update({name: value for name, value in compiled.params.items() if value is not None})
            suffix = f" {postgresql_suffix}" if postgresql_suffix and dialect is Dialect.POSTGRESQL else ""
            self._texts[dialect] = (str(compiled) + suffix, tuple(compiled.positiontup or ()))

    def render(self, dialect: Dialect, values: Mapping[str, Value]) -> tuple[str, list[Value]]:
        """The driver's text, and the values in its order. Raises KeyError for a parameter without value."""
        text, names = self._texts[dialect]
        constants = self._constants
        return text, [values[name] if name in values else constants[name] for name in names]


class BulkStatement:
    """One statement for many rows of values."""

    def __init__(self, sqlite_text: str, postgresql_text: str) -> None:
        self.sqlite_text = sqlite_text
        self.postgresql_text = postgresql_text


def insert_rows(table: Table, columns: Sequence[str], *, ignore_repeats: bool = False) -> BulkStatement:
    """Insert rows of these columns, in this order. `ignore_repeats` leaves rows that exist as they are."""
    names = ", ".join(columns)
    marks = ", ".join("?" for _ in columns)
    ending = " ON CONFLICT DO NOTHING" if ignore_repeats else ""
    return BulkStatement(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks}){ending}",
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({_arrays(table, columns)}){ending}",
    )


def update_rows(table: Table, keys: Sequence[str], columns: Sequence[str]) -> BulkStatement:
    """Update by key. A row of values holds the columns first, then the keys."""
    everything = (*columns, *keys)
    return BulkStatement(
        f"UPDATE {table.name} SET {', '.join(f'{c} = ?' for c in columns)} WHERE {' AND '.join(f'{k} = ?' for k in keys)}",
        f"UPDATE {table.name} AS t SET {', '.join(f'{c} = v.{c}' for c in columns)}"
        f" FROM unnest({_arrays(table, everything)}) AS v({', '.join(everything)})"
        f" WHERE {' AND '.join(f't.{k} = v.{k}' for k in keys)}",
    )


def _arrays(table: Table, columns: Sequence[str]) -> str:
    parts = []
    for number, column in enumerate(columns, start=1):
        kind = "bigint" if isinstance(table.c[column].type, BigInteger) else "text"
        parts.append(f"${number}::{kind}[]")
    return ", ".join(parts)


__all__ = ["BulkStatement", "Dialect", "Statement", "Value", "any_of", "insert_rows", "update_rows"]
