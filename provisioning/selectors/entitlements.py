"""A tenant's roles and groups as SCIM documents: those that a directory group of the asking connection is mapped to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from provisioning import sql
from provisioning.models import Entitlement
from provisioning.selectors.pages import Table

Kind = Entitlement.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementDocument:
    """`version` is made of what the document says: nothing else changes with it."""

    id: UUID
    version: int
    resource: dict[str, Any]


def _document(row: Sequence[Any], related: str = "") -> EntitlementDocument:
    entitlement_id, version, resource, _ = row
    return EntitlementDocument(id=entitlement_id, version=version, resource=orjson.loads(resource))


_MAPPED = """EXISTS (
    SELECT FROM provisioning_entitlementmapping m
      JOIN provisioning_directorygroup g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
     WHERE m.tenant_id = d.tenant_id AND m.entitlement_id = d.id AND g.connection_id = {connection})"""


def table_of(kind: str, type_name: str) -> Table[EntitlementDocument]:
    """Shaped as the resources that are nothing but their document, so that the same filters and orders serve it."""
    return Table(
        name=f"""(
        SELECT id, tenant_id, jsonb_strip_nulls(jsonb_build_object(
                   'displayName', name, 'type', '{type_name}', 'description', NULLIF(description, ''))) AS resource,
               hashtextextended(concat_ws(E'\\x1f', name, description), 0) & 9007199254740991 AS version,
               NULL::text AS external_id, NULL::timestamptz AS created_at, NULL::timestamptz AS updated_at
          FROM provisioning_entitlement WHERE kind = '{kind}')""",  # noqa: S608 - constants of this module
        alias="d",
        scope="d.tenant_id = caller.tenant_id AND " + _MAPPED.format(connection="caller.connection_id"),
        columns="d.id, d.version, d.resource",
        width=4,
        by_connection=False,
        document=_document,
    )


ROLES = table_of(str(Kind.ROLE), "Role")
ENTITLEMENTS = table_of(str(Kind.GROUP), "Entitlement")


def kinds_mapped(*, tenant_id: UUID, connection_id: UUID) -> frozenset[str]:
    """The kinds of which this connection's groups are mapped to any."""
    found = sql.rows(
        "SELECT DISTINCT d.kind FROM provisioning_entitlement d "  # noqa: S608 - constants of this module
        f"WHERE d.tenant_id = %s AND {_MAPPED.format(connection='%s')}",
        (tenant_id, connection_id),
    )
    return frozenset(kind for (kind,) in found)
