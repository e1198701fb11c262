"""The keys by which an account is found: which there are, and that PostgreSQL can hold them."""

from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.search import search_key, search_keys

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "a value, folded": ({"displayName": "Ada@X.org"}, ["displayname=ada@x.org"]),
    "nothing that has an index of its own": (
        {"userName": "ada", "externalId": "7", "title": "Dr"},
        ["title=dr"],
    ),
    "the parts of a complex attribute": (
        {"name": {"familyName": "Byron", "givenName": "Ada"}},
        ["name.familyname=byron", "name.givenname=ada"],
    ),
    "every element": (
        {"emails": [{"value": "a@x.org", "type": "work"}, {"value": "B@x.org"}]},
        ["emails.value=a@x.org", "emails.type=work", "emails.value=b@x.org"],
    ),
    "plain elements": ({"nickNames": ["A", "B"]}, ["nicknames=a", "nicknames=b"]),
    "an extension under its URN": (
        {ENTERPRISE: {"employeeNumber": "7", "manager": {"value": "M"}}},
        [f"{ENTERPRISE.lower()}:employeenumber=7", f"{ENTERPRISE.lower()}:manager.value=m"],
    ),
    "numbers as text, equal ones alike": ({"a": 5, "b": 5.0, "c": 0.5}, ["a=5", "b=5", "c=0.5"]),
    "no booleans, no schemas": ({"active": True, "schemas": ["urn:x"], "title": "Dr"}, ["title=dr"]),
}


@pytest.mark.parametrize(("document", "keys"), CASES.values(), ids=CASES)
def test_what_a_document_is_found_by(document: dict[str, Any], keys: list[str]) -> None:
    assert search_keys(document) == keys


def test_a_key_asked_for_is_the_key_that_was_kept() -> None:
    for value in ("Ada", "x" * 3000, "İSTANBUL", "ΟΔΟΣ", 7, 7.0, 1e300, 10**400, -0.25):
        assert search_keys({"title": value}) == [search_key("title", value)]


_words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=600)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(_words, st.just("😀" * 600)), path=st.sampled_from(["title", "urn:" + "x" * 470]))
def test_every_key_is_a_lexeme_of_postgresql(db: None, value: str, path: str) -> None:
    keys = search_keys({path: value})
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(array_to_tsvector(%s::text[]))", [keys])
        assert cursor.fetchone()[0] == keys
