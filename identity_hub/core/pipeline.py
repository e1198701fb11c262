"""Prepared statements by libpq's pipeline, on Django's own connection and in its transaction. Knows no table.

A cursor looks anew at every statement and value and waits for each answer, which was most of what a short statement
cost the process. Here a statement is read once, prepared once for each connection, and inside `together` travels with
those after it until somebody wants an answer (PostgreSQL 18, libpq, "Pipeline Mode"). The wire is psycopg's `pq`
module; what comes back is read by psycopg's own loaders.
"""

import re
import select
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.transaction import TransactionManagementError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
Spelled: TypeAlias = tuple[int, bytes | None]
"""(OID of a value's type, 0 where the statement says it; its text)."""

KEPT = 300
"""How many statements one database connection keeps prepared."""

_LINE = "hub_line"
"""Where a psycopg connection keeps its `_Line`."""
_FINE = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Answer:
    """What the database says to one statement. Whoever looks at it makes what is waiting travel."""

    __slots__ = ("_line", "result")

    def __init__(self, line: "_Line") -> None:
        self._line = line
        self.result: Any = None

    def rows(self) -> list[tuple[Any, ...]]:
        """Every row; a jsonb value is its text. Raises what Django raises (`django.db.Error`)."""
        result = self._come()
        if not result.ntuples:
            return []
        loading = self._line.loading
        loading.set_pgresult(result)
        found: list[tuple[Any, ...]] = loading.load_rows(0, result.ntuples, tuple)
        return found

    def touched(self) -> int:
        """How many rows were written. Raises what Django raises."""
        return self._come().command_tuples or 0

    def _come(self) -> Any:
        if self.result is None:
            self._line.send()
        if self.result is None:
            raise InterfaceError("no answer: a statement before this one failed")
        return self.result


def ask(statement: str, parameters: Parameters = (), *, prepared: bool = True) -> Answer:
    """Sends a statement with its values beside it; inside `together` not before somebody looks at an answer.

    Without `prepared` the database plans for just these values. Raises what Django raises.
    """
    if (line := _here.line) is not None:
        line.own.validate_no_broken_transaction()
        return line.add(statement, parameters, prepared)
    own = connections[DEFAULT_DB_ALIAS]
    if _is_unproven(own) and statement.lstrip().startswith("SELECT"):
        try:
            answer = _line_of(own).asked(statement, parameters, prepared)
        except OperationalError:
            if not own.connection.closed:
                raise
            # Reading may be done again. The next connection is a new one.
            own.close()
        else:
            own.health_check_done = True
            return answer
    return _proven(own).asked(statement, parameters, prepared)


@contextmanager
def together() -> Iterator[None]:
    """Inside a transaction: a statement whose answer nobody waits for travels with the next one, or at the end.

    What the ORM asks goes after what was asked before it. Where the transaction is the outermost its COMMIT travels
    with the last, and Django finds nothing left to commit.
    """
    if _here.line is not None:
        yield
        return
    own = connections[DEFAULT_DB_ALIAS]
    line = _here.line = _proven(own)
    try:
        with own.execute_wrapper(line.first):
            yield
        outermost = len(own.atomic_blocks) == 1 and own.commit_on_exit and not own.needs_rollback
        ended = line.commit() if outermost else None
        line.send()
        # PostgreSQL ends a transaction of which a statement failed by a ROLLBACK, without a word.
        if ended is not None and ended.result.command_status != b"COMMIT":
            raise TransactionManagementError("a statement failed, and the transaction was rolled back")
    finally:
        _here.line = None
        line.waiting.clear()


def ready() -> Any:
    """Django's connection of this thread, looked at as its cursors do, and with nothing waiting: for what goes by
    another way than `ask` or Django's cursors."""
    own = connections[DEFAULT_DB_ALIAS]
    _proven(own).send()
    return own


class _Here(threading.local):
    line: "_Line | None" = None
    """Where this thread's statements wait, inside `together`."""


_here = _Here()


def _is_unproven(own: Any) -> bool:
    """Whether Django would ask first if the connection still lives, which a statement finds out as well."""
    return (
        own.connection is not None
        and own.health_check_enabled
        and not own.health_check_done
        and not own.in_atomic_block
    )


