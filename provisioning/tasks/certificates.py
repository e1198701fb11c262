"""The job about IdPs' certificates and documents: the alarm before they end."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import certificates

_log = structlog.get_logger("provisioning.certificates")


@shared_task(name="provisioning.tasks.warn_of_certificate_expiry")
def warn_of_certificate_expiry() -> None:
    for finding in certificates.warn_of_certificates(at=now()):
        _log.warning(
            finding.kind,
            tenant=str(finding.tenant_id),
            connection=str(finding.connection_id),
            severity=finding.severity,
            finding=str(finding.pk),
        )
