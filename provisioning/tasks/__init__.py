"""The jobs, as Celery sees them: idempotent, keyed, and on record elsewhere. Each is one call into the house."""

from time import monotonic
from uuid import UUID

import structlog
from celery import shared_task
from django.conf import settings

from identity_hub.core.clock import now
from provisioning import outbox, reconciliation
from provisioning.decision.types import Actor
from provisioning.models import Connection, OutboxMessage, ReconciliationRun
from provisioning.selectors import reconciliation as stored
from provisioning.services import retention, undo

from . import (
    certificates,  # noqa: F401 - its jobs are found by being imported
    delivery,
    domains,  # noqa: F401 - its jobs are found by being imported
    doubts,  # noqa: F401 - its jobs are found by being imported
    laws,  # noqa: F401 - its jobs are found by being imported
    overdue,  # noqa: F401 - its jobs are found by being imported
    overrides,  # noqa: F401 - its jobs are found by being imported
    pulls,  # noqa: F401 - its jobs are found by being imported
    rosters,  # noqa: F401 - its jobs are found by being imported
    tokens,  # noqa: F401 - its jobs are found by being imported
)

SCHEDULE = Actor(kind="schedule")
PAUSE_SECONDS = 5.0

_quiet_until = 0.0

_log = structlog.get_logger("provisioning.tasks")


@shared_task(name="provisioning.tasks.drain_outbox")
def drain_outbox() -> None:
    delivery.drain()


@shared_task(name="provisioning.tasks.reconcile_all")
def reconcile_all() -> None:
    """One job for each active connection, so that they spread over the workers."""
    for tenant_id, connection_id in stored.due(now()):
        reconcile.delay(str(tenant_id), str(connection_id))


@shared_task(name="provisioning.tasks.reconcile")
def reconcile(tenant_id: str, connection_id: str) -> None:
    """Simulates, and executes what the guard lets pass; takes up a run that was left half-executed."""
    connection = Connection.objects.filter(
        tenant_id=UUID(tenant_id), pk=UUID(connection_id), status=Connection.Status.ACTIVE
    ).first()
    if connection is None or stored.runs_stopped(connection):
        return
    run = reconciliation.simulate(connection, SCHEDULE)
    if run.status != ReconciliationRun.Status.QUARANTINED:
        run = reconciliation.execute(run)
    _log.info("run:ended", run=str(run.pk), connection=connection_id, status=run.status, counts=run.counts)
    if run.status == ReconciliationRun.Status.OVERTAKEN:
        # What it has left the newer roster's run does, and this night.
        reconcile.delay(tenant_id, connection_id)


@shared_task(name="provisioning.tasks.execute_run")
def execute_run(tenant_id: str, run_id: str) -> None:
    """Executes a run that a person ordered or released."""
    run = ReconciliationRun.objects.filter(tenant_id=UUID(tenant_id), pk=UUID(run_id)).first()
    if run is not None:
        reconciliation.execute(run)


@shared_task(name="provisioning.tasks.undo_run")
def undo_run(tenant_id: str, run_id: str) -> None:
    """Takes back what a person ordered of a run; goes on where one was killed."""
    run = ReconciliationRun.objects.filter(tenant_id=UUID(tenant_id), pk=UUID(run_id)).first()
    if run is not None:
        _log.info("run:undone", run=run_id, counts=dict(undo.carry_out(run)))


@shared_task(name="provisioning.tasks.purge_deleted")
def purge_deleted() -> None:
    purged = retention.purge_deleted(at=now(), actor=SCHEDULE)
    _log.info("accounts:purged", count=purged)
    _log.info("values:trimmed", count=retention.trim_found(at=now()))


@shared_task(name="provisioning.tasks.trim_sessions")
def trim_sessions() -> None:
    at = now()
    retention.trim_sessions(at=at)
    retention.trim_outbox(at=at)


@shared_task(name="provisioning.tasks.trim_requests")
def trim_requests() -> None:
    trimmed = retention.trim_requests(at=now())
    _log.info("requests:trimmed", count=trimmed)


@shared_task(name="provisioning.tasks.trim_runs")
def trim_runs() -> None:
    trimmed = retention.trim_runs(at=now())
    _log.info("runs:trimmed", items=trimmed)


def _execute_released(message: OutboxMessage) -> None:
    # Published, not called: a run takes minutes, and the message is locked meanwhile.
    if execute_run.delay(str(message.tenant_id), message.payload["run"]) is None:
        raise OSError("the broker is away")


def _undo_ordered(message: OutboxMessage) -> None:
    if undo_run.delay(str(message.tenant_id), message.payload["run"]) is None:
        raise OSError("the broker is away")


def nudge() -> None:
    """Asks a worker to look at the outbox now; beat looks every few seconds anyway.

    A broker that did not answer is left alone for a while: its absence costs one timeout, not one per write.
    """
    global _quiet_until  # noqa: PLW0603 - one pause for all threads of the process
    if settings.REDIS_URL and monotonic() >= _quiet_until and drain_outbox.delay() is None:
        _quiet_until = monotonic() + PAUSE_SECONDS


delivery.HANDLERS["run.execute"] = _execute_released
delivery.HANDLERS["run.undo"] = _undo_ordered
outbox.nudge = nudge
