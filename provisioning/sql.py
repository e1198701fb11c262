"""Prepared statements on Django's own connection and in its transaction. Knows a table only by its model.

For what is asked with every request: the database plans it once for each connection, and the values travel
beside the text. Rows are written as one JSON parameter, whatever their number, so that one row and ten thousand
are the same statement. Everything else goes through the ORM.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

import orjson
import psycopg
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import connection as database
from django.db import models

Model: TypeAlias = Any
"""A model class. (mypy takes one for unhashable, and these are keys of caches.)"""
_Field: TypeAlias = "models.Field[Any, Any]"

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

KEPT = 300
"""How many statements one database connection keeps prepared."""


def rows(statement: str, parameters: Parameters = (), *, prepared: bool = True) -> list[tuple[Any, ...]]:
    """Every row of the answer. A jsonb value is its text. Raises what Django raises (`django.db.Error`).

    Without `prepared` the database plans for just these values: right for a batch, whose best plan changes with its
    size and, while people are loaded, from minute to minute.
    """
    with _run(statement, parameters, prepared) as cursor:
        return cursor.fetchall()


def ids(found: Iterable[UUID]) -> str:
    """A uuid[] as its text, to be cast: the driver looks at each element of a list with care, and takes ten times
    as long."""
    return "{" + ",".join(map(str, found)) + "}"


def execute(statement: str, parameters: Parameters = ()) -> int:
    """How many rows were touched."""
    with _run(statement, parameters) as cursor:
        return cursor.rowcount


def _run(statement: str, parameters: Parameters, prepared: bool = True) -> psycopg.Cursor[tuple[Any, ...]]:
    database.ensure_connection()
    database.validate_no_broken_transaction()
    line = database.connection
    # Django switches preparing off for the whole connection, so that `prepare` alone would say nothing.
    line.prepare_threshold = line.prepare_threshold or 5
    line.prepared_max = KEPT
    # Django's own cursors write the values into the text; a plain one binds them at the server.
    cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(line)
    started = time.monotonic()
    try:
        with database.wrap_database_errors:
            cursor.execute(statement, parameters, prepare=prepared)  # type: ignore[call-overload]
    finally:
        if database.queries_logged:
            seconds = time.monotonic() - started
            database.queries_log.append({"sql": statement, "time": f"{seconds:.3f}"})
    return cursor


Row = Mapping[str, Any]
"""Column name -> value. Bytes are written as they are; a search vector is a list of its lexemes."""


def insert(model: Model, rows_: Sequence[Row]) -> set[Any]:
    """Inserts what no unique constraint refuses; answers the primary keys that went in.

    Every row has the same columns. Those left out get the database's default, or null.
    """
    if not rows_:
        return set()
    return {key for (key,) in rows(_insertion(model, tuple(rows_[0])), (as_json(rows_),))}


def update(model: Model, tenant_id: UUID, rows_: Sequence[Row]) -> None:
    """Writes the columns that a row names beside its `id`. Rows with the same columns go together."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows_:
        shapes.setdefault(tuple(row), []).append(row)
    for names, alike in shapes.items():
        execute(_updating(model, names), (as_json(alike), tenant_id))


def recordset(model: Model, names: Iterable[str], beside: str = "") -> str:
    """`json_to_recordset(%s) AS r (...)`: rows of the model's own column types, and of those `beside`."""
    own = [f'"{name}" {_type(_field(model, name))}' for name in names]
    columns = ", ".join([*own, beside] if beside else own)
    return f"json_to_recordset(%s::json) AS r ({columns})"


def selected(model: Model, names: Iterable[str]) -> str:
    """The columns of `recordset` as the table takes them."""
    return ", ".join(_value(_field(model, name), name) for name in names)


@lru_cache(maxsize=64)
def _insertion(model: Model, names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        f'INSERT INTO "{model._meta.db_table}" ({columns}) SELECT {selected(model, names)} '  # noqa: S608 - the model's own names
        f"FROM {recordset(model, names)} ON CONFLICT DO NOTHING RETURNING {model._meta.pk.column}"  # type: ignore[union-attr]
    )


@lru_cache(maxsize=256)
def _updating(model: Model, names: tuple[str, ...]) -> str:
    table = model._meta.db_table
    settings = ", ".join(f'"{name}" = {_value(_field(model, name), name)}' for name in names if name != "id")
    return (
        f'UPDATE "{table}" t SET {settings} FROM {recordset(model, names)} '  # noqa: S608 - the model's own names
        "WHERE t.tenant_id = %s AND t.id = r.id"
    )


@lru_cache(maxsize=512)
def _field(model: Model, name: str) -> _Field:
    return next(field for field in model._meta.local_concrete_fields if field.column == name)


def _type(field: _Field) -> str:
    if isinstance(field, SearchVectorField):
        return "text[]"
    if isinstance(field, models.BinaryField):
        return "text"
    if isinstance(field, ArrayField):
        return "text[]"
    # Without its length: a value that is too long is refused by the column, not cut.
    return str(field.rel_db_type(database) if field.many_to_one else field.db_type(database)).partition("(")[
        0
    ]


def _value(field: _Field, name: str) -> str:
    if isinstance(field, SearchVectorField):
        return f'array_to_tsvector(r."{name}")'
    if isinstance(field, models.BinaryField):
        return f"decode(r.\"{name}\", 'hex')"
    return f'r."{name}"'


def as_json(rows_: Sequence[Row]) -> str:
    """What `recordset` reads."""
    return orjson.dumps(rows_, default=_hexadecimal, option=orjson.OPT_NON_STR_KEYS).decode()


def _hexadecimal(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(type(value).__name__)
