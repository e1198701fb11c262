"""The jobs of the SAML face: its tables are kept short, and it says when very many logins do not end as they should."""

from datetime import timedelta

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.services import bursts

from .bursts import refusals
from .models import ConsumedAssertion, LoginAttempt, PendingRequest, TestLogin

KEEP_ATTEMPTS = timedelta(days=30)

_log = structlog.get_logger("saml_sp.tasks")


@shared_task(name="saml_sp.tasks.trim")
def trim() -> dict[str, int]:
    """Deletes what is over. May run at any time and twice."""
    at = now()
    return {
        "pending": PendingRequest.objects.filter(expires_at__lt=at).delete()[0],
        "consumed": ConsumedAssertion.objects.filter(expires_at__lt=at).delete()[0],
        "tests": TestLogin.objects.filter(expires_at__lt=at).delete()[0],
        "attempts": LoginAttempt.objects.filter(at__lt=at - KEEP_ATTEMPTS).delete()[0],
    }


@shared_task(name="saml_sp.tasks.watch_bursts")
def watch_bursts() -> None:
    """Asks a person about each burst of accounts that logins made, and of refusals. May run at any time and twice."""
    at = now()
    for finding in bursts.note([*bursts.creations(at=at), *refusals(at=at)], at=at):
        _log.warning(
            finding.kind,
            tenant=str(finding.tenant_id),
            connection=str(finding.connection_id),
            number=finding.evidence["most"],
            threshold=finding.evidence["threshold"],
            minutes=finding.evidence["minutes"],
            reasons=finding.evidence["reasons"],
            finding=str(finding.pk),
        )
