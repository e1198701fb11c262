"""RFC 7644 3.4.2.4: pages are disjoint and complete, whatever numbers are asked for."""

from typing import Any

import pytest

from provisioning.selectors import pages
from tests.scim import rows
from tests.scim.clients import Idp

pytestmark = pytest.mark.django_db


def test_pages_are_disjoint_and_complete(idp: Idp) -> None:
    made = [idp.person(f"p{number}")["id"] for number in range(5)]
    seen: list[str] = []
    for start in (1, 3, 5):
        page = idp.get("/Users", startIndex=start, count=2).json()
        assert (page["totalResults"], page["startIndex"]) == (5, start)
        assert page["itemsPerPage"] == len(page["Resources"])
        seen += [person["id"] for person in page["Resources"]]
    assert sorted(seen) == sorted(made)


PAGES = {
    'startIndex below 1 "SHALL be interpreted as 1"': ({"startIndex": -5, "count": 1}, (1, 1)),
    "startIndex of 0": ({"startIndex": 0}, (1, 2)),
    'a negative count "SHALL be interpreted as 0"': ({"count": -1}, (1, 0)),
    "a count of 0 gives the total": ({"count": 0}, (1, 0)),
    "a page past the end is empty": ({"startIndex": 100}, (100, 0)),
    "a huge start": ({"startIndex": "9" * 900}, (2**53, 0)),
    "a huge count": ({"count": "9" * 900}, (1, 2)),
    "an empty parameter is none": ({"startIndex": "", "count": ""}, (1, 2)),
    "parameter names are matched without case": ({"STARTINDEX": 2}, (2, 1)),
}


@pytest.mark.parametrize(("query", "expected"), PAGES.values(), ids=PAGES)
def test_a_page_is_what_the_rfc_makes_of_it(
    idp: Idp, query: dict[str, Any], expected: tuple[int, int]
) -> None:
    idp.person("ada")
    idp.person("bob")
    answer = idp.get("/Users", **query)
    page = answer.json()
    assert answer.status_code == 200
    assert (page["startIndex"], page["itemsPerPage"], page["totalResults"]) == (*expected, 2)


def test_no_page_holds_more_than_is_advertised(idp: Idp) -> None:
    most = idp.get("/ServiceProviderConfig").json()["filter"]["maxResults"]
    rows.accounts(rows.account(idp.connection, {"userName": f"p{n}"}) for n in range(most + 1))
    idp.group("Staff")
    for answer in (
        idp.get("/Users", count=most + 1),
        idp.get("/Users", count=10**6, cursor=""),
        idp.get("/", count=10**6),
        idp.post("/.search", {"count": 10**6}),
        idp.post("/.search", {"count": 10**6, "cursor": ""}),
    ):
        page = answer.json()
        assert page["itemsPerPage"] == len(page["Resources"]) == most
        assert page.get("totalResults", most + 1) > most


def test_a_page_of_large_groups_ends_early(idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7644 3.4.2.4: a service provider may return fewer results than `count`; clients go on where it ended."""
    monkeypatch.setattr(pages, "HEAVIEST", 5)
    people = idp.crowd(4)
    made = [idp.group(f"g{n}", people[: n + 1])["id"] for n in range(4)]
    seen: list[str] = []
    while len(seen) < len(made):
        page = idp.get("/Groups", startIndex=len(seen) + 1).json()
        assert page["totalResults"] == 4
        assert page["itemsPerPage"] == len(page["Resources"])
        assert sum(len(group["members"]) for group in page["Resources"]) <= 5
        seen += [group["id"] for group in page["Resources"]]
    assert seen == made
    walked, cursor = [], ""
    while True:
        page = idp.get("/Groups", cursor=cursor).json()
        walked += [group["id"] for group in page["Resources"]]
        if "nextCursor" not in page:
            break
        cursor = page["nextCursor"]
    assert walked == made
