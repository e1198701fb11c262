"""The jobs of the SAML face: its tables stay short, metadata of IdPs new, and bursts do not go unseen."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.db import models

from identity_hub.core.clock import now
from provisioning import sql
from provisioning.decision.types import Actor
from provisioning.selectors import connections
from provisioning.services import bursts

from . import metadata, own_keys
from .bursts import refusals
from .models import ConsumedAssertion, LoginAttempt, PendingRequest, TestLogin

KEEP_ATTEMPTS = timedelta(days=30)
AT_ONCE = 5_000
"""Rows that one transaction deletes. A day's million in one would keep autovacuum waiting, and with it every table."""
SCHEDULE = Actor(kind="schedule")
SPREAD = 45 * 60
"""Seconds over which the addresses are asked, so that an IdP with many connections is not asked for all at once."""

_log = structlog.get_logger("saml_sp.tasks")


@shared_task(name="saml_sp.tasks.trim")
def trim() -> dict[str, int]:
    """Deletes what is over, in short transactions. May run at any time, twice, and beside itself."""
    at = now()
    return {
        "pending": _trimmed(PendingRequest, "expires_at", at),
        "consumed": _trimmed(ConsumedAssertion, "expires_at", at),
        "tests": _trimmed(TestLogin, "expires_at", at),
        "attempts": _trimmed(LoginAttempt, "at", at - KEEP_ATTEMPTS),
    }


def _trimmed(model: type[models.Model], column: str, before: datetime) -> int:
    """How many rows there were of before this moment."""
    table = model._meta.db_table
    # Each batch begins where the last one ended, so that nobody walks over what is deleted already.
    statement = f"""
        WITH gone AS (
            DELETE FROM {table} WHERE id IN (
                SELECT id FROM {table} WHERE {column} < %s AND {column} >= %s
                 ORDER BY {column} LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED
            ) RETURNING {column}
        )
        SELECT count(*), max({column}) FROM gone
    """  # noqa: S608 - names of the models
    trimmed, since = 0, datetime.min.replace(tzinfo=UTC)
    while True:
        ((number, last),) = sql.rows(statement, (before, since), prepared=False)
        trimmed += number
        if number < AT_ONCE:
            return trimmed
        since = last


@shared_task(name="saml_sp.tasks.watch_bursts")
def watch_bursts() -> None:
    """Asks a person about each burst of accounts that logins made, of refusals, and of SCIM's deactivations. May run at
    any time and twice."""
    at = now()
    seen = [*bursts.creations(at=at), *bursts.deactivations(at=at), *refusals(at=at)]
    for finding in bursts.note(seen, at=at):
        _log.warning(
            str(finding.kind),
            tenant=str(finding.tenant_id),
            connection=str(finding.connection_id),
            number=finding.evidence["most"],
            threshold=finding.evidence["threshold"],
            minutes=finding.evidence["minutes"],
            reasons=finding.evidence["reasons"],
            finding=str(finding.pk),
        )


@shared_task(name="saml_sp.tasks.refresh_all_metadata")
def refresh_all_metadata() -> None:
    """One job for each connection that follows an address: one that fails or hangs holds up no other."""
    for tenant_id, connection_id in connections.following():
        refresh_metadata.apply_async(
            (str(tenant_id), str(connection_id)), countdown=connection_id.int % SPREAD, expires=3600
        )


@shared_task(name="saml_sp.tasks.refresh_metadata")
def refresh_metadata(tenant_id: str, connection_id: str) -> None:
    connection = connections.followed(UUID(tenant_id), UUID(connection_id))
    if connection is not None:
        metadata.refresh(connection, actor=SCHEDULE)


@shared_task(name="saml_sp.tasks.watch_own_certificates")
def watch_own_certificates() -> None:
    """Says each day which of the hub's own certificates end soon; docs/operations.md says how they are changed."""
    at = now()
    for pair, end in own_keys.ending(at):
        _log.warning("saml:own-certificate-ends", pair=pair, ends=end.isoformat(), days=(end - at).days)
