"""Live accounts as SCIM documents, served from the stored JSON."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from provisioning.models import Account

_COLUMNS = ("id", "version", "active", "resource", "created_at", "updated_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDocument:
    """`resource` is the canonical User without id, meta and groups; `version` goes into the ETag."""

    id: UUID
    version: int
    active: bool
    resource: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def _document(row: tuple[Any, ...]) -> AccountDocument:
    return AccountDocument(**dict(zip(_COLUMNS, row, strict=True)))


def document(*, tenant_id: UUID, connection_id: UUID, account_id: UUID) -> AccountDocument | None:
    row = (
        Account.objects.filter(
            tenant_id=tenant_id, connection_id=connection_id, pk=account_id, deleted_at__isnull=True
        )
        .values_list(*_COLUMNS)
        .first()
    )
    return _document(row) if row else None


def page(
    *, tenant_id: UUID, connection_id: UUID, conditions: Q, offset: int, limit: int
) -> tuple[int, list[AccountDocument]]:
    """(how many match, those of the page), ordered by id, which never changes.

    One statement where the first page holds everything, as it does for a look-up; else a second one counts.
    """
    matching = Account.objects.filter(
        conditions, tenant_id=tenant_id, connection_id=connection_id, deleted_at__isnull=True
    )
    if limit <= 0:
        return matching.count(), []
    rows = matching.order_by("id").values_list(*_COLUMNS)[offset : offset + limit]
    found = [_document(row) for row in rows]
    whole = offset == 0 and len(found) < limit
    return len(found) if whole else matching.count(), found


def of_identity(*, tenant_id: UUID, identity_id: UUID, connection_id: UUID) -> AccountDocument | None:
    """The live account that one connection keeps of an identity."""
    row = (
        Account.objects.filter(
            tenant_id=tenant_id,
            connection_id=connection_id,
            identity_id=identity_id,
            deleted_at__isnull=True,
        )
        .values_list(*_COLUMNS)
        .first()
    )
    return _document(row) if row else None
