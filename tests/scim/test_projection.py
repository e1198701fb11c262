"""Which attributes an answer shows (RFC 7644 3.9)."""

from typing import Any

import pytest

from scim.projection import projection
from scim.schemas import USER
from tests.scim.clients import ENTERPRISE_URN, USER_URN, Idp

ADA: dict[str, Any] = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "id": "1",
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "Byron"},
    "emails": [{"value": "a@x", "type": "work"}, {"value": "b@x", "type": "home"}],
    "photos": [{"value": "https://x/a", "display": "A"}, {"value": "https://x/b"}],
    ENTERPRISE_URN: {"department": "Mathematics", "division": "A"},
    "meta": {"version": 'W/"1"', "resourceType": "User"},
}
# RFC 7644 3.9: "each resource returned MUST contain the minimum set of resource attributes"
MINIMUM = {"schemas": ADA["schemas"], "id": "1"}

ASKED = {
    "userName": {"userName": "ada"},
    "USERNAME, name.givenname": {"userName": "ada", "name": {"givenName": "Ada"}},
    f"{USER_URN}:userName": {"userName": "ada"},
    "emails.value": {"emails": [{"value": "a@x"}, {"value": "b@x"}]},
    "emails.value,emails.type": {"emails": ADA["emails"]},
    "emails,emails.type": {"emails": ADA["emails"]},
    "photos.display": {"photos": [{"display": "A"}]},
    "photos.type": {},
    f"{ENTERPRISE_URN}:department": {ENTERPRISE_URN: {"department": "Mathematics"}},
    ENTERPRISE_URN: {ENTERPRISE_URN: ADA[ENTERPRISE_URN]},
    "meta.version": {"meta": {"version": 'W/"1"'}},
    "id": {},
    "colour": {},
    "title": {},
}


@pytest.mark.parametrize(("attributes", "shown"), ASKED.items(), ids=ASKED)
def test_attributes_are_what_is_asked_and_the_minimum(attributes: str, shown: dict[str, Any]) -> None:
    assert projection(USER, attributes, None).of(ADA) == MINIMUM | shown


EXCLUDED = {
    "emails": {"emails": None},
    "name.givenName": {"name": {"familyName": "Byron"}},
    "name.givenName,name.familyName": {"name": None},
    "photos.value": {"photos": [{"display": "A"}]},
    f"{ENTERPRISE_URN}:division": {ENTERPRISE_URN: {"department": "Mathematics"}},
    ENTERPRISE_URN: {ENTERPRISE_URN: None},
    # RFC 7644 3.9: excludedAttributes "SHALL have no effect on attributes whose schema "returned" setting is "always""
    "id,schemas": {},
    "colour": {},
}


@pytest.mark.parametrize(("attributes", "changed"), EXCLUDED.items(), ids=EXCLUDED)
def test_excluded_attributes_are_left_out(attributes: str, changed: dict[str, Any]) -> None:
    expected = {key: value for key, value in (ADA | changed).items() if value is not None}
    assert projection(USER, None, attributes).of(ADA) == expected


@pytest.mark.django_db
def test_every_answer_is_projected(idp: Idp) -> None:
    person = {"schemas": [USER_URN], "userName": "ada", "displayName": "Ada"}
    created = idp.send("POST", "/Users", person, query={"attributes": "userName"}).json()
    assert created.keys() == {"schemas", "id", "userName"}
    path = f"/Users/{created['id']}"
    assert idp.get(path, attributes="displayName").json().keys() == {"schemas", "id", "displayName"}
    assert "displayName" not in idp.get(path, excludedAttributes="displayName").json()
    assert idp.find("/Users", 'userName eq "ada"', attributes="userName")[0].keys() == created.keys()
    changed = idp.patch(path, {"op": "replace", "path": "title", "value": "C"}, query={"attributes": "title"})
    assert changed.json() == {"schemas": [USER_URN], "id": created["id"], "title": "C"}


@pytest.mark.django_db
def test_a_groups_members_are_shown_as_asked(idp: Idp) -> None:
    ada = idp.person("ada")["id"]
    path = f"/Groups/{idp.group('Staff', [ada])['id']}"
    assert "members" not in idp.get(path, excludedAttributes="members").json()
    assert "members" not in idp.find("/Groups", 'displayName eq "Staff"', excludedAttributes="members")[0]
    assert idp.get(path, attributes="members.value").json()["members"] == [{"value": ada}]
    shown = idp.get(path, attributes="members.display,members.value").json()["members"]
    assert shown == [{"value": ada, "display": "ada"}]
    assert "display" not in idp.get(path).json()["members"][0]
