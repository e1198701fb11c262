"""Accounts, groups and data resources as rows, without the requests that make them, and a query by condition."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning import sql
from provisioning.load import email_keys
from provisioning.models import Account, Connection, DataResource, DirectoryGroup, Membership
from provisioning.search import search_keys
from provisioning.selectors.conditions import Condition

TABLES = {"a": "provisioning_account", "g": "provisioning_directorygroup", "d": "provisioning_dataresource"}


def account(where: Connection, resource: Mapping[str, Any], **columns: Any) -> Account:
    """A live account that holds this canonical User."""
    user_name = resource.get("userName", str(new_id()))
    moment = now()
    row = Account(
        tenant_id=where.tenant_id,
        connection=where,
        origin="scim",
        lifecycle_owner="scim",
        user_name=user_name,
        user_name_key=user_name.lower(),
        external_id=resource.get("externalId"),
        active=resource.get("active", True),
        email_keys=email_keys(resource, ()),
        resource=dict(resource),
        created_at=moment,
        updated_at=moment,
    )
    for name, value in columns.items():
        setattr(row, name, value)
    return row


def accounts(rows: Iterable[Account]) -> list[Account]:
    """They are stored, and can be found."""
    made = Account.objects.bulk_create(rows)
    with database.cursor() as cursor:
        cursor.executemany(
            "UPDATE provisioning_account SET search = array_to_tsvector(%s::text[]) WHERE id = %s",
            [(search_keys(row.resource), row.pk) for row in made],
        )
    return made


def group(
    where: Connection, name: str, members: Iterable[Account] = (), resource: Any = None, **columns: Any
) -> DirectoryGroup:
    row = DirectoryGroup.objects.create(
        tenant_id=where.tenant_id,
        connection=where,
        display_name=name,
        display_name_key=name.lower(),
        resource=resource or {},
        **columns,
    )
    Membership.objects.bulk_create(
        Membership(tenant_id=where.tenant_id, group=row, account=member) for member in members
    )
    return row


def data(where: Connection, kind: str, resource: Mapping[str, Any]) -> DataResource:
    return DataResource.objects.create(
        tenant_id=where.tenant_id,
        connection=where,
        kind=kind,
        external_id=resource.get("externalId"),
        resource=dict(resource),
    )


def found(where: Connection, alias: str, condition: Condition, order: str = "", keys: str = "") -> list[Any]:
    """The ids of the rows of a connection that meet a condition, as a selector asks for them: prepared."""
    columns = f"{alias}.id, {keys}" if keys else f"{alias}.id"
    live = "AND a.deleted_at IS NULL " if alias == "a" else ""
    rows = sql.rows(
        f"SELECT {columns} FROM {TABLES[alias]} {alias} WHERE {alias}.tenant_id = %s::uuid "  # noqa: S608 - our own
        f"AND {alias}.connection_id = %s::uuid {live}AND ({condition.text}) ORDER BY {order or f'{alias}.id'}",
        (where.tenant_id, where.pk, *condition.parameters),
    )
    return list(rows) if keys else [row[0] for row in rows]


def ids(rows: Iterable[Any]) -> list[UUID]:
    return [row.pk for row in rows]


def shown(moment: datetime) -> str:
    """As a client reads it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
