"""What every tenant row has in common. Knows no rule."""

from typing import Any

from django.db import models

from identity_hub.core.ids import new_id


class TenantRow(models.Model):
    """A row that belongs to one tenant.

    The pair (tenant, id) is unique so that other tenant rows can point at it with a composite foreign key: the
    database itself then refuses a reference that crosses tenants (`TenantForeignKey`, `provisioning/constraints.py`).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        abstract = True


class TenantForeignKey(models.ForeignKey):
    """A reference inside one tenant. Its constraint is composite and made by `AddTenantForeignKeys`.

    It brings no index of its own: most references begin an index or a unique constraint that is there anyway.
    """

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **options: Any) -> None:
        options["db_constraint"] = False
        options.setdefault("db_index", False)
        super().__init__(to, on_delete, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        options.pop("db_constraint", None)
        options.pop("db_index", None)
        return name, path, args, options
