"""Connections: by their opaque address, by a verified domain, and the policy that decisions go by.

The first two are look-ups that find a tenant instead of taking one; docs/decisions/0008 names the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Subquery

from provisioning.decision.policy import Jit, Policy
from provisioning.models import Account, Connection, ConnectionDomain, ScimToken, Tenant


def by_address(connection_id: UUID) -> Connection | None:
    return Connection.objects.select_related("tenant").filter(pk=connection_id).first()


def by_domain(domain: str) -> list[Connection]:
    """Active connections that a verified e-mail domain was granted to. Domains match exactly."""
    return list(
        Connection.objects.select_related("tenant")
        .filter(
            status=Connection.Status.ACTIVE,
            granted_domains__domain__domain=domain.lower(),
            granted_domains__domain__verified_at__isnull=False,
        )
        .exclude(idp_metadata="")
        .order_by("precedence", "name")
    )


def live_accounts() -> Subquery:
    """To annotate connections with: how many live accounts each has; null for none."""
    accounts = Account.objects.filter(
        tenant=OuterRef("tenant"), connection=OuterRef("pk"), deleted_at__isnull=True
    )
    return Subquery(accounts.order_by().values("connection").annotate(number=Count("pk")).values("number"))


def granted_domains(connection: Connection) -> frozenset[str]:
    return frozenset(
        ConnectionDomain.objects.filter(
            tenant_id=connection.tenant_id, connection=connection, domain__verified_at__isnull=False
        ).values_list("domain__domain", flat=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one tenant's decisions go by: each connection's policy, and the tenant's digest key."""

    digest_key: bytes
    policies: dict[UUID, Policy]
    last_push: dict[UUID, datetime | None]


def rules(tenant_id: UUID, connection_ids: Iterable[UUID]) -> Rules:
    """One statement. A connection of another tenant is not in the answer."""
    wanted = list(connection_ids)
    rows = list(
        Connection.objects.select_related("tenant")
        .filter(tenant_id=tenant_id, pk__in=wanted)
        .annotate(
            domains=ArraySubquery(
                ConnectionDomain.objects.filter(
                    tenant_id=tenant_id,
                    connection=OuterRef("pk"),
                    domain__verified_at__isnull=False,
                ).values("domain__domain")
            ),
            has_token=Exists(
                ScimToken.objects.filter(
                    tenant_id=tenant_id, connection=OuterRef("pk"), revoked_at__isnull=True
                )
            ),
        )
    )
    key = (
        rows[0].tenant.digest_key
        if rows
        else Tenant.objects.values_list("digest_key", flat=True).get(pk=tenant_id)
    )
    return Rules(
        digest_key=bytes(key),
        policies={
            row.pk: Policy(
                jit=Jit(row.jit),
                precedence=row.precedence,
                required_attributes=tuple(row.required_attributes),
                domains=frozenset(row.domains),
                trusted_hr_number=row.trusted_hr_number,
                trusted_email=row.trusted_email,
                retention=timedelta(days=row.retention_days),
                jit_grace=timedelta(days=row.jit_grace_days),
                jit_idle_grace=timedelta(days=row.jit_idle_grace_days),
                has_lifecycle_source=row.scim_enabled and row.has_token,
            )
            for row in rows
        },
        last_push={row.pk: row.last_push_at for row in rows},
    )
