"""What is written of a run: its row, its items, and what the audit says of it. Knows no step of a run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from identity_hub.core.clock import now
from provisioning import audit, outbox, sql
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor, Channel
from provisioning.models import Connection, ReconciliationItem, ReconciliationRun, Roster
from provisioning.selectors import roster_differences
from provisioning.selectors.reconciliation import runs_stopped

from .alone import wait_for_turn
from .invalid import Invalid, needed_reason

Status = ReconciliationRun.Status
ItemStatus = ReconciliationItem.Status

WAITING = (Status.QUARANTINED, Status.SIMULATED)
UNFINISHED = (*WAITING, Status.EXECUTING)
Item = Mapping[str, Any]
"""Columns of an item -> their values."""


def begin(
    connection: Connection, requested_by: Actor, roster: Roster | None, population: int, reason: str
) -> ReconciliationRun:
    with transaction.atomic():
        one_at_a_time(connection.tenant_id, connection.pk)
        run = ReconciliationRun.objects.create(
            tenant_id=connection.tenant_id,
            connection=connection,
            roster=roster,
            requested_by=requested_by.signature,
            population=population,
        )
        record(run, requested_by, "simulate", Act.RUN_STARTED, why=reason)
    return run


def keep(items: Iterable[Item]) -> None:
    """New items, as a simulation foresaw them."""
    sql.copy(ReconciliationItem, items)


def settle(run: ReconciliationRun, items: Sequence[Item]) -> None:
    """What has become of a batch; to be called in the transaction that did it."""
    sql.update(ReconciliationItem, run.tenant_id, items)
    sql.execute(
        "UPDATE provisioning_reconciliationrun SET items_done = items_done + %s WHERE tenant_id = %s AND id = %s",
        (len(items), run.tenant_id, run.pk),
    )


def order(run: ReconciliationRun, actor: Actor, reason: str) -> None:
    """Has a worker execute a simulated run, or continue one that was left behind; a request should not wait for it.

    Raises Invalid without a reason, for a run that is over or waits in quarantine, and where runs are stopped.
    """
    reason = needed_reason(reason)
    rows = ReconciliationRun.objects.filter(tenant_id=run.tenant_id, pk=run.pk)
    with transaction.atomic():
        if not rows.filter(status__in=(Status.SIMULATED, Status.EXECUTING)).exists():
            raise Invalid("", "Only a run that was simulated can be executed; this one waits or is over.")
        require_running(run.connection)
        record(run, actor, "execute", Act.RUN_ORDERED, why=reason)
        outbox.enqueue([("run.execute", {"run": str(run.pk)}, run.tenant_id)])


def require_running(connection: Connection) -> None:
    """Raises Invalid where an administrator has stopped the runs of the connection, or disabled it."""
    if runs_stopped(connection):
        raise Invalid("", "The connection is disabled, or its runs are stopped: nothing would be done now.")


def move(run: ReconciliationRun, from_: Sequence[str], to: str, **fields: Any) -> bool:
    """False when the run is not where it was thought to be: somebody else moved it first."""
    return bool(
        ReconciliationRun.objects.filter(tenant_id=run.tenant_id, pk=run.pk, status__in=from_).update(
            status=to, **fields
        )
    )


def end_too_old(run: ReconciliationRun, actor: Actor, intent: str) -> bool:
    """Whether what was planned speaks of too old a day: then nothing more of the run is done, and its note says why.

    To be called inside a transaction, before the run is let go on.
    """
    if newer := roster_differences.overtaking(run):
        sentence = f"The roster of {newer.as_of:%Y-%m-%d %H:%M} is newer, and complete: the next run compares with it."
        if move(run, UNFINISHED, Status.OVERTAKEN, finished_at=now(), note=sentence):
            record(run, actor, intent, Act.RUN_OVERTAKEN, counts=tally(run), roster=str(newer.pk))
        return True
    if run.roster is not None and run.roster.status != Roster.Status.COMPLETE:
        sentence = "The rows of this run's roster are gone; please simulate again."
        if move(run, UNFINISHED, Status.FAILED, finished_at=now(), note=sentence):
            record(run, actor, intent, Act.RUN_FAILED)
        return True
    return False


def end_earlier(run: ReconciliationRun, actor: Actor) -> None:
    """Ends the plans of its connection that wait to be executed: this run has looked anew, and is the one to decide.

    To be called inside the transaction in which it does. Attack: what is rejected, or left out, of the newer plan
    somebody does by the older one.
    """
    sentence = f"The run of {run.started_at:%Y-%m-%d %H:%M} is newer: what it found is what can be done."
    for other in ReconciliationRun.objects.filter(
        tenant_id=run.tenant_id, connection_id=run.connection_id, status=Status.SIMULATED
    ).exclude(pk=run.pk):
        if move(other, [Status.SIMULATED], Status.OVERTAKEN, finished_at=now(), note=sentence):
            record(other, actor, "simulate", Act.RUN_OVERTAKEN, counts=tally(other), newer=str(run.pk))


def one_at_a_time(tenant_id: UUID, connection_id: UUID) -> None:
    """Until its transaction ends. A plan that begins to wait and a roster that becomes complete at one moment would
    otherwise not see each other, nor would a simulation that begins and what is left out of the plan before it."""
    wait_for_turn(tenant_id, "plan", str(connection_id))


def end_overtaken(roster: Roster, actor: Actor) -> None:
    """Ends the runs that wait for a person or a worker, now that this newer roster of their connection is complete.

    To be called inside the transaction that makes it so. What is at work looks for itself.
    """
    one_at_a_time(roster.tenant_id, roster.connection_id)
    waiting = ReconciliationRun.objects.filter(
        tenant_id=roster.tenant_id, connection_id=roster.connection_id, status__in=WAITING
    )
    for run in waiting.select_related("connection", "roster").order_by("started_at"):
        end_too_old(run, actor, "load")


def tally(run: ReconciliationRun) -> dict[str, int]:
    """How many items ended how."""
    rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run).order_by()
    found = Counter(dict(rows.values_list("status").annotate(number=Count("id"))))
    return {
        str(status): found[status]
        for status in (ItemStatus.APPLIED, ItemStatus.UNCHANGED, ItemStatus.REFUSED)
    }


def record(
    run: ReconciliationRun,
    actor: Actor,
    intent: str,
    reason: str,
    *,
    counts: Mapping[str, int] | None = None,
    why: str | None = None,
    **told: str,
) -> None:
    """`why` is None for how a run ended: whoever began it has said why. `told` are ids."""
    said = {**({"counts": dict(counts)} if counts else {}), **told}
    changes = [{"change": "run", **said}] if said else []
    audit.record_act(
        reason, run, actor=actor, why=why, intent=intent, channel=Channel.ROSTER, changes=changes
    )
