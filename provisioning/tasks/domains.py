"""The job about e-mail domains: whether the records that proved them are still there."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import domains

_log = structlog.get_logger("provisioning.domains")


@shared_task(name="provisioning.tasks.look_at_domains")
def look_at_domains() -> None:
    for finding in domains.look_again(at=now()):
        _log.warning(
            "domain:record-gone",
            tenant=str(finding.tenant_id),
            domain=finding.evidence["domain"],
            last_seen=finding.evidence["last_seen"],
            finding=str(finding.pk),
        )
