"""Prepared statements on Django's own connection and in its transaction. Knows no table.

For what is asked with every request: the database plans it once for each connection, and the values travel
beside the text. Everything else goes through the ORM.
"""

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection as database

KEPT = 300
"""How many statements one database connection keeps prepared."""


def rows(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Every row of the answer. A jsonb value is its text. Raises what Django raises (`django.db.Error`)."""
    with _run(statement, parameters) as cursor:
        return cursor.fetchall()


def execute(statement: str, parameters: Sequence[Any] = ()) -> int:
    """How many rows were touched."""
    with _run(statement, parameters) as cursor:
        return cursor.rowcount


def _run(statement: str, parameters: Sequence[Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    database.ensure_connection()
    database.validate_no_broken_transaction()
    line = database.connection
    line.prepared_max = KEPT
    # Django's own cursors write the values into the text; a plain one binds them at the server.
    cursor: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(line)
    started = time.monotonic()
    try:
        with database.wrap_database_errors:
            cursor.execute(statement, parameters, prepare=True)  # type: ignore[call-overload]
    finally:
        if database.queries_logged:
            seconds = time.monotonic() - started
            database.queries_log.append({"sql": statement, "time": f"{seconds:.3f}"})
    return cursor
