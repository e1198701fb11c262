"""The jobs about SCIM tokens: the alarm before one ends, and the end of those that OAuth clients obtained."""

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import expiry, tokens

_log = structlog.get_logger("provisioning.tokens")


@shared_task(name="provisioning.tasks.warn_of_token_expiry")
def warn_of_token_expiry() -> None:
    for finding in expiry.warn_of_expiry(at=now()):
        _log.warning(
            "token:expires",
            tenant=str(finding.tenant_id),
            connection=str(finding.connection_id),
            token=finding.evidence["token"],
            expires_at=finding.evidence["expires_at"],
            severity=finding.severity,
            finding=str(finding.pk),
        )


@shared_task(name="provisioning.tasks.trim_access_tokens")
def trim_access_tokens() -> None:
    _log.info("tokens:trimmed", count=tokens.trim_access_tokens(at=now()))
