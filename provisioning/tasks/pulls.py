"""The jobs that list people at IdPs: one for each scheduled source, and those that a person asked for."""

from uuid import UUID

import structlog
from celery import Task, shared_task

from provisioning.decision.types import Actor
from provisioning.models import Connection, OutboxMessage
from provisioning.services import pulls, roster_sources, rosters
from provisioning.sources import Away

from . import delivery

SCHEDULE = Actor(kind="schedule")
AGAIN_AFTER = 600
"""Seconds. Who is told to wait for long, or finds nobody, goes on then."""
TRIES = 5

_log = structlog.get_logger("provisioning.pulls")


@shared_task(name="provisioning.tasks.pull_rosters")
def pull_rosters() -> None:
    """One job for each source, so that one that is slow holds up no other."""
    for tenant_id, connection_id in pulls.due():
        pull_roster.delay(str(tenant_id), str(connection_id))


@shared_task(name="provisioning.tasks.pull_roster", bind=True, max_retries=TRIES)
def pull_roster(
    self: Task, tenant_id: str, connection_id: str, requested_by: str = SCHEDULE.signature
) -> None:
    """Begins a listing, or goes on with the one that stopped. May run twice, and beside itself."""
    connection = Connection.objects.filter(tenant_id=UUID(tenant_id), pk=UUID(connection_id)).first()
    source = connection and roster_sources.source_of(connection)
    if source is None:
        return
    try:
        roster = pulls.pull(source=source, actor=Actor.who_signed(requested_by))
    except rosters.Elsewhere:
        return
    except Away as error:
        _log.warning("roster:away", tenant=tenant_id, connection=connection_id, problem=str(error))
        if self.request.retries < TRIES:
            raise self.retry(countdown=AGAIN_AFTER) from None
        return
    _log.info(
        "roster:pulled",
        tenant=tenant_id,
        connection=connection_id,
        roster=str(roster.pk),
        status=roster.status,
        code=roster.code,
        rows=roster.row_count,
    )


def _pull_ordered(message: OutboxMessage) -> None:
    # Published, not called: a listing takes minutes, and the message is locked meanwhile.
    payload = message.payload
    if pull_roster.delay(str(message.tenant_id), payload["connection"], payload["actor"]) is None:
        raise OSError("the broker is away")


delivery.HANDLERS["roster.pull"] = _pull_ordered
