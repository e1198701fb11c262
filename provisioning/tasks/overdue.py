"""The job about runs that do not come: the alarm of a dead man's switch."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import overdue

_log = structlog.get_logger("provisioning.overdue")


@shared_task(name="provisioning.tasks.warn_of_overdue_runs")
def warn_of_overdue_runs() -> None:
    for finding in overdue.warn_of_overdue(at=now()):
        _log.warning(
            "connection:run-overdue",
            tenant=str(finding.tenant_id),
            connection=str(finding.connection_id),
            last_finished_at=finding.evidence["last_finished_at"],
            finding=str(finding.pk),
        )
