"""Prepared statements on Django's own connection and in its transaction. Knows a table only by its model.

For what is asked with every request: the database plans it once for each connection, the values travel beside the
text, and what waits for no answer travels with the next one (`identity_hub.core.pipeline`). A few rows are written as
one JSON parameter, whatever their number, so that they are one statement; many are copied, because PostgreSQL spends
more on reading their JSON than on keeping them. Everything else goes through the ORM.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice, repeat, tee
from operator import attrgetter, is_, itemgetter
from typing import Any, TypeAlias
from uuid import UUID

import orjson
import psycopg
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import IntegrityError, models, transaction
from django.db import connection as database
from django.db.models.expressions import DatabaseDefault

from identity_hub.core.pipeline import Parameters, ask, ready

Model: TypeAlias = Any
"""A model class. (mypy takes one for unhashable, and these are keys of caches.)"""
_Field: TypeAlias = "models.Field[Any, Any]"

FEW = 10
"""Rows up to which one prepared statement is quicker than a copy between two savepoints."""

TOGETHER = 250
"""Rows that a copy sends at once: the database writes them while the next ones are made."""


def rows(statement: str, parameters: Parameters = (), *, prepared: bool = True) -> list[tuple[Any, ...]]:
    """Every row of the answer. A jsonb value is its text. Raises what Django raises (`django.db.Error`).

    Without `prepared` the database plans for just these values: right for a batch, whose best plan changes with its
    size and, while people are loaded, from minute to minute.
    """
    return ask(statement, parameters, prepared=prepared).rows()


def columns(model: Model, table: str) -> str:
    """All columns of a model in the order in which `instance` takes them."""
    return ", ".join(f'{table}."{field.column}"' for field in model._meta.concrete_fields)


def instance(model: Model, values: Sequence[Any]) -> Any:
    """A row of `columns` as the ORM would have read it."""
    documents = _documents(model)
    if documents:
        values = [orjson.loads(value) if n in documents else value for n, value in enumerate(values)]
    return model.from_db(database.alias, [field.attname for field in model._meta.concrete_fields], values)


def row(kept: Any) -> dict[str, Any]:
    """What `insert` takes of a model's instance; what only the database has a value for is left to it."""
    values = {field.column: getattr(kept, field.attname) for field in kept._meta.concrete_fields}
    return {name: value for name, value in values.items() if not isinstance(value, DatabaseDefault)}


@lru_cache(maxsize=32)
def _documents(model: Model) -> frozenset[int]:
    fields = enumerate(model._meta.concrete_fields)
    return frozenset(n for n, field in fields if isinstance(field, models.JSONField))


def ids(found: Iterable[UUID]) -> str:
    """A uuid[] as its text, to be cast: the driver looks at each element of a list with care, and takes ten times
    as long."""
    return "{" + ",".join(map(str, found)) + "}"


execute = ask
"""What is asked for its effect: inside `pipeline.together` it is done when something is read, or at the end."""


@contextmanager
def _copying(statement: str) -> Iterator[psycopg.Copy]:
    own = ready()
    started = time.monotonic()
    try:
        with own.wrap_database_errors, psycopg.Cursor(own.connection).copy(statement) as line:
            yield line
    finally:
        if own.queries_logged:
            seconds = time.monotonic() - started
            own.queries_log.append({"sql": statement, "time": f"{seconds:.3f}"})


Row = Mapping[str, Any]
"""Column name -> value. Bytes are written as they are; a search vector is a list of its lexemes."""


def insert(model: Model, rows_: Iterable[Row]) -> set[Any]:
    """Inserts what no unique constraint refuses; answers the primary keys of what one does.

    Every row has the same columns. Those left out get the database's default, or null; of rows without their primary
    key nobody learns which were refused.
    """
    coming = iter(rows_)
    few = list(islice(coming, FEW + 1))
    if not few:
        return set()
    key = model._meta.pk.column
    if len(few) <= FEW or key not in few[0]:
        return _refused(model, [*few, *coming])
    new, known = tee(chain(few, coming))
    try:
        with transaction.atomic():
            copy(model, new)
    except IntegrityError:
        # One of them is refused, and a copy is all or nothing.
        return _refused(model, list(known))
    return set()


def add(model: Model, rows_: Sequence[Row], *, new: bool = False) -> None:
    """`insert` that waits for no answer: nobody asks what was refused. `new`: to be refused is an error."""
    if len(rows_) > FEW:
        insert(model, rows_)
    elif rows_:
        execute(_insertion(model, tuple(rows_[0]), new=new), (as_json(rows_),))


def _refused(model: Model, rows_: Sequence[Row]) -> set[Any]:
    key = model._meta.pk.column
    kept = {value for (value,) in rows(_insertion(model, tuple(rows_[0])), (as_json(rows_),))}
    return {row[key] for row in rows_ if key in row} - kept


def copy(model: Model, rows_: Iterable[Row]) -> None:
    """Writes every row or none: `django.db.IntegrityError` for a key that is there already.

    The database keeps the first ones while the next ones are still being made, so making them may ask it nothing.
    """
    coming = iter(rows_)
    if (first := next(coming, None)) is None:
        return
    values_of = itemgetter(*first)
    spellings = [_spelling(_field(model, name)) for name in first]
    columns = ", ".join(f'"{name}"' for name in first)
    statement = f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN'
    coming = chain((first,), coming)
    with _copying(statement) as line:
        while together := [values_of(row) for row in islice(coming, TOGETHER)]:
            line.write(_lines(spellings, together))


