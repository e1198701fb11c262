"""/Users: what each method answers, and what stays as it is."""

from typing import Any
from uuid import uuid4

import pytest

from provisioning.models import Account, AuditRecord
from tests.scim.clients import ENTERPRISE_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db


def test_a_created_user_reads_back_as_it_was_sent(idp: Idp, settings: Any) -> None:
    sent = {
        "schemas": [USER_URN, ENTERPRISE_URN],
        "userName": "Ada",
        "externalId": "7",
        "name": {"givenName": "Ada"},
        "emails": [{"value": "Ada@x.example", "type": "work", "primary": True}],
        "roles": [{"value": '{"id": "1"}'}],
        "active": True,
        ENTERPRISE_URN: {"department": "Mathematics"},
    }
    answer = idp.post("/Users", sent)
    body = answer.json()
    location = f"{settings.HUB_PUBLIC_URL}/scim/v2/Users/{body['id']}"
    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/scim+json"
    # RFC 7644 3.3: the URI of the created resource is in the "Location" header and in "meta.location"
    assert answer["Location"] == body["meta"]["location"] == location
    # RFC 7644 3.14: the "ETag" header and "meta.version"
    assert answer["ETag"] == body["meta"]["version"] == 'W/"1"'
    assert body["meta"]["resourceType"] == "User"
    assert body["meta"]["created"] == body["meta"]["lastModified"]
    assert {key: value for key, value in body.items() if key not in ("id", "meta")} == sent
    assert idp.get(f"/Users/{body['id']}").json() == body
    assert idp.find("/Users", 'userName eq "ada"') == [body]


def test_what_is_absent_is_not_invented(idp: Idp) -> None:
    body = idp.person("ada")
    assert body.keys() == {"schemas", "id", "userName", "active", "meta"}
    assert body["active"] is True


def test_a_password_is_kept_nowhere(idp: Idp) -> None:
    ada = idp.person("ada", password="Hg8-secret")
    idp.patch(f"/Users/{ada['id']}", {"op": "replace", "value": {"password": "Hg8-other"}})
    idp.put(f"/Users/{ada['id']}", {"userName": "ada", "password": "Hg8-third"})
    assert "password" not in idp.get(f"/Users/{ada['id']}").json()
    assert "Hg8" not in str(Account.objects.values_list("resource", flat=True))
    assert "Hg8" not in str(list(AuditRecord.objects.values()))


# RFC 7644 3.3: "... conflicts with existing resources (e.g., a "User" resource with a duplicate "userName"), the
# service provider MUST return HTTP status code 409 (Conflict) with a "scimType" error code of "uniqueness""
@pytest.mark.parametrize(
    "again",
    [{"userName": "ADA"}, {"userName": "ada", "externalId": "8"}, {"userName": "ada", "externalId": "7"}],
    ids=["the name in other letters", "another key", "everything the same"],
)
def test_a_second_post_of_somebody_who_is_there_is_a_conflict(idp: Idp, again: dict[str, Any]) -> None:
    idp.person("ada", externalId="7")
    assert error_of(idp.post("/Users", again)) == (409, "uniqueness")


def test_a_key_that_is_taken_is_a_conflict_by_any_method(idp: Idp) -> None:
    idp.person("ada", externalId="7")
    bob = f"/Users/{idp.person('bob', externalId='8')['id']}"
    assert error_of(idp.put(bob, {"userName": "Ada"})) == (409, "uniqueness")
    assert error_of(idp.put(bob, {"userName": "bob", "externalId": "7"})) == (409, "uniqueness")
    taken = {"op": "replace", "path": "userName", "value": "ada"}
    assert error_of(idp.patch(bob, taken)) == (409, "uniqueness")
    assert idp.get(bob).json()["userName"] == "bob"


def test_a_put_clears_what_it_leaves_out_but_not_the_key_nor_the_activity(idp: Idp) -> None:
    """RFC 7644 3.5.1 lets a server clear what a PUT leaves out; an omission revives nobody and loses no key."""
    ada = idp.person("ada", externalId="7", title="C", emails=[{"value": "a@x"}], active=False)
    answer = idp.put(f"/Users/{ada['id']}", {"userName": "Ada", "id": "another", "displayName": "A"})
    body = answer.json()
    assert answer.status_code == 200
    assert body["id"] == ada["id"]
    assert {key: value for key, value in body.items() if key not in ("id", "meta", "schemas")} == {
        "userName": "Ada",
        "displayName": "A",
        "externalId": "7",
        "active": False,
    }


