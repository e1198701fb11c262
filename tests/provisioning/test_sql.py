"""Rows that are written without the ORM: many are copied as few are inserted, and a race is lost row by row."""

from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning import sql
from provisioning.models import Account

from .cast import House

pytestmark = pytest.mark.django_db

ODD = [
    "plain",
    "Zoë 😀",
    "a\tb\nc\rd",
    "\\N",
    "\\",
    "ends with \\",
    "it's",
    "''",
    'say "so"',
    "{a,b}",
    "NULL",
    "a:1A,2B",
    " spaces ",
    "\x01\x7f\u2028",
]


def row(house: House, text: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant_id": house.tenant.id,
        "connection_id": house.connection.id,
        "link_rule": "",
        "link_evidence": {},
        "origin": "scim",
        "lifecycle_owner": "scim",
        "active": True,
        "version": 1,
        "user_name": text,
        "user_name_key": text,
        "external_id": None,
        "subject_issuer": "",
        "subject_format": "",
        "subject_value": "",
        "resource": {"userName": text, text: [text, 1.5, None, True]},
        "email_keys": [text, "other", ""],
        "search": [f"username={text}", f"other={text}"],
        "unique_keys": [],
        "assertion": {},
        "created_at": now(),
        "updated_at": now(),
    }


def kept() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_name, user_name_key, external_id, resource::text, email_keys, search::text, unique_keys,"
            " active, created_at IS NOT NULL, linked_at FROM provisioning_account ORDER BY user_name_key"
        )
        return cursor.fetchall()


def test_a_copy_keeps_what_an_insertion_keeps(acme: House) -> None:
    rows = [row(acme, text) for text in ODD]
    assert len(rows) > sql.FEW
    for one in rows:
        assert sql.insert(Account, [one]) == set()
    inserted = kept()
    Account.objects.all().delete()
    assert sql.insert(Account, iter(rows)) == set()
    assert kept() == inserted
    assert len(inserted) == len(ODD)


def test_rows_beyond_those_that_go_together_are_kept_as_the_first(acme: House) -> None:
    rows = [row(acme, f"{ODD[n % len(ODD)]} {n}") for n in range(2 * sql.TOGETHER + 1)]
    sql.copy(Account, iter(rows))
    assert set(Account.objects.values_list("user_name", flat=True)) == {one["user_name"] for one in rows}
    assert ids() == {one["id"] for one in rows}


def test_of_many_rows_only_those_that_a_constraint_refuses_are_left_out(acme: House) -> None:
    taken = row(acme, "taken")
    sql.insert(Account, [taken])
    rows = [row(acme, name) for name in ["taken", *(f"name{n}" for n in range(2 * sql.FEW))]]
    assert sql.insert(Account, iter(rows)) == {rows[0]["id"]}
    assert ids() == {one["id"] for one in [taken, *rows[1:]]}
    assert sql.insert(Account, iter(rows[:2])) == {rows[0]["id"], rows[1]["id"]}


def test_a_copy_writes_every_row_or_none(acme: House) -> None:
    rows = [row(acme, name) for name in ("a", "b", "a")]
    with pytest.raises(IntegrityError), transaction.atomic():
        sql.copy(Account, rows)
    assert ids() == set()


def test_nothing_is_a_number_of_rows(acme: House) -> None:
    assert sql.insert(Account, []) == set()
    sql.copy(Account, [])
    assert ids() == set()


def ids() -> set[UUID]:
    return set(Account.objects.values_list("id", flat=True))
