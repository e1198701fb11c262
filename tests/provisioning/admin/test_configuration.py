"""Tenants, connections and entitlements are changed by the services, and by whom they are for."""

import lxml.html
import pytest
from django.test import Client

from provisioning.admin.attribute_table import FIELDS
from provisioning.attributes import RULED
from provisioning.models import AuditRecord, Connection, Entitlement, Tenant, TenantDomain
from provisioning.services import configuration

from ..cast import OPERATOR
from .scene import Scene


def form_of(connection: Connection, **changes: object) -> dict[str, object]:
    domains = list(connection.granted_domains.values_list("domain__domain", flat=True))
    return {
        "reason": "As agreed",
        "name": connection.name,
        "domains": domains,
        # What the page showed; the other fields are compared with the row where it is not told.
        "initial-domains": domains,
        "jit": connection.jit,
        "burst_creations": connection.burst_creations,
        "burst_refusals": connection.burst_refusals,
        "precedence": connection.precedence,
        "unknown_member": connection.unknown_member,
        "requests_per_minute": connection.requests_per_minute,
        "session_hours": connection.session_hours,
        "session_idle_minutes": connection.session_idle_minutes,
        "retention_days": connection.retention_days,
        "jit_grace_days": connection.jit_grace_days,
        "jit_idle_grace_days": connection.jit_idle_grace_days,
        "dormant_days": connection.dormant_days,
        "stale_push_days": connection.stale_push_days,
        "run_few": connection.run_few,
        "run_share": connection.run_share,
        "run_most": connection.run_most,
        "burst_deactivations": connection.burst_deactivations,
        "burst_deactivation_minutes": connection.burst_deactivation_minutes,
        "scim_enabled": "on",
        **changes,
    }


def table_of(**cells: str) -> dict[str, str]:
    """The table of attributes as a browser posts it; a cell is named `attribute__column`."""
    rows = {f"attributes-{attribute}-format": "" for attribute in RULED}
    return rows | {f"attributes-{name.replace('__', '-')}": value for name, value in cells.items()}


