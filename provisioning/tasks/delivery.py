"""Delivers the outbox: which topic is whose work, and when a failed message is tried again. Knows no broker."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction

from identity_hub.core.clock import now
from provisioning.models import Finding, OutboxMessage
from provisioning.services import retention

BATCH = 100
FIRST_RETRY = timedelta(seconds=5)
LAST_RETRY = timedelta(hours=1)

_log = structlog.get_logger("provisioning.outbox")

Handler = Callable[[OutboxMessage], None]


def _purge_sessions(message: OutboxMessage) -> None:
    retention.purge_sessions(
        tenant_id=message.tenant_id,
        identity_id=UUID(message.payload["identity"]),
        begun_by=message.created_at,
    )


def _tell_of_finding(message: OutboxMessage) -> None:
    finding = Finding.objects.filter(tenant_id=message.tenant_id, pk=message.payload["finding"]).first()
    if finding is not None:
        _log.warning(
            "finding:opened",
            finding=str(finding.pk),
            tenant=str(finding.tenant_id),
            kind=finding.kind,
            severity=finding.severity,
        )


HANDLERS: dict[str, Handler] = {
    "sessions.purge": _purge_sessions,
    "finding.opened": _tell_of_finding,
}
"""Topic -> what to do. Idempotent, and short: a message is locked while it is handled."""

# What a handler can fail with: the database, the network, a payload or a topic of another version of the hub.
_FAILURES = (DatabaseError, OSError, LookupError, TypeError, ValueError)


def drain() -> int:
    """Delivers every message that is due; answers how many were handled, well or not.

    Messages that another worker has in hand are left to it. A message and what it causes in the database commit
    together, so a killed worker leaves both to be done.
    """
    handled = 0
    while count := _drain_batch():
        handled += count
    return handled


def _drain_batch() -> int:
    with transaction.atomic():
        messages = list(
            OutboxMessage.objects.select_for_update(skip_locked=True)
            .filter(done_at__isnull=True, available_at__lte=now())
            .order_by("available_at")[:BATCH]
        )
        for message in messages:
            _deliver(message)
    return len(messages)


def _deliver(message: OutboxMessage) -> None:
    message.attempts += 1
    try:
        with transaction.atomic():
            HANDLERS[message.topic](message)
    except _FAILURES as error:
        # The class name only: the text of an error may carry a person's data.
        message.last_error = type(error).__name__
        message.available_at = _next_try(message.attempts, now())
        _log.warning(
            "outbox:failed",
            message=message.pk,
            topic=message.topic,
            error=message.last_error,
            attempt=message.attempts,
        )
    else:
        message.last_error = ""
        message.done_at = now()
    message.save(update_fields=["attempts", "last_error", "available_at", "done_at"])


def _next_try(attempts: int, at: datetime) -> datetime:
    return at + min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LAST_RETRY)
