"""A tenant's own attributes in the admin: defined, relaxed, removed, exported, and nobody else's."""

from typing import Any

import pytest
from django.test import Client

from provisioning.models import Account, AuditRecord, SchemaAttribute, SchemaExtension, Tenant

from ..cast import push, user
from .scene import Scene

ADD = "/admin/provisioning/schemaextension/add/"
URN = "urn:example:badge:2.0:User"


def row(path: str, **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "type": "string",
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


def form(*rows: dict[str, Any], initial: int = 0, **fields: Any) -> dict[str, Any]:
    told = {"urn": URN, "resource": "User", "name": "Badge", "reason": "x", **fields}
    told |= {"attributes-TOTAL_FORMS": len(rows), "attributes-INITIAL_FORMS": initial}
    for number, one in enumerate(rows):
        told |= {f"attributes-{number}-{name}": value for name, value in one.items()}
    return told


def rows_of(extension: SchemaExtension, *gone: str, **changes: Any) -> list[dict[str, Any]]:
    """The rows as the page shows them."""
    found = []
    for one in SchemaAttribute.objects.filter(extension=extension).select_related("parent").order_by("id"):
        path = f"{one.parent.name}.{one.name}" if one.parent else one.name
        found.append(
            row(path, type=one.type, id=str(one.pk), extension=str(extension.pk))
            | ({"DELETE": "on"} if path in gone else changes.get(path, {}))
        )
    return found


def address(extension: SchemaExtension) -> str:
    return f"/admin/provisioning/schemaextension/{extension.pk}/change/"


def names(extension: SchemaExtension) -> list[str]:
    return sorted(SchemaAttribute.objects.filter(extension=extension).values_list("name", flat=True))


def test_an_extension_is_defined_with_its_attributes(admin: Client, ours: Scene, theirs: Scene) -> None:
    version = ours.where.tenant.schema_version
    response = admin.post(
        ADD,
        form(
            row("number", uniqueness="server", case_exact="on"),
            row("colour", canonical_values="red, blue"),
            row("doors", type="complex", multi_valued="on"),
            row("doors.value", required="on"),
            tenant=str(theirs.where.tenant.pk),
            required="on",
            reason="New badges",
        ),
    )
    assert response.status_code == 302, response.context["errors"]
    made = SchemaExtension.objects.get(urn=URN)
    assert (made.tenant_id, made.required) == (ours.where.tenant.pk, True)
    assert names(made) == ["colour", "doors", "number", "value"]
    assert SchemaAttribute.objects.get(extension=made, name="colour").canonical_values == ["red", "blue"]
    assert Tenant.objects.get(pk=made.tenant_id).schema_version > version
    record = AuditRecord.objects.get(object_id=made.pk)
    assert (record.reason, record.actor_id) == ("schema:defined", str(ours.administrator.pk))
    assert "red, blue" in admin.get(address(made)).content.decode()


def test_an_attribute_is_relaxed_added_and_removed(admin: Client, ours: Scene) -> None:
    extension = ours.schema
    push(ours.where, user("ada@x.example", **{extension.urn: {"number": "7", "door": {"value": "a"}}}))
    rows = rows_of(extension, "door", number={"returned": "request", "type": "integer"})
    response = admin.post(
        address(extension),
        form(*rows, row("level", type="integer"), initial=len(rows), name="Door badge"),
    )
    assert response.status_code == 302, response.context["errors"]
    assert names(extension) == ["level", "number"], "with a complex attribute its parts go"
    number = SchemaAttribute.objects.get(extension=extension, name="number")
    assert (number.returned, number.type) == ("request", "string"), "a type stays, whatever is posted"
    assert Account.objects.get(user_name_key="ada@x.example").resource[extension.urn] == {"number": "7"}
    record = AuditRecord.objects.filter(object_id=extension.pk).latest("id")
    assert record.changes[0]["attributes"] == ["name", "number", "level", "-door"]


def test_what_another_added_meanwhile_stays(admin: Client, ours: Scene) -> None:
    extension = ours.schema
    seen = rows_of(extension)
    admin.post(address(extension), form(*seen, row("level"), initial=len(seen), name="Badge"))
    admin.post(address(extension), form(*seen, initial=len(seen), name="Pass"))
    assert names(extension) == ["door", "level", "number", "value"]
    extension.refresh_from_db()
    assert extension.name == "Pass"


@pytest.mark.parametrize(
    ("changes", "rows", "says"),
    [
        pytest.param({"urn": "badge"}, [row("number")], "A URN reads", id="no URN"),
        pytest.param(
            {"urn": "urn:ietf:params:scim:schemas:core:2.0:User"}, [row("a")], "hub", id="the core's"
        ),
        pytest.param({}, [], "at least one", id="no attribute"),
        pytest.param({}, [row("1a")], "1a: ", id="a name that is none"),
        pytest.param({}, [row("a.b")], "a.b: only a complex", id="a part of nothing"),
        pytest.param(
            {}, [row("a", type="complex")], "needs sub-attributes", id="a complex one without parts"
        ),
        pytest.param(
            {"resource": "Group"}, [row("a", uniqueness="server")], "users only", id="a unique group"
        ),
        pytest.param({"name": ""}, [row("a")], "required", id="no name"),
        pytest.param({}, [row("a", type="text")], "valid choice", id="a type that is none"),
    ],
)
def test_what_cannot_be_defined_the_form_says(
    admin: Client, ours: Scene, changes: dict[str, Any], rows: list[dict[str, Any]], says: str
) -> None:
    response = admin.post(ADD, form(*rows, **changes))
    assert response.status_code == 200
    assert says in response.content.decode()
    assert not SchemaExtension.objects.exclude(pk=ours.schema.pk).exists()


def test_an_extension_is_exported_and_removed(admin: Client, ours: Scene) -> None:
    base = f"/admin/provisioning/schemaextension/{ours.schema.pk}"
    assert admin.get(f"{base}/export/").json()["id"] == ours.schema.urn
    assert admin.get(f"{base}/remove/").status_code == 200
    assert admin.post(f"{base}/remove/", {"reason": ""}).status_code == 200
    response = admin.post(f"{base}/remove/", {"reason": "Badges are gone"})
    assert response["Location"] == "/admin/provisioning/schemaextension/"
    assert not SchemaExtension.objects.filter(pk=ours.schema.pk).exists()
    assert AuditRecord.objects.filter(reason="schema:removed", object_id=ours.schema.pk).exists()


def test_nobody_defines_for_another_tenant(admin: Client, root: Client, ours: Scene, theirs: Scene) -> None:
    rows = rows_of(theirs.schema, "number")
    assert admin.post(address(theirs.schema), form(*rows, initial=len(rows))).status_code == 404
    smuggled = rows_of(theirs.schema, "number")
    admin.post(address(ours.schema), form(*smuggled, initial=len(smuggled)))
    assert names(theirs.schema) == names(ours.schema) == ["door", "number", "value"]
    response = root.post(ADD, form(row("number"), tenant=str(theirs.where.tenant.pk)))
    assert response.status_code == 302, response.context["errors"]
    assert SchemaExtension.objects.get(urn=URN).tenant_id == theirs.where.tenant.pk
