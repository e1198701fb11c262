"""Where a run stands, and what the audit says of it. Knows no step of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.types import Actor, Channel
from provisioning.models import ReconciliationRun


def move(run: ReconciliationRun, from_: Sequence[str], to: str, **fields: Any) -> bool:
    """False when the run is not where it was thought to be: somebody else moved it first."""
    return bool(
        ReconciliationRun.objects.filter(tenant_id=run.tenant_id, pk=run.pk, status__in=from_).update(
            status=to, **fields
        )
    )


def record(
    run: ReconciliationRun,
    actor: Actor,
    intent: str,
    reason: str,
    *,
    counts: Mapping[str, int] | None = None,
    why: str = "",
) -> None:
    audit.record(
        tenant_id=run.tenant_id,
        at=now(),
        actor=actor,
        channel=Channel.ROSTER,
        intent=intent,
        reason=reason,
        request_id=current_request_id(),
        connection_id=run.connection_id,
        object_id=run.pk,
        changes=[{"change": "run", "counts": dict(counts)}] if counts else [],
        values={"reason": why} if why else None,
    )
