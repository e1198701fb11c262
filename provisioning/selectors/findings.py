"""Who may see to a tenant's findings, and how many wait. Knows no page and no remedy."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q

from provisioning.models import (
    AssertedGroup,
    Entitlement,
    EntitlementMapping,
    Finding,
    Identity,
)

OWNERS_AT_MOST = 200


def administrators(tenant_id: UUID) -> list[Identity]:
    """Who may be a finding's owner: the enabled people who administer the tenant, by a flag or an entitlement."""
    staff = Entitlement.objects.filter(tenant_id=tenant_id, grants_staff=True)
    by_directory = EntitlementMapping.objects.filter(
        tenant_id=tenant_id,
        entitlement__in=staff,
        group__memberships__account__identity=OuterRef("pk"),
        group__memberships__account__deleted_at__isnull=True,
        group__memberships__account__active=True,
    )
    by_login = AssertedGroup.objects.in_force(OuterRef("pk"), tenant_id).filter(entitlement__in=staff)
    rows = (
        Identity.objects.with_state()
        .filter(
            Q(is_tenant_administrator=True) | Exists(by_directory) | Exists(by_login),
            tenant_id=tenant_id,
            enabled=True,
        )
        .order_by("display_name", "user_name_key", "id")
    )
    return list(rows[:OWNERS_AT_MOST])


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    kind: str
    severity: str
    open: int
    overdue: int


def waiting(at: datetime) -> list[Waiting]:
    """How many findings wait in the whole installation, by kind and severity: numbers, and no tenant."""
    rows = (
        Finding.objects.with_due()
        .filter(status=Finding.Status.OPEN)
        .order_by()
        .values_list("kind", "severity")
        .annotate(open=Count("pk"), overdue=Count("pk", filter=Q(due__lt=at)))
    )
    return [
        Waiting(kind=kind, severity=severity, open=number, overdue=overdue)
        for kind, severity, number, overdue in rows
    ]
