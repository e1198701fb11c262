"""/Groups: what each method answers, and that members are neither lost nor invented."""

from typing import Any
from uuid import uuid4

import pytest

from provisioning.models import Account, AuditRecord, Connection, Finding, Membership
from tests.scim.clients import ENTERPRISE_URN, GROUP_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db


def members_of(idp: Idp, path: str) -> set[str]:
    return {member["value"] for member in idp.get(path).json().get("members", [])}


@pytest.fixture
def people(idp: Idp) -> list[str]:
    return [idp.person(name)["id"] for name in ("ada", "bob", "eve")]


def test_a_created_group_reads_back(idp: Idp, people: list[str], settings: Any) -> None:
    answer = idp.post(
        "/Groups",
        {
            "schemas": [GROUP_URN],
            "displayName": "Staff",
            "externalId": "g",
            "members": [{"value": people[0]}],
        },
    )
    body = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == body["meta"]["location"]
    assert body["members"] == [
        {
            "value": people[0],
            "type": "User",
            "$ref": f"{settings.HUB_PUBLIC_URL}/scim/v2/Users/{people[0]}",
        }
    ]
    assert (body["displayName"], body["externalId"]) == ("Staff", "g")
    assert idp.get(f"/Groups/{body['id']}").json() == body


def test_a_group_without_members_has_no_members(idp: Idp) -> None:
    """RFC 7643 2.5: an empty array is unassigned, and what is unassigned is not shown."""
    assert "members" not in idp.group("Staff", [])


def test_a_rename_keeps_the_members(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff', people)['id']}"
    answer = idp.patch(path, {"op": "Replace", "path": "displayName", "value": "Crew"})
    assert (answer.status_code, answer.json()["displayName"]) == (200, "Crew")
    assert members_of(idp, path) == set(people)


def test_members_come_and_go(idp: Idp, people: list[str]) -> None:
    ada, bob, eve = people
    path = f"/Groups/{idp.group('Staff')['id']}"
    add = {"op": "add", "path": "members", "value": [{"value": ada}, {"value": bob}]}
    assert len(idp.patch(path, add).json()["members"]) == 2
    version = idp.patch(path, add).json()["meta"]["version"]
    assert version == 'W/"2"', "adding a member twice changes nothing"
    idp.patch(path, {"op": "remove", "path": "members", "value": [{"value": ada}]})
    assert members_of(idp, path) == {bob}
    idp.patch(path, {"op": "remove", "path": f'members[value eq "{bob}"]'})
    assert members_of(idp, path) == set()
    idp.patch(path, {"op": "replace", "path": "members", "value": [{"value": eve}]})
    assert members_of(idp, path) == {eve}
    idp.put(path, {"displayName": "Staff", "members": [{"value": ada}, {"value": ada}]})
    assert members_of(idp, path) == {ada}
    idp.patch(path, {"op": "remove", "path": "members"})
    assert members_of(idp, path) == set()


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ('display eq "ADA"', "bob eve"),
        ('type eq "User" and display co "e"', "ada bob"),
        ('not (display eq "ada" or display eq "eve")', "ada eve"),
        ('$ref ew "/Users/{ada}"', "bob eve"),
        ('value ne "{ada}"', "ada"),
        ('type eq "user"', ""),
        ('type ne "User"', "ada bob eve"),
        ('display eq "nobody"', "ada bob eve"),
    ],
)
def test_members_are_removed_by_any_of_their_parts(
    idp: Idp, people: list[str], chosen: str, left: str
) -> None:
    ids = dict(zip(("ada", "bob", "eve"), people, strict=True))
    path = f"/Groups/{idp.group('Staff', people)['id']}"
    read = idp.get(path, attributes="members,members.display").json()["members"]
    assert [member["display"] for member in read] == list(ids)
    answer = idp.patch(path, {"op": "remove", "path": f"members[{chosen.format(**ids)}]"})
    assert answer.status_code == 200
    assert members_of(idp, path) == {ids[name] for name in left.split()}
    assert answer.headers["ETag"] == ('W/"1"' if len(left.split()) == 3 else 'W/"2"')


def test_members_under_the_core_urn_are_members(idp: Idp, people: list[str]) -> None:
    ada, bob, eve = people
    created = idp.post("/Groups", {GROUP_URN: {"displayName": "Staff", "members": [{"value": ada}]}}).json()
    assert [member["value"] for member in created["members"]] == [ada]
    path = f"/Groups/{created['id']}"
    idp.put(path, {GROUP_URN: {"displayName": "P", "members": [{"value": bob}, {"value": eve}]}})
    assert members_of(idp, path) == {bob, eve}
    idp.put(path, {f"{GROUP_URN}:displayName": "Q", f"{GROUP_URN}:members": [{"value": ada}]})
    assert (idp.get(path).json()["displayName"], members_of(idp, path)) == ("Q", {ada})


def test_a_patch_that_forgets_the_value_empties_no_group(idp: Idp, people: list[str]) -> None:
    group = idp.group("Staff", people)
    path = f"/Groups/{group['id']}"
    forgetful = {"op": "replace", "path": "members", "values": [{"value": people[0]}]}
    assert error_of(idp.patch(path, forgetful)) == (400, "invalidValue")
    patch = {"Operations": [{"op": "replace", "path": "members"}]}
    answer = idp.post("/Bulk", {"Operations": [{"method": "PATCH", "path": path, "data": patch}]})
    assert answer.json()["Operations"][0]["response"]["scimType"] == "invalidValue"
    assert members_of(idp, path) == set(people)


