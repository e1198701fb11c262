"""Migration operations that Django lacks: composite foreign keys inside a tenant, and append-only tables."""

from typing import Any

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

from provisioning.models.base import TenantForeignKey


def constraint_name(table: str, column: str) -> str:
    return f"{table}_{column}_tenant_fk"


class AddTenantForeignKeys(Operation):
    """Gives every `TenantForeignKey` of one model its constraint: (tenant, column) -> (tenant, id) of its target.

    `only` names the fields where others have theirs already. Deferred to the commit like Django's own, so that
    rows of one transaction may arrive in any order.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, only: tuple[str, ...] = ()) -> None:
        self.model_name = model_name
        self.only = only

    def state_forwards(self, app_label: str, state: Any) -> None:
        return None

    def _constraints(self, app_label: str, apps: Apps) -> list[tuple[str, str, str, str]]:
        model = apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        return [
            (table, constraint_name(table, field.column), field.column, field.related_model._meta.db_table)
            for field in model._meta.local_fields
            if isinstance(field, TenantForeignKey) and (not self.only or field.name in self.only)
        ]

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for table, name, column, target in self._constraints(app_label, to_state.apps):
            schema_editor.execute(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY (tenant_id, "{column}") '
                f'REFERENCES "{target}" (tenant_id, id) DEFERRABLE INITIALLY DEFERRED'
            )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for table, name, _, _ in self._constraints(app_label, from_state.apps):
            schema_editor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')

    def describe(self) -> str:
        return f"Tie the references of {self.model_name} to one tenant"


REFUSE_CHANGE = """
CREATE FUNCTION provisioning_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
"""
DROP_REFUSE_CHANGE = "DROP FUNCTION provisioning_refuse_change();"


def append_only(table: str, *, rows: str = "UPDATE OR DELETE") -> tuple[str, str]:
    """SQL (forwards, backwards) of the triggers that refuse `rows` changes and TRUNCATE on a table."""
    return (
        f"CREATE TRIGGER append_only_rows BEFORE {rows} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION provisioning_refuse_change();"
        f"CREATE TRIGGER append_only_table BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION provisioning_refuse_change();",
        f"DROP TRIGGER append_only_rows ON {table}; DROP TRIGGER append_only_table ON {table};",
    )