def _lines(spellings: Sequence[Callable[[Any], str]], values: Sequence[tuple[Any, ...]]) -> str:
    """The text format of COPY, column by column: what a column has in common is looked at once."""
    columns = [
        _column(spelling, column)
        for spelling, column in zip(spellings, zip(*values, strict=True), strict=True)
    ]
    return "".join([f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))])


def _column(spelling: Callable[[Any], str], values: tuple[Any, ...]) -> list[str]:
    if all(map(is_, values, repeat(values[0]))):
        return [_cell(spelling, values[0])] * len(values)
    if any(map(is_, values, repeat(None))):
        return [_cell(spelling, value) for value in values]
    texts = list(map(spelling, values))
    return texts if _is_plain("".join(texts)) else list(map(_escaped, texts))


def _cell(spelling: Callable[[Any], str], value: Any) -> str:
    return "\\N" if value is None else _escaped(spelling(value))


def update(model: Model, tenant_id: UUID, rows_: Sequence[Row]) -> None:
    """Writes the columns that a row names beside its `id`. Rows with the same columns go together."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows_:
        shapes.setdefault(tuple(row), []).append(row)
    for names, alike in shapes.items():
        execute(_updating(model, names, few=len(alike) <= FEW), (as_json(alike), tenant_id))


def recordset(model: Model, names: Iterable[str], beside: str = "", *, few: bool = False) -> str:
    """A table `r`, read from one JSON parameter: rows of the model's own column types, and of those `beside`."""
    own = [f'"{name}" {_type(_field(model, name))}' for name in names]
    return records(", ".join([*own, beside] if beside else own), few=few)


def records(columns: str, *, few: bool) -> str:
    """`recordset` of columns that are no model's. `few`: at most FEW rows.

    The planner takes any JSON for a hundred rows, and in a tenant of some thousands reads the whole table to meet them.
    It believes a limit.
    """
    limit = f" LIMIT {FEW}" if few else ""
    return f"(SELECT * FROM json_to_recordset(%s::json) AS j ({columns}){limit}) AS r"  # noqa: S608 - names of columns


def selected(model: Model, names: Iterable[str]) -> str:
    """The columns of `recordset` as the table takes them."""
    return ", ".join(_value(_field(model, name), name) for name in names)


@lru_cache(maxsize=64)
def _insertion(model: Model, names: tuple[str, ...], *, new: bool = False) -> str:
    otherwise = "" if new else "ON CONFLICT DO NOTHING "
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        f'INSERT INTO "{model._meta.db_table}" ({columns}) SELECT {selected(model, names)} '  # noqa: S608 - the model's own names
        f"FROM {recordset(model, names)} {otherwise}RETURNING {model._meta.pk.column}"
    )


@lru_cache(maxsize=256)
def _updating(model: Model, names: tuple[str, ...], *, few: bool) -> str:
    table = model._meta.db_table
    settings = ", ".join(f'"{name}" = {_value(_field(model, name), name)}' for name in names if name != "id")
    return (
        f'UPDATE "{table}" t SET {settings} FROM {recordset(model, names, few=few)} '  # noqa: S608 - the model's own names
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


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_hexadecimal, option=orjson.OPT_NON_STR_KEYS).decode()


# A batch is of one moment.
@lru_cache(maxsize=16)
def _moment(value: datetime) -> str:
    return value.isoformat()


def _lexemes(values: Sequence[str]) -> str:
    """The text of a search vector: every lexeme in quotes."""
    return _quoted(values, "'", "''", " ")


def array(values: Iterable[str | bytes]) -> str:
    """The text of an array of texts or of bytes, for a parameter of a thousand, which psycopg spells one by one."""
    texts = [value if isinstance(value, str) else f"\\x{value.hex()}" for value in values]
    return "{" + _quoted(texts, '"', '\\"', ",") + "}"


def _quoted(texts: Sequence[str], quote: str, quote_inside: str, separator: str) -> str:
    """Every text in quotes. Few hold one: those that need no escapes are looked through together, and once."""
    if not texts:
        return ""
    whole = "".join(texts)
    if quote in whole or "\\" in whole:
        texts = [text.replace("\\", "\\\\").replace(quote, quote_inside) for text in texts]
    return quote + f"{quote}{separator}{quote}".join(texts) + quote


def _is_plain(text: str) -> bool:
    return not ("\\" in text or "\t" in text or "\n" in text or "\r" in text)


def _escaped(text: str) -> str:
    """Four looks for what is rarely there cost a twentieth of one translation letter by letter."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


_SPELLINGS: Mapping[type[_Field], Callable[[Any], str]] = {
    models.CharField: str,
    models.TextField: str,
    models.UUIDField: attrgetter("hex"),
    models.JSONField: _json,
    ArrayField: array,
    models.DateTimeField: _moment,
    SearchVectorField: _lexemes,
    models.BinaryField: lambda value: f"\\x{bytes(value).hex()}",
}
"""How a value is spelled in a copy; a number or a truth value as Python does."""


@lru_cache(maxsize=512)
def _spelling(field: _Field) -> Callable[[Any], str]:
    kind = type(field.target_field if field.is_relation else field)
    return _SPELLINGS.get(kind, str)


def as_json(rows_: Sequence[Row]) -> str:
    """What `recordset` reads."""
    return orjson.dumps(rows_, default=_hexadecimal, option=orjson.OPT_NON_STR_KEYS).decode()


def _hexadecimal(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(type(value).__name__)
