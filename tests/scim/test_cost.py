"""How many statements a request costs: as many with 300 people as with 3."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.scim.clients import Idp

pytestmark = pytest.mark.django_db


REQUESTS: dict[str, tuple[Callable[[Idp, list[str], str], Any], int | None]] = {
    # The token is checked in the statement that reads.
    "GET a user": (lambda idp, people, group: idp.get(f"/Users/{people[0]}"), 1),
    # page, count
    "list users": (lambda idp, people, group: idp.get("/Users", count=2), 2),
    "list many users": (lambda idp, people, group: idp.get("/Users", startIndex=2, count=500), 2),
    # Nobody counts to turn a page.
    "a page by cursor": (lambda idp, people, group: idp.get("/Users", cursor="", count=2), 1),
    "a sorted page by cursor": (
        lambda idp, people, group: idp.get("/Users", cursor="", count=2, sortBy="userName"),
        1,
    ),
    # A first page that is not full has the count in it.
    "look up a userName": (lambda idp, people, group: idp.get("/Users", filter='userName eq "p1"'), 1),
    "look up an e-mail": (
        lambda idp, people, group: idp.get("/Users", filter='emails[type eq "work"].value eq "p1@x.example"'),
        1,
    ),
    "look up nobody": (lambda idp, people, group: idp.get("/Users", filter='userName eq "nobody"'), 1),
    "GET a group": (lambda idp, people, group: idp.get(f"/Groups/{group}"), 1),
    "GET a group without its members": (
        lambda idp, people, group: idp.get(f"/Groups/{group}", excludedAttributes="members"),
        1,
    ),
    # groups with their sizes, members of as many as fit a page
    "list groups": (lambda idp, people, group: idp.get("/Groups"), 2),
    "list groups without their members": (
        lambda idp, people, group: idp.get("/Groups", excludedAttributes="members"),
        1,
    ),
    "create": (lambda idp, people, group: idp.post("/Users", {"userName": "new"}), None),
    "PATCH active": (
        lambda idp, people, group: idp.patch(
            f"/Users/{people[1]}", {"op": "replace", "path": "active", "value": False}
        ),
        None,
    ),
    "PUT": (
        lambda idp, people, group: idp.put(f"/Users/{people[1]}", {"userName": "p1", "title": "x"}),
        None,
    ),
    "PATCH one member in": (
        lambda idp, people, group: idp.patch(
            f"/Groups/{group}",
            {"op": "add", "path": "members", "value": [{"value": people[-1]}]},
            query={"excludedAttributes": "members"},
        ),
        None,
    ),
    "PATCH one member out": (
        lambda idp, people, group: idp.patch(
            f"/Groups/{group}",
            {"op": "remove", "path": f'members[value eq "{people[0]}"]'},
            query={"excludedAttributes": "members"},
        ),
        None,
    ),
    "PATCH members out by their names": (
        lambda idp, people, group: idp.patch(
            f"/Groups/{group}",
            {"op": "remove", "path": 'members[display eq "p0" or display ew "1"]'},
            query={"excludedAttributes": "members"},
        ),
        None,
    ),
}


@pytest.mark.parametrize(("request_", "statements"), REQUESTS.values(), ids=REQUESTS)
def test_the_cost_does_not_grow(
    idp: Idp, other: Idp, request_: Callable[[Idp, list[str], str], Any], statements: int | None
) -> None:
    counted = []
    for each, size in ((idp, 3), (other, 300)):
        people = each.crowd(size)
        group = each.group("Staff", people[:-1])["id"]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = request_(each, people, group)
        assert answer.status_code in (200, 201)
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert statements in (None, counted[0]), [query["sql"] for query in queries]