def test_a_patch_answers_the_whole_resource(idp: Idp) -> None:
    ada = idp.person("ada", title="C")
    answer = idp.patch(f"/Users/{ada['id']}", {"op": "Replace", "path": "active", "value": "False"})
    assert answer.status_code == 200
    assert (answer.json()["active"], answer.json()["title"]) == (False, "C")
    assert answer.json()["meta"]["version"] == 'W/"2"'
    again = idp.patch(f"/Users/{ada['id']}", {"op": "add", "value": {"active": True}})
    assert again.json()["active"] is True


def test_a_patch_that_changes_nothing_leaves_the_version(idp: Idp) -> None:
    ada = idp.person("ada", title="C")
    answer = idp.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "title", "value": "C"})
    assert answer.status_code == 200
    assert answer.json() == ada


def test_a_refused_patch_changes_nothing(idp: Idp) -> None:
    ada = idp.person("ada")
    answer = idp.patch(
        f"/Users/{ada['id']}",
        {"op": "replace", "path": "title", "value": "C"},
        {"op": "replace", "path": "id", "value": str(uuid4())},
    )
    assert error_of(answer) == (400, "mutability")
    assert idp.get(f"/Users/{ada['id']}").json() == ada


def test_a_deleted_user_is_gone(idp: Idp) -> None:
    path = f"/Users/{idp.person('ada')['id']}"
    answer = idp.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    # RFC 7644 3.6: "MUST return a 404 (Not Found) error code for all operations associated with the previously
    # deleted resource"
    for again in (
        idp.get(path),
        idp.delete(path),
        idp.put(path, {"userName": "ada"}),
        idp.patch(path, {"op": "add", "path": "title", "value": "C"}),
    ):
        assert error_of(again) == (404, None)
    assert idp.find("/Users", 'userName eq "ada"') == []


def test_an_inactive_user_who_is_posted_again_wakes_with_her_id(idp: Idp) -> None:
    ada = idp.person("ada", externalId="7", active=False)
    answer = idp.post("/Users", {"userName": "ada", "externalId": "7"})
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["active"]) == (ada["id"], True)


def test_a_put_that_leaves_out_active_and_the_key_keeps_both(idp: Idp) -> None:
    ada = idp.person("ada", externalId="7", active=False)
    answer = idp.put(f"/Users/{ada['id']}", {"userName": "ada"})
    assert (answer.json()["active"], answer.json()["externalId"]) == (False, "7")


@pytest.mark.parametrize("active", [True, False])
def test_a_patch_may_remove_what_is_said_of_activity_and_moves_nothing(idp: Idp, active: bool) -> None:
    ada = idp.person("ada", active=active)
    path = f"/Users/{ada['id']}"
    answer = idp.patch(path, {"op": "remove", "path": "active"})
    assert (answer.status_code, "active" in answer.json()) == (200, False)
    assert "active" not in idp.patch(path, {"op": "add", "path": "title", "value": "Dr"}).json()
    assert "active" not in idp.put(path, {"userName": "ada"}).json()
    assert [idp.find("/Users", f"active {rest}") for rest in ("eq true", "eq false", "pr")] == [[], [], []]
    assert len(idp.find("/Users", "active eq null")) == 1
    assert Account.objects.get(pk=ada["id"]).active is active
    answer = idp.patch(path, {"op": "replace", "path": "active", "value": not active})
    assert answer.json()["active"] is not active


def test_a_patch_may_remove_the_key(idp: Idp) -> None:
    ada = idp.person("ada", externalId="7")
    answer = idp.patch(f"/Users/{ada['id']}", {"op": "remove", "path": "externalId"})
    assert (answer.status_code, "externalId" in answer.json()) == (200, False)
    assert idp.find("/Users", 'externalId eq "7"') == []


def test_two_idps_may_push_the_same_person(idp: Idp, make_idp: Any) -> None:
    second = make_idp("acme")
    assert idp.person("ada", externalId="7")["id"] != second.person("ada", externalId="7")["id"]
