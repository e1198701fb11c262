"""What an administrator says about first logins and their groups, and what the pages show of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from provisioning.models import AssertedGroup, AuditValue, Connection, Entitlement
from provisioning.services import configuration
from provisioning.services.invalid import Invalid

from ..cast import OPERATOR, push, sign_in, user
from .scene import Scene
from .test_configuration import form_of, table_of


@pytest.fixture
def address(ours: Scene) -> str:
    configuration.change_connection(
        connection=ours.where.connection,
        changes={"group_attribute": "memberOf"},
        actor=OPERATOR,
        reason="As agreed",
    )
    return f"/admin/provisioning/connection/{ours.where.connection.pk}"


def saved(admin: Client, ours: Scene, **changes: Any) -> Connection:
    connection = Connection.objects.get(pk=ours.where.connection.pk)
    answer = admin.post(
        f"/admin/provisioning/connection/{connection.pk}/change/", form_of(connection, **changes)
    )
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    connection.refresh_from_db()
    return connection


def test_limits_are_chosen_on_the_connections_page(admin: Client, ours: Scene) -> None:
    changed = saved(
        admin,
        ours,
        group_attribute="memberOf",
        jit_groups="Staff\r\n cn=Board,o=acme \r\n\r\nStaff\r\n",
        jit_attributes='{"department": ["Sales"]}',
        jit_approval="on",
        burst_creations="7",
        burst_refusals="0",
        groups_unconfirmed="on",
    )
    assert changed.jit_groups == ["Staff", "cn=Board,o=acme"]
    assert changed.jit_attributes == {"department": ["Sales"]}
    assert (changed.jit_approval, changed.groups_unconfirmed) == (True, True)
    assert (changed.burst_creations, changed.burst_refusals) == (7, 0)


def test_groups_that_stay_the_same_are_no_change(admin: Client, ours: Scene) -> None:
    said = {"group_attribute": "memberOf", "jit_groups": "Staff\r\nBoard"}
    saved(admin, ours, **said)
    address = f"/admin/provisioning/connection/{ours.where.connection.pk}/change/"
    form = admin.get(address).context["adminform"].form
    assert form["jit_groups"].value() == "Staff\nBoard"
    assert not form.fields["jit_groups"].has_changed(["Staff", "Board"], "Staff\r\nBoard\r\n")
    assert form.fields["jit_groups"].has_changed(["Staff", "Board"], "Board\r\nStaff")


@pytest.mark.parametrize(
    "changes",
    [
        {"jit_groups": "Staff"},
        {"jit_attributes": '{"department": "Sales"}'},
        {"jit_attributes": "[1]"},
        {"jit_attributes": "{"},
        {"group_attribute": "g", "jit_groups": "x" * 513},
        {"burst_creations": "-1"},
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_explained(admin: Client, ours: Scene, changes: dict[str, str]) -> None:
    connection = ours.where.connection
    answer = admin.post(
        f"/admin/provisioning/connection/{connection.pk}/change/", form_of(connection, **changes)
    )
    assert answer.status_code == 200
    assert answer.context["errors"]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(r'{"department": ["\u0000"]}', id="a NUL as a value"),
        pytest.param(r'{"depart\u0000ment": ["Sales"]}', id="a NUL in a name"),
        pytest.param(r'{"department": ["Sales", "a\ud800"]}', id="half of a surrogate pair"),
        pytest.param(r'{"\udc00": ["Sales"]}', id="the other half for a name"),
    ],
)
def test_a_value_that_no_table_keeps_is_an_error_of_its_field(
    admin: Client, ours: Scene, written: str
) -> None:
    connection = ours.where.connection
    answer = admin.post(
        f"/admin/provisioning/connection/{connection.pk}/change/", form_of(connection, jit_attributes=written)
    )
    assert answer.status_code == 200
    assert "cannot be kept" in str(answer.context["adminform"].form.errors["jit_attributes"])
    assert Connection.objects.get(pk=connection.pk).jit_attributes == {}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "a\x00"}, id="name"),
        pytest.param({"preset": "okta\x00"}, id="preset"),
        pytest.param({"authn_contexts": "urn:a\x00"}, id="ways of authentication"),
        pytest.param({"group_attribute": "g", "jit_groups": "a\x00"}, id="groups that may"),
        pytest.param({"jit_attributes": '{"a": ["\x00"]}'}, id="values that may"),
        pytest.param({"reason": "a\x00"}, id="reason"),
        pytest.param(table_of(title__sources="a\x00"), id="sources of an attribute"),
        pytest.param(table_of(title__allowed="a\x00"), id="allowed values of an attribute"),
        pytest.param({"idp_metadata": "<a>\x00</a>"}, id="metadata"),
    ],
)
def test_a_nul_in_any_field_changes_nothing(admin: Client, ours: Scene, changes: dict[str, str]) -> None:
    connection = ours.where.connection
    answer = admin.post(
        f"/admin/provisioning/connection/{connection.pk}/change/", form_of(connection, **changes)
    )
    assert answer.status_code == 400
    assert Connection.objects.get(pk=connection.pk).config_version == connection.config_version


@pytest.mark.parametrize("path", ["connection/{connection}/allow-group/", "tenant/{tenant}/add-domain/"])
def test_a_nul_in_the_question_of_an_act_is_refused(admin: Client, ours: Scene, path: str) -> None:
    address = path.format(connection=ours.where.connection.pk, tenant=ours.where.tenant.pk)
    said = {
        "value": "a\x00",
        "entitlement": str(ours.entitlement.pk),
        "reason": "a\x00",
        "domain": "a\x00.example",
    }
    assert admin.post(f"/admin/provisioning/{address}", said).status_code == 400


@pytest.mark.parametrize("broken", ["a\x00", "a\ud800"], ids=["a NUL", "half of a surrogate pair"])
@pytest.mark.parametrize(
    ("field", "write"),
    [
        pytest.param("name", str, id="name"),
        pytest.param("preset", str, id="preset"),
        pytest.param("group_attribute", str, id="group attribute"),
        pytest.param("name_id_format", str, id="NameID format"),
        pytest.param("authn_contexts", lambda text: [text], id="ways of authentication"),
        pytest.param("jit_groups", lambda text: [text], id="groups that may"),
        pytest.param("jit_attributes", lambda text: {"title": [text]}, id="values that may"),
        pytest.param("attribute_map", lambda text: {"title": [text]}, id="sources of an attribute"),
        pytest.param(
            "attribute_rules",
            lambda text: {"title": {"allowed": [text]}},
            id="allowed values of an attribute",
        ),
    ],
)
def test_the_service_keeps_none_whoever_asks(
    ours: Scene, field: str, write: Callable[[str], Any], broken: str
) -> None:
    changes = {field: write(broken), **({"group_attribute": "g"} if field == "jit_groups" else {})}
    with pytest.raises(Invalid) as refused:
        configuration.change_connection(
            connection=ours.where.connection, changes=changes, actor=OPERATOR, reason="As agreed"
        )
    assert refused.value.field == field


def test_a_group_is_allowed_and_taken_off_the_list_with_a_reason(
    admin: Client, ours: Scene, address: str
) -> None:
    said = {"value": " Staff ", "entitlement": str(ours.entitlement.pk), "reason": "They work here"}
    assert admin.post(f"{address}/allow-group/", said).status_code == 302
    row = AssertedGroup.objects.get()
    assert (row.connection_id, row.value, row.entitlement) == (
        ours.where.connection.pk,
        "Staff",
        ours.entitlement,
    )
    page = admin.get(f"{address}/change/").content.decode()
    assert f"disallow-group/?row={row.pk}" in page
    shown = admin.get(f"/admin/provisioning/entitlement/{ours.entitlement.pk}/change/").content.decode()
    assert "where a login brings it" in shown
    assert "Staff (by login)" in admin.get("/admin/provisioning/entitlement/").content.decode()
    take = f"{address}/disallow-group/?row={row.pk}"
    assert admin.post(take, {"reason": ""}).status_code == 200
    assert admin.post(take, {"reason": "They left"}).status_code == 302
    assert not AssertedGroup.objects.exists()
    assert {"They work here", "They left"} <= set(
        AuditValue.objects.exclude(values__reason=None).values_list("values__reason", flat=True)
    )


def test_only_a_superuser_lets_a_group_administer_the_tenant(
    admin: Client, root: Client, ours: Scene, address: str
) -> None:
    said = {"value": "Admins", "entitlement": str(ours.staff_entitlement.pk), "reason": "asked"}
    assert admin.post(f"{address}/allow-group/", said).status_code == 200
    assert not AssertedGroup.objects.exists()
    assert root.post(f"{address}/allow-group/", said).status_code == 302
    take = f"{address}/disallow-group/?row={AssertedGroup.objects.get().pk}"
    assert "disallow-group/?row=" not in admin.get(f"{address}/change/").content.decode()
    assert admin.post(take, {"reason": "x"}).status_code == 404
    assert root.post(take, {"reason": "x"}).status_code == 302


def test_another_tenants_list_is_out_of_reach(
    admin: Client, ours: Scene, theirs: Scene, address: str
) -> None:
    row = configuration.allow_group(
        connection=theirs.where.connection,
        value="Staff",
        entitlement=theirs.entitlement,
        actor=OPERATOR,
        reason="As agreed",
    )
    foreign = {"value": "Staff", "entitlement": str(theirs.entitlement.pk), "reason": "x"}
    assert admin.post(f"{address}/allow-group/", foreign).status_code == 200
    for where in (address, f"/admin/provisioning/connection/{theirs.where.connection.pk}"):
        assert admin.post(f"{where}/disallow-group/?row={row.pk}", {"reason": "x"}).status_code == 404
    assert admin.post(f"{address}/disallow-group/?row=x", {"reason": "x"}).status_code == 404
    assert AssertedGroup.objects.filter(pk=row.pk).exists()


def test_a_persons_page_says_why_a_group_of_hers_gives_nothing(
    admin: Client, ours: Scene, address: str
) -> None:
    reader = Entitlement.objects.create(tenant=ours.where.tenant, name="Reader")
    configuration.allow_group(
        connection=ours.where.connection,
        value="Staff-7",
        entitlement=reader,
        actor=OPERATOR,
        reason="As agreed",
    )
    push(ours.where, user("new@acme.example", "acme-77"))
    came = sign_in(ours.where, "p-77", external_id="acme-77", groups=("Staff-7", "Works council"))
    page = admin.get(f"/admin/provisioning/identity/{came.identity_id}/change/").content.decode()
    # SCIM has made groups in this scene.
    assert "Staff-7" in page
    assert "would give Reader" in page
    assert "SCIM manages groups of this connection" in page
    assert "Works council" not in page