def test_whole_paths_are_keys_of_a_body(idp: Idp) -> None:
    """RFC 7644 3.10: "urn:...:User:title" is title, in a body as in a PATCH."""
    body = {
        f"{USER_URN}:userName": "ada",
        f"{USER_URN}:title": "Countess",
        f"{USER_URN}:name.givenName": "Ada",
        f"{ENTERPRISE_URN}:department": "Mathematics",
        f"{ENTERPRISE_URN}:manager.value": "9",
        "urn:example:2.0:User:colour": "blue",
    }
    created = idp.post("/Users", body).json()
    wanted = {
        "userName": "ada",
        "title": "Countess",
        "name": {"givenName": "Ada"},
        ENTERPRISE_URN: {"department": "Mathematics", "manager": {"value": "9"}},
    }
    assert {name: created.get(name) for name in wanted} == wanted
    path = f"/Users/{created['id']}"
    changed = idp.put(path, {"userName": "ada", f"{ENTERPRISE_URN}:department": "Poetry"}).json()
    assert (changed.get("title"), changed[ENTERPRISE_URN]) == (None, {"department": "Poetry"})
    for unknown in (f"{USER_URN}:colour", f"{ENTERPRISE_URN}:colour", f"{USER_URN}:title.colour"):
        assert error_of(idp.put(path, {"userName": "ada", unknown: "x"})) == (400, "invalidSyntax")


def test_a_filter_knows_whoever_came_in_the_same_request(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff', people[:1])['id']}"
    answer = idp.patch(
        path,
        {"op": "add", "path": "members", "value": [{"value": one} for one in people[1:]]},
        {"op": "remove", "path": 'members[display eq "bob" or display eq "ada"]'},
    )
    assert answer.status_code == 200
    assert members_of(idp, path) == {people[2]}


def test_an_unknown_member_refuses_the_whole_patch(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff')['id']}"
    for ghost in (str(uuid4()), "bjensen"):
        answer = idp.patch(
            path,
            {"op": "replace", "path": "displayName", "value": "Crew"},
            {"op": "add", "path": "members", "value": [{"value": people[0]}, {"value": ghost}]},
        )
        assert error_of(answer) == (400, "invalidValue")
        assert error_of(idp.post("/Groups", {"displayName": "G", "members": [{"value": ghost}]}))[0] == 400
    assert idp.get(path).json()["displayName"] == "Staff"
    assert Account.objects.count() == 3, "no ghost was made"
    assert not Membership.objects.exists()
    refusals = AuditRecord.objects.filter(verdict="refused", reason="group:member-unknown")
    assert refusals.count() == 4, "whatever the ghost looks like"
    assert "bjensen" not in str(list(refusals.values_list("changes", flat=True)))


def test_a_connection_may_skip_unknown_members(idp: Idp, people: list[str]) -> None:
    Connection.objects.filter(pk=idp.connection.pk).update(unknown_member="skip")
    path = f"/Groups/{idp.group('Staff')['id']}"
    ghosts = [{"value": str(uuid4())}, {"value": "bjensen"}, {"value": people[0]}]
    assert idp.patch(path, {"op": "add", "path": "members", "value": ghosts}).status_code == 200
    assert members_of(idp, path) == {people[0]}
    told = [finding.evidence for finding in Finding.objects.filter(kind="group:member-unknown")]
    assert [evidence.get("members") for evidence in told].count("1") == 1, "a name is counted, and not kept"
    assert len(told) == 2


def test_a_deleted_user_leaves_her_groups(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff', people)['id']}"
    idp.delete(f"/Users/{people[0]}")
    assert members_of(idp, path) == set(people[1:])


def test_a_disabled_user_stays_in_her_groups(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff', people)['id']}"
    idp.patch(f"/Users/{people[0]}", {"op": "replace", "path": "active", "value": False})
    assert members_of(idp, path) == set(people)


def test_a_deleted_group_leaves_its_people(idp: Idp, people: list[str]) -> None:
    path = f"/Groups/{idp.group('Staff', people)['id']}"
    assert idp.delete(path).status_code == 204
    for again in (idp.get(path), idp.delete(path), idp.put(path, {"displayName": "x"})):
        assert error_of(again) == (404, None)
    assert idp.get(f"/Users/{people[0]}").status_code == 200


def test_two_groups_may_have_one_name_but_not_one_key(idp: Idp) -> None:
    idp.group("Staff", externalId="g")
    second = idp.group("Staff")
    assert error_of(idp.post("/Groups", {"displayName": "x", "externalId": "g"})) == (409, "uniqueness")
    taken = {"op": "replace", "path": "externalId", "value": "g"}
    assert error_of(idp.patch(f"/Groups/{second['id']}", taken)) == (409, "uniqueness")


def test_a_write_for_another_version_is_refused(idp: Idp) -> None:
    path = f"/Groups/{idp.group('Staff')['id']}"
    old = {"If-Match": 'W/"1"'}
    rename = {"op": "replace", "path": "displayName", "value": "Crew"}
    assert idp.patch(path, rename, headers=old).status_code == 200
    assert error_of(idp.patch(path, rename, headers=old)) == (412, None)
    assert error_of(idp.delete(path, headers=old)) == (412, None)


def test_a_patch_of_a_large_group_answers_without_a_body(idp: Idp) -> None:
    """RFC 7644 3.5.2: a 200 with the resource, or "MAY return HTTP status code 204 (No Content)"."""
    people = idp.crowd(201)
    path = f"/Groups/{idp.group('Staff', people[:200])['id']}"
    rename = {"op": "replace", "path": "displayName", "value": "Crew"}
    assert len(idp.patch(path, rename).json()["members"]) == 200
    answer = idp.patch(path, {"op": "add", "path": "members", "value": [{"value": people[200]}]})
    assert (answer.status_code, answer.content, answer["ETag"]) == (204, b"", 'W/"3"')
    named = idp.patch(path, rename, query={"excludedAttributes": "members"})
    assert named.json()["displayName"] == "Crew"
