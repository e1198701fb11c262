"""The job about what stored facts leave to a person: one look at each tenant, at night."""

from uuid import UUID

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.models import Tenant

_log = structlog.get_logger("provisioning.doubts")


@shared_task(name="provisioning.tasks.look_for_doubts")
def look_for_doubts() -> None:
    """One job for each tenant, so that they spread over the workers."""
    for tenant_id in Tenant.objects.order_by("id").values_list("pk", flat=True).iterator():
        ask_tenant.delay(str(tenant_id))


@shared_task(name="provisioning.tasks.ask_tenant")
def ask_tenant(tenant_id: str) -> None:
    told = reconciliation.ask_tenant(UUID(tenant_id), now())
    _log.info(
        "findings:asked",
        tenant=tenant_id,
        opened={kind: asked.opened for kind, asked in told.items() if asked.opened},
        closed=sum(asked.closed for asked in told.values()),
    )