def test_a_connection_changes_with_a_reason(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    page = admin.get(address).content.decode()
    assert f"/saml/{connection.pk}/acs" in page
    response = admin.post(address, form_of(connection, jit="off", domains=[], reason="Go-live is over"))
    assert response.status_code == 302, response.context["adminform"].form.errors
    changed = Connection.objects.get(pk=connection.pk)
    assert (changed.jit, changed.config_version) == ("off", connection.config_version + 1)
    assert not changed.granted_domains.exists()
    record = AuditRecord.objects.filter(reason="connection:changed").get()
    assert record.changes == [{"change": "configuration", "fields": ["jit", "domains"]}]


def shown_by(admin: Client, address: str) -> dict[str, list[str]]:
    """The page's form as a browser would post it, of which nothing was changed."""
    shown: dict[str, list[str]] = {}
    (form,) = (
        one
        for one in lxml.html.fromstring(admin.get(address).content.decode()).forms
        if "reason" in one.fields
    )
    for name, value in form.form_values():
        shown.setdefault(name, []).append(value)
    return shown


def test_a_page_that_was_open_for_long_undoes_nothing_that_others_changed(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    shown = shown_by(admin, address)
    configuration.change_connection(
        connection=connection,
        changes={
            "jit": "off",
            "session_hours": 1,
            "jit_groups": ["Staff"],
            "group_attribute": "groups",
            "jit_attributes": {"department": ["Sales"]},
            "attribute_map": {"email": ["mail"]},
            "strict_deactivations": True,
        },
        domains=[],
        actor=OPERATOR,
        reason="An incident",
    )
    before = Connection.objects.filter(pk=connection.pk).values().get()
    answer = admin.post(address, shown | {"reason": ["As agreed"], "name": ["Renamed"]})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    after = Connection.objects.filter(pk=connection.pk).values().get()
    assert {name for name in after if after[name] != before[name]} == {"name", "config_version"}
    assert not connection.granted_domains.exists()
    record = AuditRecord.objects.filter(reason="connection:changed").latest("id")
    assert record.changes == [{"change": "configuration", "fields": ["name"]}]


@pytest.mark.parametrize(
    "remembered", ["[1]", "{", "null", '{"required_attributes": 1}', '{"required_attributes": [[]]}']
)
def test_what_a_page_never_showed_changes_nothing(admin: Client, ours: Scene, remembered: str) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    shown = shown_by(admin, address) | {"reason": ["As agreed"], "initial-attributes": [remembered]}
    before = Connection.objects.filter(pk=connection.pk).values(*FIELDS).get()
    assert admin.post(address, shown).status_code == 302
    assert Connection.objects.filter(pk=connection.pk).values(*FIELDS).get() == before


def test_nor_does_a_tenant_s(root: Client, ours: Scene) -> None:
    tenant = ours.where.tenant
    address = f"/admin/provisioning/tenant/{tenant.pk}/change/"
    shown = shown_by(root, address)
    configuration.change_tenant(tenant=tenant, limits={"run_few": 2}, actor=OPERATOR, reason="An incident")
    assert root.post(address, shown | {"reason": ["As agreed"], "name": ["Renamed"]}).status_code == 302
    tenant.refresh_from_db()
    assert (tenant.name, tenant.run_few) == ("Renamed", 2)


def test_what_the_service_refuses_the_form_says(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    for changes in (
        {"name": f"Second {ours.word}"},
        {"preset": "netscape"},
        {"external_id_attribute": "mail"},
        {"user_name_attribute": "kontakt", **table_of(email__sources="kontakt")},
        table_of(title__format="(a+)+"),
        table_of(title__allowed="x" * 300),
        table_of(title__sources="\n".join(f"name{n}" for n in range(30))),
        {"domains": ["globex.example"]},
        {"precedence": "-1"},
        {"session_hours": "0"},
        {"session_idle_minutes": "-1"},
        {"run_share": "101"},
        {"run_few": "501"},
        {"burst_deactivation_minutes": "0"},
    ):
        response = admin.post(address, form_of(connection, **changes))
        assert response.status_code == 200, changes
        assert response.context["errors"], changes
    unchanged = Connection.objects.get(pk=connection.pk)
    assert (unchanged.name, unchanged.config_version) == (connection.name, connection.config_version)


def test_the_table_says_where_each_attribute_comes_from_and_what_it_has_to_be(
    admin: Client, ours: Scene
) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    cells = table_of(
        email__sources="kontakt\r\n mail \r\n",
        email__required="on",
        locale__sources="-",
        hr_number__format="digits",
        department__allowed="Sales\r\nR&D, Labs",
        external_id__format="uuid",
    )
    assert admin.post(address, form_of(connection, **cells)).status_code == 302
    changed = Connection.objects.get(pk=connection.pk)
    assert changed.attribute_map == {"email": ["kontakt", "mail"], "locale": []}
    assert changed.required_attributes == ["email"]
    assert changed.attribute_rules == {
        "hr_number": {"format": "digits"},
        "department": {"allowed": ["Sales", "R&D, Labs"]},
        "external_id": {"format": "uuid"},
    }
    record = AuditRecord.objects.filter(reason="connection:changed").latest("at")
    assert record.changes == [{"change": "configuration", "fields": ["attribute_map", "attribute_rules"]}]
    page = admin.get(address).content.decode()
    assert "kontakt\nmail</textarea>" in page
    # What a browser posts back unchanged changes nothing.
    assert admin.post(address, form_of(changed, **cells)).status_code == 302
    again = Connection.objects.get(pk=connection.pk)
    assert (again.attribute_map, again.attribute_rules) == (changed.attribute_map, changed.attribute_rules)


def test_what_is_wrong_in_the_table_names_its_attribute(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    cells = table_of(title__sources="\n".join(f"name{n}" for n in range(30)))
    response = admin.post(address, form_of(connection, **cells))
    assert "takes 20 names" in str(response.context["errors"])
    assert "title" in str(response.context["errors"])
    assert "name29" in response.content.decode()


def test_a_new_connection_to_a_product_is_set_to_what_it_sends(admin: Client, ours: Scene) -> None:
    admin.post(
        "/admin/provisioning/connection/add/",
        {"name": "Entra", "jit": "off", "preset": "entra-id", "user_name_attribute": "uid", "reason": "x"},
    )
    made = Connection.objects.get(name="Entra")
    assert (made.preset, made.user_name_attribute) == ("entra-id", "uid")
    assert made.external_id_attribute == "http://schemas.microsoft.com/identity/claims/objectidentifier"
    assert made.attribute_map["email"] == [
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
    ]


def test_a_tenants_administrator_makes_connections_of_that_tenant(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    response = admin.post(
        "/admin/provisioning/connection/add/",
        {"name": "New", "jit": "off", "tenant": str(theirs.where.tenant.pk), "reason": "x"},
    )
    made = Connection.objects.get(name="New")
    assert (made.tenant_id, made.status) == (ours.where.tenant.pk, "draft")
    assert response["Location"].endswith(f"/connection/{made.pk}/change/")


def test_a_superuser_makes_a_tenant_whose_domains_wait_for_their_proof(root: Client, ours: Scene) -> None:
    root.post(
        "/admin/provisioning/tenant/add/",
        {"name": "Initech", "slug": "initech", "domains": "initech.example", "reason": "Sold"},
    )
    made = Tenant.objects.get(slug="initech")
    domain = TenantDomain.objects.get(tenant=made)
    assert (domain.domain, domain.verified_at, domain.verified_how) == ("initech.example", None, "")
    confirm = f"/admin/provisioning/tenant/{made.pk}/confirm-domain/{domain.pk}/"
    assert root.post(confirm, {"reason": ""}).status_code == 200
    assert root.post(confirm, {"reason": "Their contract says so"}).status_code == 302
    domain.refresh_from_db()
    assert domain.verified_how == "superuser"
    taken = root.post(
        "/admin/provisioning/tenant/add/",
        {"name": "X", "slug": "x-corp", "domains": "initech.example", "reason": "x"},
    )
    assert taken.status_code == 200
    assert not Tenant.objects.filter(slug="x-corp").exists()
    root.post(
        f"/admin/provisioning/tenant/{made.pk}/change/",
        {"name": "Initech Ltd", "run_few": "1", "run_share": "10", "run_most": "20", "reason": "Renamed"},
    )
    made.refresh_from_db()
    assert made.name == "Initech Ltd"


def test_a_tenants_administrator_writes_no_tenant(admin: Client, ours: Scene) -> None:
    tenant = ours.where.tenant
    assert admin.post("/admin/provisioning/tenant/add/", {"name": "X", "slug": "x"}).status_code == 403
    assert admin.post(f"/admin/provisioning/tenant/{tenant.pk}/change/", {"name": "X"}).status_code == 403


def test_only_a_superuser_gives_rights_over_the_tenant(admin: Client, root: Client, ours: Scene) -> None:
    admin.post(
        "/admin/provisioning/entitlement/add/",
        {"name": "Sneaky", "kind": "role", "grants_staff": "on", "reason": "x"},
    )
    assert Entitlement.objects.get(name="Sneaky").grants_staff is False
    staff, group = ours.staff_entitlement, ours.group
    by_group = f"/admin/provisioning/directorygroup/{group.pk}/map-entitlement/"
    by_entitlement = f"/admin/provisioning/entitlement/{staff.pk}/map-group/"
    assert admin.post(by_group, {"entitlement": str(staff.pk), "reason": "x"}).status_code == 200
    assert admin.post(by_entitlement, {"group": str(group.pk), "reason": "x"}).status_code == 404
    assert not group.mappings.filter(entitlement=staff).exists()
    root.post(by_group, {"entitlement": str(staff.pk), "reason": "x"})
    mapping = group.mappings.get(entitlement=staff)
    unmap = f"/admin/provisioning/directorygroup/{group.pk}/unmap/{mapping.pk}/"
    assert admin.post(unmap, {"reason": "x"}).status_code == 404
    assert root.post(unmap, {"reason": "x"}).status_code == 302
    assert not group.mappings.filter(entitlement=staff).exists()


def test_a_group_is_mapped_and_unmapped(admin: Client, ours: Scene) -> None:
    admin.post("/admin/provisioning/entitlement/add/", {"name": "Reader", "kind": "role", "reason": "x"})
    made = Entitlement.objects.get(name="Reader")
    assert made.tenant_id == ours.where.tenant.pk
    admin.post(
        f"/admin/provisioning/entitlement/{made.pk}/map-group/", {"group": str(ours.group.pk), "reason": "x"}
    )
    assert list(Entitlement.objects.of_identity(ours.active).filter(pk=made.pk)) == [made]
    admin.post(f"/admin/provisioning/entitlement/{made.pk}/unmap/{made.mappings.get().pk}/", {"reason": "x"})
    assert not Entitlement.objects.of_identity(ours.active).filter(pk=made.pk).exists()


def test_what_has_no_service_is_read_only(root: Client, ours: Scene) -> None:
    for name, key in (
        ("account", ours.finding.account_id),
        ("identity", ours.active.pk),
        ("directorygroup", ours.group.pk),
        ("entitlement", ours.entitlement.pk),
        ("finding", ours.finding.pk),
        ("reconciliationrun", ours.run.pk),
        ("auditrecord", AuditRecord.objects.first().pk),
    ):
        base = f"/admin/provisioning/{name}"
        assert root.post(f"{base}/{key}/change/", {"name": "x", "user_name": "x"}).status_code == 403, name
        assert root.post(f"{base}/{key}/delete/", {"post": "yes"}).status_code == 403, name
        assert root.post(
            f"{base}/", {"action": "delete_selected", "_selected_action": str(key)}
        ).status_code in (
            302,
            200,
        )
        assert root.get(f"{base}/{key}/change/").status_code == 200, name
    for name in ("connection", "tenant"):
        key = ours.where.connection.pk if name == "connection" else ours.where.tenant.pk
        assert root.post(f"/admin/provisioning/{name}/{key}/delete/", {"post": "yes"}).status_code == 403
