from django.db import migrations

from provisioning.constraints import (
    DROP_REFUSE_CHANGE,
    REFUSE_CHANGE,
    AddTenantForeignKeys,
    append_only,
)


class Migration(migrations.Migration):
    """What the database itself refuses: a reference across tenants, and a change of the audit."""

    dependencies = [("provisioning", "0001_initial")]

    operations = [
        *[
            AddTenantForeignKeys(name)
            for name in (
                "Account",
                "Alias",
                "ConnectionDomain",
                "DirectoryGroup",
                "Entitlement",
                "EntitlementMapping",
                "Finding",
                "Hold",
                "Membership",
                "ReconciliationItem",
                "ReconciliationRun",
                "ScimToken",
                "Session",
                "Tombstone",
            )
        ],
        migrations.RunSQL(REFUSE_CHANGE, DROP_REFUSE_CHANGE),
        migrations.RunSQL(*append_only("provisioning_auditrecord")),
        # Values may be purged (deleted), never rewritten.
        migrations.RunSQL(*append_only("provisioning_auditvalue", rows="UPDATE")),
    ]
