"""The alarm where no reconciliation run finishes any more: a finding that closes itself when one has. Knows no run's
steps."""

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Severity
from provisioning.models import Connection, Finding
from provisioning.selectors.reconciliation import overdue

from .questions import settle

PERIOD = timedelta(days=1)
"""How often the schedule makes a run of each connection."""
PATIENCE = 2 * PERIOD


def warn_of_overdue(*, at: datetime) -> list[Finding]:
    """Opens what is to be asked about runs of every tenant, closes what has gone; answers what was opened."""
    found: dict[UUID, list[Finding]] = defaultdict(list)
    for connection in overdue(at - PATIENCE):
        found[connection.tenant_id].append(_question(connection, at))
    waiting = Finding.objects.filter(kind=FindingKind.RUN_OVERDUE, status=Finding.Status.OPEN)
    for tenant_id in set(waiting.values_list("tenant_id", flat=True)) - found.keys():
        found[tenant_id] = []
    opened: list[Finding] = []
    for tenant_id, findings in sorted(found.items()):
        opened += settle(tenant_id, [FindingKind.RUN_OVERDUE], findings, at)
    return opened


def without_runs(at: datetime) -> int:
    """How many active connections of all tenants wait for a run that is overdue: also where no worker asks."""
    return sum(1 for _ in overdue(at - PATIENCE))


def _question(connection: Connection, at: datetime) -> Finding:
    finished = connection.last_finished_at  # type: ignore[attr-defined]
    return Finding(
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        kind=FindingKind.RUN_OVERDUE,
        severity=Severity.HIGH.value,
        evidence={
            "last_finished_at": finished.isoformat() if finished else None,
            "last_status": connection.last_status,  # type: ignore[attr-defined]
            "hours": PATIENCE // timedelta(hours=1),
        },
        # Each outage is asked about once, whatever a person answers.
        fingerprint=f"overdue:{connection.pk.hex}:{finished:%Y%m%d%H%M%S}"
        if finished
        else f"overdue:{connection.pk.hex}",
        opened_at=at,
    )
