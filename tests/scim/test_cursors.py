"""Cursors (RFC 9865): what they lead to, what they are bound to, and that they tell nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models.exceptions import (
    ExpiredCursorException,
    InvalidCountException,
    InvalidCursorException,
    SCIMException,
)

from scim.cursors import LIFETIME, Page, Query, opened, page_size, sealed
from scim.sorting import Position

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUERY = Query(
    tenant_id=UUID(int=1),
    connection_id=UUID(int=2),
    resource_type="User",
    count=100,
    filter='userName sw "J"',
    sort_by="name.familyName",
)
PAGE = Page(after=Position(id=UUID(int=7), key="Lovelace"), total=4711)


@given(
    key=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=256),
    total=st.none() | st.integers(0, 10**9),
)
def test_a_cursor_leads_to_its_page(key: str | None, total: int | None) -> None:
    page = Page(after=Position(id=UUID(int=7), key=key), total=total)
    cursor = sealed(page, QUERY, AT)
    assert opened(cursor, QUERY, AT + LIFETIME - timedelta(seconds=1)) == page
    # RFC 9865 2: "may only contain characters from the unreserved characters set" of RFC 3986.
    assert re.fullmatch(r"[A-Za-z0-9\-._~]+", cursor)


def test_the_empty_cursor_is_the_first_page() -> None:
    assert opened("", QUERY, AT) is None


def test_a_cursor_says_nothing_and_is_never_the_same() -> None:
    one, other = (sealed(PAGE, QUERY, AT) for _ in range(2))
    assert one != other
    assert "Lovelace" not in one


OTHERS: dict[str, dict[str, Any]] = {
    "another tenant": {"tenant_id": UUID(int=9)},
    "another connection": {"connection_id": UUID(int=9)},
    "another resource type": {"resource_type": "Group"},
    "another filter": {"filter": 'userName sw "K"'},
    "no filter": {"filter": ""},
    "another attribute": {"sort_by": "userName"},
    "another order": {"sort_order": "descending"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_cursor_belongs_to_one_query(other: dict[str, Any]) -> None:
    """RFC 9865 2: "all query parameters and values being identical to the initial query"."""
    with pytest.raises(InvalidCursorException):
        opened(sealed(PAGE, QUERY, AT), replace(QUERY, **other), AT)


def test_the_case_of_what_has_none_does_not_matter() -> None:
    query = replace(QUERY, sort_order="descending")
    asked = replace(query, sort_by="NAME.familyname", sort_order="Descending")
    assert opened(sealed(PAGE, query, AT), asked, AT) == PAGE


def test_a_cursor_ends() -> None:
    with pytest.raises(ExpiredCursorException):
        opened(sealed(PAGE, QUERY, AT), QUERY, AT + LIFETIME)


def test_the_count_stays() -> None:
    """RFC 9865 2.1, invalidCount: "must be equal to the count value of the initial query"."""
    with pytest.raises(InvalidCountException):
        opened(sealed(PAGE, QUERY, AT), replace(QUERY, count=50), AT)


def test_a_cursor_of_another_installation_is_none(settings: Any) -> None:
    cursor = sealed(PAGE, QUERY, AT)
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(InvalidCursorException):
        opened(cursor, QUERY, AT)


def test_no_bit_of_a_cursor_can_be_changed() -> None:
    cursor = sealed(PAGE, QUERY, AT)
    for place in range(len(cursor)):
        for letter in "AQgw_"[: 5 if place == len(cursor) - 1 else 2]:
            changed = cursor[:place] + letter + cursor[place + 1 :]
            if _bits(changed) != _bits(cursor):
                with pytest.raises(InvalidCursorException):
                    opened(changed, QUERY, AT)


def _bits(cursor: str) -> int:
    """What base64 reads of it: the last letter has bits that mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in cursor:
        number = number << 6 | letters.index(letter)
    return number >> (6 * len(cursor) % 8)


@given(st.one_of(st.text(max_size=200), st.text("ABCabc012-_=. ", max_size=200), st.just("A" * 100_000)))
def test_any_other_text_is_refused(text: str) -> None:
    if text:
        with pytest.raises(InvalidCursorException):
            opened(text, QUERY, AT)


COUNTS: dict[str, tuple[Any, int]] = {
    "none": (None, 100),
    "a number": ("7", 7),
    "a number in JSON": (7, 7),
    'a negative one "SHALL be interpreted as 0"': ("-3", 0),
    "no resources": ("0", 0),
    "more than the server gives": ("9999", 500),
    "very many": ("9" * 900, 500),
    "far too many": ("9" * 9000, 500),
}


@pytest.mark.parametrize(("text", "count"), COUNTS.values(), ids=COUNTS)
def test_a_count_is_what_the_rfc_makes_of_it(text: Any, count: int) -> None:
    assert page_size(text, default=100, most=500) == count


@pytest.mark.parametrize("text", ["", "ten", "1.5", "1_000", "٣", True, "0x10"])
def test_a_count_that_is_no_integer_is_refused(text: Any) -> None:
    with pytest.raises(InvalidCountException):
        page_size(text, default=100, most=500)


def test_every_error_has_its_scim_type() -> None:
    errors: list[type[SCIMException]] = [
        InvalidCursorException,
        ExpiredCursorException,
        InvalidCountException,
    ]
    assert [(error.status, error.scim_type) for error in errors] == [
        (400, "invalidCursor"),
        (400, "expiredCursor"),
        (400, "invalidCount"),
    ]
