"""Keeps the tables of the SAML face short. Knows how long each row is of use."""

from datetime import timedelta

from celery import shared_task

from identity_hub.core.clock import now

from .models import ConsumedAssertion, LoginAttempt, PendingRequest, TestLogin

KEEP_ATTEMPTS = timedelta(days=30)


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
