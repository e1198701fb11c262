"""A tenant's own attributes, in force everywhere with the request that follows their definition."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from scim2_models import Context, Schema

from provisioning.models import Account, SchemaExtension
from provisioning.services import schemas
from provisioning.services.definitions import Definition, definition_of
from tests.provisioning.cast import OPERATOR, push, user
from tests.scim.clients import ENTERPRISE_URN, GROUP_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db

URN = "urn:example:badge:2.0:User"
BADGE = {
    "id": URN,
    "name": "Badge",
    "attributes": [
        {"name": "number", "uniqueness": "server", "caseExact": True},
        {"name": "colour", "canonicalValues": ["red", "blue"]},
        {"name": "since", "type": "dateTime", "mutability": "immutable"},
        {"name": "pin", "mutability": "writeOnly"},
        {"name": "note", "returned": "request"},
        {"name": "level", "type": "integer"},
        {
            "name": "doors",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value", "required": True}, {"name": "hours", "type": "integer"}],
        },
    ],
}
ROOM = "urn:example:room:2.0:Group"
ROOMS = {
    "id": ROOM,
    "name": "Room",
    "attributes": [
        {"name": "floor", "type": "integer"},
        {"name": "building", "mutability": "immutable"},
        {"name": "keys", "multiValued": True},
    ],
}


def define(idp: Idp, document: dict[str, Any] = BADGE, **more: Any) -> SchemaExtension:
    return schemas.define(
        tenant=idp.where.tenant,
        definition=definition_of(document, **more),
        actor=OPERATOR,
        reason="As agreed",
    )


def change(idp: Idp, **fields: Any) -> None:
    definition: Definition = replace(definition_of(BADGE), **fields)
    schemas.define(tenant=idp.where.tenant, definition=definition, actor=OPERATOR, reason="As agreed")


def test_discovery_tells_each_tenant_its_own(idp: Idp, other: Idp) -> None:
    def told(who: Idp) -> tuple[list[str], list[str]]:
        types = who.get("/ResourceTypes").json()["Resources"]
        ids = [one["id"] for one in who.get("/Schemas").json()["Resources"]]
        return ids, [one["schema"] for one in types[0]["schemaExtensions"]]

    before = told(other)
    define(idp, required=True)
    assert told(idp) == ([USER_URN, ENTERPRISE_URN, URN, GROUP_URN], [ENTERPRISE_URN, URN])
    assert told(other) == before == ([USER_URN, ENTERPRISE_URN, GROUP_URN], [ENTERPRISE_URN])
    schema = idp.get(f"/Schemas/{URN}").json()
    Schema.model_validate(schema, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    assert [one["name"] for one in schema["attributes"]] == [one["name"] for one in BADGE["attributes"]]
    assert error_of(other.get(f"/Schemas/{URN}")) == (404, None)


def test_an_attribute_is_written_found_and_shown(idp: Idp) -> None:
    define(idp)
    held = {"number": "A-7", "colour": "red", "level": 3, "doors": [{"value": "lab", "hours": 8}]}
    ada = idp.person("ada", **{URN: held | {"pin": "1234", "note": "n"}})
    assert ada[URN] == held | {"note": "n"}, "what is returned on request is shown to who wrote it"
    assert ada["schemas"] == [USER_URN, URN]
    path = f"/Users/{ada['id']}"
    assert idp.get(path).json()[URN] == held
    assert idp.get(path, attributes=f"{URN}:note").json() == {
        "schemas": ada["schemas"],
        "id": ada["id"],
        URN: {"note": "n"},
    }
    assert "1234" not in str(Account.objects.get().resource), "what nobody may read is not kept"
    idp.person("bob", **{URN: {"level": 5}})
    for condition, names in (
        (f'{URN}:number eq "A-7"', ["ada"]),
        (f'{URN}:number eq "a-7"', []),
        (f'{URN}:colour eq "RED"', ["ada"]),
        (f"{URN}:level gt 3", ["bob"]),
        (f'{URN}:doors[value eq "lab" and hours ge 8]', ["ada"]),
        (f"{URN}:doors.hours lt 9", ["ada"]),
        (f"not ({URN}:number pr)", ["bob"]),
    ):
        assert [one["userName"] for one in idp.find("/Users", condition)] == names, condition
    assert error_of(idp.get("/Users", filter=f'{URN}:shoe eq "x"')) == (400, "invalidFilter")
    bea = idp.person("bea", **{f"{URN}:note": "b"})
    assert bea[URN] == {"note": "b"}, "so it is under its whole path"
    change_ = idp.patch(
        path,
        {"op": "replace", "path": f"{URN}:colour", "value": "blue"},
        {"op": "add", "path": f'{URN}:doors[value eq "lab"].hours', "value": 9},
        {"op": "add", "value": {f"{URN}:level": 4}},
        {"op": "remove", "path": f"{URN}:number"},
    )
    assert change_.json()[URN] == {"colour": "blue", "level": 4, "doors": [{"value": "lab", "hours": 9}]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a value of another type": ({"level": "three"}, f"{URN}:level"),
    "a value that is none of the canonical ones": ({"colour": "pink"}, f"{URN}:colour"),
    "a date that is no instant": ({"since": "2026-01-31"}, f"{URN}:since"),
    "a part that is missing": ({"doors": [{"hours": 8}]}, f"{URN}:doors[0].value"),
    "a part of another type": ({"doors": [{"value": "lab", "hours": "8"}]}, f"{URN}:doors[0].hours"),
}


@pytest.mark.parametrize(("held", "where"), REFUSED.values(), ids=REFUSED)
def test_what_the_schema_does_not_allow_is_refused_by_its_path(
    idp: Idp, held: dict[str, Any], where: str
) -> None:
    define(idp)
    path = f"/Users/{idp.person('ada')['id']}"
    for answer in (
        idp.post("/Users", {"userName": "bob", URN: held}),
        idp.put(path, {"userName": "ada", URN: held}),
        idp.patch(path, {"op": "add", "path": URN, "value": held}),
    ):
        assert error_of(answer) == (400, "invalidValue")
        assert answer.json()["detail"].startswith(where)


def test_an_immutable_value_outlives_a_put(idp: Idp) -> None:
    define(idp)
    since = {"since": "2026-01-31T08:00:00Z"}
    path = f"/Users/{idp.person('ada', **{URN: since})['id']}"
    assert idp.put(path, {"userName": "ada"}).json()[URN] == since
    later = {"userName": "ada", URN: {"since": "2026-02-01T08:00:00Z"}}
    assert error_of(idp.put(path, later)) == (400, "mutability")
    assert error_of(idp.patch(path, {"op": "remove", "path": URN})) == (400, "mutability")


def test_a_change_holds_with_the_next_request(idp: Idp) -> None:
    define(idp)
    path = f"/Users/{idp.person('ada', **{URN: {'colour': 'red', 'level': 1}})['id']}"
    pink = {"op": "replace", "path": f"{URN}:colour", "value": "pink"}
    assert idp.patch(path, pink).status_code == 400
    relaxed = tuple(
        replace(one, canonical_values=()) for one in definition_of(BADGE).attributes if one.path[0] != "level"
    )
    change(idp, attributes=relaxed)
    answer = idp.patch(path, pink)
    assert answer.json()[URN] == {"colour": "pink"}, "what was removed is gone from the answer too"
    assert error_of(idp.patch(path, {"op": "add", "path": f"{URN}:level", "value": 1})) == (
        400,
        "invalidPath",
    )
    schemas.remove(extension=SchemaExtension.objects.get(), actor=OPERATOR, reason="As agreed")
    shown = idp.get(path).json()
    assert URN not in shown
    assert shown["schemas"] == [USER_URN]
    assert error_of(idp.patch(path, pink)) == (400, "invalidPath")
    assert idp.put(path, {"userName": "ada", URN: {"colour": "red"}}).status_code == 200, "tolerated"


def test_an_attribute_that_became_required_stops_nobodys_deactivation(idp: Idp) -> None:
    ada = idp.person("ada")
    push(idp.where, user("jit@acme.example"))
    define(idp, BADGE | {"attributes": [{"name": "number", "required": True}]}, required=True)
    off = {"op": "replace", "path": "active", "value": False}
    assert idp.patch(f"/Users/{ada['id']}", off).json()["active"] is False
    assert error_of(idp.put(f"/Users/{ada['id']}", {"userName": "ada"})) == (400, "invalidValue")
    assert error_of(idp.post("/Users", {"userName": "bob"})) == (400, "invalidValue")


def test_a_groups_extension_is_written_patched_and_filtered(idp: Idp, other: Idp) -> None:
    define(idp, ROOMS, resource="Group")
    ada = idp.person("ada")["id"]
    group = idp.group("Staff", [ada], **{ROOM: {"floor": 1, "building": "A"}})
    assert (group["schemas"], group[ROOM]) == ([GROUP_URN, ROOM], {"floor": 1, "building": "A"})
    path = f"/Groups/{group['id']}"
    answer = idp.patch(
        path,
        {"op": "replace", "path": f"{ROOM}:floor", "value": 2},
        {"op": "add", "value": {ROOM: {"keys": ["k1"]}, "displayName": "Crew"}},
    )
    shown = answer.json()
    assert (shown["displayName"], shown[ROOM]) == ("Crew", {"floor": 2, "building": "A", "keys": ["k1"]})
    assert [one["value"] for one in shown["members"]] == [ada], "a change of an attribute touches no member"
    assert [one["id"] for one in idp.find("/Groups", f"{ROOM}:floor eq 2")] == [group["id"]]
    again = idp.patch(path, {"op": "add", "path": f"{ROOM}:keys", "value": ["k1"]})
    assert again.json()["meta"] == shown["meta"], "nothing changed"
    for refused in (
        idp.patch(path, {"op": "replace", "path": f"{ROOM}:building", "value": "B"}),
        idp.put(path, {"displayName": "Crew", ROOM: {"building": "B"}}),
        idp.patch(path, {"op": "remove", "path": ROOM}),
    ):
        assert error_of(refused) == (400, "mutability")
    assert error_of(idp.patch(path, {"op": "add", "path": f"{ROOM}:floor", "value": "x"})) == (
        400,
        "invalidValue",
    )
    assert idp.put(path, {"displayName": "Crew"}).json()[ROOM] == {"building": "A"}
    assert error_of(other.patch(f"/Groups/{other.group('X')['id']}", {"op": "remove", "path": ROOM})) == (
        400,
        "invalidPath",
    )


def test_no_two_people_of_a_connection_share_a_unique_value(idp: Idp, make_idp: Any) -> None:
    define(idp)
    idp.person("ada", **{URN: {"number": "7"}})
    bob = f"/Users/{idp.person('bob')['id']}"
    for answer in (
        idp.post("/Users", {"userName": "eve", URN: {"number": "7"}}),
        idp.put(bob, {"userName": "bob", URN: {"number": "7"}}),
        idp.patch(bob, {"op": "add", "path": f"{URN}:number", "value": "7"}),
    ):
        assert error_of(answer) == (409, "uniqueness")
        assert answer.json()["detail"].startswith(f"{URN}:number: ")
        assert f"{URN}:number".lower() in answer.json()["detail"].lower()
    second = make_idp("acme")
    second.person("ada", **{URN: {"number": "7"}})


def test_the_schemas_of_a_tenant_are_read_once(idp: Idp, other: Idp) -> None:
    """A look-up must not pay for somebody's schemas, and for nobody's nothing at all."""
    define(idp)
    for who in (idp, other):
        path = f"/Users/{who.person('ada')['id']}"
        who.get(path)
        with CaptureQueriesContext(
            database,
        ) as asked:
            who.get(path)
        assert len(asked) == 1
