"""Statements that travel together: values as psycopg spells them, one order, one COMMIT, and no half conversation."""

import enum
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.transaction import TransactionManagementError
from psycopg.types.json import Jsonb

from identity_hub.core import pipeline
from identity_hub.core.pipeline import ask, together

ID, OTHER = UUID(int=1), UUID(int=2**128 - 1)


class Colour(enum.StrEnum):
    RED = "red"


VALUES: dict[str, tuple[str, Any, Any]] = {
    "text": ("%s::text", "Zoë's 😀 \\ \" \t\n", "Zoë's 😀 \\ \" \t\n"),
    "an empty text": ("%s::text", "", ""),
    "a member of an enumeration": ("%s::text", Colour.RED, "red"),
    "nothing": ("%s::text", None, None),
    "a small number, of its own type": ("pg_typeof(%s)::text", 7, "integer"),
    "the largest small number": ("%s", 2**31 - 1, 2**31 - 1),
    "a large number": ("%s", -(2**31) - 1, -(2**31) - 1),
    "a number beyond bigint": ("%s", 2**63, 2**63),
    "true": ("%s", True, True),
    "false": ("%s", False, False),
    "a fraction": ("%s", 0.25, 0.25),
    "bytes": ("%s", b"\x00\xff\\'", b"\x00\xff\\'"),
    "a uuid": ("%s", ID, ID),
    "a moment": ("%s", datetime(2026, 11, 30, 1, 2, 3, 4, UTC), datetime(2026, 11, 30, 1, 2, 3, 4, UTC)),
    "a moment elsewhere": (
        "%s",
        datetime(2026, 11, 30, 1, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 29, 23, tzinfo=UTC),
    ),
    "a document": ("%s", Jsonb({"a": [1, "ü"]}), '{"a": [1, "ü"]}'),
    "no uuids": ("%s::uuid[]", [], []),
    "uuids": ("%s", [ID, OTHER], [ID, OTHER]),
    "texts": ("%s::text[]", ["a,b", 'say "so"', "\\", "NULL", ""], ["a,b", 'say "so"', "\\", "NULL", ""]),
    "texts with nothing among them": ("%s::text[]", ["a", None], ["a", None]),
    "numbers": ("%s", [1, 2**40], [1, 2**40]),
}


@pytest.mark.django_db
@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "not prepared"])
@pytest.mark.parametrize(("place", "value", "back"), VALUES.values(), ids=VALUES)
def test_a_value_comes_back_as_it_went(place: str, value: Any, back: Any, prepared: bool) -> None:
    for _ in range(2):
        assert ask(f"SELECT {place}", (value,), prepared=prepared).rows() == [(back,)]


@pytest.mark.django_db
def test_places_have_names_or_an_order_and_a_percent_sign_is_two() -> None:
    assert ask("SELECT %(b)s::text, %(a)s::int, %(b)s::text", {"a": 1, "b": "x"}).rows() == [("x", 1, "x")]
    assert ask("SELECT %s::int, 'a' LIKE '%%', %s::int", (1, 2)).rows() == [(1, True, 2)]
    with pytest.raises(ValueError, match="no place for a value"):
        ask("SELECT %d", (1,))


@pytest.mark.django_db
def test_a_text_is_not_cut_at_a_nul() -> None:
    with pytest.raises(DataError):
        ask("SELECT %s::text", ("admin\0@elsewhere",))
    assert ask("SELECT 1").rows() == [(1,)]


@pytest.fixture
def table() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE travelling (n int PRIMARY KEY, said text)")
    yield "travelling"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE travelling")


def elsewhere(statement: str) -> list[tuple[Any, ...]]:
    """What another connection sees."""
    settings = connection.get_connection_params()
    settings.pop("cursor_factory", None), settings.pop("context", None)
    with psycopg.connect(**settings) as other:
        return other.execute(statement).fetchall()


COUNT = "SELECT count(*) FROM travelling"


def write(n: int) -> pipeline.Answer:
    return ask("INSERT INTO travelling VALUES (%s, %s)", (n, "x"))


def inside(*steps: Callable[[], Any]) -> None:
    with transaction.atomic(), together():
        for step in steps:
            step()


