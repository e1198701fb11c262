"""A tenant's own schemas: what may be defined, what may change, and what a removal takes with it."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.decision.types import GroupObservation, Intent
from provisioning.models import Account, AuditRecord, DirectoryGroup, SchemaAttribute, SchemaExtension
from provisioning.selectors import schemas as stored
from provisioning.services import schemas
from provisioning.services.configuration import Invalid
from provisioning.services.definitions import (
    MAX_ATTRIBUTES,
    AttributeDefinition,
    Definition,
    definition_of,
)
from provisioning.services.groups import submit_group

from ..cast import OPERATOR, House, push, user

URN = "urn:example:badge:2.0:User"
DOCUMENT: dict[str, Any] = {
    "id": URN,
    "name": "Badge",
    "description": "What opens doors.",
    "attributes": [
        {"name": "number", "type": "string", "uniqueness": "server", "caseExact": True},
        {"name": "colour", "canonicalValues": ["red", "blue"]},
        {
            "name": "doors",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value", "required": True}, {"name": "level", "type": "integer"}],
        },
    ],
}


def badge(**changes: Any) -> Definition:
    return definition_of(DOCUMENT | changes)


def without(*names: str) -> Definition:
    return badge(attributes=[one for one in DOCUMENT["attributes"] if one["name"] not in names])


def define(where: House, definition: Definition) -> SchemaExtension:
    return schemas.define(tenant=where.tenant, definition=definition, actor=OPERATOR, reason="As agreed")


def version(where: House) -> int:
    return stored.version_of(where.tenant.pk)


def test_a_document_becomes_rows_and_the_same_document_again(acme: House) -> None:
    define(acme, badge())
    (found,) = stored.extensions_of(acme.tenant.pk)
    assert (found.resource, found.required) == ("User", False)
    assert definition_of(found.document) == badge()
    assert found.document["attributes"][2]["subAttributes"][1] == {
        "name": "level",
        "type": "integer",
        "multiValued": False,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    }


def test_every_change_is_a_new_version_with_a_record(acme: House, globex: House) -> None:
    assert version(acme) == 1
    define(acme, badge())
    define(acme, badge())
    assert version(acme) == 2, "what is so already is no change"
    define(acme, badge(description="Opens doors.", attributes=DOCUMENT["attributes"][1:]))
    schemas.remove(extension=SchemaExtension.objects.get(tenant=acme.tenant), actor=OPERATOR, reason="Sold")
    assert (version(acme), version(globex)) == (4, 1)
    assert not SchemaAttribute.objects.exists()
    told = list(
        AuditRecord.objects.filter(tenant_id=acme.tenant.pk, reason__startswith="schema:").order_by("id")
    )
    assert [row.reason for row in told] == ["schema:defined", "schema:changed", "schema:removed"]
    assert told[1].changes == [{"change": "schema", "urn": URN, "attributes": ["description", "-number"]}]
    assert {row.object_id for row in told} == {told[0].object_id}


def test_a_type_can_be_relaxed_and_not_changed(acme: House) -> None:
    define(acme, badge())
    number, colour, doors = DOCUMENT["attributes"]

    def with_number(**changes: Any) -> Definition:
        return badge(attributes=[number | changes, colour, doors])

    for change in (
        {"type": "integer"},
        {"multiValued": True},
        {"caseExact": False},
        {"name": "Number"},
    ):
        with pytest.raises(Invalid, match=r"(?i)number: name, type"):
            define(acme, with_number(**change))
    define(acme, with_number(uniqueness="none", required=True, returned="request", mutability="immutable"))
    with pytest.raises(Invalid, match="cannot become unique"):
        define(acme, with_number())
    with pytest.raises(Invalid, match="stays with"):
        define(acme, replace(without("number"), resource="Group"))
    assert version(acme) == 3


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a URN that is none": ({"id": "badge"}, "urn"),
    "a URN with a character that paths use": ({"id": "urn:example:a[b]"}, "urn"),
    "the core's URN": ({"id": "urn:ietf:params:scim:schemas:core:2.0:User"}, "urn"),
    "a URN within the core's": ({"id": "urn:ietf:params:scim:schemas:core:2.0:User:badge"}, "urn"),
    "the enterprise URN, whatever its case": (
        {"id": "URN:ietf:params:scim:schemas:extension:enterprise:2.0:user"},
        "urn",
    ),
    "no attributes": ({"attributes": []}, "attributes"),
    "attributes that are no list": ({"attributes": {}}, "attributes"),
    "too many attributes": (
        {"attributes": [{"name": f"a{n}"} for n in range(MAX_ATTRIBUTES + 1)]},
        "attributes",
    ),
    "a name that begins with a digit": ({"attributes": [{"name": "1a"}]}, "attributes"),
    "a name with a dot": ({"attributes": [{"name": "a.b"}]}, "attributes"),
    "a word of filters": ({"attributes": [{"name": "Not"}]}, "attributes"),
    "a name of every resource": ({"attributes": [{"name": "schemas"}]}, "attributes"),
    "one name twice": ({"attributes": [{"name": "a"}, {"name": "A"}]}, "attributes"),
    "an unknown type": ({"attributes": [{"name": "a", "type": "text"}]}, "attributes"),
    "global uniqueness": ({"attributes": [{"name": "a", "uniqueness": "global"}]}, "attributes"),
    "a complex one without parts": ({"attributes": [{"name": "a", "type": "complex"}]}, "attributes"),
    "parts of a string": ({"attributes": [{"name": "a", "subAttributes": [{"name": "b"}]}]}, "attributes"),
    "a complex part": (
        {
            "attributes": [
                {"name": "a", "type": "complex", "subAttributes": [{"name": "b", "type": "complex"}]}
            ]
        },
        "attributes",
    ),
    "a part with several values": (
        {
            "attributes": [
                {"name": "a", "type": "complex", "subAttributes": [{"name": "b", "multiValued": True}]}
            ]
        },
        "attributes",
    ),
    "required and read-only": (
        {"attributes": [{"name": "a", "required": True, "mutability": "readOnly"}]},
        "attributes",
    ),
    "a unique boolean": (
        {"attributes": [{"name": "a", "type": "boolean", "uniqueness": "server"}]},
        "attributes",
    ),
    "an empty canonical value": ({"attributes": [{"name": "a", "canonicalValues": [""]}]}, "attributes"),
    "canonical values of a boolean": (
        {"attributes": [{"name": "a", "type": "boolean", "canonicalValues": ["x"]}]},
        "attributes",
    ),
    "a flag that is text": ({"attributes": [{"name": "a", "required": "yes"}]}, "attributes"),
    "a long name": ({"name": "x" * 101}, "name"),
}


@pytest.mark.parametrize(("changes", "field"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_defined_is_refused(acme: House, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        define(acme, badge(**changes))
    assert refused.value.field == field
    assert (version(acme), SchemaExtension.objects.count()) == (1, 0)


@pytest.mark.parametrize("document", [None, [], "x", {}, {"id": 7}, {"id": URN, "attributes": [7]}])
def test_a_document_that_is_none_is_refused(document: Any) -> None:
    with pytest.raises(Invalid):
        definition_of(document)


def test_a_path_never_means_two_attributes(acme: House) -> None:
    define(acme, badge())
    for urn in (f"{URN}:doors", "urn:example:badge"):
        with pytest.raises(Invalid, match="begins with the other"):
            define(acme, badge(id=urn))
    define(acme, badge(id=f"{URN}s"))


def test_groups_have_extensions_without_uniqueness(acme: House) -> None:
    with pytest.raises(Invalid, match="users only"):
        define(acme, replace(badge(), resource="Group"))
    define(acme, replace(without("number"), resource="Group"))
    with pytest.raises(Invalid, match="belong to"):
        define(acme, replace(without("number"), urn="urn:example:x", resource="Device"))


def test_a_removed_attribute_takes_its_values_along(acme: House, globex: House) -> None:
    held = {
        "number": "7",
        "colour": "red",
        "doors": [{"value": "a", "level": 1}, {"value": "b"}],
    }
    for where in (acme, globex):
        define(where, badge())
        document = user(f"ada@{where.domain}", **{URN: held})
        document["schemas"] = [*document["schemas"], URN]
        push(where, document)
        Account.objects.filter(connection=where.connection).update(
            unique_keys=[f"{URN}:number=7".lower(), f"{URN}:numbers=7".lower()]
        )
    push(acme, user("bob@acme.example"))

    def account() -> Account:
        found: Account = Account.objects.get(connection=acme.connection, user_name_key="ada@acme.example")
        return found

    level = [one for one in badge().attributes if one.path != ("doors", "level")]
    define(acme, replace(badge(), attributes=tuple(level)))
    assert account().resource[URN] == held | {"doors": [{"value": "a"}, {"value": "b"}]}
    assert account().version == 2
    define(acme, without("number"))
    assert account().unique_keys == [f"{URN}:numbers=7".lower()]
    define(acme, without("number", "doors"))
    assert account().resource[URN] == {"colour": "red"}
    extension = define(
        acme, Definition(urn=URN, name="Badge", attributes=(AttributeDefinition(path=("size",)),))
    )
    assert URN not in account().resource, "an extension without a value is not there"
    assert URN not in account().resource["schemas"]
    schemas.remove(extension=extension, actor=OPERATOR, reason="As agreed")
    assert Account.objects.get(connection=globex.connection).resource[URN] == held
    assert Account.objects.get(user_name_key="bob@acme.example").version == 1


def test_an_element_without_content_leaves_with_its_last_part(acme: House) -> None:
    define(acme, badge())
    push(acme, user("ada@acme.example", **{URN: {"doors": [{"level": 1}, {"value": "b", "level": 2}]}}))
    level = tuple(one for one in badge().attributes if one.path != ("doors", "level"))
    define(acme, replace(badge(), attributes=level))
    assert Account.objects.get().resource[URN] == {"doors": [{"value": "b"}]}


def test_a_removed_extension_of_groups_leaves_the_groups(acme: House) -> None:
    extension = define(acme, replace(without("number"), resource="Group"))
    outcome = submit_group(
        GroupObservation(
            intent=Intent.CREATE,
            tenant_id=acme.tenant.pk,
            connection_id=acme.connection.pk,
            at=extension.created_at,
            actor=OPERATOR,
            display_name="Staff",
            resource={URN: {"colour": "red"}},
        )
    )
    schemas.remove(extension=extension, actor=OPERATOR, reason="As agreed")
    group = DirectoryGroup.objects.get(pk=outcome.account_id)
    assert (group.resource, group.version) == ({}, 2)
