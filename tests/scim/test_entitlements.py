"""Roles and entitlements: what a connection's groups are mapped to, and nothing of anybody else's."""

from typing import Any

import pytest
from scim2_models import Context, ResourceType, Schema

from provisioning.models import DirectoryGroup, Entitlement
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import Idp, an_idp, error_of

pytestmark = pytest.mark.django_db

ROLE_URN = "urn:okta:scim:schemas:core:1.0:Role"
ENTITLEMENT_URN = "urn:okta:scim:schemas:core:1.0:Entitlement"
ROLE, GROUP = Entitlement.Kind.ROLE, Entitlement.Kind.GROUP


def made(idp: Idp, name: str, kind: str = ROLE, description: str = "", mapped: int = 1) -> Entitlement:
    """An entitlement of the IdP's tenant, with so many of the IdP's groups mapped to it."""
    entitlement = configuration.create_entitlement(
        tenant=idp.where.tenant,
        name=name,
        kind=kind,
        description=description,
        actor=OPERATOR,
        reason="As agreed",
    )
    for number in range(mapped):
        group = DirectoryGroup.objects.get(pk=idp.group(f"{name} {number}")["id"])
        configuration.map_entitlement(
            entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed"
        )
    return entitlement


def names(idp: Idp, path: str, **query: Any) -> list[str]:
    return [one["displayName"] for one in idp.get(path, **query).json()["Resources"]]


def test_a_role_reads_as_okta_wants_it(idp: Idp) -> None:
    """Okta: `schemas` with urn:okta:scim:schemas:core:1.0:Role, `id`, `displayName`, `type`, `description`."""
    editor = made(idp, "Editor", description="Changes pages", mapped=2)
    body = idp.get("/Roles").json()
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (1, 1, 1)
    role = body["Resources"][0]
    meta = role.pop("meta")
    assert role == {
        "schemas": [ROLE_URN],
        "id": str(editor.pk),
        "displayName": "Editor",
        "type": "Role",
        "description": "Changes pages",
    }
    assert meta["resourceType"] == "Role"
    assert meta["location"].endswith(f"/scim/v2/Roles/{editor.pk}")
    answer = idp.get(f"/Roles/{editor.pk}")
    assert answer.json() == role | {"meta": meta}
    assert answer["ETag"] == meta["version"]
    unchanged = idp.send("GET", f"/Roles/{editor.pk}", headers={"If-None-Match": meta["version"]})
    assert unchanged.status_code == 304
    Entitlement.objects.filter(pk=editor.pk).update(description="")
    answer = idp.get(f"/roles/{editor.pk}")
    assert "description" not in answer.json()
    assert answer["ETag"] != meta["version"]


def test_a_group_of_the_hub_is_an_entitlement(idp: Idp) -> None:
    made(idp, "Editor", ROLE)
    made(idp, "Writers", GROUP)
    assert names(idp, "/Roles") == ["Editor"]
    (writers,) = idp.get("/Entitlements").json()["Resources"]
    assert (writers["schemas"], writers["type"]) == ([ENTITLEMENT_URN], "Entitlement")
    assert error_of(idp.get(f"/Roles/{writers['id']}")) == (404, None)


def test_only_what_a_group_of_this_connection_is_mapped_to_is_shown(idp: Idp, other: Idp) -> None:
    second = an_idp("acme")
    hidden = [made(idp, "Unmapped", mapped=0), made(second, "Second"), made(other, "Other")]
    made(idp, "Editor")
    assert names(idp, "/Roles") == ["Editor"]
    assert names(second, "/Roles") == ["Second"]
    assert names(other, "/Roles") == ["Other"]
    for entitlement in hidden:
        assert error_of(idp.get(f"/Roles/{entitlement.pk}")) == (404, None)
        assert names(idp, "/Roles", filter=f'id eq "{entitlement.pk}" or displayName pr') == ["Editor"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('displayName eq "editor"', ["Editor"]),
        ('displayName co "i"', ["Auditor", "Editor"]),
        ('displayName eq "EDITOR" and type eq "Role"', ["Editor"]),
        ('type eq "Entitlement"', []),
        ("description pr", ["Auditor"]),
        ('meta.resourceType eq "Role"', ["Auditor", "Editor"]),
        ('externalId eq "x"', []),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', []),
        ('not (displayName sw "Ed")', ["Auditor"]),
    ],
)
def test_roles_are_filtered(idp: Idp, condition: str, found: list[str]) -> None:
    made(idp, "Editor")
    made(idp, "Auditor", description="Reads")
    assert names(idp, "/Roles", filter=condition, sortBy="displayName") == found


