"""What a person decides about a run that waits: all of it, nothing of it, or part of it. Knows no step of a run."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from identity_hub.core.clock import now
from provisioning import outbox
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import ReconciliationItem, ReconciliationRun

from . import run_brakes as brakes
from .invalid import Invalid, needed_reason
from .runs import WAITING, end_too_old, move, one_at_a_time, record, require_running

Status = ReconciliationRun.Status
ItemStatus = ReconciliationItem.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Items of a run: what any of these names."""

    items: Collection[int] = ()
    reasons: Collection[str] = ()
    situations: Collection[str] = ()
    destructive: bool = False

    def within(self, items: QuerySet[ReconciliationItem]) -> QuerySet[ReconciliationItem]:
        named = Q(pk__in=self.items) | Q(reason__in=self.reasons) | Q(situation__in=self.situations)
        return items.filter(named | Q(destructive=True) if self.destructive else named)


def release(run: ReconciliationRun, actor: Actor, reason: str) -> ReconciliationRun:
    """Lets a run out of quarantine, and a worker executes it; or is the first of the two releases that it needs.

    A run that a newer complete roster has overtaken ends instead.
    Raises Invalid without a reason, where runs are stopped, and for a second release by whoever gave the first, or by
    nobody in particular.
    """
    reason = needed_reason(reason)
    with transaction.atomic():
        held = _locked(run)
        if held.status == Status.QUARANTINED and not end_too_old(held, actor, "release"):
            _release(held, actor, reason)
    run.refresh_from_db()
    return run


def _release(run: ReconciliationRun, actor: Actor, reason: str) -> None:
    # Attack: it would wait, released, and be done on a day on which nobody thinks of it.
    require_running(run.connection)
    at = now()
    if lapsed(run):
        run.released_by, run.released_at = "", None
    if not run.released_by:
        run.released_by, run.released_at = actor.signature, at
        run.needs_two = needs_two(run)
        code = Act.RUN_HALF_RELEASED if run.needs_two else Act.RUN_RELEASED
    else:
        if actor.signature == run.released_by:
            raise Invalid(
                "", "You have released this run already; another administrator has to release it, too."
            )
        run.second_released_by, run.second_released_at = actor.signature, at
        code = Act.RUN_RELEASED
    if run.needs_two and actor.kind != "identity":
        # Whoever has a shell can be any user of the system: two names of one person.
        raise Invalid("", "This run needs two administrators, who release it in the admin.")
    if code is Act.RUN_RELEASED:
        run.status = Status.SIMULATED
        outbox.enqueue([("run.execute", {"run": str(run.pk)}, run.tenant_id)])
    run.save(
        update_fields=[
            "status",
            "needs_two",
            "released_by",
            "released_at",
            "second_released_by",
            "second_released_at",
        ]
    )
    record(run, actor, "release", code, why=reason)


def lapsed(run: ReconciliationRun) -> str:
    """Why the first of two releases does not count any more: a sentence, or nothing."""
    return brakes.lapsed(run) if run.status == Status.QUARANTINED else ""


def needs_two(run: ReconciliationRun) -> bool:
    """Whether one person's release would not be enough."""
    return brakes.doubt_of_one(run, run.connection, run.destructive) is not None


def reject(run: ReconciliationRun, actor: Actor, reason: str) -> ReconciliationRun:
    """Nothing of this run will be done; the connection's next run may start. Raises Invalid without a reason."""
    reason = needed_reason(reason)
    with transaction.atomic():
        if move(run, WAITING, Status.REJECTED, finished_at=now()):
            record(run, actor, "reject", Act.RUN_REJECTED, why=reason)
    run.refresh_from_db()
    return run


def leave_out(run: ReconciliationRun, choice: Choice, actor: Actor, reason: str) -> int:
    """Takes items out of a run that waits, and out of the next ones while they are the same. Answers how many."""
    return _turn(run, choice, actor, reason, ItemStatus.PLANNED, ItemStatus.LEFT_OUT)


def take_in(run: ReconciliationRun, choice: Choice, actor: Actor, reason: str) -> int:
    """Takes items that were left out into the run again. Answers how many."""
    return _turn(run, choice, actor, reason, ItemStatus.LEFT_OUT, ItemStatus.PLANNED)


def _turn(run: ReconciliationRun, choice: Choice, actor: Actor, reason: str, from_: str, to: str) -> int:
    reason = needed_reason(reason)
    with transaction.atomic():
        one_at_a_time(run.tenant_id, run.connection_id)
        held = _locked(run)
        if ReconciliationRun.objects.filter(
            tenant_id=held.tenant_id, connection_id=held.connection_id, status=Status.SIMULATING
        ).exists():
            # It has read already what was left out so far.
            raise Invalid("", "A newer run is just being simulated; please decide about that one.")
        released = held.status == Status.SIMULATED and held.released_by
        if held.status not in WAITING or released:
            raise Invalid("", "Only a run that waits can be changed; this one does not wait any more.")
        items = ReconciliationItem.objects.filter(tenant_id=held.tenant_id, run=held)
        turned = choice.within(items.filter(status=from_)).update(status=to)
        if turned:
            held.destructive = items.filter(status=ItemStatus.PLANNED, destructive=True).count()
            # What the first of two people released was another plan.
            held.released_by, held.released_at, held.needs_two = "", None, False
            # What was left out of an earlier run the guard has not counted.
            doubt = brakes.doubt(held, held.connection, held.destructive)
            stops = bool(doubt) and held.status == Status.SIMULATED
            if stops:
                held.status, held.note = Status.QUARANTINED, doubt or ""
            held.save(
                update_fields=["destructive", "released_by", "released_at", "needs_two", "status", "note"]
            )
            record(held, actor, "choose", Act.RUN_CHOSEN, counts={to: turned}, why=reason)
            if stops:
                record(held, actor, "choose", Act.RUN_QUARANTINED)
    run.refresh_from_db()
    return turned


def _locked(run: ReconciliationRun) -> ReconciliationRun:
    found: ReconciliationRun = (
        ReconciliationRun.objects.select_for_update(of=("self",), no_key=True)
        .select_related("connection")
        .get(tenant_id=run.tenant_id, pk=run.pk)
    )
    return found
