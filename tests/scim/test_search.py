"""POST /.search: of one type what a GET answers, at the root all types as one list."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.models import DirectoryGroup, Entitlement
from provisioning.services import configuration
from scim.cursors import LIFETIME
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import ENTERPRISE_URN, GROUP_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db

SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def search(idp: Idp, path: str = "/.search", **asked: Any) -> HttpResponse:
    return idp.post(path, {"schemas": [SEARCH_URN], **asked})


def names(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one.get("userName") or one.get("displayName") for one in answer.json()["Resources"]]


@pytest.fixture
def people(idp: Idp) -> list[str]:
    ada = idp.person("ada", title="Countess", emails=[{"value": "ada@x.example", "type": "work"}])
    bob = idp.person("bob", externalId="b", **{ENTERPRISE_URN: {"department": "Tour"}})
    idp.person("cy", displayName="Tour")
    idp.group("Tour", [ada["id"]], externalId="g")
    idp.group("Staff", [ada["id"], bob["id"]])
    return [ada["id"], bob["id"]]


QUERIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a filter": {"filter": 'userName sw "a" or title pr'},
    "a page": {"startIndex": 2, "count": 1},
    "no page": {"count": 0},
    "an order": {"sortBy": "userName", "sortOrder": "descending"},
    "attributes": {"attributes": ["userName", "emails.type"]},
    "attributes left out": {"excludedAttributes": ["emails", "meta"]},
}


@pytest.mark.parametrize("asked", QUERIES.values(), ids=QUERIES)
def test_a_search_of_a_type_is_a_get_of_it(idp: Idp, people: list[str], asked: dict[str, Any]) -> None:
    """RFC 7644 3.4.3: the "search request MAY be executed" at a type's endpoint as "a query ... using HTTP GET"."""
    in_url = {key: ",".join(value) if isinstance(value, list) else value for key, value in asked.items()}
    assert search(idp, "/Users/.search", **asked).json() == idp.get("/Users", **in_url).json()


def test_a_search_of_groups_finds_groups(idp: Idp, people: list[str]) -> None:
    assert names(search(idp, "/Groups/.search", filter=f'members.value eq "{people[1]}"')) == ["Staff"]
    assert names(search(idp, "/groups/.search/", filter='displayName eq "tour"')) == ["Tour"]


def test_parameters_are_named_in_any_case_and_may_be_null(idp: Idp, people: list[str]) -> None:
    answer = idp.post("/Users/.search", {"FILTER": 'userName eq "bob"', "sortBy": None, "COUNT": "1", "x": 1})
    assert names(answer) == ["bob"]


def test_pages_of_a_type_follow_by_cursor(idp: Idp, people: list[str]) -> None:
    first = search(idp, "/Users/.search", cursor="", count=2, sortBy="userName")
    rest = search(idp, "/Users/.search", cursor=first.json()["nextCursor"], count=2, sortBy="userName")
    assert names(first) + names(rest) == ["ada", "bob", "cy"]
    assert "nextCursor" not in rest.json()


def test_the_root_holds_all_types_one_after_the_other(idp: Idp, other: Idp, people: list[str]) -> None:
    other.person("eve")
    body = search(idp).json()
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (5, 1, 5)
    kinds = [one["meta"]["resourceType"] for one in body["Resources"]]
    assert kinds == ["User", "User", "User", "Group", "Group"]
    singles = idp.get("/Users").json()["Resources"] + idp.get("/Groups").json()["Resources"]
    assert body["Resources"] == singles
    # RFC 7644 3.4.2.1: queries "MAY be performed against" the "server root".
    assert idp.get("/").json() == body


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_pages_of_the_root_cross_its_types(idp: Idp, people: list[str], count: int) -> None:
    whole = search(idp).json()["Resources"]
    seen: list[Any] = []
    while True:
        body = search(idp, startIndex=len(seen) + 1, count=count).json()
        assert body["totalResults"] == len(whole)
        if not body["Resources"]:
            break
        assert len(body["Resources"]) <= count
        seen += body["Resources"]
    assert seen == whole


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("condition", [None, 'displayName eq "tour"'])
def test_cursors_of_the_root_cross_its_types(
    idp: Idp, people: list[str], count: int, condition: str | None
) -> None:
    asked = {"filter": condition} if condition else {}
    whole = search(idp, **asked).json()["Resources"]
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        body = search(idp, cursor=cursor, count=count, **asked).json()
        assert body["itemsPerPage"] == len(body["Resources"]) <= count
        seen += body["Resources"]
        cursor = body.get("nextCursor")
    assert seen == whole


def test_the_root_is_the_same_list_by_cursor_and_by_index(idp: Idp, people: list[str]) -> None:
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        body = idp.get("/", cursor=cursor, count=2).json()
        seen += body["Resources"]
        cursor = body.get("nextCursor")
    assert seen == idp.get("/").json()["Resources"]


# Three people: the first cursor stands between two of them, that of a page of three between people and groups.
BOUNDS = pytest.mark.parametrize("count", [2, 3], ids=["within a type", "between two types"])