def test_roles_are_filtered_by_id(idp: Idp) -> None:
    editor = made(idp, "Editor")
    made(idp, "Auditor")
    assert names(idp, "/Roles", filter=f'id eq "{editor.pk}"') == ["Editor"]
    assert error_of(idp.get("/Roles", filter='userName eq "ada"')) == (400, "invalidFilter")


def test_roles_are_paged_and_projected(idp: Idp) -> None:
    for name in ("A", "B", "C"):
        made(idp, name)
    assert names(idp, "/Roles", sortBy="displayName", sortOrder="descending", count=2) == ["C", "B"]
    assert idp.get("/Roles", startIndex=3, count=2).json()["totalResults"] == 3
    first = idp.get("/Roles", cursor="", count=2).json()
    rest = idp.get("/Roles", cursor=first["nextCursor"], count=2).json()
    seen = [one["displayName"] for one in (*first["Resources"], *rest["Resources"])]
    assert sorted(seen) == ["A", "B", "C"]
    (role,) = idp.get("/Roles", count=1, attributes="displayName").json()["Resources"]
    assert role.keys() == {"schemas", "id", "displayName"}


@pytest.mark.parametrize("kind", ["Roles", "Entitlements"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_them(idp: Idp, method: str, kind: str) -> None:
    """RFC 9110 15.5.6: a 405 names the methods that there are in Allow."""
    role = made(idp, "Editor")
    path = f"/{kind}" if method == "POST" else f"/{kind}/{role.pk}"
    answer = idp.send(method, path, {"displayName": "Root"})
    assert error_of(answer) == (405, None)
    assert answer["Allow"] == "GET, HEAD"
    assert names(idp, "/Roles") == ["Editor"]


def test_discovery_tells_of_them_where_there_are_any(idp: Idp, other: Idp) -> None:
    """A client that means to manage every type it reads of meets nothing but refusals in these."""

    def told(path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = idp.get(path).json()["Resources"]
        return found

    made(other, "Editor")
    assert [one["id"] for one in told("/ResourceTypes")] == ["User", "Group"]
    assert idp.get("/Roles").json()["totalResults"] == 0
    made(idp, "Editor")
    types = told("/ResourceTypes")
    assert [one["id"] for one in types] == ["User", "Group", "Role"]
    assert (types[2]["endpoint"], types[2]["schema"]) == ("/Roles", ROLE_URN)
    made(idp, "Writers", GROUP)
    assert [one["id"] for one in told("/ResourceTypes")] == ["User", "Group", "Role", "Entitlement"]
    for one in told("/ResourceTypes"):
        ResourceType.model_validate(one, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    schemas = {one["id"]: one for one in told("/Schemas")}
    for urn in (ROLE_URN, ENTITLEMENT_URN):
        Schema.model_validate(schemas[urn], scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        assert {one["mutability"] for one in schemas[urn]["attributes"]} == {"readOnly"}
        assert idp.get(f"/Schemas/{urn}").json() == schemas[urn]


def test_the_scope_for_reading_suffices(idp: Idp) -> None:
    made(idp, "Editor")
    for scope, status in (("read", 200), ("users", 200), ("groups", 403)):
        idp.connection.tokens.update(scopes=[scope])
        assert idp.get("/Roles").status_code == status
