"""The provisioning log: what is kept of a request, when, and that the answer never depends on it."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction

from identity_hub.core.clock import now
from provisioning import request_log
from provisioning.digests import keyed
from provisioning.models import ScimRequest
from provisioning.request_log import Entry, Reads, flush, note

from .cast import House


def entry(where: House, **more: Any) -> Entry:
    facts: dict[str, Any] = {
        "tenant_id": where.tenant.pk,
        "connection_id": where.connection.pk,
        "token_id": uuid4(),
        "digest_key": bytes(where.tenant.digest_key),
        "at": now(),
        "request_id": "request-0001",
        "method": "PATCH",
        "action": "user.update",
        "status": 200,
        "milliseconds": 3.14159,
    }
    return Entry(**facts | more)


def read(where: House, **more: Any) -> Entry:
    return entry(where, **{"method": "GET", "action": "user.look-up", "results": 1} | more)


def lost() -> float:
    return float(request_log._lost._value.get())


def test_a_write_is_kept_at_once_and_without_what_is_personal(acme: House) -> None:
    target = uuid4()
    sent = entry(
        acme,
        target_id=target,
        status=409,
        scim_type="uniqueness",
        reason="account:user-name-taken",
        detail='The userName "Ada@acme.example" is taken.',
        body={"userName": "Ada@acme.example", "externalId": "E1", "active": False},
        keys=(("user_name", "Ada@acme.example"), ("external_id", "E1"), ("email", "ADA@acme.example")),
    )
    note(sent)
    row = ScimRequest.objects.get()
    assert (row.tenant_id, row.connection_id, row.token_id) == (
        sent.tenant_id,
        sent.connection_id,
        sent.token_id,
    )
    assert (row.at, row.request_id, row.method, row.action) == (
        sent.at,
        "request-0001",
        "PATCH",
        "user.update",
    )
    assert (row.target_id, row.status, row.scim_type, row.reason) == (
        target,
        409,
        "uniqueness",
        "account:user-name-taken",
    )
    assert row.detail == "The userName … is taken."
    assert row.body == {"userName": "…", "externalId": "…", "active": False}
    assert (row.milliseconds, row.results) == (3.14, None)
    key = bytes(acme.tenant.digest_key)
    assert row.digests == sorted(
        keyed(key, family, acme.connection.pk, value).hex()
        for family, value in (
            ("user_name", "ada@acme.example"),
            ("external_id", "E1"),
            ("email", "ada@acme.example"),
        )
    )


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ({"method": "GET", "action": "user.read"}, True),
        ({"method": "HEAD", "action": "user.read", "status": 304}, True),
        ({"method": "POST", "action": "group.look-up"}, True),
        ({"method": "GET", "action": "user.look-up", "status": 404}, False),
        ({"method": "POST", "action": "user.look-up", "status": 400}, False),
        ({"method": "POST", "action": "user.create", "status": 201}, False),
        ({"method": "POST", "action": "bulk"}, False),
        ({"method": "POST", "action": "user.create", "status": 429}, True),
    ],
    ids=str,
)
def test_only_answered_reads_and_stemmed_floods_wait(acme: House, more: dict[str, Any], waits: bool) -> None:
    note(entry(acme, **more))
    assert ScimRequest.objects.exists() is not waits
    flush()
    assert ScimRequest.objects.count() == 1


def test_reads_are_written_together(acme: House, django_assert_num_queries: Any) -> None:
    for number in range(20):
        note(read(acme, results=number, body={"filter": 'userName eq "ada"'}))
    # The two around it are a savepoint: tests run inside a transaction.
    with django_assert_num_queries(3):
        flush()
    assert list(ScimRequest.objects.order_by("pk").values_list("results", flat=True)) == list(range(20))
    assert ScimRequest.objects.first().body == {"filter": 'userName eq "…"'}
    with django_assert_num_queries(0):
        flush()


def test_several_writes_take_one_statement(acme: House, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(3):
        note(*(entry(acme) for _ in range(30)))
    assert ScimRequest.objects.count() == 30


@pytest.mark.parametrize(
    "more",
    [
        {
            "detail": "a\x00b\ud800" * 300,
            "request_id": "x" * 100,
            "scim_type": "\x00" * 50,
            "reason": "y" * 99,
        },
        {"action": "z" * 99, "method": "PROPFIND-AND-MORE"},
        {"body": {"a\x00b": "\ud800", "schemas": ["\x00"], "path": "x\x00\ud800"}, "detail": "x"},
        {"keys": tuple(("email", f"{number}\x00\ud800") for number in range(500))},
        {"body": [[[[]]]], "milliseconds": 0},
    ],
    ids=["texts", "codes", "body", "keys", "shape"],
)
def test_whatever_a_client_sends_can_be_kept(acme: House, more: dict[str, Any]) -> None:
    before = lost()
    note(entry(acme, **more))
    assert ScimRequest.objects.count() == 1
    assert lost() == before


def test_what_cannot_be_kept_is_counted_and_hurts_nobody(acme: House) -> None:
    before = lost()
    note(entry(acme, status=99_999))
    for status in (200, 99_999, 201):
        note(read(acme, method="GET", action="user.read", status=200, results=2**40 if status > 999 else 1))
    flush()
    assert lost() == before + 2
    assert ScimRequest.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_on_record_though_its_own_work_was_undone(acme: House) -> None:
    with transaction.atomic():
        acme.connection.name = "Undone"
        acme.connection.save()
        transaction.set_rollback(True)
    note(entry(acme, status=409))
    acme.connection.refresh_from_db()
    assert acme.connection.name == "Main"
    assert ScimRequest.objects.get().status == 409


@pytest.fixture
def telling(transactional_db: None) -> Iterator[None]:
    """A table that writes down how its rows were committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN NEW.detail := current_setting(''synchronous_commit''); RETURN NEW; END'"
        )
        cursor.execute(
            "CREATE TRIGGER tell BEFORE INSERT ON provisioning_scimrequest FOR EACH ROW EXECUTE FUNCTION tell()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION tell() CASCADE")