@pytest.mark.django_db(transaction=True)
class TestTogether:
    def test_what_is_written_is_there_for_everybody_at_the_end(self, table: str) -> None:
        with transaction.atomic(), together():
            write(1)
            answer = write(2)
        assert elsewhere(COUNT) == [(2,)]
        assert answer.touched() == 1
        assert not connection.in_atomic_block
        assert ask(COUNT).rows() == [(2,)]

    def test_an_answer_knows_of_everything_asked_before_it(self, table: str) -> None:
        with transaction.atomic(), together():
            write(1)
            counted = ask(COUNT)
            write(2)
            assert counted.rows() == [(1,)]
            assert ask(COUNT).rows() == [(2,)]

    def test_the_orm_finds_what_was_asked_before_it(self, table: str) -> None:
        with transaction.atomic(), together():
            write(1)
            with connection.cursor() as cursor:
                cursor.execute(COUNT)
                assert cursor.fetchone() == (1,)
            with transaction.atomic():
                write(2)
        assert elsewhere(COUNT) == [(2,)]

    def test_nothing_is_there_when_one_of_them_fails(self, table: str) -> None:
        with pytest.raises(IntegrityError):
            inside(partial(write, 1), partial(write, 1), partial(write, 2))
        assert elsewhere(COUNT) == [(0,)]
        write(3)
        assert elsewhere(COUNT) == [(1,)]

    def test_the_error_says_what_kind_it_is(self, table: str) -> None:
        with pytest.raises(IntegrityError) as caught:
            inside(partial(write, 1), partial(write, 1))
        assert caught.value.__cause__.sqlstate == "23505"  # type: ignore[union-attr]

    def test_an_answer_behind_a_failure_is_none(self, table: str) -> None:
        def look() -> None:
            failing, behind = write(1), ask(COUNT)
            with pytest.raises(IntegrityError):
                failing.touched()
            with pytest.raises(InterfaceError, match="a statement before this one failed"):
                behind.rows()

        with pytest.raises(TransactionManagementError):
            inside(partial(write, 1), look)
        assert elsewhere(COUNT) == [(0,)]

    def test_what_waits_when_the_caller_fails_is_never_done(self, table: str) -> None:
        with pytest.raises(ValueError, match="no place"):
            inside(partial(write, 1), partial(ask, "%d"))
        assert elsewhere(COUNT) == [(0,)]
        assert ask(COUNT).rows() == [(0,)]

    def test_a_savepoint_undoes_its_own_part_only(self, table: str) -> None:
        with transaction.atomic(), together():
            write(1)
            with pytest.raises(IntegrityError), transaction.atomic():
                write(1)
            write(2)
        assert elsewhere("SELECT n FROM travelling ORDER BY n") == [(1,), (2,)]

    def test_inside_another_transaction_nothing_is_committed(self, table: str) -> None:
        with transaction.atomic():
            with transaction.atomic(), together():
                write(1)
            assert elsewhere(COUNT) == [(0,)]
        assert elsewhere(COUNT) == [(1,)]

    def test_what_waits_for_the_commit_happens_after_it(self, table: str) -> None:
        seen: list[Any] = []
        with transaction.atomic(), together():
            write(1)
            transaction.on_commit(lambda: seen.append(elsewhere(COUNT)))
        assert seen == [[(1,)]]

    def test_much_travels_both_ways(self, table: str) -> None:
        text = "x" * 2_000_000
        with transaction.atomic(), together():
            answers = [ask("SELECT %s::text", (text,)) for _ in range(10)]
            assert all(answer.rows() == [(text,)] for answer in answers)

    def test_more_statements_than_are_kept(self, table: str) -> None:
        for _ in range(2):
            with transaction.atomic(), together():
                answers = [ask(f"SELECT {n} + %s", (1,)) for n in range(pipeline.KEPT + 20)]
                assert [answer.rows() for answer in answers] == [
                    [(n + 1,)] for n in range(pipeline.KEPT + 20)
                ]
        ((kept,),) = ask("SELECT count(*) FROM pg_prepared_statements", prepared=False).rows()
        assert kept <= pipeline.KEPT + 20


def cut() -> None:
    """Ends the session of this thread's connection, as a restarted database does."""
    ((own,),) = ask("SELECT pg_backend_pid()").rows()
    elsewhere(f"SELECT pg_terminate_backend({own})")


def new_request() -> None:
    connection.health_check_enabled, connection.health_check_done = True, False


@pytest.mark.django_db(transaction=True)
class TestALostConnection:
    @pytest.mark.parametrize(
        "work",
        [
            lambda: ask("SELECT 1").rows(),
            lambda: ask("WITH a AS (SELECT 1) SELECT * FROM a").rows(),
            lambda: [connection.cursor().execute("SELECT 1").fetchone()],
        ],
        ids=["a reading", "a statement that may write", "the ORM"],
    )
    def test_the_next_request_finds_a_new_one(self, work: Callable[[], Any]) -> None:
        cut()
        new_request()
        assert work() == [(1,)]

    def test_in_the_middle_it_is_an_error_and_the_next_request_goes_well(self, table: str) -> None:
        with pytest.raises(OperationalError):
            inside(partial(write, 1), cut, partial(write, 2))
        new_request()
        assert ask(COUNT).rows() == [(0,)]

    def test_a_mistake_in_a_reading_is_no_lost_connection(self) -> None:
        new_request()
        ((own,),) = ask("SELECT pg_backend_pid()").rows()
        new_request()
        with pytest.raises(ProgrammingError):
            ask("SELECT nothing_of_that_name")
        assert ask("SELECT pg_backend_pid()").rows() == [(own,)]
