"""Tenants, connections and entitlements are changed by the services, and by whom they are for."""

from django.test import Client

from provisioning.models import AuditRecord, Connection, Entitlement, Tenant, TenantDomain

from .scene import Scene


def form_of(connection: Connection, **changes: object) -> dict[str, object]:
    return {
        "name": connection.name,
        "domains": list(connection.granted_domains.values_list("domain__domain", flat=True)),
        "jit": connection.jit,
        "required_attributes": connection.required_attributes,
        "precedence": connection.precedence,
        "unknown_member": connection.unknown_member,
        "requests_per_minute": connection.requests_per_minute,
        "session_hours": connection.session_hours,
        "session_idle_minutes": connection.session_idle_minutes,
        "retention_days": connection.retention_days,
        "jit_grace_days": connection.jit_grace_days,
        "jit_idle_grace_days": connection.jit_idle_grace_days,
        "scim_enabled": "on",
        "attribute_map": "{}",
        **changes,
    }


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


def test_what_the_service_refuses_the_form_says(admin: Client, ours: Scene) -> None:
    connection = ours.where.connection
    address = f"/admin/provisioning/connection/{connection.pk}/change/"
    for changes in (
        {"name": f"Second {ours.word}"},
        {"attribute_map": '{"shoe_size": ["x"]}'},
        {"attribute_map": "[1]"},
        {"attribute_map": "{"},
        {"domains": ["globex.example"]},
        {"precedence": "-1"},
        {"session_hours": "0"},
        {"session_idle_minutes": "-1"},
        {"idp_metadata": "this is no XML"},
    ):
        response = admin.post(address, form_of(connection, **changes))
        assert response.status_code == 200, changes
        assert response.context["errors"], changes
    unchanged = Connection.objects.get(pk=connection.pk)
    assert (unchanged.name, unchanged.config_version) == (connection.name, connection.config_version)


def test_a_tenants_administrator_makes_connections_of_that_tenant(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    response = admin.post(
        "/admin/provisioning/connection/add/",
        {"name": "New", "jit": "off", "tenant": str(theirs.where.tenant.pk)},
    )
    made = Connection.objects.get(name="New")
    assert (made.tenant_id, made.status) == (ours.where.tenant.pk, "draft")
    assert response["Location"].endswith(f"/connection/{made.pk}/change/")


def test_a_superuser_makes_a_tenant_with_its_domains(root: Client, ours: Scene) -> None:
    root.post(
        "/admin/provisioning/tenant/add/",
        {"name": "Initech", "slug": "initech", "domains": "initech.example"},
    )
    made = Tenant.objects.get(slug="initech")
    assert list(TenantDomain.objects.filter(tenant=made).values_list("domain", flat=True)) == [
        "initech.example"
    ]
    taken = root.post(
        "/admin/provisioning/tenant/add/", {"name": "X", "slug": "x-corp", "domains": "initech.example"}
    )
    assert taken.status_code == 200
    assert not Tenant.objects.filter(slug="x-corp").exists()
    root.post(f"/admin/provisioning/tenant/{made.pk}/change/", {"name": "Initech Ltd"})
    made.refresh_from_db()
    assert made.name == "Initech Ltd"


def test_a_tenants_administrator_writes_no_tenant(admin: Client, ours: Scene) -> None:
    tenant = ours.where.tenant
    assert admin.post("/admin/provisioning/tenant/add/", {"name": "X", "slug": "x"}).status_code == 403
    assert admin.post(f"/admin/provisioning/tenant/{tenant.pk}/change/", {"name": "X"}).status_code == 403


def test_only_a_superuser_gives_rights_over_the_tenant(admin: Client, root: Client, ours: Scene) -> None:
    admin.post(
        "/admin/provisioning/entitlement/add/", {"name": "Sneaky", "kind": "role", "grants_staff": "on"}
    )
    assert Entitlement.objects.get(name="Sneaky").grants_staff is False
    staff, group = ours.staff_entitlement, ours.group
    by_group = f"/admin/provisioning/directorygroup/{group.pk}/map-entitlement/"
    by_entitlement = f"/admin/provisioning/entitlement/{staff.pk}/map-group/"
    assert admin.post(by_group, {"entitlement": str(staff.pk)}).status_code == 200
    assert admin.post(by_entitlement, {"group": str(group.pk)}).status_code == 404
    assert not group.mappings.filter(entitlement=staff).exists()
    root.post(by_group, {"entitlement": str(staff.pk)})
    mapping = group.mappings.get(entitlement=staff)
    unmap = f"/admin/provisioning/directorygroup/{group.pk}/unmap/{mapping.pk}/"
    assert admin.post(unmap).status_code == 404
    assert root.post(unmap).status_code == 302
    assert not group.mappings.filter(entitlement=staff).exists()


def test_a_group_is_mapped_and_unmapped(admin: Client, ours: Scene) -> None:
    admin.post("/admin/provisioning/entitlement/add/", {"name": "Reader", "kind": "role"})
    made = Entitlement.objects.get(name="Reader")
    assert made.tenant_id == ours.where.tenant.pk
    admin.post(f"/admin/provisioning/entitlement/{made.pk}/map-group/", {"group": str(ours.group.pk)})
    assert list(Entitlement.objects.of_identity(ours.active).filter(pk=made.pk)) == [made]
    admin.post(f"/admin/provisioning/entitlement/{made.pk}/unmap/{made.mappings.get().pk}/")
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