def test_the_log_does_not_wait_for_the_disk_and_others_do(telling: None, acme: House) -> None:
    with connection.cursor() as cursor:
        # The embedded server of the tests waits for no disk at all.
        cursor.execute("SET synchronous_commit = on")
    note(entry(acme))
    with transaction.atomic():
        note(entry(acme))
    assert list(ScimRequest.objects.order_by("pk").values_list("detail", flat=True)) == ["off", "on"]
    with connection.cursor() as cursor:
        cursor.execute("RESET synchronous_commit")


def test_the_oldest_reads_go_when_too_many_wait(acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "LIMIT", 3)
    before = lost()
    for number in range(5):
        note(read(acme, results=number))
    assert lost() == before + 2
    flush()
    assert list(ScimRequest.objects.order_by("pk").values_list("results", flat=True)) == [2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_reads_wait_for_a_database_that_is_away(acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
    note(read(acme, results=1))
    before = lost()
    with monkeypatch.context() as away:
        connection.close()
        away.setitem(connection.settings_dict, "PORT", "1")
        with pytest.raises(OperationalError):
            flush()
        note(entry(acme))  # a write that cannot be logged is answered all the same
    connection.close()
    assert lost() == before + 1
    note(read(acme, results=2))
    flush()
    assert list(ScimRequest.objects.order_by("pk").values_list("results", flat=True)) == [1, 2]


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := true()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_within_a_second_and_gives_its_connection_back(
    acme: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(request_log, "READS", reads := Reads())

    def others() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])

    before = others()
    started = time.monotonic()
    note(read(acme))
    assert until(ScimRequest.objects.exists)
    assert time.monotonic() - started < 2
    assert until(lambda: others() == before)
    note(read(acme))
    assert until(lambda: ScimRequest.objects.count() == 2)
    assert until(lambda: others() == before)
    assert reads._thread is not None


@pytest.mark.django_db(transaction=True)
def test_what_waits_is_written_at_the_end_of_the_process(acme: House) -> None:
    (reads := Reads()).put(read(acme))
    reads.finish()
    assert ScimRequest.objects.count() == 1


def test_a_forked_process_begins_with_an_empty_queue(acme: House) -> None:
    note(read(acme))
    child = os.fork()
    if child == 0:
        os._exit(len(request_log.READS._waiting))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(request_log.READS._waiting) == 1