@BOUNDS
def test_a_cursor_of_the_root_says_nothing(idp: Idp, people: list[str], count: int) -> None:
    one, other = (idp.get("/", cursor="", count=count).json()["nextCursor"] for _ in range(2))
    assert one != other
    assert re.fullmatch(r"[A-Za-z0-9\-_]{60,}", one)


ELSEWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "another count": ({"count": 1}, "invalidCount"),
    "no count": ({"count": None}, "invalidCount"),
    "an added filter": ({"filter": "displayName pr"}, "invalidCursor"),
    "a filter that leaves a type as it is": ({"filter": 'meta.resourceType eq "Group"'}, "invalidCursor"),
    "an added order": ({"sortOrder": "descending"}, "invalidCursor"),
}


@BOUNDS
@pytest.mark.parametrize(("change", "scim_type"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_cursor_of_the_root_belongs_to_one_query(
    idp: Idp, people: list[str], count: int, change: dict[str, Any], scim_type: str
) -> None:
    """RFC 9865 2: "all query parameters and values being identical to the initial query"."""
    cursor = search(idp, cursor="", count=count).json()["nextCursor"]
    assert error_of(search(idp, **{"cursor": cursor, "count": count} | change)) == (400, scim_type)
    assert search(idp, cursor=cursor, count=count).status_code == 200


@BOUNDS
def test_a_cursor_of_the_root_belongs_to_one_connection(
    idp: Idp, other: Idp, make_idp: Callable[..., Idp], people: list[str], count: int
) -> None:
    cursor = search(idp, cursor="", count=count).json()["nextCursor"]
    for stranger in (other, make_idp("acme")):
        assert error_of(search(stranger, cursor=cursor, count=count)) == (400, "invalidCursor")
    for path in ("/Users/.search", "/Groups/.search"):
        assert error_of(search(idp, path, cursor=cursor, count=count)) == (400, "invalidCursor")
    of_users = search(idp, "/Users/.search", cursor="", count=2).json()["nextCursor"]
    assert error_of(search(idp, cursor=of_users, count=2)) == (400, "invalidCursor")


@BOUNDS
def test_a_cursor_of_the_root_ends(
    idp: Idp, people: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = search(idp, cursor="", count=count).json()["nextCursor"]
    later = now() + LIFETIME
    monkeypatch.setattr("scim.requests.now", lambda: later)
    assert error_of(search(idp, cursor=cursor, count=count)) == (400, "expiredCursor")


FILTERS: dict[str, tuple[str, list[str]]] = {
    "one type by its name": ('meta.resourceType eq "User"', ["ada", "bob", "cy"]),
    "the other": ('meta.resourceType ne "User"', ["Tour", "Staff"]),
    "both by an attribute that both have": ('displayName eq "tour"', ["cy", "Tour"]),
    "both by externalId": ('externalId eq "b" or externalId eq "g"', ["bob", "Tour"]),
    "RFC 7644 3.4.2.1: a strange attribute has no value": ('userName eq "ada"', ["ada"]),
    "and so it is not present": ("userName pr", ["ada", "bob", "cy"]),
    "absent": ("not (userName pr)", ["Tour", "Staff"]),
    "null": ("userName eq null", ["Tour", "Staff"]),
    "different": ('userName ne "ada"', ["bob", "cy", "Tour", "Staff"]),
    "not null": ("members ne null", ["Tour", "Staff"]),
    "its values": ('emails[type eq "work"]', ["ada"]),
    "one of either": ('title eq "Countess" or displayName eq "Staff"', ["ada", "Staff"]),
    "nobody can be both": ("userName pr and members pr", []),
    "an extension": (f'{ENTERPRISE_URN}:department eq "Tour"', ["bob"]),
    "the core by its URN": (f'{GROUP_URN}:displayName eq "Tour"', ["Tour"]),
    "and": ('displayName eq "tour" and meta.resourceType eq "Group"', ["Tour"]),
    "an order within one type": ('meta.resourceType eq "Group"', ["Tour", "Staff"]),
    "not one of both": ('not (userName eq "ada" or displayName eq "tour")', ["bob", "Staff"]),
    "unquoted": ("displayName eq tour", ["cy", "Tour"]),
    "no type": ('meta.resourceType eq "Car"', []),
}


@pytest.mark.parametrize(("condition", "found"), FILTERS.values(), ids=FILTERS)
def test_the_root_is_filtered(idp: Idp, people: list[str], condition: str, found: list[str]) -> None:
    answer = search(idp, filter=condition)
    assert names(answer) == found
    assert answer.json()["totalResults"] == len(found)


def test_one_type_of_the_root_may_be_ordered(idp: Idp, people: list[str]) -> None:
    groups = 'meta.resourceType eq "Group"'
    assert names(search(idp, filter=groups, sortBy="displayName")) == ["Staff", "Tour"]
    assert names(search(idp, filter="userName pr", sortBy="userName", sortOrder="descending")) == [
        "cy",
        "bob",
        "ada",
    ]


def test_the_root_shows_what_is_asked_for(idp: Idp, people: list[str]) -> None:
    body = search(idp, attributes=["userName", "members.value"], filter='displayName eq "Tour"').json()
    person, group = body["Resources"]
    assert person.keys() == {"schemas", "id", "userName"}
    assert person["schemas"] == [USER_URN]
    assert group == {"schemas": [GROUP_URN], "id": group["id"], "members": [{"value": people[0]}]}


def test_roles_and_entitlements_are_at_the_root_where_there_are_any(idp: Idp, people: list[str]) -> None:
    role = configuration.create_entitlement(
        tenant=idp.where.tenant, name="Tour", kind=Entitlement.Kind.ROLE, actor=OPERATOR, reason="As agreed"
    )
    assert error_of(search(idp, filter='type eq "Role"')) == (400, "invalidFilter")
    group = DirectoryGroup.objects.get(display_name="Staff")
    configuration.map_entitlement(entitlement=role, group=group, actor=OPERATOR, reason="As agreed")
    kinds = [
        one["meta"]["resourceType"] for one in search(idp, filter='displayName eq "Tour"').json()["Resources"]
    ]
    assert kinds == ["User", "Group", "Role"]
    assert names(search(idp, filter='type eq "Role"')) == ["Tour"]
    assert names(search(idp, "/Roles/.search", filter='type eq "Role"')) == ["Tour"]


REFUSED: dict[str, tuple[Any, int, str | None]] = {
    "no object": ([], 400, "invalidSyntax"),
    "a filter that is none": ({"filter": "userName eq"}, 400, "invalidFilter"),
    "a filter that is no text": ({"filter": 7}, 400, "invalidValue"),
    "an attribute that no type has": ({"filter": 'colour eq "blue"'}, 400, "invalidFilter"),
    "a part that no type has": ({"filter": 'name.colour eq "blue"'}, 400, "invalidFilter"),
    "an operator that does not fit": ({"filter": 'active gt true and userName eq "x"'}, 400, "invalidFilter"),
    "names that are none": ({"attributes": {"userName": 1}}, 400, "invalidValue"),
    "a count that is none": ({"count": "many"}, 400, "invalidValue"),
    "a count with a fraction": ({"count": 1.5}, 400, "invalidValue"),
    "a yes for a number": ({"startIndex": True}, 400, "invalidValue"),
    "an order of several types": ({"sortBy": "displayName"}, 400, "invalidValue"),
    "a cursor that is none": ({"cursor": "User.x"}, 400, "invalidCursor"),
    "a cursor that was made up": ({"cursor": "Group."}, 400, "invalidCursor"),
    "a count that is none, by cursor": ({"cursor": "", "count": "many"}, 400, "invalidCount"),
}


@pytest.mark.parametrize(("body", "status", "scim_type"), REFUSED.values(), ids=REFUSED)
def test_a_search_that_means_nothing_is_refused(
    idp: Idp, people: list[str], body: Any, status: int, scim_type: str | None
) -> None:
    assert error_of(idp.post("/.search", body)) == (status, scim_type)


def test_a_page_far_away_is_empty(idp: Idp, people: list[str]) -> None:
    body = search(idp, startIndex=2**62).json()
    assert (body["totalResults"], body["Resources"]) == (5, [])
    assert search(idp, startIndex=-3, count=-3).json()["startIndex"] == 1


@pytest.mark.parametrize("path", ["/.search", "/Users/.search", "/Groups/.search", "/Roles/.search"])
def test_a_search_is_a_post(idp: Idp, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = idp.send(method, path, {})
        assert error_of(answer) == (405, None)
        assert answer["Allow"] == "POST"
    wrong = {"Authorization": "Bearer wrong"}
    assert error_of(idp.send("POST", path, raw=b"{", headers=wrong)) == (401, None)


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("read", "/.search", 200),
        ("users", "/.search", 403),
        ("users", "/Users/.search", 200),
        ("users", "/Groups/.search", 403),
        ("groups", "/Groups/.search", 200),
        ("groups", "/Users/.search", 403),
    ],
)
def test_a_search_reads(idp: Idp, people: list[str], scope: str, path: str, status: int) -> None:
    idp.connection.tokens.update(scopes=[scope])
    assert search(idp, path).status_code == status
    if path == "/.search":
        assert idp.get("/").status_code == status


def test_the_root_answers_no_writes(idp: Idp) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert error_of(idp.send(method, "/", {})) == (405, None)
    assert error_of(idp.send("GET", "/", headers={"Authorization": "Bearer wrong"})) == (401, None)


def test_the_cost_of_a_search_does_not_grow(idp: Idp, other: Idp) -> None:
    counted = []
    for each, size in ((idp, 3), (other, 300)):
        each.group("Staff", each.crowd(size))
        each.get("/Users", count=0)
        with CaptureQueriesContext(connection) as queries:
            assert search(each, count=2).status_code == 200
        counted.append([query["sql"] for query in queries if "scimrequest" not in query["sql"]])
    assert len(counted[0]) == len(counted[1]), counted
