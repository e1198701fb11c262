"""Live accounts as SCIM documents, served from the stored JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from provisioning import sql
from provisioning.selectors.pages import Table, instant


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDocument:
    """`resource` is the canonical User without id, meta and groups; `version` goes into the ETag.

    `groups` are (id, display name) pairs of this connection's groups that the account is in.
    """

    id: UUID
    version: int
    active: bool
    resource: dict[str, Any]
    created_at: str
    updated_at: str
    groups: list[tuple[str, str]]


def _document(row: Sequence[Any], related: str = "groups") -> AccountDocument:
    account_id, version, active, resource, created_at, updated_at, groups = row
    return AccountDocument(
        id=account_id,
        version=version,
        active=active,
        resource=orjson.loads(resource),
        created_at=created_at,
        updated_at=updated_at,
        groups=orjson.loads(groups) if groups else [],
    )


ACCOUNTS = Table(
    name="provisioning_account",
    alias="a",
    scope="a.tenant_id = caller.tenant_id AND a.connection_id = caller.connection_id AND a.deleted_at IS NULL",
    columns=f"a.id, a.version, a.active, a.resource, {instant('a.created_at')}, {instant('a.updated_at')}",
    width=7,
    document=_document,
    related={
        "groups": """(
        SELECT json_agg(json_build_array(g.id, g.display_name) ORDER BY g.id)::text
          FROM provisioning_membership m
          JOIN provisioning_directorygroup g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
         WHERE m.tenant_id = a.tenant_id AND m.account_id = a.id)"""
    },
)


def document(*, tenant_id: UUID, connection_id: UUID, account_id: UUID) -> AccountDocument | None:
    return _one("a.connection_id = %s AND a.id = %s", tenant_id, connection_id, account_id)


def many(*, tenant_id: UUID, connection_id: UUID, account_ids: Sequence[UUID]) -> dict[UUID, AccountDocument]:
    """Those that there are, by id, without their groups."""
    found = sql.rows(
        f"SELECT {ACCOUNTS.selected('')} FROM provisioning_account a "  # noqa: S608 - constants of this module
        "WHERE a.tenant_id = %s AND a.connection_id = %s AND a.deleted_at IS NULL AND a.id = ANY(%s::uuid[])",
        (tenant_id, connection_id, list(account_ids)),
    )
    return {row[0]: _document(row) for row in found}


def names(*, tenant_id: UUID, connection_id: UUID, account_ids: Sequence[UUID]) -> dict[str, str]:
    """id -> userName of those that there are."""
    if not account_ids:
        return {}
    found = sql.rows(
        "SELECT a.id::text, a.user_name FROM provisioning_account a "
        "WHERE a.tenant_id = %s AND a.connection_id = %s AND a.deleted_at IS NULL AND a.id = ANY(%s::uuid[])",
        (tenant_id, connection_id, list(account_ids)),
    )
    return dict(found)


def of_identity(*, tenant_id: UUID, identity_id: UUID, connection_id: UUID) -> AccountDocument | None:
    """The live account that one connection keeps of an identity."""
    return _one("a.connection_id = %s AND a.identity_id = %s", tenant_id, connection_id, identity_id)


def _one(condition: str, tenant_id: UUID, *values: UUID) -> AccountDocument | None:
    found = sql.rows(
        f"SELECT {ACCOUNTS.selected('groups')} FROM provisioning_account a "  # noqa: S608 - constants of this module
        f"WHERE a.tenant_id = %s AND a.deleted_at IS NULL AND {condition}",
        (tenant_id, *values),
    )
    return _document(found[0]) if found else None