def _proven(own: Any) -> "_Line":
    """The thread's own line, after all that Django's cursors look at before they ask."""
    # Once a request: a thread's first statement after an outage finds a new connection.
    own.close_if_health_check_failed()
    own.ensure_connection()
    own.validate_no_broken_transaction()
    return _line_of(own)


def _line_of(own: Any) -> "_Line":
    line: _Line | None = getattr(own.connection, _LINE, None)
    if line is None:
        line = _Line(own)
        setattr(own.connection, _LINE, line)
    return line


_Key: TypeAlias = tuple[bytes, tuple[int, ...]]
"""A statement, and the types of its values."""


class _Waiting(NamedTuple):
    text: bytes
    types: tuple[int, ...]
    values: list[bytes | None]
    prepared: bool
    answer: Answer


class _Line:
    """One database connection: what it keeps prepared, and what waits to be sent."""

    def __init__(self, own: Any) -> None:
        self.loading: Any = Transformer(own.connection)
        self.waiting: list[_Waiting] = []
        self.own = own
        self._connection: psycopg.Connection[Any] = own.connection
        self._names: OrderedDict[_Key, bytes] = OrderedDict()
        self._numbered = 0

    def add(self, statement: str, parameters: Parameters, prepared: bool) -> Answer:
        text, places = _read(statement)
        with self.own.wrap_database_errors:
            spelled = [self._spelled(parameters[place]) for place in places]  # type: ignore[call-overload,index]
        answer = Answer(self)
        types, values = tuple([oid for oid, _ in spelled]), [value for _, value in spelled]
        self.waiting.append(_Waiting(text, types, values, prepared, answer))
        if self.own.queries_logged:
            self.own.queries_log.append({"sql": statement, "time": "0.000"})
        return answer

    def asked(self, statement: str, parameters: Parameters, prepared: bool) -> Answer:
        answer = self.add(statement, parameters, prepared)
        self.send()
        return answer

    def first(self, execute: Callable[..., Any], *asked: Any) -> Any:
        """A wrapper around Django's cursors: what was asked before goes before."""
        self.send()
        return execute(*asked)

    def commit(self) -> Answer | None:
        """None where there is nothing to commit."""
        if not self.waiting and self._connection.pgconn.transaction_status == TransactionStatus.IDLE:
            return None
        answer = Answer(self)
        self.waiting.append(_Waiting(b"COMMIT", (), [], False, answer))
        return answer

    def send(self) -> None:
        """Sends what is waiting and reads every answer. Raises what Django raises, for the first that fails."""
        if not self.waiting:
            return
        going, self.waiting = self.waiting, []
        line = self._connection.pgconn
        with self.own.wrap_database_errors:
            try:
                line.enter_pipeline_mode()
                failed = self._hear(self._tell(going))
                line.exit_pipeline_mode()
            except BaseException:
                # Half a conversation, with which nobody could go on.
                self._connection.close()
                raise
            if failed is not None:
                raise error_from_result(failed, encoding="utf-8")

    def _tell(self, going: Sequence[_Waiting]) -> "list[_Coming]":
        """Sends all of it; answers what is to come, in order."""
        line = self._connection.pgconn
        coming: list[_Coming] = []
        new: dict[_Key, bytes] = {}
        if not self._connection.autocommit and line.transaction_status == TransactionStatus.IDLE:
            line.send_query_params(b"BEGIN", None)
            coming.append(_NOTHING)
        for text, types, values, prepared, answer in going:
            if prepared:
                key = (text, types)
                if key in self._names:
                    self._names.move_to_end(key)
                elif key not in new:
                    new[key] = self._new_name(coming)
                    line.send_prepare(new[key], text, types)
                    coming.append(_Coming(None, key, new[key]))
                line.send_query_prepared(self._names.get(key) or new[key], values)
            else:
                line.send_query_params(text, values, param_types=types)
            coming.append(_Coming(answer, None, b""))
        line.pipeline_sync()
        self._push()
        return coming

    def _new_name(self, coming: "list[_Coming]") -> bytes:
        if len(self._names) >= KEPT:
            _, oldest = self._names.popitem(last=False)
            # Not by DEALLOCATE, of which a pooler knows nothing.
            self._connection.pgconn.send_close_prepared(oldest)
            coming.append(_NOTHING)
        self._numbered += 1
        return b"hub_%d" % self._numbered

    def _hear(self, coming: "Sequence[_Coming]") -> Any:
        """Reads what comes; answers the first result that is a failure. What follows that one, was not done."""
        failed = None
        for answer, key, name in coming:
            result = self._next()
            if result.status not in _FINE:
                failed = failed or result
            elif answer is not None:
                answer.result = result
            elif key is not None:
                self._names[key] = name
            # The end of this one.
            self._next()
        # And of all of them.
        self._next()
        return failed

    def _push(self) -> None:
        """Until all is on its way. A server whose answers nobody takes would take no more."""
        line = self._connection.pgconn
        while line.flush():
            if _wait(line.socket, select.POLLIN | select.POLLOUT) & select.POLLIN:
                line.consume_input()

    def _next(self) -> Any:
        """The next result, or None. Raises psycopg.OperationalError when the database is gone."""
        line = self._connection.pgconn
        while line.is_busy():
            _wait(line.socket, select.POLLIN)
            line.consume_input()
        result = line.get_result()
        if line.status != ConnStatus.OK:
            raise psycopg.OperationalError(line.get_error_message())
        return result

    def _spelled(self, value: Any) -> Spelled:
        spelling = _SPELLINGS.get(type(value))
        if spelling is not None and (spelled := spelling(value)) is not None:
            return spelled
        dumper = self.loading.get_dumper(value, PyFormat.TEXT)
        dumped = dumper.dump(value)
        return dumper.oid, None if dumped is None else bytes(dumped)


