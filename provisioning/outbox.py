"""Follow-up work, written in the transaction that causes it. Celery is told after commit; losing it loses nothing."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction

from identity_hub.core.clock import now
from provisioning import sql
from provisioning.models import OutboxMessage

nudge: Callable[[], None] | None = None
"""Set by `tasks`: asks a worker to look at the outbox now. It must neither raise nor block."""


def enqueue(messages: Iterable[tuple[str, dict[str, Any], UUID | None]]) -> None:
    """Each message is (topic, payload of ids, tenant)."""
    at = now()
    rows = [
        {
            "tenant_id": tenant_id,
            "topic": topic,
            "payload": payload,
            "created_at": at,
            "available_at": at,
            "attempts": 0,
            "last_error": "",
        }
        for topic, payload, tenant_id in messages
    ]
    if not rows:
        return
    sql.add(OutboxMessage, rows)
    if nudge is not None:
        # Robust: what is committed must not look like a failure because a nudge was.
        transaction.on_commit(nudge, robust=True)
