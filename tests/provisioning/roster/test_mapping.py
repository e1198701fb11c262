"""Which column is which attribute, and what a mapping may not say."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provisioning.fingerprints import FIELDS
from provisioning.roster import Fault, mapping, values
from provisioning.roster.mapping import (
    STATE_WORDS,
    Wrong,
    checked,
    guess,
    names_a_state,
    page_of_documents,
    text_of,
)
from provisioning.roster.values import read_values


@pytest.mark.parametrize(
    ("columns", "samples", "found"),
    [
        pytest.param(["Foo", "Bar"], [], {}, id="nothing is known"),
        pytest.param(
            ["Employee ID", "Login"],
            [],
            {"user_name": "Login", "hr_number": "Employee ID"},
            id="blanks and case",
        ),
        pytest.param(
            ["userName", "Status"],
            [["ada", "gold"]],
            {"user_name": "userName"},
            id="a status that says nothing of being active",
        ),
        pytest.param(
            ["userName", "Status"],
            [["ada", "Active"], ["bob", ""]],
            {"user_name": "userName", "active": "Status"},
            id="a status that does",
        ),
        pytest.param(
            ["userName", "active", "suspended"],
            [],
            {"user_name": "userName", "active": "active"},
            id="not the opposite, where both are there",
        ),
        pytest.param(
            ["primaryEmail", "suspended", "archived"],
            [["ada", "False", "False"]],
            {"user_name": "primaryEmail", "inactive": "suspended", "archived": "archived"},
            id="two that each keep somebody out",
        ),
        pytest.param(["userName\x00", "login"], [], {"user_name": "login"}, id="a name that no table keeps"),
        pytest.param(
            ["userName", "mail"],
            [["ada", "12"]],
            {"user_name": "userName"},
            id="a column named like an e-mail without one",
        ),
    ],
)
def test_columns_are_guessed_by_their_names(
    columns: list[str], samples: list[list[str]], found: dict[str, str]
) -> None:
    assert guess(columns, samples) == found


@pytest.mark.parametrize(
    ("said", "columns", "wrong"),
    [
        pytest.param({"user_name": "a", "shoe_size": "b"}, None, "shoe_size", id="an attribute of no hub"),
        pytest.param({"user_name": "b"}, ["a"], "no column 'b'", id="a column that is not there"),
        pytest.param({"user_name": "a"}, ["a", "a"], "more than once", id="a column that is there twice"),
        pytest.param({"user_name": "a", "active": "b", "inactive": "c"}, None, "not both", id="yes and no"),
        pytest.param({"user_name": "a\x00"}, ["a\x00"], "cannot be read", id="a name that no table keeps"),
        pytest.param({"email": "a"}, None, "external_id or user_name", id="nothing to recognise people by"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(
    said: dict[str, str], columns: list[str] | None, wrong: str
) -> None:
    with pytest.raises(Wrong, match=wrong):
        checked(said, columns)


def test_documents_of_a_remote_listing_become_a_page() -> None:
    mapping = checked({"external_id": "id", "user_name": "userPrincipalName", "inactive": "blocked"})
    page = page_of_documents(
        [{"id": "1", "userPrincipalName": "ada", "blocked": False}, {"id": "2", "blocked": True}],
        mapping,
        first_line=101,
        cursor={"next": "x"},
        total=9,
    )
    assert [(line, row[:3]) for line, row in page.rows] == [(101, ("1", "ada", True))]
    assert list(page.faults) == [Fault(line=102, code="row:key-missing", column="userPrincipalName")]
    assert (page.cursor, page.total) == ({"next": "x"}, 9)
    assert mapping.fields == ["external_id", "user_name", "active"]


@pytest.mark.parametrize(
    ("said", "active"),
    [
        pytest.param({"blocked": "False"}, True, id="no"),
        pytest.param({"blocked": True}, False, id="yes"),
        pytest.param({"blocked": "blocked"}, None, id="a word that says the column's name, and not yes"),
        pytest.param({"blocked": "active"}, None, id="a word that is an answer to another question"),
    ],
)
def test_the_opposite_of_active_is_a_truth_value(said: dict[str, Any], active: bool | None) -> None:
    read = checked({"user_name": "userName", "inactive": "blocked"}).read(2, {"userName": "ada"} | said)
    unclear = Fault(line=2, code="row:active-unclear", column="blocked")
    assert (read == unclear) if active is None else (read[2] is active)


@pytest.mark.parametrize(
    ("said", "active"),
    [
        pytest.param({"active": True, "archived": False}, True, id="nobody archived her"),
        pytest.param({"active": True, "archived": "True "}, False, id="she is archived"),
        pytest.param({"active": True}, True, id="nobody says so"),
        pytest.param({"active": False, "archived": False}, False, id="she is inactive anyway"),
        pytest.param({"active": True, "archived": "archived"}, None, id="neither yes nor no"),
    ],
)
@pytest.mark.parametrize("alone", [False, True], ids=["beside active", "alone"])
def test_whoever_is_archived_is_not_active(said: dict[str, Any], active: bool | None, alone: bool) -> None:
    mapped = {"user_name": "userName", "active": "active", "archived": "archived"}
    document = {"userName": "ada"} | said
    if alone:
        del mapped["active"], document["active"]
        active = active if said["active"] or active is None else True
    mapping = checked(mapped, list(mapped.values()))
    assert mapping.fields == ["user_name", "active"]
    unclear = Fault(line=2, code="row:active-unclear", column="archived")
    cells = [text_of(document.get(column)) for column in mapped.values()]
    for read in (mapping.read(2, document), mapping.reader_of(list(mapped.values()))(2, cells)):
        assert (read == unclear) if active is None else (read[2] is active)


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "ada",
            "ada@acme.example",
            "None@x.example",
            "N/A",
            "0000",
            "-",
            "true",
            "Ada  B",
            " Ada",
            "Null",
        ]
    ),
    st.text(alphabet="aZ0-9@. \t\n'/&\u00e9\u00c5\u212b\u202e${}null", max_size=12),
    st.text(alphabet="a", min_size=60, max_size=70),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, min_size=len(FIELDS), max_size=len(FIELDS)))
@example(
    ["e1", "ada", "true", "ada@acme.example", *("Ada", "Example", "Ada Example", "en", "", "7", "R&D", "")]
)
@example(["e1", "ada", "n/a", "", *[""] * 8])
@example(["e1", "ada", "true", "none@acme.example", *[""] * 8])
@example(["e1", "ada", "true", "", "Null", "(Null", *[""] * 6])
@example(["e1", "ada", "true", "", *[""] * 3, "a" * 65, *[""] * 4])
def test_ordinary_lines_read_as_if_they_had_been_looked_at_closely(said: list[str]) -> None:
    columns = list(FIELDS)
    quickly = values._ordinary(said)
    if quickly is not None:
        assert quickly == values._closely(2, said, columns)
    read = read_values(2, said, columns)
    assert isinstance(read, Fault) or (read[0] or read[1])


def test_no_name_means_active_and_its_opposite() -> None:
    assert set(mapping._NAMES["active"]).isdisjoint(mapping._NAMES[mapping.INVERTED])


def test_every_name_of_a_state_has_a_word_by_which_it_is_looked_for() -> None:
    for name in mapping._STATES:
        assert names_a_state(name)
        assert STATE_WORDS.search(name)