class _Coming(NamedTuple):
    """A result that is to come: whose answer it is, or by which name a statement is kept from now on."""

    answer: Answer | None
    key: _Key | None
    name: bytes


_NOTHING = _Coming(None, None, b"")


def _wait(socket: int, what: int) -> int:
    waiting = select.poll()
    waiting.register(socket, what)
    ((_, happened),) = waiting.poll()
    return happened


# A psycopg statement: `%s`, `%(name)s`, and `%%` for a percent sign.
_PLACE = re.compile(r"%(?:\((\w+)\))?(.)", re.DOTALL)


@lru_cache(maxsize=2048)
def _read(statement: str) -> tuple[bytes, tuple[str | int, ...]]:
    """(the statement with numbered places, what each of them takes of the parameters)."""
    places: list[str | int] = []

    def numbered(found: re.Match[str]) -> str:
        name, kind = found.groups()
        if kind == "%" and name is None:
            return "%"
        if kind != "s":
            raise ValueError(f"no place for a value: {found[0]}")
        place: str | int = len(places) if name is None else name
        if place not in places:
            places.append(place)
        return f"${places.index(place) + 1}"

    return _PLACE.sub(numbered, statement).encode(), tuple(places)


def _text(value: str) -> Spelled:
    # libpq would end the text there.
    if "\0" in value:
        raise psycopg.DataError("a text cannot hold NUL")
    return 0, value.encode()


def _number(value: int) -> Spelled | None:
    if -(2**31) <= value < 2**31:
        return _INT4, b"%d" % value
    return (_INT8, b"%d" % value) if -(2**63) <= value < 2**63 else None


def _moment(value: datetime) -> Spelled:
    return (_TIMESTAMPTZ if value.tzinfo else _TIMESTAMP), value.isoformat().encode()


def _list(values: list[Any]) -> Spelled | None:
    if not values:
        return 0, b"{}"
    kinds = set(map(type, values))
    if kinds == {UUID}:
        return _UUIDS, ("{" + ",".join([value.hex for value in values]) + "}").encode()
    return None


# pg_type.dat
_BOOL, _BYTEA, _INT8, _INT4, _TIMESTAMP, _TIMESTAMPTZ, _UUID, _UUIDS = 16, 17, 20, 23, 1114, 1184, 2950, 2951
_SPELLINGS: Mapping[type, Callable[[Any], Spelled | None]] = {
    type(None): lambda _: (0, None),
    str: _text,
    bool: lambda value: (_BOOL, b"t" if value else b"f"),
    int: _number,
    UUID: lambda value: (_UUID, value.hex.encode()),
    bytes: lambda value: (_BYTEA, b"\\x" + value.hex().encode()),
    datetime: _moment,
    list: _list,
}
"""How the common values are spelled; None, and every other one, is left to psycopg."""
