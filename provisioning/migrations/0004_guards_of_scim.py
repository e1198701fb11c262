from django.db import migrations

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):
    """The references inside one tenant that came with tokens, clients and schemas."""

    dependencies = [("provisioning", "0003_scim_in_full")]

    operations = [
        AddTenantForeignKeys("ScimToken", only=("client", "replaces")),
        AddTenantForeignKeys("ScimClient"),
        AddTenantForeignKeys("SchemaExtension"),
        AddTenantForeignKeys("SchemaAttribute"),
        AddTenantForeignKeys("DataResource"),
    ]
