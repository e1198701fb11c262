"""What one tenant's token can reach of another tenant: nothing, and not even that it is there."""

from typing import Any

import pytest

from provisioning.models import Account, DirectoryGroup
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["another tenant", "another connection of the tenant"])
def stranger(request: pytest.FixtureRequest, idp: Idp, make_idp: Any) -> Idp:
    found: Idp = make_idp("globex" if request.param == "another tenant" else "acme")
    return found


WRITES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "GET a user": ("GET", "/Users/{user}", None),
    "PUT a user": ("PUT", "/Users/{user}", {"userName": "mine"}),
    "PATCH a user": (
        "PATCH",
        "/Users/{user}",
        {"Operations": [{"op": "replace", "path": "active", "value": False}]},
    ),
    "DELETE a user": ("DELETE", "/Users/{user}", None),
    "GET a group": ("GET", "/Groups/{group}", None),
    "PUT a group": ("PUT", "/Groups/{group}", {"displayName": "mine"}),
    "PATCH a group": ("PATCH", "/Groups/{group}", {"Operations": [{"op": "remove", "path": "members"}]}),
    "DELETE a group": ("DELETE", "/Groups/{group}", None),
}


@pytest.mark.parametrize(("method", "path", "body"), WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}], ids=["", "with If-Match"])
def test_another_tenants_id_is_not_found(
    idp: Idp, stranger: Idp, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """404 and never 403: the answer must not say that the resource exists."""
    user = idp.person("ada", externalId="7")
    group = idp.group("Staff", [user["id"]])
    user = idp.get(f"/Users/{user['id']}").json()
    here = path.format(user=user["id"], group=group["id"])
    assert error_of(stranger.send(method, here, body, headers=headers)) == (404, None)
    assert idp.get(f"/Users/{user['id']}").json() == user
    assert idp.get(f"/Groups/{group['id']}").json() == group


def test_look_ups_find_ones_own_people_only(idp: Idp, stranger: Idp) -> None:
    theirs = idp.person("ada", externalId="7", emails=[{"value": "a@x", "type": "work"}])
    mine = stranger.person("ada", externalId="7", emails=[{"value": "a@x", "type": "work"}])
    for condition in (
        'userName eq "ada"',
        'externalId eq "7"',
        'emails[type eq "work"].value eq "a@x"',
        f'id eq "{theirs["id"]}" or id eq "{mine["id"]}"',
        'userName eq "nobody" or active eq true',
    ):
        assert [found["id"] for found in stranger.find("/Users", condition)] == [mine["id"]]
    assert stranger.get("/Users").json()["totalResults"] == 1


def test_lists_hold_ones_own_groups_only(idp: Idp, stranger: Idp) -> None:
    idp.group("Staff", externalId="g")
    assert stranger.get("/Groups").json()["totalResults"] == 0
    for condition in ('displayName eq "Staff"', 'externalId eq "g" or displayName eq "Staff"'):
        assert stranger.find("/Groups", condition) == []


def test_another_tenants_people_are_unknown_members(idp: Idp, stranger: Idp) -> None:
    theirs = [{"value": idp.person("ada")["id"]}]
    group = stranger.group("Staff")
    path = f"/Groups/{group['id']}"
    for answer in (
        stranger.post("/Groups", {"displayName": "x", "members": theirs}),
        stranger.put(path, {"displayName": "x", "members": theirs}),
        stranger.patch(path, {"op": "add", "path": "members", "value": theirs}),
    ):
        assert error_of(answer) == (400, "invalidValue")
    assert stranger.get(path).json() == group


def test_another_tenants_names_and_keys_do_not_collide(idp: Idp, stranger: Idp) -> None:
    idp.person("ada", externalId="7", active=False)
    idp.group("Staff", externalId="g")
    mine = stranger.person("ada", externalId="7")
    stranger.group("Staff", externalId="g")
    assert mine["active"] is True
    assert Account.objects.count() == 2
    assert DirectoryGroup.objects.count() == 2


def test_the_body_cannot_choose_the_tenant(idp: Idp, other: Idp) -> None:
    theirs = other.person("eve")
    body = {"userName": "ada", "id": theirs["id"], "meta": theirs["meta"]}
    mine = idp.post("/Users", body).json()
    assert mine["id"] != theirs["id"]
    assert idp.put(f"/Users/{mine['id']}", body | {"title": "C"}).json()["id"] == mine["id"]
    assert other.get(f"/Users/{theirs['id']}").json() == theirs
