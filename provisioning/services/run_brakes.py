"""What stops a run, or its undo, before it destroys: the numbers of its connection and its tenant. Knows no step."""

from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q, QuerySet

from identity_hub.core.clock import now
from provisioning.decision import guard
from provisioning.decision.types import Actor
from provisioning.models import Connection, Identity, ReconciliationItem, ReconciliationRun, Tenant
from provisioning.selectors.reconciliation import with_access

from .alone import wait_for_turn

Status = ReconciliationRun.Status

_RUNS = "runs"
"""At which what begins a run, or orders an undo, takes turns: each counts what the others do."""
TOGETHER = timedelta(hours=24)
"""How long what the runs of a tenant, or of a connection, did counts together."""
RELEASED_FOR = timedelta(days=7)
"""How long a release counts: the first of two until the second, a whole one until a worker begins."""


def doubt(run: ReconciliationRun, connection: Connection, destructive: int) -> str | None:
    """Why a run has to wait for a person: a sentence, or None. By the numbers, and of the people, of now."""
    population = with_access(run.tenant_id, connection)
    alone = guard.judge(limits_of(connection), destructive=destructive, population=population)
    return alone or doubt_of_one(run, connection, destructive) or doubt_together(run, destructive)


def doubt_of_one(run: ReconciliationRun, connection: Connection, destructive: int) -> str | None:
    """Why one person is not enough: with what this connection's runs of a day destroyed that two did not release.

    Attack: whoever must not take access from many alone leaves most of them out, and takes the rest with the next run.
    """
    limit = connection.second_approver_over
    if limit is None or not destructive:
        return None
    return guard.judge_of_one(limit, destructive=destructive, before=_before(run))


def doubt_of_undo(run: ReconciliationRun, items: QuerySet[ReconciliationItem]) -> str | None:
    """Why one person may not take these items of a run back, with what was destroyed and taken back before.

    To be called inside the transaction that orders it. Attack: whoever must not take access from many alone lets a run
    bring them in, or back, and undoes that.
    """
    limit = run.connection.second_approver_over
    if limit is None or not (taking := items.filter(_TAKES_BACK).count()):
        return None
    wait_for_turn(run.tenant_id, _RUNS)
    return guard.judge_undo(limit, taking=taking, before=_before(run))


_TAKES_BACK = reduce(
    or_,
    (
        Q(inverse__contains=[{"change": change}])
        for change in ("PlaceHold", "UnlinkAccount", "RemoveAccount", "RemoveIdentity")
    ),
)
"""Items that brought somebody in, or back."""


def _before(run: ReconciliationRun) -> int:
    since = now() - TOGETHER
    return sum(_taken_by_one(run, since)) + _taken_back(run, since)


def _taken_back(run: ReconciliationRun, since: datetime) -> int:
    """Of the connection's runs: whom undos took access from since then, and are about to."""
    lately = ReconciliationRun.objects.filter(
        tenant_id=run.tenant_id, connection=run.connection_id, undo_ordered_at__gt=since
    )
    return ReconciliationItem.objects.filter(
        _TAKES_BACK,
        Q(undone_at__gt=since) | Q(undo_wanted=True),
        tenant_id=run.tenant_id,
        run__in=list(lately.values_list("pk", flat=True)),
    ).count()


def doubt_together(run: ReconciliationRun, destructive: int) -> str | None:
    tenant = Tenant.objects.get(pk=run.tenant_id)
    done, planned = _destroyed(run, now() - TOGETHER)
    return guard.judge_together(
        limits_of(tenant),
        destructive=destructive,
        before=done + planned,
        # Of those who had access before the first of these runs.
        population=with_access(run.tenant_id) + done,
    )


def doubt_at_start(run: ReconciliationRun) -> str | None:
    """As `doubt`, where a run begins, one run at a time: what two runs may do each, they may not do together.

    To be called inside the transaction that begins it. Whom a person released has been judged, lately.
    Attack: a run of few waits until most others have gone, or the numbers are lowered because it waits.
    """
    if run.released_by and not lapsed(run):
        return None
    wait_for_turn(run.tenant_id, _RUNS)
    connection = Connection.objects.get(tenant_id=run.tenant_id, pk=run.connection_id)
    return doubt(run, connection, run.destructive)


def lapsed(run: ReconciliationRun) -> str:
    """Why what was released does not count any more, or half of it: a sentence, or nothing.

    Attack: whoever was held for an account that was taken over had released beforehand, and waits for a second one, or
    for the switch of runs.
    """
    released_at = run.second_released_at or run.released_at
    if released_at is None:
        return ""
    if now() - released_at > RELEASED_FOR:
        return "It is older than seven days and does not count any more."
    people = [Actor.who_signed(name) for name in (run.released_by, run.second_released_by) if name]
    if not all(_administers(actor, run) for actor in people if actor.kind == "identity"):
        return "Whoever gave it may not sign in or administer here any more, so that it does not count."
    return ""


def _administers(actor: Actor, run: ReconciliationRun) -> bool:
    try:
        key = UUID(actor.id)
    except ValueError:
        return False
    here = Q(tenant_id=run.tenant_id) | Q(tenant_id=None, is_superuser=True)
    person = Identity.objects.filter(here, pk=key).first()
    return person is not None and person.is_active and person.is_staff


def limits_of(row: Connection | Tenant) -> guard.Limits:
    return guard.Limits(few=row.run_few, share=row.run_share, most=row.run_most)


def _destroyed(run: ReconciliationRun, since: datetime) -> tuple[int, int]:
    """By the tenant's other runs: done since then, and being done. What a person released does not count."""
    items = _destructive(run).filter(run__released_by="")
    at_work = ReconciliationRun.objects.filter(tenant_id=run.tenant_id, status=Status.EXECUTING)
    return _done_or_planned(items, since, at_work)


def _taken_by_one(run: ReconciliationRun, since: datetime) -> tuple[int, int]:
    """By the connection's other runs, as above, and about to be done. What two people released does not count."""
    items = _destructive(run).filter(run__connection=run.connection_id, run__second_released_by="")
    runs = ReconciliationRun.objects.filter(tenant_id=run.tenant_id, connection=run.connection_id)
    released = Q(status=Status.SIMULATED) & ~Q(released_by="")
    return _done_or_planned(items, since, runs.filter(released | Q(status=Status.EXECUTING)))


def _destructive(run: ReconciliationRun) -> QuerySet[ReconciliationItem]:
    return ReconciliationItem.objects.filter(tenant_id=run.tenant_id, destructive=True).exclude(run=run.pk)


def _done_or_planned(
    items: QuerySet[ReconciliationItem], since: datetime, at_work: QuerySet[ReconciliationRun]
) -> tuple[int, int]:
    # Two counts, each by an index of its own.
    done = items.filter(status=ReconciliationItem.Status.APPLIED, decided_at__gt=since).count()
    planned = items.filter(
        status=ReconciliationItem.Status.PLANNED, run__in=list(at_work.values_list("pk", flat=True))
    )
    return done, planned.count()
