"""Resources of types that are nothing but their schema, as SCIM documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from provisioning import sql
from provisioning.selectors.pages import Table, instant


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDocument:
    """`resource` is the canonical document without id and meta; `version` goes into the ETag."""

    id: UUID
    version: int
    resource: dict[str, Any]
    created_at: str
    updated_at: str


def _document(row: Sequence[Any], related: str = "") -> DataDocument:
    resource_id, version, resource, created_at, updated_at, _ = row
    return DataDocument(
        id=resource_id,
        version=version,
        resource=orjson.loads(resource),
        created_at=created_at,
        updated_at=updated_at,
    )


def table_of(kind: str) -> Table[DataDocument]:
    """The resources of one type; its name is the hub's own, and one word."""
    if not (kind.isascii() and kind.isalnum()):
        raise ValueError(kind)
    return Table(
        name="provisioning_dataresource",
        alias="d",
        scope="d.tenant_id = caller.tenant_id AND d.connection_id = caller.connection_id "
        f"AND d.kind = '{kind}'",
        columns=f"d.id, d.version, d.resource, {instant('d.created_at')}, {instant('d.updated_at')}",
        width=6,
        document=_document,
    )


def document(*, tenant_id: UUID, connection_id: UUID, kind: str, resource_id: UUID) -> DataDocument | None:
    found = sql.rows(
        f"SELECT {table_of(kind).selected('')} FROM provisioning_dataresource d "  # noqa: S608 - own names
        "WHERE d.tenant_id = %s AND d.connection_id = %s AND d.kind = %s AND d.id = %s",
        (tenant_id, connection_id, kind, resource_id),
    )
    return _document(found[0]) if found else None
