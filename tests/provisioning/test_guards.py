"""What the database itself refuses, whatever the code above it does."""

from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction

from provisioning.decision.types import Intent
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    ConnectionDomain,
    Hold,
    Identity,
    Membership,
    ScimToken,
    TenantDomain,
)
from provisioning.models.base import TenantForeignKey
from provisioning.services.groups import submit_group

from .cast import House, push, user
from .services.test_groups import group

pytestmark = pytest.mark.django_db


def execute(statement: str, parameters: list[Any] | None = None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE provisioning_auditrecord SET reason = 'nothing:happened'",
        "DELETE FROM provisioning_auditrecord",
        "UPDATE provisioning_auditvalue SET values = '{}'",
    ],
)
def test_the_audit_refuses(statement: str, acme: House) -> None:
    push(acme, user("ada@acme.example", "e1"))
    rows = AuditRecord.objects.count(), AuditValue.objects.count()
    with pytest.raises(DatabaseError, match="append-only"):
        execute(statement)
    assert (AuditRecord.objects.count(), AuditValue.objects.count()) == rows


@pytest.mark.parametrize("table", ["provisioning_auditrecord", "provisioning_auditvalue"])
def test_the_audit_refuses_to_be_truncated(table: str, acme: House) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # The test database runs without this one guard (tests/conftest.py); here it is as in production.
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only_table")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(f"TRUNCATE {table}")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_table")


def test_values_may_be_purged_and_their_record_stays(acme: House) -> None:
    outcome = push(acme, user("ada@acme.example", "e1"))
    AuditValue.objects.filter(identity_id=outcome.identity_id).delete()
    assert AuditRecord.objects.filter(pk=outcome.audit_id).exists()


def test_an_account_cannot_belong_to_an_identity_of_another_tenant(acme: House, globex: House) -> None:
    ours, theirs = push(acme, user("ada@acme.example")), push(globex, user("eve@globex.example"))
    with pytest.raises(IntegrityError):
        execute(
            "UPDATE provisioning_account SET identity_id = %s WHERE id = %s",
            [theirs.identity_id, ours.account_id],
        )


def test_nothing_points_across_tenants(acme: House, globex: House) -> None:
    theirs = push(globex, user("eve@globex.example"))
    made = submit_group(group(acme, Intent.CREATE, display_name="Staff"))
    crossings = [
        Hold(tenant=acme.tenant, identity_id=theirs.identity_id, kind="admin", placed_by="x"),
        Membership(tenant=acme.tenant, group_id=made.account_id, account_id=theirs.account_id),
        ScimToken(tenant=acme.tenant, connection=globex.connection, prefix="x", digest=b"x"),
        ConnectionDomain(
            tenant=acme.tenant,
            connection=acme.connection,
            domain=TenantDomain.objects.get(domain="globex.example"),
        ),
    ]
    for row in crossings:
        # The constraint is deferred: the row is refused when it is asked, not when it is saved.
        with pytest.raises(IntegrityError), transaction.atomic():  # noqa: PT012
            row.save()
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_every_reference_inside_a_tenant_has_its_composite_constraint() -> None:
    """A field that was added and forgotten in the migration would be found here."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        )
        constraints = {(table, definition.split(" REFERENCES")[0]) for table, definition in cursor.fetchall()}
    wanted = {
        (model._meta.db_table, f"FOREIGN KEY (tenant_id, {field.column})")
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, TenantForeignKey)
    }
    assert wanted
    assert wanted <= constraints


def test_a_verified_domain_belongs_to_one_tenant(acme: House, globex: House) -> None:
    row = TenantDomain.objects.get(domain="acme.example")
    with pytest.raises(IntegrityError), transaction.atomic():
        TenantDomain.objects.create(
            tenant=globex.tenant, domain="acme.example", verified_at=row.verified_at, verified_how="dns"
        )


def test_live_accounts_of_a_connection_share_no_key(acme: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    row = Account.objects.get(pk=first.account_id)
    row.pk = None
    row.user_name_key = "other@acme.example"
    row._state.adding = True
    with pytest.raises(IntegrityError, match="account_external_id_once"), transaction.atomic():
        row.save()


def test_a_superuser_has_no_tenant_and_is_local(acme: House) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Identity.objects.create(tenant=acme.tenant, is_superuser=True, local=True)
