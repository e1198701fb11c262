"""Directory groups as SCIM documents, and what an identity derives from them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from provisioning.models import DirectoryGroup, Membership

_COLUMNS = ("id", "version", "display_name", "external_id", "resource", "created_at", "updated_at")

Members = list[tuple[UUID, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDocument:
    """`members` are (account id, display) pairs in the order they joined; None when they were not asked for."""

    id: UUID
    version: int
    display_name: str
    external_id: str | None
    resource: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    members: Members | None = None


def _members(tenant_id: UUID, group_ids: Iterable[UUID]) -> dict[UUID, Members]:
    members: dict[UUID, Members] = defaultdict(list)
    rows = (
        Membership.objects.filter(
            tenant_id=tenant_id, group_id__in=list(group_ids), account__deleted_at__isnull=True
        )
        .order_by("id")
        .values_list("group_id", "account_id", "account__user_name")
    )
    for group_id, account_id, user_name in rows.iterator(chunk_size=2000):
        members[group_id].append((account_id, user_name))
    return members


def document(
    *, tenant_id: UUID, connection_id: UUID, group_id: UUID, members: bool = True
) -> GroupDocument | None:
    row = (
        DirectoryGroup.objects.filter(tenant_id=tenant_id, connection_id=connection_id, pk=group_id)
        .values_list(*_COLUMNS)
        .first()
    )
    if row is None:
        return None
    found = _members(tenant_id, [group_id])[group_id] if members else None
    return GroupDocument(**dict(zip(_COLUMNS, row, strict=True)), members=found)


def member_count(*, tenant_id: UUID, group_id: UUID, at_most: int) -> int:
    """Counts no further than `at_most`, so that the cost does not grow with the group."""
    ids = Membership.objects.filter(tenant_id=tenant_id, group_id=group_id).values_list("id")[:at_most]
    return len(ids)


def page(
    *,
    tenant_id: UUID,
    connection_id: UUID,
    conditions: Q,
    offset: int,
    limit: int,
    members: bool = True,
) -> tuple[int, list[GroupDocument]]:
    """(how many match, those of the page), ordered by id. Three statements at most, however many members."""
    matching = DirectoryGroup.objects.filter(conditions, tenant_id=tenant_id, connection_id=connection_id)
    total = matching.count()
    if limit <= 0 or offset >= total:
        return total, []
    rows = list(matching.order_by("id").values_list(*_COLUMNS)[offset : offset + limit])
    found = _members(tenant_id, [row[0] for row in rows]) if members else None
    return total, [
        GroupDocument(
            **dict(zip(_COLUMNS, row, strict=True)),
            members=found.get(row[0], []) if found is not None else None,
        )
        for row in rows
    ]


def of_identity(*, tenant_id: UUID, identity_id: UUID) -> list[str]:
    """Names of the directory groups that an identity is in through its live, active accounts."""
    return list(
        DirectoryGroup.objects.filter(
            tenant_id=tenant_id,
            memberships__account__identity_id=identity_id,
            memberships__account__deleted_at__isnull=True,
            memberships__account__active=True,
        )
        .order_by("display_name")
        .values_list("display_name", flat=True)
        .distinct()
    )
