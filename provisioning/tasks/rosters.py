"""Loading of uploaded rosters, as Celery sees it: ordered by the outbox, gone on with by the schedule."""

from uuid import UUID

import structlog
from celery import shared_task

from identity_hub.core.clock import now
from provisioning.models import OutboxMessage, Roster
from provisioning.selectors.rosters import waiting_to_load
from provisioning.services import roster_files, rosters

from . import delivery

_log = structlog.get_logger("provisioning.tasks")


@shared_task(name="provisioning.tasks.load_roster")
def load_roster(tenant_id: str, roster_id: str) -> None:
    """Loads an uploaded file, or goes on where that stopped; leaves it to whoever has it in hand."""
    roster = Roster.objects.filter(
        tenant_id=UUID(tenant_id), pk=UUID(roster_id), status=Roster.Status.LOADING
    ).first()
    if roster is None:
        return
    try:
        roster = roster_files.load(roster)
    except rosters.Elsewhere:
        return
    _log.info("roster:ended", roster=roster_id, status=roster.status, code=roster.code, rows=roster.row_count)


@shared_task(name="provisioning.tasks.resume_rosters")
def resume_rosters() -> None:
    """Those whose worker went away, or whose order was lost with the broker."""
    for tenant_id, roster_id in waiting_to_load():
        load_roster.delay(str(tenant_id), str(roster_id))


@shared_task(name="provisioning.tasks.trim_rosters")
def trim_rosters() -> None:
    trimmed = rosters.trim(at=now())
    _log.info("rosters:trimmed", rows=trimmed)


def _load(message: OutboxMessage) -> None:
    # Published, not called: a million rows take a minute, and the message is locked meanwhile.
    if load_roster.delay(str(message.tenant_id), message.payload["roster"]) is None:
        raise OSError("the broker is away")


delivery.HANDLERS["roster.load"] = _load
